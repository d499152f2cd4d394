"""Bad rows, and texts that are nothing after scrubbing, in every command that learns of a file."""

from __future__ import annotations

import json
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from marketplace_ai.adapter import JobAdapter
from marketplace_ai.evaluation import evaluate
from marketplace_ai.models import Category, Exemplar, JobPosting
from tests.integration.promotion.factories import candidate

pytestmark = [pytest.mark.django_db, pytest.mark.slow]

#: Nothing is left of these after scrubbing.
BLANK = ["ola.nordmann@example.com", "900 12 345", "https://example.com/ad/17", "?!", "🎉🎉"]
GOOD = "text,category,parent\n" + "".join(
    f"{text} {number},{category},\n"
    for text, category in [("vegg", "maling"), ("plen", "plen"), ("rør", "rorlegger")]
    for number in range(4)
)
#: Lines 14 to 17, then the blank texts in 18 to 22.
BAD = 'x,,\ny,maling\n"z"z,plen,\n,plen,\n'
FILE = GOOD + BAD + "".join(f"{text},none,\n" for text in BLANK)
LINES = [14, 15, 16, 17]

EVALUATE = ("evaluate_classifier", "--encoder", "dummy")
#: name: the command for a file, another that is all right, and an empty folder; and the part of its
#: JSON that tells what was left out.
COMMANDS: dict[str, tuple[Callable[[str, str, Path], tuple[str, ...]], tuple[str, ...]]] = {
    "import_exemplars": (lambda file, good, out: ("import_exemplars", file), ()),
    "fit": (
        lambda file, good, out: ("fit_classifier", "--calibration", file, "--force"), (),
    ),
    "train": (lambda file, good, out: (*EVALUATE, "--train", file, "--test", good), ("train",)),
    "calibration": (
        lambda file, good, out: (
            *EVALUATE, "--train", good, "--test", good, "--calibration", file,
        ),
        ("calibration",),
    ),
    "mine": (
        lambda file, good, out: (
            "mine_training_data", "--from", file, "--out", str(out), "--each", "9",
        ),
        (),
    ),
}  # fmt: skip


@pytest.fixture(autouse=True)
def no_baselines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluate, "simpler_rules", lambda *args, **options: {})


def run(*arguments: str) -> tuple[int, str, str]:
    """Exit code, stdout, stderr with the sentence of a refusal."""
    out, err = StringIO(), StringIO()
    try:
        call_command(*arguments, stdout=out, stderr=err)
    except CommandError as error:
        return error.returncode, out.getvalue(), err.getvalue() + str(error)
    return 0, out.getvalue(), err.getvalue()


def write(folder: Path, content: str, name: str = "rows.csv") -> str:
    file = folder / name
    file.write_text(content, encoding="utf-8")
    return str(file)


@pytest.mark.parametrize("name", COMMANDS)
def test_bad_rows_are_named_or_skipped_and_blank_texts_counted(
    name: str, fitted: None, tmp_path: Path
) -> None:
    command, place = COMMANDS[name]
    file, good = write(tmp_path, FILE), write(tmp_path, GOOD, "good.csv")
    arguments = command(file, good, tmp_path / "mined")
    before = Exemplar.objects.count()
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    for line in LINES:
        assert f"{file}, line {line}: " in err
    assert f"{file}: 4 of 21 rows cannot be used. (--skip-bad takes the other rows.)" in err
    assert Exemplar.objects.count() == before
    assert not (tmp_path / "mined").exists()

    code, out, err = run(*arguments, "--skip-bad", "--json")
    assert code == 0, err
    assert f"{file}: 4 of 21 rows are skipped:" in err
    assert "5 of 21 texts are left out: they are nothing to go by" in err
    assert "(lines 18, 19, 20, 21, 22)" in err
    left_out = json.loads(out)["left_out"]
    for key in place:
        left_out = left_out[key]
    assert left_out["rows"] == 21
    assert [row["line"] for row in left_out["bad"]["lines"]] == LINES
    assert left_out["blank"] == {"n": 5, "lines": [18, 19, 20, 21, 22]}


def test_blank_texts_alone_end_no_file(fitted: None, tmp_path: Path) -> None:
    content = GOOD + "".join(f"{text},plen,\n" for text in BLANK)
    file, good = write(tmp_path, content), write(tmp_path, GOOD, "good.csv")
    for name, (command, _) in COMMANDS.items():
        code, _, err = run(*command(file, good, tmp_path / name))
        assert code == 0, err
        assert "5 of 17 texts are left out" in err


def test_a_comparison_of_encoders_skips_bad_rows_too(fitted: None, tmp_path: Path) -> None:
    candidate("other")
    file = write(tmp_path, FILE)
    arguments = ("activate_encoder", "other", "--calibration", file, "--dry-run")
    code, _, err = run(*arguments)
    assert code == 2
    assert "--skip-bad takes the other rows" in err
    code, _, err = run(*arguments, "--skip-bad")
    assert code in (0, 1)
    assert "4 of 21 rows are skipped" in err


def test_test_rows_with_nothing_to_go_by_are_decided(tmp_path: Path) -> None:
    content = "text,category\n" + "".join(f"{text},plen\n" for text in ["plen 1", *BLANK, ""])
    content += "".join(f"{text},none\n" for text in BLANK)
    test, good = write(tmp_path, content), write(tmp_path, GOOD, "good.csv")
    code, out, err = run(*EVALUATE, "--train", good, "--test", test, "--json")
    assert code == 0, err
    found = json.loads(out)
    assert found["n"] == 12
    assert found["left_out"]["test"]["blank"]["n"] == 0
    assert found["none"] == {"n": 5, "rejected": 5, "recognized": 5}
    assert found["auto"]["n"] <= 1


def test_a_catalog_with_bad_rows(db: Any, tmp_path: Path) -> None:
    rows = f"a,,A\nb,gone,B\nc,b,C\n,,D\ne,a,{'x' * 300}\nf,e,F\ng,a,G\nh,h,H\n"
    file = write(tmp_path, f"slug,parent,name_nb\n{rows}")
    code, _, err = run("import_catalog", file)
    assert code == 2
    assert [line for line in range(2, 10) if f"line {line}: " in err] == [3, 5, 6, 9]
    assert not Category.objects.exists()
    code, out, err = run("import_catalog", file, "--skip-bad", "--json")
    assert code == 0
    found = json.loads(out)
    assert found["loaded"] == 2
    assert [row["line"] for row in found["left_out"]["bad"]["lines"]] == [3, 4, 5, 6, 7, 9]
    assert "line 7: the row of its parent 'e' is skipped." in err
    assert set(Category.objects.values_list("slug", flat=True)) == {"a", "g"}


def test_postings_with_bad_rows(db: Any, tmp_path: Path) -> None:
    file = write(tmp_path, f"title,description\nMale,x\n{'x' * 400},y\nRør\nPlen,z\n,z\n")
    code, _, err = run("import_jobs", file)
    assert code == 2
    assert [line for line in range(2, 7) if f"line {line}: " in err] == [3, 4, 6]
    assert not JobPosting.objects.exists()
    for dry_run in (("--dry-run",), ()):
        code, out, _ = run("import_jobs", file, "--skip-bad", "--json", *dry_run)
        assert (code, json.loads(out)["created"]) == (0, 2)
    assert set(JobPosting.objects.values_list("title", flat=True)) == {"Male", "Plen"}


def test_new_categories_that_the_models_refuse(catalog: Any, tmp_path: Path) -> None:
    long = "f" * 101
    file = write(tmp_path, f"text,category\nMale,maling\nA,{long}\nB,{long}\nC,ny\nD,æ ø\n")
    code, _, err = run("import_exemplars", file, "--create-categories")
    assert code == 2
    assert "line 3: slug: Ensure this value has at most 100" in err
    assert "So in 2 of 5 rows: lines 3, 4." in err
    assert "line 6: slug: Enter a valid" in err
    assert not Category.objects.filter(slug="ny").exists()
    code, out, err = run("import_exemplars", file, "--create-categories", "--skip-bad", "--json")
    assert code == 0
    found = json.loads(out)
    assert (found["added"], found["categories_created"], found["left_out"]["bad"]["n"]) == (2, 1, 3)


def test_postings_that_the_adapter_cannot_read_and_those_that_say_nothing(
    catalog: dict[str, Category], monkeypatch: Any
) -> None:
    def clean(self: JobAdapter, text: str) -> str:
        if "fails" in text:
            raise KeyError(text)
        return text

    monkeypatch.setattr(JobAdapter, "clean", clean)
    titles = ["Male", "fails one", "fails two", *BLANK]
    jobs = [JobPosting.objects.create(title=title, category=catalog["maling"]) for title in titles]
    code, _, err = run("import_exemplars", "--from-jobs")
    assert code == 2
    for job in jobs[1:3]:
        assert f"posting {job.pk}: the adapter fails on it: KeyError" in err
    assert not Exemplar.objects.exclude(source="description").exists()
    code, out, err = run("import_exemplars", "--from-jobs", "--skip-bad", "--json")
    assert code == 0
    found = json.loads(out)
    assert found["added"] == 1
    assert [row["posting"] for row in found["left_out"]["bad"]["postings"]] == [
        job.pk for job in jobs[1:3]
    ]
    assert sorted(found["left_out"]["blank"]["postings"]) == [job.pk for job in jobs[3:]]
    assert "Your postings: 5 of 8 texts are left out" in err


def test_texts_with_several_labels_are_counted_across(fitted: None, tmp_path: Path) -> None:
    one = write(tmp_path, "text,category\nMale stue,maling\nRør,rorlegger\nLuke,plen\n")
    other = write(tmp_path, "text,category\nMALE  STUE!,plen\nRør,rorlegger\n", "other.csv")
    code, out, err = run(*EVALUATE, "--train", one, "--test", other, "--json")
    assert code == 0, err
    counted = json.loads(out)["contradictory_texts"]
    assert counted == {"train": 0, "test": 0, "across": 1}
    code, out, err = run("import_exemplars", one, "--json")
    assert (code, json.loads(out)["contradictory_texts"]) == (0, 0)
    code, out, err = run("import_exemplars", other, "--json")
    assert json.loads(out)["contradictory_texts"] == 1
    run("import_exemplars", one)
    last = write(tmp_path, "text,category\nLuke!,maling\nRør,rorlegger\n", "last.csv")
    code, out, err = run("fit_classifier", "--calibration", last, "--dry-run", "--json")
    assert f"{last}: 1 text has several labels; 'Luke!' is maling (line 2), plen (exemplar" in err
    assert json.loads(out)["contradictory_texts"] == {"exemplars": 1, "calibration": 0}
