"""What streets are called, and what only sounds like one."""

from __future__ import annotations

import re

from .rule import words

#: Endings that hardly any other word has: a number behind them is enough.
STRONG = words(
    "gata gate gaten gt gt. veien vegen vei veg vn vn. vg vg. allé alléen allè smauet smuget"
    " stredet stræde strædet vej vejen gade gaden gatan väg vägen gränd gränden esplanaden"
    " boulevard boulevarden bulevarden promenaden"
)
#: Endings of common nouns as well.
WEAK = words(
    "alle svingen sving svingane stien sti stigen stig lia lien tunet tun kroken ringen faret"
    " far bakken bakkane bakke bakkene backen haugen haug åsen høgda høyden toppen terrasse"
    " terrassen plass plassen plads pladsen plan torg torget torv torvet brygge brygga bryggen"
    " kaia kaien kajen løkka hagen haven parken jordet enga engen ängen vænget vænge marka"
    " marken skogen lunden myra neset odden vika viken vollen moen sletta kleiva grenda"
    " tråkket stubben rabben berget dalen stranda stranden gården leden stråket vangen vang"
    " flaten flata holmen holtet holt pynten brekka kneika bråten skrenten ryggen knatten"
    " krattet lyngen kollen høyda skaret"
)
#: Words of their own behind a name: Karl Johans gate, Nordre gate, High Street.
NORDIC_KINDS = words(
    "gate gata gaten gt gt. vei veien veg vegen vej vejen gade väg vägen allé allè plass plads plan"
    " torg torv torget terrasse bakke bakken brygge park sving stræde gränd"
)
ENGLISH_KINDS = words(
    "Street St St. Road Rd Rd. Avenue Ave Ave. Lane Ln Drive Dr Close Court Ct Place Pl Terrace"
    " Way Crescent Gardens Square Sq Boulevard Blvd Grove Mews Hill Row Walk Parade Highway"
)
DIRECTIONS = words(
    "nordre søndre østre vestre øvre nedre indre ytre gamle nye store lille vesle sankt st."
    " st nørre sønder øster vester gammel norra södra östra västra gamla nya stora lilla"
)

STRONG_END = re.compile(rf"(?P<stem>.*?)(?P<end>{STRONG})", re.IGNORECASE)
WEAK_END = re.compile(rf"(?P<stem>.*?)(?P<end>{WEAK})", re.IGNORECASE)

_ROADS = words(
    "gang adkomst atkomst tilkomst innkjørsels innkjørings hoved grus gårds gards skogs"
    " privat side sykkel motor bil kjerre bom hytte anleggs gjennomfarts luft snar jern"
    " rømnings felles gen infarts cykel bi bære gips lett skille ytter yter mur kjøkken bad"
    " riks fylkes europa lands kommune navi investi dele miti conju irri aggre tail flood"
    " segre propa fumi alli"
)
_PLACES = words(
    "tak vegg gulv over tre bak for ute inne front vinter barne bonde bolig kirke parkerings"
    " parkering p- garasje arbeids sitte lager båt spise leke bo snu møte sove bade camping"
    " oppstillings vente stå plen jord stein loft lofts brann aluminiums flyte gress"
    " blomster urte tur ski grill dør port dobbelt dobbel enkelt senge etasje rom plante"
    " drivhus hage eng skole ut inn topp gårds gang mur lång höger vänster sido garage"
    " uppfarts kjøkken by hytte bygge bil side"
)
_ROAD = re.compile(rf".*(?:{_ROADS})", re.IGNORECASE)
_PLACE = re.compile(rf".*(?:{_PLACES})", re.IGNORECASE)
_NUMBERED = re.compile(r"(?:riks|fylkes|europa|lands|motor)(?:vei|veg|väg|vej)\w*", re.IGNORECASE)
_OTHERS = re.compile(
    r"""(?: .*ering(?:en)? | .*familien? | .*(?:l|gr)?låsen | .*seng(?:en|a) | .*nabo\w*
    | (?:em|am|corne|nata|cam|cec|ophe|aure|ot?t)il?l?ia | julia | amalia | cecilia | dahlia
    | magnolia | (?:ita|austra|soma|brasi)lia | (?:ita|austra|brasi|soma|ka[st]+i)lien
    | .*[oaø]vn\.? | jevn | hevn | \w?evn | ujevn
    | langt | lagt | solgt | valgt | b[ry]+gt | trygt | tungt | v?iktigt | \w*ligt | \w*digt
    | skalle | kalle | falle | samtalle | knalle | gasstig | torvtak | datatorg )""",
    re.IGNORECASE | re.VERBOSE,
)


def is_other(word: str) -> bool:
    """Whether a word that ends like a street is something else, or a road with a number."""
    return bool(_OTHERS.fullmatch(word) or _NUMBERED.fullmatch(word))


def is_road(stem: str) -> bool:
    """Whether what stands before the ending makes a common noun of it: gang|vei, gips|veg."""
    return bool(_ROAD.fullmatch(stem))


def is_thing(stem: str) -> bool:
    """The same before a weak ending: ute|plassen, barne|hagen."""
    return bool(_PLACE.fullmatch(stem))
