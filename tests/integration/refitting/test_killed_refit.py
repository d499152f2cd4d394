"""Refits in processes of their own: one at a time, and one that is killed."""

from __future__ import annotations

from pathlib import Path

import pytest

from marketplace_ai import tasks
from marketplace_ai.doctor import refits as doctor
from marketplace_ai.models import ClassifierVersion, ExemplarGeneration, Refit
from marketplace_ai.refitting import log
from tests.acceptance import workers
from tests.integration.command_calls import call, call_json, failed

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]


@pytest.fixture
def counter(transactional_db: None) -> None:
    """A test before this one has emptied all tables, the counter's row with them."""
    ExemplarGeneration.objects.get_or_create(pk=1)


def test_one_at_a_time_and_a_killed_one_is_known(
    counter: None, exemplars: None, tmp_path: Path
) -> None:
    environment = workers.environment(workers.database(), FAULTS_SECONDS=60)
    with workers.running(["django", "refit"], tmp_path, environment) as process:
        process.wait_for(log.running().exists, "no refit begins")
        assert log.is_running()
        assert failed("refit") == "A refit is running already."
        assert failed("refit", undo=True) == "A refit is running already."
        assert call_json("refit", if_due=True)["running"] is True
        assert not list(doctor.last_refit())
        process.kill()
        process.wait_for(lambda: not log.is_running(), "the lock is still held")
    [finding] = doctor.last_refit()
    assert not finding.ok and "Its process ended before the fit did." in finding.message
    killed = Refit.objects.get()
    assert killed.outcome == "running"
    call("refit")
    killed.refresh_from_db()
    assert killed.outcome == "interrupted" and killed.finished_at is not None
    assert Refit.objects.latest("pk").outcome == "activated"
    assert not list(doctor.last_refit())


def test_the_task_of_celery_beat_runs_it_in_a_process_of_its_own(
    counter: None, exemplars: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in workers.environment(workers.database()).items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(workers.CHECKOUT)
    tasks.refit()
    row = Refit.objects.get()
    assert (row.outcome, row.triggers) == ("activated", ["first"])
    assert ClassifierVersion.objects.get(is_active=True) == row.version
