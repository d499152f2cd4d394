"""Folders that servers belong to."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.services import (
    remove,
    stop,
)


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "root"
    yield path
    remove(path)


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "other"
    yield path
    remove(path)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Path]]:
    """Two roots with their databases, for the tests that do not need a first start."""
    roots = tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("neighbor")
    yield roots
    for path in roots:
        remove(path)


@pytest.fixture
def home(made: tuple[Path, Path]) -> Iterator[Path]:
    yield made[0]
    stop(made[0])


@pytest.fixture
def neighbor(made: tuple[Path, Path]) -> Iterator[Path]:
    yield made[1]
    stop(made[1])
