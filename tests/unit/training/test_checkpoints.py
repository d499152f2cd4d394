"""Whether a training goes on with another's checkpoint: only with its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from marketplace_ai.encoding.text_encoder import EncoderError
from marketplace_ai.training.recipe import Recipe
from marketplace_ai.training.run import checkpoints

RUN = {"base": "b", "data": "d", "recipe": {"epochs": 1}}


def left(folder: Path, step: int, *, whole: bool = True) -> Path:
    checkpoint = folder / f"checkpoint-{step}"
    checkpoint.mkdir(parents=True)
    if whole:
        (checkpoint / "trainer_state.json").write_text("{}")
    return checkpoint


def test_a_recipe_is_its_own_after_it_was_kept(tmp_path: Path) -> None:
    run = {**RUN, "recipe": Recipe(matryoshka=(8, 4)).as_dict()}
    checkpoints.begin(tmp_path / "f", run, resume=False)
    left(tmp_path / "f", 7)
    assert checkpoints.begin(tmp_path / "f", run, resume=True)


def test_two_at_once_are_refused(tmp_path: Path) -> None:
    with (
        checkpoints.alone(tmp_path / "f"),
        pytest.raises(EncoderError, match="Another training"),
        checkpoints.alone(tmp_path / "f"),
    ):
        pass
    with checkpoints.alone(tmp_path / "f"):
        pass


def test_the_last_whole_one_is_gone_on_from(tmp_path: Path) -> None:
    folder = checkpoints.folder_of(tmp_path / "out")
    assert checkpoints.begin(folder, RUN, resume=False) is None
    left(folder, 9)
    last = left(folder, 10)
    left(folder, 11, whole=False)  # killed while it was written
    assert checkpoints.begin(folder, RUN, resume=True) == last


def test_without_being_asked_it_is_neither_used_nor_deleted(tmp_path: Path) -> None:
    checkpoints.begin(tmp_path / "f", RUN, resume=False)
    left(tmp_path / "f", 7)
    with pytest.raises(EncoderError, match=r"step 7: add --resume"):
        checkpoints.begin(tmp_path / "f", RUN, resume=False)
    assert (tmp_path / "f" / "checkpoint-7").is_dir()


@pytest.mark.parametrize("changed", ["base", "data", "recipe"])
def test_another_trainings_is_refused(tmp_path: Path, changed: str) -> None:
    checkpoints.begin(tmp_path / "f", RUN, resume=False)
    left(tmp_path / "f", 7)
    with pytest.raises(EncoderError, match=f"another {changed}"):
        checkpoints.begin(tmp_path / "f", {**RUN, changed: "other"}, resume=True)


def test_nothing_to_go_on_with_is_said(tmp_path: Path) -> None:
    with pytest.raises(EncoderError, match="nothing to go on with"):
        checkpoints.begin(tmp_path / "f", RUN, resume=True)
