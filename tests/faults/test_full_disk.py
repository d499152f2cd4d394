"""A full disk fails saves with PostgreSQL's own errors; when there is room again, all goes on."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg
import pytest

from demo.services import EmbeddedPostgres
from demo.services.data_dir import DataDir
from tests.acceptance import ledger, workers
from tests.faults.conftest import migrate
from tests.faults.postings import insert, settled

SIZE = 240  # MB; a new server with the tables takes about 80, its log of writes as much again


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[tuple[EmbeddedPostgres, Path]]:
    """A server whose data lie on a file system of their own."""
    postgres = EmbeddedPostgres(tmp_path / "server", durable=True)
    place = DataDir.of(postgres.root).path
    try:
        migrate(tmp_path, postgres.start())
        postgres.stop()
        with mounted(place, tmp_path / "copy"):
            postgres.start()
            yield postgres, place
            postgres.stop()
    finally:
        postgres.remove()


@contextmanager
def mounted(place: Path, copy: Path) -> Iterator[None]:
    """What is in the folder, on a small file system that is mounted there for the block."""
    run(["cp", "-a", str(place), str(copy)])
    try:
        run(["mount", "-t", "tmpfs", "-o", f"size={SIZE}m,mode=0755", "tmpfs", str(place)])
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"no file system can be mounted here, which takes root: {error}")
    try:
        run(["cp", "-a", f"{copy}/.", str(place)])
        yield
    finally:
        run(["umount", "--lazy", str(place)])


def run(command: list[str]) -> None:
    subprocess.run(command, check=True, capture_output=True)


def test_a_full_disk_loses_nothing(
    small_disk: tuple[EmbeddedPostgres, Path], tmp_path: Path
) -> None:
    postgres, place = small_disk
    url = postgres.url() or ""
    environment = workers.environment(url, claim_size=20, FAULTS_SECONDS=0.01)
    with workers.queue_worker(tmp_path, environment) as worker:
        postings = insert(url, 0, 40)
        worker.wait_for(lambda: settled(url), "nothing is decided")
        # More to write than there is room for in what the tables have taken already.
        postings += insert(url, postings, 1000)
        ballast = place / "ballast"
        fill(ballast)
        errors: list[psycopg.Error] = []
        for _ in range(200):
            try:
                postings += insert(url, postings, 200)
            except psycopg.Error as error:
                errors.append(error)
                break
        assert errors, "the disk is not full"
        assert isinstance(errors[0], psycopg.OperationalError), errors
        worker.wait_for(lambda: "Trying again in" in worker.log.read_text(), "it does not wait")
        assert worker.process.poll() is None
        ballast.unlink()
        # A server that could not even write its log has ended itself.
        with suppress(psycopg.Error):
            psycopg.connect(url).close()
        postgres.start()
        worker.wait_for(lambda: settled(url), "it does not go on")
        assert len(worker.pids()) == 1
    ledger.assert_exactly_once(url, postings)


def fill(file: Path) -> None:
    """Take all that is left."""
    block = b"\0" * (1 << 16)
    with file.open("wb", buffering=0) as stream, suppress(OSError):
        while stream.write(block):
            pass
    assert os.statvfs(file.parent).f_bavail * 4096 < len(block)
