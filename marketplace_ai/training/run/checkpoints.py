"""A training that was broken off: where it lies, and whether this one may go on with it."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO

from marketplace_ai.encoding.text_encoder import EncoderError

_RUN = "run.json"


def folder_of(output: Path) -> Path:
    """Beside ``output``, so that both are on one disk."""
    return output.with_name(f".{output.name}.unfinished")


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Nobody else trains for the same output meanwhile; EncoderError where somebody does."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    # Beside the folder, which is deleted when a training begins anew and when it is finished.
    lock = folder.with_name(f"{folder.name}.lock")
    with _locked(lock) as stream:
        if stream is None:
            raise EncoderError(
                f"Another training for the same output is running ({folder}): wait for it, or give "
                "another --output."
            )
        try:
            yield
        finally:
            lock.unlink(missing_ok=True)


@contextmanager
def _locked(path: Path) -> Iterator[TextIO | None]:
    """The file, locked by us alone; None where another has it."""
    import fcntl

    while True:
        with path.open("w") as stream:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield None
                return
            # The one before us deletes it when it is through, maybe after we opened it.
            with suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(stream.fileno()), path.stat()):
                    yield stream
                    return


def begin(folder: Path, run: dict[str, Any], *, resume: bool) -> Path | None:
    """The checkpoint to go on from; None to start anew.

    ``run`` is what must be the same in both: base, data, recipe. Raises ``EncoderError`` where
    there is something to go on with and nobody said whether to, or nothing that can be gone on
    with.
    """
    run = json.loads(json.dumps(run))  # as it comes back from the file
    checkpoint = last(folder)
    if checkpoint is None:
        if resume:
            raise EncoderError(
                f"There is no checkpoint in {folder}, so nothing to go on with: leave --resume out."
            )
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        (folder / _RUN).write_text(json.dumps(run, indent=1), encoding="utf-8")
        return None
    if not resume:
        raise EncoderError(
            f"A training for the same output was broken off at step {_step(checkpoint)}: add "
            f"--resume to go on with it, or delete {folder} to start anew."
        )
    try:
        before = json.loads((folder / _RUN).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        before = {}
    other = sorted(key for key in run if before.get(key) != run[key])
    if other:
        raise EncoderError(
            f"The checkpoint in {folder} is of a training with another {' and '.join(other)}: "
            f"give the same again, or delete {folder} to start anew."
        )
    return checkpoint


def last(folder: Path) -> Path | None:
    """The checkpoint that was saved last; None where there is none."""
    # The trainer's state is written last, so one without it was cut off while it was saved.
    whole = [
        path for path in folder.glob("checkpoint-*") if (path / "trainer_state.json").is_file()
    ]
    return max(whole, key=_step, default=None)


def _step(checkpoint: Path) -> int:
    return int(checkpoint.name.rpartition("-")[2])
