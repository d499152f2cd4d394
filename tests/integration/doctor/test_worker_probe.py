"""`doctor --worker`: the health check of a worker's container."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.management import call_command

from marketplace_ai.doctor import workers as doctor_workers
from marketplace_ai.queue import liveness_probe
from marketplace_ai.queue.lease import Liveness
from tests.acceptance import workers

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def liveness() -> Iterator[Liveness]:
    liveness = Liveness()
    yield liveness
    liveness.close()


def probe(capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """Run the command; returns its exit code and the finding's message."""
    code = 0
    try:
        call_command("doctor", worker=True, json=True)
    except SystemExit as end:
        code = int(end.code or 0)
    (finding,) = json.loads(capsys.readouterr().out)["findings"]
    assert finding["name"] == "worker" and bool(finding["cure"]) is bool(code)
    return code, finding["message"]


def test_without_a_worker_it_fails(capsys: pytest.CaptureFixture[str]) -> None:
    assert probe(capsys) == (1, "No worker is running on this machine.")


def test_a_worker_is_well_after_its_first_iteration(
    liveness: Liveness, capsys: pytest.CaptureFixture[str]
) -> None:
    liveness.acquire()
    code, message = probe(capsys)
    assert code == 1 and message.startswith("It has been starting for ")
    liveness.acquire()
    code, message = probe(capsys)
    assert code == 0 and message.startswith("Its loop iteration began ")
    liveness.close()
    workers.wait_for(lambda: probe(capsys)[0] == 1, lambda: "its lock is held by nobody")


def test_a_worker_that_hangs_fails(
    liveness: Liveness,
    capsys: pytest.CaptureFixture[str],
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    liveness.acquire()
    liveness.acquire()
    assert probe(capsys)[0] == 0
    settings.MARKETPLACE_AI_ENCODE_TIMEOUT = 0
    monkeypatch.setattr(doctor_workers, "STARTUP_SECONDS", 0.0)
    code, message = probe(capsys)
    assert code == 1 and message.startswith("It hangs for ")


def test_the_time_is_that_of_the_turn(liveness: Liveness) -> None:
    liveness.acquire()

    def seconds() -> float:
        found = liveness_probe.current_iteration()
        assert found is not None
        return found.seconds

    workers.wait_for(lambda: seconds() > 1, lambda: "it stands still")
    before = seconds()
    # Without a new turn it could only grow.
    workers.wait_for(lambda: liveness.acquire() > 0 and seconds() < before, lambda: "it goes on")


def test_a_worker_on_another_machine_does_not_count(
    liveness: Liveness, monkeypatch: pytest.MonkeyPatch
) -> None:
    liveness.acquire()
    name = socket.gethostname()
    # A name that begins with the other's is another one all the same.
    for other in (f"other-{name}", name[:-1]):
        monkeypatch.setattr(socket, "gethostname", lambda other=other: other)
        assert liveness_probe.current_iteration() is None


def test_a_host_name_that_postgres_cuts_off_is_found(
    liveness: Liveness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "worker-" + "x" * 56)
    liveness.acquire()
    assert liveness_probe.current_iteration() is not None


def test_the_former_name_of_the_option_still_works(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        call_command("doctor", "--drainer", "--json")
    assert json.loads(capsys.readouterr().out)["findings"][0]["name"] == "worker"
