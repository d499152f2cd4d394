"""English."""

from __future__ import annotations

from .language import Language, listed

LANGUAGE = Language(
    conjunctions=listed("and, plus"),
    is_words=listed("is"),
    was_words=listed("was"),
    my_words=listed("our, my"),
    # What a number may count or name.
    units=listed(
        r"""(?:kilo|milli|centi)?met(?:er|re|ers|res), inch(?:es)?, ft, feet, sqm, sq, kilo,
        gram, ton, liters?, litres?, watt, volt, amp\w*, bar, euro, pounds?, mil\w*, pcs,
        percent, rooms?, bedrooms?, floors, years?, weeks?, days?, months?, hours?,
        min, people, guests"""
    ),
    catalogue_words=listed(
        r"""serial(?:[^\S\n]?(?:no|number))?, s/?n,
        model, type, order, ean, gtin, invoice,
        product(?:[^\S\n]?(?:no|code|number))?, part(?:[^\S\n]?(?:no|number))?,
        ref\.?"""
    ),
    year_words=listed("from, since, year, built, bought, model"),
    number_words=listed("no"),
    # Phone numbers.
    phone_words=listed(r"tel, mob, mobil\w*, phone, sms, call, whatsapp"),
    direct_phone_words=listed("cell, text me, call me"),
    distant_phone_words=listed("contact, number"),
    phone_number_words=listed("number, num"),
    phone_prepositions=listed("on, at"),
    phone_endings=listed("tel, mob, hone, sms"),
    # National identity numbers.
    identity_words=listed(r"\bssn, identity number, personal number"),
    # E-mail addresses written out.
    bracketed_at_words=listed("at"),
    at_prepositions=listed("at"),
    dot_words=listed("dot"),
    # Streets.
    street_endings=listed("boulevard"),
    capital_street_words=listed(
        r"""Street, St, St\., Road, Rd, Rd\., Avenue, Ave, Ave\., Lane, Ln, Drive, Dr, Close,
        Court, Ct, Place, Pl, Terrace, Way, Crescent, Gardens, Square, Sq, Boulevard, Blvd,
        Grove, Mews, Hill, Row, Walk, Parade, Highway"""
    ),
    road_stems=listed(  # of words in -gate: "navigate", "delegate", "tailgate"
        """navi, investi, dele, miti, conju, irri, aggre, tail, flood, segre, propa, fumi,
        alli"""
    ),
    # Addresses.
    address_words=listed("address"),
    place_words=listed("in, at, on, to, from, near, under, address"),
    words_after_addresses=listed("in, at, and, or, is, where, after, for, thanks"),
    flat_words=listed("apt, apartment, flat, unit"),
    words_before_house_numbers=listed("at, address:?, is, live on, from, to"),
    house_streets=listed("street, road, avenue, lane, drive, close, crescent, terrace"),
    house_things=listed(
        r"""lane, way, met\w+, foot, feet, m, km, miles?, of, old, new, small, big, car, min\w*,
        more"""
    ),
    # Codes.
    separate_code_words=listed("codes?"),
    pin_words=listed("pin"),
    key_boxes=listed("key[ -]?box, lock[ -]?box, key[ -]?safe"),
    key_box_endings=listed("s"),
    code_stems=listed("codes?"),
    code_kinds=listed("door, gate, alarm, entry"),
    code_owners=listed("the, our"),
    code_joiners=listed("and, or"),
    code_places=listed(r"for, and, in, at, is, door, gate, entrance, alarm\w*, garage\w*"),
    code_prepositions=listed("for, to, at, of, in, on, the, outside, by"),
    other_codes=listed(
        r"""error, fault, colou?r, paint, ncs, ral, post(?:al)?, zip, qr, discount, promo,
        product, item, http, country, area, source, status, material\w*, dress, tax, shows?,
        showing, displays?, model, swift, iban, bank"""
    ),
)
