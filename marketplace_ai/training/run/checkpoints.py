"""The checkpoint of an interrupted training: where it is, and whether it may be resumed."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from marketplace_ai.encoding.text_encoder import EncoderError

_IDENTITY_FILE = "run.json"


def checkpoint_dir(output: Path) -> Path:
    """The directory of the checkpoints, next to ``output`` and so on the same disk."""
    return output.with_name(f".{output.name}.unfinished")


@contextmanager
def exclusive(directory: Path) -> Iterator[None]:
    """Hold the file lock of a checkpoint directory; EncoderError if another training has it."""
    directory.parent.mkdir(parents=True, exist_ok=True)
    # Next to the directory, which is deleted at the start and at the end of a training.
    path = directory.with_name(f"{directory.name}.lock")
    lock = FileLock(path, timeout=0)
    try:
        lock.acquire()
        while not path.exists():  # its last holder deleted it after this one had opened it
            lock.release()
            lock.acquire()
    except Timeout:
        raise EncoderError(
            f"Another training for the same output is running ({directory}). Wait for it, or give "
            "another --output."
        ) from None
    try:
        yield
    finally:
        with suppress(OSError):
            path.unlink()
        lock.release()


def start_or_resume(directory: Path, identity: dict[str, Any], *, resume: bool) -> Path | None:
    """The checkpoint to resume from; None for a new training, whose directory is then created.

    ``identity`` (base, data and recipe) must equal that of the checkpoint. Raises EncoderError if
    there is a checkpoint but no ``resume``, or ``resume`` but no matching checkpoint.
    """
    identity = json.loads(json.dumps(identity))  # as it is read back from the file
    checkpoint = latest_checkpoint(directory)
    if checkpoint is None:
        if resume:
            raise EncoderError(
                f"There is no checkpoint in {directory}, so nothing to resume. Leave --resume out."
            )
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(parents=True)
        (directory / _IDENTITY_FILE).write_text(json.dumps(identity, indent=1), encoding="utf-8")
        return None
    if not resume:
        raise EncoderError(
            f"A training for the same output was interrupted at step {_step(checkpoint)}: add "
            f"--resume to continue it, or delete {directory} to start over."
        )
    try:
        stored = json.loads((directory / _IDENTITY_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        stored = {}
    different = sorted(key for key in identity if stored.get(key) != identity[key])
    if different:
        raise EncoderError(
            f"The checkpoint in {directory} belongs to a training with another "
            f"{' and '.join(different)}: give the same again, or delete {directory} to start over."
        )
    return checkpoint


def latest_checkpoint(directory: Path) -> Path | None:
    """The latest complete checkpoint; None if there is none."""
    # The trainer writes its state last: a checkpoint without it is incomplete.
    complete = [
        path for path in directory.glob("checkpoint-*") if (path / "trainer_state.json").is_file()
    ]
    return max(complete, key=_step, default=None)


def _step(checkpoint: Path) -> int:
    return int(checkpoint.name.rpartition("-")[2])
