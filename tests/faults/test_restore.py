"""A database restored to an older state while workers live: they follow it, and nothing votes that
is no longer there."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.db import connection, connections

from demo.services.data_dir import find_installation
from marketplace_ai.models import (
    Category,
    ClassifierVersion,
    Decision,
    Encoder,
    Exemplar,
    ExemplarEmbedding,
    ExemplarSource,
    JobPosting,
)
from marketplace_ai.serving import active_model, loaded_model
from marketplace_ai.serving.active_model import ModelLoader
from marketplace_ai.text.normalize import digest
from marketplace_ai.versions import activation
from tests.acceptance import workers
from tests.faults.postings import settled
from tests.integration.encoders.factories import candidate
from tests.integration.worker_runs import current, drain, fit

pytestmark = pytest.mark.django_db(transaction=True)

PROGRAMS = find_installation() / "bin"
TABLES = "SELECT tablename FROM pg_tables WHERE tablename LIKE 'marketplace_ai_%'"


def run(sql: str) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchall() if cursor.description else []


def program(name: str, *arguments: str | Path) -> None:
    if not (PROGRAMS / name).exists():
        pytest.skip(f"the wheel has no {name}")
    done = subprocess.run(
        [PROGRAMS / name, *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


class Backup:
    """A dump of the database as it is now."""

    def __init__(self, folder: Path) -> None:
        self._whole, self._rows = folder / "whole.dump", folder / "rows.dump"
        program("pg_dump", "-Fc", "-f", self._whole, workers.database())
        program("pg_dump", "-Fc", "-t", "marketplace_ai_*", "-f", self._rows, workers.database())

    def restore(self) -> None:
        """All that is there dropped and made anew."""
        run("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
        connections.close_all()
        program("pg_restore", "-d", workers.database(), self._whole)

    def restore_rows(self) -> None:
        """The rows of our tables alone, without triggers."""
        tables = ", ".join(name for (name,) in run(TABLES))
        run(f"SET session_replication_role = replica; TRUNCATE {tables} CASCADE; RESET ALL")
        connections.close_all()
        program(
            "pg_restore", "--data-only", "--disable-triggers", "-d", workers.database(), self._rows
        )


def add(*texts: str, key: str = "hage") -> None:
    """An exemplar each, one statement at a time."""
    category = Category.objects.get(slug=key)
    for text in texts:
        Exemplar.objects.create(
            text=text, text_digest=digest(text), category=category, category_key=key,
            source=ExemplarSource.IMPORTED,
        )  # fmt: skip


def in_memory(models: ModelLoader) -> dict[int, tuple[str | None, list[float]]]:
    """What votes in the worker: label and vector of each exemplar, by its key."""
    assert models.active is not None
    assert models.active.fitted is not None
    index = models.active.fitted.index
    vectors = index.vectors.round(2).tolist()
    return dict(zip(index.ids.tolist(), zip(index.labels, vectors, strict=True), strict=True))


def in_database() -> dict[int, tuple[str | None, list[float]]]:
    """What votes in a worker that starts now."""
    models = ModelLoader()
    models.refresh()
    return in_memory(models)


@pytest.fixture
def models() -> ModelLoader:
    """Those of a worker that lives on: it has decided before."""
    models = ModelLoader()
    JobPosting.objects.create(title="Male stue")
    drain(models)
    return models


RESTORES: dict[str, Callable[[Backup], None]] = {
    "dropped and made anew": Backup.restore,
    "rows alone, triggers disabled": Backup.restore_rows,
}


@pytest.mark.parametrize("changes", [0, 1, 3, 4, 40])
@pytest.mark.parametrize("way", RESTORES)
def test_a_living_worker_follows(
    models: ModelLoader, tmp_path: Path, way: str, changes: int
) -> None:
    """Also where as many other changes follow as were undone."""
    backup = Backup(tmp_path)
    add("Fjerne vepsebol", "Felle et tre", "Beise terrasse")
    Exemplar.objects.filter(text="Male stue").update(category=Category.objects.get(slug="plen"))
    drain(models)
    assert len(in_memory(models)) == len(in_database())
    RESTORES[way](backup)
    add(*(f"Beskjære hekk {number}" for number in range(changes)))
    job = JobPosting.objects.create(title="Fjerne vepsebol")
    drain(models)
    assert in_memory(models) == in_database()
    voted = [match.exemplar_id for match in current(job).matches]
    assert Exemplar.objects.filter(pk__in=voted).count() == len(voted) > 0
    assert not Exemplar.objects.filter(text="Fjerne vepsebol").exists()


def test_a_restore_that_leaves_no_trace_in_the_number(
    models: ModelLoader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rows come back without triggers, and the row of the number is left out: nothing but a
    comparison finds that, within half a minute."""
    backup = Backup(tmp_path)
    add("Fjerne vepsebol")
    drain(models)
    [(number, previous)] = run("SELECT value, previous FROM marketplace_ai_exemplargeneration")
    backup.restore_rows()
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE marketplace_ai_exemplargeneration SET value = %s, previous = %s",
            [number, previous],
        )
    assert len(in_memory(models)) > len(in_database())
    for module in (active_model, loaded_model):
        for name in ("DESCRIPTIONS_SECONDS", "COMPARISON_SECONDS"):
            monkeypatch.setattr(module, name, 0.0, raising=False)
    assert models.active is not None
    assert models.active.fitted is not None
    models._next_look = models.active.fitted.next_comparison = 0.0
    drain(models)
    assert in_memory(models) == in_database()


def test_a_version_with_the_key_of_one_that_is_gone(models: ModelLoader, tmp_path: Path) -> None:
    backup = Backup(tmp_path)
    fit()
    drain(models)
    gone = ClassifierVersion.objects.get(is_active=True).pk
    backup.restore()
    add(*(f"Beskjære hekk {number}" for number in range(8)))
    fit()
    version = ClassifierVersion.objects.get(is_active=True).pk
    assert version == gone
    drain(models)
    assert models.active is not None
    assert models.active.fitted is not None
    assert models.active.fitted.classifier.to_bytes() == activation.load(version).to_bytes()


def test_an_encoder_with_the_key_of_one_that_is_gone(models: ModelLoader, tmp_path: Path) -> None:
    backup = Backup(tmp_path)
    gone = candidate(dimension=32)
    drain(models)
    assert models.text_encoders[gone.pk].dimension == 32
    backup.restore()
    other = candidate(dimension=48)
    assert other.pk == gone.pk
    drain(models)
    assert models.text_encoders[other.pk].dimension == 48
    vectors = ExemplarEmbedding.objects.filter(encoder=other)
    assert vectors.count() == Exemplar.objects.filter(state="active").count()
    assert {len(row.vector) for row in vectors} == {48}
    assert Encoder.objects.get(pk=other.pk).last_error == ""


def test_a_worker_process_follows(tmp_path: Path) -> None:
    url = workers.database()
    backup = Backup(tmp_path)
    with workers.queue_worker(tmp_path / "worker", workers.environment(url)) as worker:
        add("Fjerne vepsebol")
        first = JobPosting.objects.create(title="Fjerne vepsebol")
        worker.wait_for(lambda: settled(url), "nothing is decided")
        gone = Exemplar.objects.get(text="Fjerne vepsebol").pk
        assert gone in [match.exemplar_id for match in current(first).matches]
        backup.restore()
        second = JobPosting.objects.create(title="Fjerne vepsebol her")
        worker.wait_for(
            lambda: Decision.objects.filter(posting=second).exists(), "it does not go on"
        )
        voted = [match.exemplar_id for match in current(second).matches]
        assert Exemplar.objects.filter(pk__in=voted).count() == len(voted) > 0
        assert worker.pids("process_pending")
