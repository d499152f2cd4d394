"""``mine_training_data``: from the database, or from a file without any server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from demo.services.command import _needs_services
from marketplace_ai.exemplars import training_corpus
from marketplace_ai.models import (
    Category,
    Decision,
    Exemplar,
    ExemplarSource,
    ExemplarState,
    JobPosting,
    Outcome,
)
from marketplace_ai.review.answers import answer
from marketplace_ai.text.normalize import digest
from marketplace_ai.training.data.row_files import read_pairs, read_scored, read_triplets
from tests.integration.command_calls import call, call_json, failed, refused
from tests.integration.worker_runs import current, drain, fit

pytestmark = [pytest.mark.django_db, pytest.mark.slow]

ROOT = Path(__file__).resolve().parents[3]
DEMO = ROOT / "demo/data"
#: Dissimilar words, so that only corrections make categories confusable.
WORDS = {"maling": "qwert", "rorlegger": "zxcvb", "plen": "plokm"}


@pytest.fixture
def labeled(catalog: dict[str, Category]) -> dict[str, Category]:
    """Twelve exemplars of each of three leaves, six that fit none."""
    for key, word in WORDS.items():
        for number in range(12):
            exemplar(f"{word}{number * 7919 % 1000} {word[0]}{number}", catalog[key])
    for number in range(6):
        exemplar(f"yyyy {number * 7919 % 1000}", None)
    return catalog


def exemplar(text: str, category: Category | None, **fields: Any) -> Exemplar:
    return Exemplar.objects.create(
        text=text,
        text_digest=digest(text),
        category=category,
        category_key=category.slug if category else "",
        is_none=category is None,
        **{"source": ExemplarSource.IMPORTED, **fields},
    )


def proposed(
    title: str, category: Category | None, *, outcome: str = Outcome.REVIEW, **fields: Any
) -> JobPosting:
    """A posting with the machine's proposal."""
    job = JobPosting.objects.create(title=title)
    propose(job, category, outcome=outcome, **fields)
    return job


def propose(job: JobPosting, category: Category | None, **fields: Any) -> None:
    Decision.objects.filter(posting=job).update(is_current=False)
    Decision.objects.create(
        posting=job,
        category=category,
        category_key=category.slug if category else "",
        text_digest=digest(job.title),
        decided_at="2026-01-01T00:00Z",
        **{"probability": 0.5, "outcome": Outcome.REVIEW, **fields},
    )


def test_corrections_become_negatives(labeled: dict[str, Category], tmp_path: Path) -> None:
    for number in range(40):
        job = proposed(f"qwertz {number * 7919 % 1000}", labeled["plen"])
        answer(job.pk, labeled["maling"].pk, None)
    figures = call_json("mine_training_data", out=str(tmp_path / "out"), each=300)
    assert figures["corrections"] == 40
    assert figures["categories"] == 3
    assert figures["texts"]["none"] == 6
    negatives = Counter(
        row.negative[:5]
        for row in read_triplets(tmp_path / "out/triplets.jsonl")
        if row.category == "maling"
    )
    # Half of them are of confusable categories, nearly all of these of the corrected one.
    assert negatives["plokm"] > 0.55 * negatives.total()
    assert "| maling | plen | 40 |" in (tmp_path / "out/README.md").read_text(encoding="utf-8")
    # A text that a person answered is an exemplar, and its category gets pairs of it.
    anchors = {row.anchor for row in read_pairs(tmp_path / "out/pairs.jsonl")}
    assert any(anchor.startswith("qwertz ") for anchor in anchors)


def test_only_corrections_are_confusions(labeled: dict[str, Category]) -> None:
    maling, plen, rorlegger = labeled["maling"], labeled["plen"], labeled["rorlegger"]
    # Confirmed; the leaf of a proposed parent; no proposal by a classifier.
    answer(proposed("a", maling).pk, maling.pk, None)
    answer(proposed("b", labeled["bygg"], outcome=Outcome.AUTOMATIC_PARENT).pk, maling.pk, None)
    answer(proposed("c", None, probability=None).pk, maling.pk, None)
    # No answer, and an answer about another text.
    proposed("d", plen)
    edited = proposed("e", plen)
    JobPosting.objects.filter(pk=edited.pk).update(title="noe annet")
    answer(edited.pk, maling.pk, None)
    # A person who never saw a proposal.
    answer(JobPosting.objects.create(title="f").pk, maling.pk, None)
    assert training_corpus.read_exemplars().confusions == {}

    # The last answer counts, against the proposal before it, not after it.
    twice = proposed("g", plen)
    answer(twice.pk, rorlegger.pk, None)
    answer(twice.pk, maling.pk, None)
    propose(twice, rorlegger, outcome=Outcome.HUMAN_OVERRIDE)
    # "Fits none" is an answer and a proposal like any other.
    answer(proposed("h", plen, outcome=Outcome.AUTOMATIC).pk, None, None)
    answer(proposed("i", None, outcome=Outcome.NONE).pk, plen.pk, None)
    answer(proposed("j", rorlegger).pk, plen.pk, None)
    assert training_corpus.read_exemplars().confusions == {
        ("maling", "plen"): 1,
        (None, "plen"): 1,
        ("plen", None): 1,
        ("plen", "rorlegger"): 1,
    }

    # A deleted category is no label.
    Exemplar.objects.filter(category=plen).delete()
    JobPosting.objects.update(category=None)
    plen.delete()
    assert training_corpus.read_exemplars().confusions == {}


def test_an_automatic_decision_is_corrected(
    exemplars: None, posting: JobPosting, catalog: dict[str, Category]
) -> None:
    fit()
    drain()
    assert current(posting).category_key == "maling"
    answer(posting.pk, catalog["rorlegger"].pk, None)
    assert training_corpus.read_exemplars().confusions == {("rorlegger", "maling"): 1}


def test_only_labels_by_people_are_used(labeled: dict[str, Category]) -> None:
    exemplar("Maling\nmale vegger", labeled["maling"], source=ExemplarSource.DESCRIPTION)
    exemplar("satt til side", labeled["maling"], state=ExemplarState.QUARANTINED)
    lost = exemplar("uten kategori", labeled["maling"])
    Exemplar.objects.filter(pk=lost.pk).update(category=None)
    Exemplar.objects.filter(pk=lost.pk).update(state=ExemplarState.ACTIVE)
    rows = training_corpus.read_exemplars()
    counts = Counter(label or "none" for label in rows.labels)
    assert counts == {**dict.fromkeys(WORDS, 12), "none": 6}
    assert rows.parents == {
        "bygg": None, "maling": "bygg", "rorlegger": "bygg", "hage": None, "plen": "hage"
    }  # fmt: skip


def test_scores_come_from_the_tree_of_the_database(
    labeled: dict[str, Category], tmp_path: Path
) -> None:
    call("mine_training_data", out=str(tmp_path / "out"), each=90)
    of = {word: key for key, word in WORDS.items()}
    for row in read_scored(tmp_path / "out/scored.jsonl"):
        one, other = of[row.sentence1[:5]], of[row.sentence2[:5]]
        same = one == other
        assert row.score == (0.9 if same else 0.1 if "plen" in (one, other) else 0.5)
    # For a file without parents those of the database are used.
    table = tmp_path / "rows.csv"
    lines = [f"{word}{n * 7919 % 1000} {n},{key}" for key, word in WORDS.items() for n in range(9)]
    table.write_text("\n".join(["text,category", *lines]), encoding="utf-8")
    call("mine_training_data", out=str(tmp_path / "of_file"), file=str(table), each=90)
    scores = Counter(row.score for row in read_scored(tmp_path / "of_file/scored.jsonl"))
    assert scores == {0.9: 30, 0.5: 30, 0.1: 30}


def test_without_exemplars_it_fails(db: Any, tmp_path: Path) -> None:
    message = failed("mine_training_data", out=str(tmp_path / "out"))
    assert message.startswith("the database: no category has labeled texts.")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"each": 0}, "--each must be 1 or more, not 0."),
        ({"test_share": 1.0}, "--test-share must lie between 0 and 1, not 1.0."),
        ({"test_share": float("nan")}, "--test-share must lie between 0 and 1"),
        ({"seed": -1}, "--seed must be 0 or more"),
        ({"catalog": "x.csv"}, "--catalog needs --from FILE, whose categories it describes."),
        ({"file": "nowhere.csv"}, "nowhere.csv: No such file"),
    ],
)
def test_bad_usage_is_refused(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    assert message in refused("mine_training_data", out=str(tmp_path / "out"), **options)
    assert list(tmp_path.iterdir()) == []


def test_a_dataset_is_only_replaced_with_force(
    labeled: dict[str, Category], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    call("mine_training_data", out=str(out), each=30)
    before = (out / "pairs.jsonl").read_bytes()
    assert "--force" in refused("mine_training_data", out=str(out), each=30, seed=1)
    assert (out / "pairs.jsonl").read_bytes() == before
    call("mine_training_data", out=str(out), each=30, seed=1, force=True)
    assert (out / "pairs.jsonl").read_bytes() != before
    (out / "notes.txt").touch()
    assert "notes.txt" in refused("mine_training_data", out=str(out), force=True)


def test_a_file_is_mined_without_any_server(tmp_path: Path) -> None:
    done = subprocess.run(
        [
            sys.executable, str(ROOT / "manage.py"), "mine_training_data", "--json",
            "--from", str(DEMO / "exemplars_nb.csv"), "--out", str(tmp_path / "out"),
        ],
        cwd=ROOT,
        env={
            **os.environ,
            "DATABASE_URL": "postgres://127.0.0.1:1/nowhere",
            "REDIS_URL": "redis://127.0.0.1:1/0",
            "DJANGO_SETTINGS_MODULE": "tests.settings",
        },
        capture_output=True, text=True, timeout=100,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    assert [figures[name] for name in ("triplets", "pairs", "scored")] == [8000] * 3
    assert figures["notes"] == []
    assert "give --catalog FILE" in done.stderr


def test_a_file_needs_no_embedded_services() -> None:
    assert _needs_services(["mine_training_data", "--out", "x"])
    assert not _needs_services(["mine_training_data", "--from", "x.csv", "--out", "y"])
    assert not _needs_services(["mine_training_data", "--from=x.csv", "--out", "y"])
