"""Labeled files that say little, nothing or two things at once, in every command that takes one.

Each ends in one sentence and writes nothing, or the command says what is odd and how often.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from marketplace_ai.evaluation import evaluate
from marketplace_ai.models import Category, ClassifierVersion, Exemplar, ExemplarSource
from marketplace_ai.text.normalize import digest
from tests.integration.promotion.factories import candidate

pytestmark = [pytest.mark.django_db, pytest.mark.slow]

HEADER = "text,category\n"
GOOD = HEADER + "".join(
    f"{text} {number},{category}\n"
    for text, category in [("vegg", "maling"), ("plen", "plen"), ("rør", "rorlegger")]
    for number in range(3)
)
#: What is said of a file where a command takes it, or why it does not.
ONE_TEXT = "all 6 rows have one text, 'Male tak'"
CONFLICT = "texts have several labels; the first: 'Male tak 0' is maling (line 2), plen (line 3)"
PLACEHOLDER = "line 3: the category is 'n/a', which names none; write 'none'"
CIRCLE = "line 2: 'maling' would be its own ancestor"
NOTHING = "there is no row below the header"
FEW = "only one category has labeled texts"

#: name: (the file, what every command says, what some say instead)
CASES: dict[str, tuple[str, str, dict[str, str]]] = {
    "no row": (HEADER, NOTHING, {"import_exemplars": "0 exemplars added"}),
    "nothing": ("", "column 'category' is missing", {"import_exemplars": "'text' is missing"}),
    "one row": (
        f"{HEADER}Male tak,maling\n",
        "there is only one row",
        {
            "import_exemplars": "1 exemplars added",
            "mine": FEW,
        },
    ),
    "one text": (
        HEADER + "Male tak,maling\n" * 6,
        ONE_TEXT,
        {
            "import_exemplars": "1 exemplars added",
            "mine": FEW,
        },
    ),
    "one text, two labels": (
        HEADER + "Male tak,maling\nMale tak!,plen\n" * 3,
        "1 text has several labels; 'Male tak' is maling (line 2), plen (line 3)",
        {"mine": "2 texts with several labels"},
    ),
    "every text has two labels": (
        HEADER
        + "".join(f"Male tak {n},maling\nMALE TAK  {n},plen\n" for n in range(3)),
        f"3 {CONFLICT}",
        {"mine": "6 texts with several labels left out, no category"},
    ),
    "one category": (
        HEADER + "".join(f"{word} tak,maling\n" for word in ("Male", "Beise", "Sparkle")),
        "all 3 rows have one label, 'maling'",
        {"import_exemplars": "3 exemplars added", "mine": FEW},
    ),
    "only none": (
        f"{HEADER}Hei,none\nSelger sykkel,none\n",
        "all 2 rows have one label, 'none'",
        {
            "import_exemplars": "1 exemplars added, 1 were there",
            "train": "every row is 'none'",
            "mine": "no category has labeled texts",
        },
    ),
    "a text of each category": (
        f"{HEADER}Male tak,maling\nLuke bed,plen\n",
        "",
        {"mine": "no category has two texts that differ"},
    ),
    "placeholders": (
        f"{HEADER}Male tak,maling\nLuke bed,n/a\nKlippe hekk,plen\nRør,n/a\n", PLACEHOLDER, {}
    ),
    "capitals": (
        f"{HEADER}Male tak,maling\nLuke bed,plen\nHei,None\n",
        "1 times 'None' in the column category, read as 'none'",
        {"mine": "no category has two texts that differ"},
    ),
    "circle": (
        "text,category,parent\nMale tak,maling,plen\nLuke bed,plen,maling\n",
        CIRCLE,
        {"import_exemplars": "2 exemplars added", "fit": "", "activate": ""},
    ),
    "blank text": (
        f"{HEADER}...,maling\nLuke bed,plen\n",
        "1 of 2 texts are left out: they are nothing to go by",
        {"test": "2 test rows", "mine": "only one category"},
    ),
    "two categories in a row": (
        f"{HEADER}Male tak,maling|plen\nLuke bed,plen\n",
        "line 2: 2 categories",
        {"train": "1 training or calibration rows have several", "test": "2 test rows",
         "calibration": "1 training or calibration rows", "mine": "only one category"},
    ),
}  # fmt: skip

EVALUATE = ("evaluate_classifier", "--encoder", "dummy")
#: name: the command for a file, another that is all right, and an empty folder.
COMMANDS: dict[str, Callable[[str, str, Path], tuple[str, ...]]] = {
    "import_exemplars": lambda file, good, out: ("import_exemplars", file),
    "fit": lambda file, good, out: ("fit_classifier", "--calibration", file, "--dry-run"),
    "activate": lambda file, good, out: (
        "activate_encoder", "other", "--calibration", file, "--dry-run", "--confidence", "0.5",
    ),
    "train": lambda file, good, out: (*EVALUATE, "--train", file, "--test", good),
    "test": lambda file, good, out: (*EVALUATE, "--train", good, "--test", file),
    "calibration": lambda file, good, out: (
        *EVALUATE, "--train", good, "--test", good, "--calibration", file,
    ),
    "mine": lambda file, good, out: (
        "mine_training_data", "--from", file, "--out", str(out), "--each", "9",
    ),
}  # fmt: skip


@pytest.fixture(autouse=True)
def no_baselines(monkeypatch: pytest.MonkeyPatch) -> None:
    """The baselines of an evaluation take half of its time."""
    monkeypatch.setattr(evaluate, "simpler_rules", lambda *args, **options: {})


def say(*arguments: str) -> tuple[int, str]:
    """The exit code, and all that a command says."""
    out = StringIO()
    try:
        call_command(*arguments, stdout=out, stderr=out)
    except CommandError as error:
        assert "\n" not in str(error)
        return error.returncode, out.getvalue() + str(error)
    return 0, out.getvalue()


def stored() -> tuple[int, ...]:
    return tuple(model.objects.count() for model in (Category, Exemplar, ClassifierVersion))


def check(name: str, code: int, said: str, expected: str) -> None:
    """The command went well or was refused in one sentence; a comparison may end with 1."""
    assert expected in said, (name, said)
    compared = name in ("fit", "activate") and "activate" in said.splitlines()[-1]
    assert code in (0, 2) or (code == 1 and compared), (name, code, said)


@pytest.mark.parametrize("case", CASES)
def test_a_degenerate_file_is_refused_in_one_sentence_or_counted(
    case: str, fitted: None, tmp_path: Path
) -> None:
    content, usual, special = CASES[case]
    candidate("other")
    good, file = tmp_path / "good.csv", tmp_path / "labeled.csv"
    good.write_text(GOOD, encoding="utf-8")
    file.write_text(content, encoding="utf-8")
    for name, command in COMMANDS.items():
        before = stored()
        code, said = say(*command(str(file), str(good), tmp_path / "mined"))
        check(name, code, said, special.get(name, usual))
        if code == 2:
            assert stored() == before, name
            assert not (tmp_path / "mined").exists()


#: The texts that vote: (text, key of the category, "" for none), and what commands say of them.
EXEMPLARS: dict[str, tuple[list[tuple[str, str]], dict[str, str]]] = {
    "none at all": ([], {"mine": "no category"}),
    "one": (
        [("Male tak", "maling")],
        {"mine": "only one category", "fit": "nothing to tell apart"},
    ),
    "one of none": ([("Hei", "")], {"mine": "no category"}),
    "one text, two categories": (
        [("Male tak", "maling"), ("male tak", "plen")],
        {"mine": "2 texts with several labels left out", "fit": "Exemplars: 1 text has several"},
    ),
    "one category": (
        [(f"{word} tak", "maling") for word in ("Male", "Beise", "Sparkle")],
        {"mine": "only one category", "fit": "nothing to tell apart"},
    ),
    "one category and none": (
        [("Male tak", "maling"), ("Beise bod", "maling"), ("Hei", ""), ("Selger sykkel", "")],
        {"mine": "only one category", "fit": "nothing to tell apart"},
    ),
    "a text of each": (
        [("Male tak", "maling"), ("Luke bed", "plen"), ("Hei", "")],
        {"mine": "no category has two texts that differ"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", EXEMPLARS)
@pytest.mark.parametrize("calibrated", [False, True])
def test_degenerate_exemplars_are_refused_in_one_sentence_or_counted(
    case: str, calibrated: bool, catalog: dict[str, Category], tmp_path: Path
) -> None:
    rows, special = EXEMPLARS[case]
    for text, key in rows:
        Exemplar.objects.create(
            text=text, text_digest=digest(text), category=catalog.get(key), category_key=key,
            is_none=not key, source=ExemplarSource.IMPORTED,
        )  # fmt: skip
    file = tmp_path / "good.csv"
    file.write_text(GOOD, encoding="utf-8")
    options = ("--calibration", str(file)) if calibrated else ()
    code, said = say("fit_classifier", *options)
    check("fit", code, said, special.get("fit", "Guaranteed"))
    out = str(tmp_path / "mined")
    code_of_mining, of_mining = say("mine_training_data", "--out", out)
    assert special["mine"] in of_mining if "mine" in special else code_of_mining == 0
    if code == 0:
        candidate("other")
        check("activate", *say("activate_encoder", "other", *options, "--confidence", "0.5"), "")


def test_the_cases_name_commands() -> None:
    named = itertools.chain.from_iterable(special for _, _, special in CASES.values())
    assert set(named) <= set(COMMANDS)
