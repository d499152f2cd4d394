"""Norwegian, Bokmål and Nynorsk."""

from __future__ import annotations

from .language import Language, listed

LANGUAGE = Language(
    conjunctions=listed("og, samt, pluss"),
    is_words=listed("er"),
    was_words=listed("var, blir"),
    my_words=listed("vår, min"),
    # What a number may count or name.
    units=listed(
        r"""kvm, kvadrat\w*, (?:kilo|milli|centi)?meter, løpemet(?:er|re|ers|res), lm, lpm, tommer,
        tommars, tomme, kubikk\w*, kilo, gram, tonn, liter\w*, watt, volt, amp\w*, hk, bar,
        kroner, kroners, euro, pund, mil\w*, tusen, stk, styk\w*, prosent, grader?,
        (?:[234]-?)?roms?, soverom\w*, bad, boder, etasjer, år\w*, uker?, veker,
        dag(?:er|ar)?, måneder, mnd, månader, timer?, timar, min(?:utter)?, personer, pers,
        gjester, mål, plasser, boenheter, leiligheter, enheter, vinduer, dører, biler, lag,
        strøk, trinn, ganger, hjul, stolper, trær, busker, naboer, hester?, barn"""
    ),
    currencies=listed(r"kr\.?"),
    catalogue_words=listed(
        r"""art(?:ikkel)?\.?(?:nr|no|nummer)?s?, vare(?:nr|nummer)?, nobb\w*,
        serie(?:nr|nummer)?, s/?n, modell(?:nr|nummer)?, type, ordre(?:nr|nummer)?, ean,
        gtin, finn(?:[-.]?(?:kode|nr|no))?, faktura(?:nr|nummer)?, saks?(?:nr|nummer),
        org\.?(?:nr|nummer)?, gnr, bnr, gårdsnr, bruksnr, produkt(?:nr)?, konto(?:nr|nummer)?,
        ref(?:\.|eranse)?(?:nr)?"""
    ),
    year_words=listed("fra, frå, siden, år, bygd, kjøpt, modell, etter, før"),
    clock_words=listed("kl, klokka, klokken"),
    number_words=listed("nr, nummer"),
    # Phone numbers.
    phone_words=listed(r"tlf, tel, telefon\w*, mob, mobil\w*, sms, vipps"),
    distant_phone_words=listed(r"ring\w*, kontakt\w*, nås, nummer\w*"),
    phone_prepositions=listed("på, til"),
    phone_endings=listed("tlf, tel, mob, obil, efon, sms, ring"),
    # National identity numbers.
    identity_words=listed(
        r"""\bf(?:ødsels?)?\.?(?:nr|nummer), person-?(?:nr|nummer), \bd-?nummer,
        \bid-?n(?:r|ummer)"""
    ),
    # E-mail addresses written out.
    at_words=listed("krøll-?alfa, alfa-?krøll, snabel-?a"),
    bracketed_at_words=listed("krøllalfa, alfakrøll, snabel-?a"),
    dot_words=listed("punktum, prikk"),
    # Streets.
    street_endings=listed(
        r"""gata, gaten, gt\., veien, vegen, vei, veg, vn\., vg\., allé, alléen, allè, smauet,
        smuget, stredet, esplanaden, boulevard, boulevarden, bulevarden, promenaden"""
    ),
    capital_street_endings=listed("gate"),
    short_street_endings=listed("gt, vn, vg"),
    place_endings=listed(
        """svingen, sving, svingane, stien, lia, lien, tunet, tun, kroken, ringen, faret, bakken,
        bakkane, bakke, bakkene, haugen, haug, åsen, høgda, høyden, toppen, plass, plassen, torg,
        torget, brygge, brygga, bryggen, kaia, kaien, løkka, hagen, parken, jordet, enga, engen,
        marka, marken, skogen, lunden, myra, neset, odden, vika, viken, vollen, moen, sletta,
        kleiva, grenda, tråkket, stubben, rabben, berget, dalen, stranda, stranden, gården,
        leden, vangen, vang, flaten, flata, holmen, holtet, holt, pynten, brekka, kneika, bråten,
        skrenten, ryggen, knatten, krattet, lyngen, kollen, høyda, skaret"""
    ),
    rare_place_endings=listed("alle, far, plan, sti, terrasse, terrassen"),
    street_words=listed(
        r"""gate, gata, gaten, gt, gt\., vei, veien, veg, vegen, allé, allè, plass, plan, torg,
        torget, terrasse, bakke, bakken, brygge, park, sving"""
    ),
    sure_street_words=listed("all"),
    directions=listed(
        r"""nordre, søndre, østre, vestre, øvre, nedre, indre, ytre, gamle, nye, store, lille,
        vesle, sankt, st\., st"""
    ),
    road_stems=listed(
        """gang, adkomst, atkomst, tilkomst, innkjørsels, innkjørings, hoved, grus, gårds, gards,
        skogs, privat, side, sykkel, motor, bil, kjerre, bom, hytte, anleggs, gjennomfarts, luft,
        snar, jern, rømnings, felles, gen, bi, bære, gips, lett, skille, ytter, yter, mur,
        kjøkken, bad, riks, fylkes, europa, lands, kommune"""
    ),
    place_stems=listed(
        """tak, vegg, gulv, over, tre, bak, for, ute, inne, front, vinter, barne, bonde, bolig,
        kirke, parkerings, parkering, p-, garasje, arbeids, sitte, lager, båt, spise, leke, bo,
        snu, møte, sove, bade, camping, oppstillings, vente, stå, plen, jord, stein, loft, lofts,
        brann, aluminiums, flyte, gress, blomster, urte, tur, ski, grill, dør, port, dobbelt,
        dobbel, enkelt, senge, etasje, rom, plante, drivhus, hage, eng, skole, ut, inn, topp,
        gårds, gang, mur, kjøkken, by, hytte, bygge, bil, side"""
    ),
    numbered_road_stems=listed("riks, fylkes, europa, lands, motor"),
    numbered_road_words=listed("vei, veg"),
    other_words=listed(
        r""".*ering(?:en)?, .*familien?, .*låsen, .*seng(?:en|a), .*nabo\w*,
        (?:em|am|corne|nata|cam|cec|ophe|aure|ot?t)il?l?ia, julia, amalia, cecilia, dahlia,
        magnolia, (?:ita|austra|soma|brasi)lia, (?:ita|austra|brasi|soma|ka[st]+i)lien,
        .*[oaø]vn\.?, jevn, hevn, \w?evn, ujevn, langt, lagt, solgt, valgt, b[ry]+gt, trygt,
        tungt, skalle, kalle, falle, samtalle, knalle, torvtak, datatorg"""
    ),
    # Addresses.
    address_words=listed("adresse[nr]?, adr"),
    living_words=listed("bor, bur"),
    living_prepositions=listed("i, på"),
    place_words=listed(
        r"i, på, til, fra, frå, ved, under, mot, hos, langs, bor, bur, bo, adr, adress\w*"
    ),
    words_after_addresses=listed(
        """i, på, ved, og, eller, er, har, til, fra, frå, hos, av, der, hvor, etter, for, som,
        med, den, det, kl, takk, tlf, ring"""
    ),
    flat_words=listed("leil(?:ighet)?, bolig, oppgang, inng(?:ang)?"),
    flat_number_words=listed("nr"),
    dwelling_words=listed("leil(?:ighet)?, bolig, bruksenhet"),
    # Codes.
    code_words=listed("koden?, kodene, koder, koda"),
    pin_words=listed("pin"),
    code_locks=listed("kodelås, kodelåsen"),
    key_boxes=listed("nøkkelboks, nøkkelskap, nøkkelsafe"),
    key_box_endings=listed("en, et, a"),
    code_stems=listed(r"kode\w*, koda"),
    code_owners=listed("min, vår"),
    code_joiners=listed("og, eller"),
    code_places=listed(
        r"i, på, til, for, og, er, dør, døra, porten?, oppgang, alarm\w*, garasj\w*"
    ),
    code_prepositions=listed("til, for, på, i, ved, av, hos, utenfor"),
    other_codes=listed(
        r"""feil, feile, post(?:al)?, qr, rabatt, kampanje, produkt, vare, maling[s]?, bar, strek,
        finn, land, valuta, status, serie, artikkel, material\w*, skatte, viser, blinker,
        displayet, gir, modell, swift, iban, bank, kid"""
    ),
)
