"""Swedish."""

from __future__ import annotations

from .language import Language, listed

LANGUAGE = Language(
    conjunctions=listed("och, samt, plus"),
    is_words=listed("är"),
    was_words=listed("var, blir"),
    my_words=listed("vår, min"),
    # What a number may count or name.
    units=listed(
        r"""kvm, kvadrat\w*, (?:kilo|milli|centi)?meter, tum, kilo, gram,
        ton, liter\w*, watt, volt, amp\w*, bar, kronor, euro, pund, mil\w*, tusen, styk\w*,
        stycken, procent, grader?, rums?, bad, våningar, år\w*, veckor, dag(?:ar)?,
        månader, timmar, min, personer, pers, gäster, plasser, lag, hjul, barn"""
    ),
    currencies=listed(r"kr\.?"),
    catalogue_words=listed(
        r"""art(?:ikel)?\.?(?:nr|no|nummer)?s?, serie(?:nr|nummer)?, s/?n,
        modell(?:nr|nummer)?, order(?:nr|nummer)?, ean, gtin, faktura(?:nr|nummer)?,
        org\.?(?:nr|nummer)?, produkt(?:nr)?, konto(?:nr|nummer)?, ref\.?(?:nr)?"""
    ),
    year_words=listed("från, år, modell"),
    clock_words=listed("kl, klockan"),
    number_words=listed("nr, nummer"),
    # Phone numbers.
    phone_words=listed(r"tel, telefon\w*, mob, mobil\w*, sms"),
    distant_phone_words=listed(r"ring\w*, kontakt\w*, nås, nummer\w*"),
    phone_prepositions=listed("på"),
    phone_endings=listed("tel, mob, obil, efon, sms, ring"),
    # National identity numbers.
    identity_words=listed(r"person-?(?:nr|nummer), \bid-?n(?:r|ummer)"),
    # E-mail addresses written out.
    at_words=listed("snabel-?a"),
    bracketed_at_words=listed("snabel-?a"),
    dot_words=listed("punkt"),
    # Streets.
    street_endings=listed(
        "gatan, väg, vägen, gränd, gränden, allé, alléen, esplanaden, boulevarden, promenaden"
    ),
    place_endings=listed(
        """stigen, stig, backen, ringen, parken, torget, torg, kajen, hagen, ängen, skogen,
        lunden, viken, dalen, stranden, gården, leden, stråket, holmen"""
    ),
    rare_place_endings=listed("plan, terrassen"),
    street_words=listed("väg, vägen, allé, plan, torg, torget, park, gränd"),
    sure_street_words=listed("all"),
    directions=listed("norra, södra, östra, västra, gamla, nya, stora, lilla, sankt"),
    road_stems=listed("gang, infarts, cykel, privat, motor, bil, riks, europa, lands"),
    place_stems=listed("lång, höger, vänster, sido, garage, uppfarts, parkerings, p-, bak, bil"),
    numbered_road_stems=listed("riks, europa, lands, motor"),
    numbered_road_words=listed("väg"),
    other_words=listed(r"v?iktigt, \w*ligt, \w*digt, gasstig"),
    # Addresses.
    address_words=listed("adress(?:en)?, adr"),
    living_words=listed("bor"),
    living_prepositions=listed("i, på"),
    place_words=listed(r"i, på, till, från, vid, under, mot, hos, bor, bo, adr, adress\w*"),
    words_after_addresses=listed(
        "i, på, vid, och, eller, är, har, hos, av, som, med, den, det, kl, ring"
    ),
    flat_words=listed("lgh, lägenhet"),
    flat_number_words=listed("nr"),
    # Codes.
    code_words=listed("kod, koden, koder"),
    pin_words=listed("pin"),
    key_boxes=listed("nyckelbox, nyckelskåp"),
    key_box_endings=listed("en, et"),
    code_stems=listed("kod"),
    code_owners=listed("min, vår"),
    code_joiners=listed("och, eller"),
    code_places=listed(r"i, på, är, porten?, uppgång, alarm\w*, garage\w*"),
    code_prepositions=listed("till, på, i, vid, av, hos"),
    other_codes=listed(
        r"""fel, färg, farge, post(?:al)?, qr, rabatt, produkt, land, valuta, status, serie,
        material\w*, ger, modell, swift, iban, bank"""
    ),
)
