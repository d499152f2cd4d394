"""Whatever an encoder's directory holds, nothing in it is run, and nothing outside it is read."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from kombu import Exchange, Queue
from kombu.exceptions import ContentDisallowed

from config.celery import app
from tests.acceptance.workers import CHECKOUT, PATIENCE
from tests.hostile.directories import SPOILT, Trap
from tests.unit.encoding.test_sentence_transformer import save

HARMLESS = {"tokenizer_trusts_itself"}


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[str, list[str], bool]]:
    """Of each spoilt directory: what was said, what was tried, whether its payload ran."""
    root = tmp_path_factory.mktemp("directories")
    save(root / "good", normalize=True)
    good = root / "good" / "model"
    outside = root / "outside"
    traps: dict[str, Trap] = {}
    for name, spoil in SPOILT.items():
        trap = Trap(root / f"{name}.canary", outside / name)
        trap.outside.mkdir(parents=True)
        shutil.copytree(good, root / name)
        spoil(root / name, trap)
        traps[name] = trap
    found: dict[str, tuple[str, list[str], bool]] = {}
    # Each trap's own folder is on the path: a class that is looked for is found.
    search = os.pathsep.join(str(trap.outside) for trap in traps.values())
    done = subprocess.run(
        [sys.executable, "-m", "tests.hostile.loading", good, outside, *(root / n for n in traps)],
        cwd=CHECKOUT,
        env={**os.environ, "PYTHONPATH": search, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=3 * PATIENCE,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    for line in done.stdout.splitlines():
        if line.startswith("["):
            directory, refusal, tried = json.loads(line)
            name = Path(directory).name
            found[name] = refusal, tried, traps[name].canary.exists()
    return found


@pytest.mark.parametrize("name", SPOILT)
def test_a_directory_is_refused_and_runs_nothing(
    outcomes: dict[str, tuple[str, list[str], bool]], name: str
) -> None:
    refusal, tried, ran = outcomes[name]
    assert not ran
    assert tried == []
    assert not refusal.startswith("NOT AN")
    # What asks for trust is not given it; the rest of the directory is all it takes.
    assert (refusal == "") == (name in HARMLESS)


def test_a_pickled_message_is_never_unpickled(tmp_path: Path) -> None:
    """Whoever can write to the broker cannot have a worker run what they like."""
    trap = Trap(tmp_path / "canary", tmp_path)
    refused: list[Exception] = []
    taken: list[Any] = []
    name = f"hostile-{tmp_path.name}-{os.getpid()}"
    with app.connection_for_write() as connection:
        queue = Queue(name, Exchange(name), routing_key=name)(connection.default_channel)
        queue.declare()
        connection.Producer().publish(
            trap.pickled, exchange=queue.exchange, routing_key=name,
            content_type="application/x-python-serialize", content_encoding="binary",
        )  # fmt: skip
        consumer = app.amqp.TaskConsumer(
            connection.default_channel,
            queues=[queue],
            callbacks=[lambda body, message: taken.append(body)],
            on_decode_error=lambda message, error: refused.append(error),
        )
        with consumer:
            connection.drain_events(timeout=PATIENCE)
        queue.delete()
    assert taken == [] and not trap.canary.exists()
    assert [type(error) for error in refused] == [ContentDisallowed]
    pickle.loads(trap.pickled)  # noqa: S301 (it would have run)
    assert trap.canary.exists()
