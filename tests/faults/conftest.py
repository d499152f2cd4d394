from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.services import EmbeddedPostgres
from marketplace_ai.fitting import fit_classifier
from marketplace_ai.fitting.labeled_postings import LabeledPostings
from marketplace_ai.guarantee.target import Target
from marketplace_ai.imports.common import categories_by_key
from tests.acceptance import workers
from tests.faults import scale
from tests.faults.postings import titles


@pytest.fixture
def rng(request: pytest.FixtureRequest) -> random.Random:
    """The test's own choices: the same for the same seed, whatever other tests ran before."""
    print(f"FAULTS_SEED={scale.SEED} makes the same choices again")
    return random.Random(f"{scale.SEED} {request.node.name}")


@pytest.fixture(autouse=True)
def world(request: pytest.FixtureRequest) -> None:
    """Something to decide by, where a test uses Django's own database."""
    if request.node.get_closest_marker("django_db"):
        request.getfixturevalue("automatic")


@pytest.fixture
def automatic(exemplars: None) -> None:
    """A classifier that asks for little, so that categories are written, too."""
    keys = categories_by_key()
    labels = {"Male": "maling", "Klippe": "plen", "Bytte": "rorlegger"}
    labeled = [
        (text, labels[text.split()[0]]) for text in titles(10_000, 120) if text.split()[0] in labels
    ]
    fit_classifier.fit(
        LabeledPostings([(text, str(keys[key].pk)) for text, key in labeled]),
        target=Target(0.1, 0.5),
        progress=lambda n: None,
    )


@pytest.fixture
def server(tmp_path: Path) -> Iterator[EmbeddedPostgres]:
    """A PostgreSQL of the test's own, with the tables in it and a crash-safe disk."""
    postgres = EmbeddedPostgres(tmp_path / "server", durable=True)
    try:
        migrate(tmp_path, postgres.start())
        yield postgres
    finally:
        postgres.remove()


def migrate(folder: Path, url: str) -> None:
    command = ["django", "migrate"]
    with workers.running(command, folder / "migrate", workers.environment(url)) as process:
        assert process.wait_for_end() == 0, process.text()
