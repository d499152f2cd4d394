"""Danish."""

from __future__ import annotations

from .language import Language, listed

LANGUAGE = Language(
    conjunctions=listed("og, samt, plus"),
    is_words=listed("er"),
    was_words=listed("var, blir"),
    my_words=listed("min, vores"),
    # What a number may count or name.
    units=listed(
        r"""kvm, kvadrat\w*, (?:kilo|milli|centi)?meter, tommer, tomme,
        kubikk\w*, kilo, gram, ton, liter\w*, watt, volt, amp\w*, hk, bar, kroner, kroners,
        euro, pund, mil\w*, tusen, stk, styk\w*, procent, grader?, rums?, bad, etager, år\w*,
        uger, dage?, måneder, timer?, min(?:utter)?, personer, pers, lag, hjul,
        naboer, hester?, barn"""
    ),
    currencies=listed(r"kr\.?"),
    catalogue_words=listed(
        r"""art(?:ikel)?\.?(?:nr|no|nummer)?s?, vare(?:nr|nummer)?, serie(?:nr|nummer)?,
        s/?n, model(?:nr|nummer)?, type, ordre(?:nr|nummer)?, ean, gtin,
        faktura(?:nr|nummer)?, saks?(?:nr|nummer), org\.?(?:nr|nummer)?, produkt(?:nr)?,
        konto(?:nr|nummer)?, ref\.?(?:nr)?"""
    ),
    year_words=listed("fra, siden, år, model, før"),
    clock_words=listed("kl, klokken"),
    number_words=listed("nr, nummer"),
    # Phone numbers.
    phone_words=listed(r"tlf, tel, telefon\w*, mob, mobil\w*, sms"),
    distant_phone_words=listed(r"ring\w*, kontakt\w*, nummer\w*"),
    phone_prepositions=listed("på, til"),
    phone_endings=listed("tlf, tel, mob, obil, efon, sms, ring"),
    # National identity numbers.
    identity_words=listed(r"\bcpr(?:-?nr)?, person-?(?:nr|nummer), \bid-?n(?:r|ummer)"),
    # E-mail addresses written out.
    at_words=listed("snabel-?a"),
    bracketed_at_words=listed("snabel-?a"),
    dot_words=listed("punktum"),
    # Streets.
    street_endings=listed(
        """stræde, strædet, vej, vejen, gade, gaden, allé, alléen, esplanaden, boulevard,
        boulevarden, promenaden"""
    ),
    place_endings=listed(
        """bakken, bakke, plads, pladsen, torv, torvet, torg, brygge, bryggen, kajen, haven,
        parken, engen, vænget, vænge, marken, lunden, dalen, stranden, gården,
        holmen, holt"""
    ),
    rare_place_endings=listed("alle, sti, terrasse, terrassen"),
    street_words=listed(
        """vej, vejen, gade, allé, plads, torv, terrasse, bakke, bakken, brygge, park,
        stræde"""
    ),
    sure_street_words=listed("all"),
    directions=listed(
        r"nørre, sønder, øster, vester, gammel, gamle, nye, store, lille, indre, sankt, st\."
    ),
    road_stems=listed("privat, side, motor, lands, bil, bi, felles, mur, bad"),
    place_stems=listed("for, bolig, parkerings, p-, skole, tur, bil, side"),
    numbered_road_stems=listed("lands, motor"),
    numbered_road_words=listed("vej"),
    other_words=listed(r".*ering(?:en)?, .*familien?, .*nabo\w*, solgt, valgt, \w*ligt"),
    # Addresses.
    address_words=listed("adresse[nr]?, adr"),
    living_words=listed("bor"),
    living_prepositions=listed("i, på"),
    place_words=listed(r"i, på, til, fra, ved, under, hos, langs, bor, bo, adr, adress\w*"),
    words_after_addresses=listed(
        """i, på, ved, og, eller, er, har, til, fra, hos, der, hvor, for, som, med,
        den, det, kl, tlf, ring"""
    ),
    flat_words=listed("lejl(?:ighed)?, bolig, opg"),
    flat_number_words=listed("nr"),
    flat_sides=listed("tv, th, mf"),
    # Codes.
    code_words=listed("koden?, kodene, koder"),
    pin_words=listed("pin"),
    code_locks=listed("kodelås, kodelåsen"),
    key_boxes=listed("nøgleboks"),
    key_box_endings=listed("en, et"),
    code_stems=listed(r"kode\w*"),
    code_owners=listed("min"),
    code_joiners=listed("og, eller"),
    code_places=listed(r"i, på, til, for, og, er, dør, porten?, opgang, alarm\w*, garage\w*"),
    code_prepositions=listed("til, for, på, i, ved, hos"),
    other_codes=listed(
        r"""fejl, farve, post(?:al)?, qr, rabat, produkt, vare, land, valuta, status, serie,
        material\w*, viser, giver, model, swift, iban, bank"""
    ),
)
