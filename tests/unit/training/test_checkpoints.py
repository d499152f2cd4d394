"""Resuming: a training continues its own checkpoint only, and holds a lock meanwhile."""

from __future__ import annotations

from pathlib import Path

import pytest

from marketplace_ai.encoding.text_encoder import EncoderError
from marketplace_ai.training.recipe import Recipe
from marketplace_ai.training.run import checkpoints

IDENTITY = {"base": "b", "data": "d", "recipe": {"epochs": 1}}


def leave_checkpoint(directory: Path, step: int, *, complete: bool = True) -> Path:
    checkpoint = directory / f"checkpoint-{step}"
    checkpoint.mkdir(parents=True)
    if complete:
        (checkpoint / "trainer_state.json").write_text("{}")
    return checkpoint


def test_a_recipe_equals_itself_after_a_round_trip_through_json(tmp_path: Path) -> None:
    identity = {**IDENTITY, "recipe": Recipe(matryoshka=(8, 4)).as_dict()}
    checkpoints.start_or_resume(tmp_path / "f", identity, resume=False)
    leave_checkpoint(tmp_path / "f", 7)
    assert checkpoints.start_or_resume(tmp_path / "f", identity, resume=True)


def test_a_second_training_is_refused(tmp_path: Path) -> None:
    with (
        checkpoints.exclusive(tmp_path / "f"),
        pytest.raises(EncoderError, match="Another training"),
        checkpoints.exclusive(tmp_path / "f"),
    ):
        pass
    with checkpoints.exclusive(tmp_path / "f"):
        pass


def test_the_latest_complete_checkpoint_is_resumed(tmp_path: Path) -> None:
    directory = checkpoints.checkpoint_dir(tmp_path / "out")
    assert checkpoints.start_or_resume(directory, IDENTITY, resume=False) is None
    leave_checkpoint(directory, 9)
    latest = leave_checkpoint(directory, 10)
    leave_checkpoint(directory, 11, complete=False)  # killed while it was written
    assert checkpoints.start_or_resume(directory, IDENTITY, resume=True) == latest


def test_without_resume_a_checkpoint_is_neither_used_nor_deleted(tmp_path: Path) -> None:
    checkpoints.start_or_resume(tmp_path / "f", IDENTITY, resume=False)
    leave_checkpoint(tmp_path / "f", 7)
    with pytest.raises(EncoderError, match=r"step 7: add --resume"):
        checkpoints.start_or_resume(tmp_path / "f", IDENTITY, resume=False)
    assert (tmp_path / "f" / "checkpoint-7").is_dir()


@pytest.mark.parametrize("changed", ["base", "data", "recipe"])
def test_the_checkpoint_of_another_training_is_refused(tmp_path: Path, changed: str) -> None:
    checkpoints.start_or_resume(tmp_path / "f", IDENTITY, resume=False)
    leave_checkpoint(tmp_path / "f", 7)
    with pytest.raises(EncoderError, match=f"another {changed}"):
        checkpoints.start_or_resume(tmp_path / "f", {**IDENTITY, changed: "other"}, resume=True)


def test_resume_without_a_checkpoint_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EncoderError, match="nothing to resume"):
        checkpoints.start_or_resume(tmp_path / "f", IDENTITY, resume=True)
