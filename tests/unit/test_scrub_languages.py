"""Languages of the scrub rules: each one is a file of words, and the rules see all of them."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from marketplace_ai.deciding.secondary import clauses
from marketplace_ai.scrub import MARK, scrub
from marketplace_ai.scrub.languages import LANGUAGES, WORDS, Language, any_of
from marketplace_ai.scrub.languages.language import union

ROOT = Path(__file__).resolve().parents[2]
TEXTS = Path(__file__).parent / "scrub_texts"
ITEM = re.compile("⟦(.+?)⟧")
FIELDS = [field.name for field in dataclasses.fields(Language)]
#: Fields whose words are compared as strings.
PLAIN = (
    "conjunctions", "phone_endings", "capital_street_endings", "short_street_endings",
    "rare_place_endings", "sure_street_words", "pin_words", "code_locks", "code_prepositions",
)  # fmt: skip

#: An invented language: for each field its word, and a text in which the word decides what goes.
INVENTED = {
    "is_words": ("zist", "koden zist ⟦4417⟧"),
    "was_words": ("zwas", "koden zwas ⟦4417⟧"),
    "my_words": ("zour", "Adresse zour ⟦Nyhavn 17⟧"),
    "units": ("zorbs", "900 00 014 zorbs"),
    "currencies": ("zkron", "zkron 900 00 014"),
    "catalogue_words": ("zart", "zart 900 00 014"),
    "year_words": ("zyear", "koden til huset zyear 1998"),
    "clock_words": ("zclock", "zclock 20002330"),
    "number_words": ("znum", "⟦Storgata znum 12⟧"),
    "phone_words": ("zfon", "zfon ⟦123456⟧"),
    "direct_phone_words": ("zcell", "zcell ⟦123456⟧"),
    "distant_phone_words": ("zdial", "zdial ⟦3000-4000⟧"),
    "phone_number_words": ("znr", "tlf znr ⟦123456⟧"),
    "phone_prepositions": ("zon", "tlf zon ⟦123456⟧"),
    "phone_endings": ("zzel", "azzel⟦90000014⟧"),
    "identity_words": (r"\bzid", "zid ⟦99999912345⟧"),
    "at_words": ("zmonkey", "⟦ola zmonkey firma.no⟧"),
    "bracketed_at_words": ("zat", "⟦ola (zat) firma.no⟧"),
    "at_prepositions": ("zby", "⟦ola zby gmail.com⟧"),
    "dot_words": ("zdot", "⟦ola@firma zdot no⟧"),
    "street_endings": ("zuko", "⟦Lizuko 12⟧"),
    "capital_street_endings": ("zoga", "⟦Lizoga 12⟧ og lizoga 12"),
    "short_street_endings": ("zt", "⟦Lizt 12⟧"),
    "place_endings": ("zepla", "Ligger ved ⟦Grazepla 12⟧"),
    "rare_place_endings": ("zopla", "Ligger ved ⟦Grazopla 12⟧"),
    "street_words": ("zalley", "Ligger i ⟦Karls zalley 22⟧"),
    "sure_street_words": ("zal", "Se ⟦Frogner zalley 22⟧ rett nedenfor"),
    "capital_street_words": ("Zlane", "Ligger i ⟦12 High Zlane⟧"),
    "directions": ("zold", "Ligger ved ⟦Zold Trapp 12⟧"),
    "road_stems": ("zrail", "zrailvei 30"),
    "place_stems": ("zkid", "i zkidhagen 30"),
    "numbered_road_stems": ("zferry", "Zferryvei 6"),
    "numbered_road_words": ("zway", "Rikszwayveien 6"),
    "other_words": ("zeringvei", "Zeringvei 6"),
    "address_words": ("zaddr", "zaddr ⟦Nyhavn 17⟧"),
    "living_words": ("zlive", "zlive i ⟦Nyhavn 17⟧"),
    "living_prepositions": ("zin", "bor zin ⟦Nyhavn 17⟧"),
    "place_words": ("znear", "Hus znear ⟦storbakken 12⟧"),
    "words_after_addresses": ("zthen", "i ⟦storbakken 12⟧ zthen"),
    "flat_words": ("zflat", "⟦Storgata 12 zflat 3⟧"),
    "flat_number_words": ("zno", "⟦Storgata 12 lgh zno 3⟧"),
    "flat_sides": ("zl", "⟦Storgata 12, 2. zl⟧"),
    "dwelling_words": ("zhome", "⟦zhome H1234⟧"),
    "words_before_house_numbers": ("zfrom", "zfrom ⟦12 high street⟧"),
    "house_streets": ("zstreet", "at ⟦12 high zstreet⟧"),
    "house_things": ("zbig", "at 12 zbig street"),
    "code_words": ("zode", "azode ⟦4417⟧"),
    "separate_code_words": ("zcipher", "zcipher ⟦4417⟧"),
    "pin_words": ("zpin", "zpin ⟦4417⟧ og zpin 441"),
    "code_locks": ("zlock", "zlock er ⟦4417⟧"),
    "key_boxes": ("zbox", "zbox ⟦4417⟧"),
    "key_box_endings": ("zes", "nøkkelbokszes ⟦4417⟧"),
    "code_stems": ("pin", "feil pin 5012"),
    "code_kinds": ("zdoor", "⟦4417⟧ is zdoor code"),
    "code_owners": ("zthe", "⟦4417⟧ is zthe code"),
    "code_joiners": ("zplus", "kode ⟦1111 zplus 2222⟧"),
    "code_places": ("zgate", "kode ⟦1111 og zgate 2222⟧"),
    "code_prepositions": ("zto", "kode zto huset ⟦4417⟧"),
    "other_codes": ("zwrong", "zwrongkode 5012"),
}
CONJUNCTION = "zund"

#: What the copy of the rules in the current directory makes of texts, and its conjunctions.
ANSWERS = """
import json, sys
from marketplace_ai.scrub import scrub
from marketplace_ai.scrub.languages import WORDS
print(json.dumps([list(map(scrub, json.load(sys.stdin))), WORDS.conjunctions]))
"""


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """A folder with a copy of the rules, whose languages a test may change."""
    app = ROOT / "marketplace_ai"
    without_caches = shutil.ignore_patterns("__pycache__")
    shutil.copytree(app / "scrub", tmp_path / "marketplace_ai/scrub", ignore=without_caches)
    shutil.copy(app / "__init__.py", tmp_path / "marketplace_ai")
    return tmp_path


def answers(folder: Path, texts: list[str]) -> tuple[list[str], list[str]]:
    done = subprocess.run(
        [sys.executable, "-c", ANSWERS],
        input=json.dumps(texts), cwd=folder, text=True, capture_output=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    scrubbed, conjunctions = json.loads(done.stdout)
    return scrubbed, conjunctions


def test_a_further_language_is_one_file(copied: Path) -> None:
    words = {name: (word,) for name, (word, _) in INVENTED.items()}
    words["conjunctions"] = (CONJUNCTION,)
    assert set(words) == set(FIELDS)
    (copied / "marketplace_ai/scrub/languages/zz.py").write_text(
        f"from .language import Language\n\nLANGUAGE = Language(**{words!r})\n", encoding="utf-8"
    )
    marked = [text for _, text in INVENTED.values()]
    texts = [re.sub("[⟦⟧]", "", text) for text in marked]
    scrubbed, conjunctions = answers(copied, texts)
    assert scrubbed == [ITEM.sub(MARK, text) for text in marked]
    assert conjunctions == [*WORDS.conjunctions, CONJUNCTION]
    same = [text for text, out in zip(texts, scrubbed, strict=True) if scrub(text) == out]
    assert same == [], "texts that do not need the language"


@pytest.mark.parametrize("name", LANGUAGES)
def test_each_language_is_needed(name: str, copied: Path) -> None:
    """Without the file of a language, a text is scrubbed differently or a conjunction is gone."""
    texts = [
        re.sub("[⟦⟧]", "", line)
        for path in sorted(TEXTS.glob("*.txt"))
        for line in path.read_text(encoding="utf-8").splitlines()
    ]
    (copied / f"marketplace_ai/scrub/languages/{name}.py").unlink()
    scrubbed, conjunctions = answers(copied, texts)
    if LANGUAGES[name] == Language(conjunctions=LANGUAGES[name].conjunctions):
        assert set(conjunctions) < set(WORDS.conjunctions)
    else:
        assert scrubbed != [scrub(text) for text in texts]


@pytest.mark.parametrize("name", LANGUAGES)
def test_each_word_of_a_language_is_a_pattern_without_groups(name: str) -> None:
    for field in FIELDS:
        words = getattr(LANGUAGES[name], field)
        assert len(set(words)) == len(words), field
        for word in words:
            assert re.compile(word).groups == 0, (field, word)
            assert re.fullmatch(r"\S(.*\S)?", word), (field, word)
            assert set(words) <= set(getattr(WORDS, field))
            if field in PLAIN:
                assert word == word.lower() == re.sub(r"\W", "", word), (field, word)


@pytest.mark.parametrize("name", LANGUAGES)
def test_each_conjunction_of_a_language_divides_a_text(name: str) -> None:
    for word in LANGUAGES[name].conjunctions:
        assert clauses(f"male stue {word} flytte piano") == ["male stue", f"{word} flytte piano"]


def test_words_of_several_languages_are_listed_once() -> None:
    both = union([Language(units=("a", "b")), Language(units=("b", "c"), at_words=("d",))])
    assert both == Language(units=("a", "b", "c"), at_words=("d",))


def test_longer_words_come_first_and_no_words_match_nothing() -> None:
    assert any_of(("gt", "gate"), ("gate", "vei")) == "gate|vei|gt"
    assert re.search(any_of(()), "") is None
