"""A fine-tuned encoder from mining to rollback, while new postings keep arriving.

It is mined, trained, registered, built, compared, promoted and rolled back; no posting is lost, and
no vectors of two encoders are mixed.
"""

from __future__ import annotations

import csv
import itertools
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.core.management import call_command
from django.test import override_settings

from marketplace_ai.imports.catalog import import_catalog
from marketplace_ai.imports.exemplars import import_exemplars
from marketplace_ai.models import (
    Decision,
    Encoder,
    EncoderState,
    ExemplarGeneration,
    JobPosting,
    PostingEmbedding,
    Promotion,
)
from tests.acceptance import ledger, workers

pytestmark = pytest.mark.django_db(transaction=True)

DATA = workers.CHECKOUT / "demo" / "data"
#: Leaves of the demo's catalogue that are used, and rows of each training file: small enough for a
#: CPU, and enough for one epoch to change the vectors.
LEAVES, ROWS = 12, 48


@pytest.fixture
def marketplace(transactional_db: None, tmp_path: Path) -> Path:
    """Part of the demo's catalogue with its exemplars; the file of labeled postings."""
    ExemplarGeneration.objects.get_or_create(pk=1)
    catalog = _read("home_services.csv")
    leaves = {row["slug"] for row in [row for row in catalog if row["parent"]][:LEAVES]}
    parents = {row["parent"] for row in catalog if row["slug"] in leaves}
    known = leaves | parents
    files = {
        "catalog": [row for row in catalog if row["slug"] in known],
        "exemplars": [r for r in _read("exemplars_nb.csv") if r["category"] in leaves | {"none"}],
        "calibration": [row for row in _read("calibration_nb.csv") if row["category"] in leaves],
    }
    for name, rows in files.items():
        with (tmp_path / f"{name}.csv").open("w", newline="") as stream:
            writer = csv.DictWriter(stream, rows[0])
            writer.writeheader()
            writer.writerows(rows)
    import_catalog(str(tmp_path / "catalog.csv"))
    import_exemplars(str(tmp_path / "exemplars.csv"))
    return tmp_path / "calibration.csv"


@override_settings(MARKETPLACE_AI_ENCODER="bundled")
def test_an_encoder_is_trained_promoted_and_rolled_back_under_a_stream(
    marketplace: Path, tmp_path: Path
) -> None:
    url = workers.database()
    calibration = str(marketplace)
    run("fit_classifier", "--calibration", calibration)
    first = Encoder.objects.get(state=EncoderState.ACTIVE)
    JobPosting.objects.bulk_create([JobPosting(title=t) for t in titles(0, 40)])

    with (
        workers.celery(tmp_path / "worker", workers.environment(url)) as worker,
        stream(url, first=40) as sent,
    ):
        mined, output = tmp_path / "mined", tmp_path / "v2"
        counts = run("mine_training_data", "--out", str(mined), "--each", str(ROWS))
        assert counts["triplets"] == counts["pairs"] == counts["scored"] == ROWS
        files = [
            part
            for name in ("triplets", "pairs", "scored")
            for part in (f"--{name}", str(mined / f"{name}.jsonl"))
        ]
        trained = run("train_encoder", *files, "--base", "bundled", "--output", str(output))
        assert trained["rows"] == {"triplets": ROWS, "pairs": ROWS, "scored": ROWS}

        run("register_encoder", "v2", "--path", str(output))
        second = Encoder.objects.get(name="v2")
        # Including the older postings, by its own backfill.
        worker.wait_for(lambda: state(second) == "ready", "v2 is not built", 2 * workers.PATIENCE)
        assert not Decision.objects.filter(encoder=second).exists()

        compared = run("activate_encoder", "v2", "--calibration", calibration, "--dry-run")
        assert state(first) == "active"
        run(
            "activate_encoder", "v2", "--calibration", calibration, "--force", "--reason",
            "a training of some steps is no better",
        )  # fmt: skip
        assert (state(first), state(second)) == ("ready", "active")
        by_second = Decision.objects.filter(encoder=second)
        worker.wait_for(by_second.exists, "v2 decides nothing")

        run("rollback_encoder")
        assert (state(first), state(second)) == ("active", "ready")
        last = Decision.objects.order_by("-pk").values_list("pk", flat=True)[0]
        by_first = Decision.objects.filter(encoder=first, pk__gt=last)
        worker.wait_for(by_first.exists, "the former encoder decides nothing")

    with workers.celery(tmp_path / "worker", workers.environment(url)) as worker:
        worker.wait_for(lambda: ledger.queue(url).settled, "the queue does not drain")
    records = ledger.read(url)
    assert records.postings == 40 + len(sent) > 40
    faults = records.faults()
    # Postings in review are decided again at each switch.
    faults.pop("decided_again")
    assert not any(faults.values()), faults
    for encoder in (first, second):
        assert PostingEmbedding.objects.filter(encoder=encoder).count() == records.postings
    kinds = list(Promotion.objects.order_by("pk").values_list("kind", flat=True))
    assert kinds[-1] == "rolled_back"
    assert kinds[0] == ("forced" if compared["comparison"]["failed_checks"] else "promoted")


@contextmanager
def stream(url: str, first: int) -> Iterator[list[str]]:
    """Insert postings with plain SQL, two per second, until the block ends."""
    sent: list[str] = []
    stopped = threading.Event()

    def send() -> None:
        with psycopg.connect(url, autocommit=True) as connection:
            for number in itertools.count(first):
                if stopped.wait(0.5):
                    return
                (title,) = titles(number, 1)
                connection.execute(
                    "INSERT INTO marketplace_ai_jobposting (title) VALUES (%s)", [title]
                )
                sent.append(title)

    sender = threading.Thread(target=send)
    sender.start()
    try:
        yield sent
    finally:
        stopped.set()
        sender.join()


def titles(first: int, count: int) -> list[str]:
    """Titles of the demo's postings, all different."""
    texts = [row["title"] for row in _read("postings_nb.csv")]
    return [f"{texts[n % len(texts)]} {n}" for n in range(first, first + count)]


def run(command: str, *arguments: str) -> dict[str, Any]:
    """Run a command with --json; what it printed."""
    out = StringIO()
    call_command(command, *arguments, "--json", stdout=out, stderr=StringIO())
    return dict(json.loads(out.getvalue()))


def state(encoder: Encoder) -> str:
    encoder.refresh_from_db()
    return encoder.state


def _read(name: str) -> list[dict[str, str]]:
    with (DATA / name).open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))
