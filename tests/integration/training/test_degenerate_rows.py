"""train_encoder and evaluate_encoder on rows that say little, or contradict each other."""

from __future__ import annotations

import json
from collections.abc import Iterable
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from tests.unit.encoding import fakes

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("base")
    fakes.save(folder, normalize=True)
    return folder / "model"


def write(path: Path, rows: Iterable[dict[str, Any]]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


def train(base: Path, output: Path, *files: str) -> tuple[str, str]:
    """What the command writes to stderr, and the card of the model."""
    said = StringIO()
    call_command(
        "train_encoder", *files, "--base", str(base), "--output", str(output), stdout=StringIO(),
        stderr=said,
    )  # fmt: skip
    return said.getvalue(), (output / "README.md").read_text(encoding="utf-8")


def test_pairs_that_are_never_trained_on_are_told(base: Path, tmp_path: Path) -> None:
    names = ["male"] * 20 + ["tak", "flis"]
    pairs = (
        {"anchor": f"{name} stue {n}", "positive": f"{name} bad {n}", "category": name}
        for n, name in enumerate(names)
    )
    said, card = train(base, tmp_path / "out", "--pairs", write(tmp_path / "pairs.jsonl", pairs))
    assert "19 of 22 pairs stay unused in an epoch: a batch has each category once" in said
    assert "| pairs | 22 | 19 |" in card


def triplet(anchor: str, positive: str, negative: str) -> dict[str, str]:
    return {"anchor": anchor, "positive": positive, "negative": negative}


def scored(one: str, other: str, score: float) -> dict[str, Any]:
    return {"sentence1": one, "sentence2": other, "score": score}


#: name: (the option, the rows, what is said); refused where it ends with a full stop.
CASES: dict[str, tuple[str, list[dict[str, Any]], str]] = {
    "all of one text": (
        "triplets",
        [triplet("male", "Male!", "tak")] * 3,
        "every row has one text twice, as 'male', so nothing can be learned or measured. Give rows "
        "of texts that differ.",
    ),
    "anchor is the negative": (
        "triplets",
        [triplet("male", "stue", "MALE"), triplet("kran", "flis", "tak"), triplet("a", "b", "c")],
        "1 of 3 rows are left out, since they have one text twice; the first is 'male'",
    ),
    "one text in all": (
        "triplets",
        [triplet("hjelp", f"male {n}", f"tak {n}") for n in range(4)],
        "'hjelp' is in all 4 rows",
    ),
    "positive here, negative there": (
        "triplets",
        [triplet("male", "stue", "tak"), triplet("kran", "bad", "flis"),
         triplet("Male", "flis", "stue")],
        "1 times rows contradict each other about two texts; the first are 'male' and 'stue': "
        "negative, positive",
    ),
    "one row": ("triplets", [triplet("male", "stue", "tak")], "there is only one row"),
    "pairs of one text": (
        "pairs",
        [{"anchor": "male", "positive": "male "}],
        "every row has one text twice, as 'male', so nothing can be learned or measured. Give rows "
        "of texts that differ.",
    ),
    "pairs of one category": (
        "pairs",
        [{"anchor": f"male {n}", "positive": f"tak {n}", "category": "a"} for n in range(3)],
        "all pairs are of one category, and the ranking loss needs others as negatives: leave "
        "--pairs out, or mine them from two categories or more.",
    ),
    "a pair of two categories": (
        "pairs",
        [{"anchor": "male", "positive": "tak", "category": name} for name in "ab"]
        + [{"anchor": "kran", "positive": "flis", "category": "c"}],
        "1 times rows contradict each other about two texts",
    ),
    "one score": (
        "scored",
        [scored("male", "tak", 0.5), scored("kran", "flis", 0.5)],
        "all rows have the score 0.5, and only the order of scores is learned. Add pairs of other "
        "scores, or leave the file out.",
    ),
    "two scores of one pair": (
        "scored",
        [scored("male", "tak", 0.1), scored("Tak", "male", 0.9)],
        "1 times rows contradict each other about two texts; the first are 'male' and 'tak': "
        "0.1, 0.9",
    ),
}  # fmt: skip


def say(*arguments: str) -> tuple[int, str]:
    """The exit code, and what the command says on stderr."""
    said = StringIO()
    try:
        call_command(*arguments, stdout=StringIO(), stderr=said)
    except CommandError as error:
        assert "\n" not in str(error)
        return error.returncode, str(error)
    return 0, said.getvalue()


@pytest.mark.parametrize("case", CASES)
def test_rows_that_say_little_are_refused_or_told(base: Path, tmp_path: Path, case: str) -> None:
    option, rows, expected = CASES[case]
    file = write(tmp_path / "rows.jsonl", rows)
    train = ("train_encoder", "--output", str(tmp_path / "out"), "--base", str(base), "--dry-run")
    commands = [(*train, f"--{option}", file)]
    if option == "triplets":
        other = write(tmp_path / "pairs.jsonl", CASES["a pair of two categories"][1])
        commands.append((*train, "--pairs", other, "--eval-triplets", file))
        commands.append(("evaluate_encoder", "--encoder", "dummy", "--triplets", file))
    for command in commands:
        code, said = say(*command)
        if "--eval-triplets" in command and code == 2 and "also in the training" in said:
            continue  # that check comes first
        assert expected in said, command
        assert code == (2 if expected.endswith(".") else 0), (command, said)
        assert not (tmp_path / "out").exists()


def test_rows_that_were_left_out_are_in_the_card(base: Path, tmp_path: Path) -> None:
    rows = [triplet("male", "Male", "tak"), *(triplet(f"male {n}", "stue", "tak") for n in "ab")]
    said, card = train(base, tmp_path / "out", "--triplets", write(tmp_path / "t.jsonl", rows))
    assert "1 of 3 rows are left out" in said
    assert "| triplets | 2 | 0 |" in card
    assert "Left out, since they have one text twice: 1 of triplets." in card
