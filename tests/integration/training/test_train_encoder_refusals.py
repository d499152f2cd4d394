"""What train_encoder refuses or gives up, in a sentence, and what it leaves as it was."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from django.core.management import CommandError
from sentence_transformers import SentenceTransformer

from marketplace_ai.training.run import trainer
from tests.integration.training.conftest import rows
from tests.integration.training.test_train_encoder import refused, run

pytestmark = pytest.mark.slow


def test_hard_negatives_that_leave_no_batch_are_refused(files: Path, tmp_path: Path) -> None:
    pairs = [row for row in rows()["pairs"] if row["category"] in ("male", "tak")]
    (tmp_path / "two.jsonl").write_text("".join(json.dumps(row) + "\n" for row in pairs))
    said = refused(
        files, tmp_path / "out", "--hard-negatives", "--pairs", str(tmp_path / "two.jsonl"), code=1
    )
    assert "leave --hard-negatives out" in said


@pytest.mark.parametrize("where", ["checkpoint-", "out"])
def test_a_full_disk_leaves_the_old_directory(
    where: str, files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "out"
    run(files, output)
    before = {path.name: path.stat().st_mtime_ns for path in output.iterdir()}

    save: Any = SentenceTransformer.save_pretrained

    def full(self: Any, path: str, **kwargs: Any) -> Any:
        Path(path).mkdir(parents=True, exist_ok=True)
        if not Path(path).name.startswith(where):
            return save(self, path, **kwargs)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(SentenceTransformer, "save_pretrained", full)
    said = refused(files, output, "--overwrite", code=1)
    assert "No space left" in said and "are unchanged" in said
    assert {path.name: path.stat().st_mtime_ns for path in output.iterdir()} == before
    assert not list(tmp_path.glob(".out-*"))


def test_out_of_memory_says_what_to_lower(
    files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: Any, **kwargs: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    monkeypatch.setattr(trainer.RecipeTrainer, "compute_loss", full)
    said = refused(files, tmp_path / "out", "--bf16", code=1)
    assert "--batch-size (now 4)" in said and "--gradient-checkpointing" in said
    assert "--bf16" not in said
    assert not (tmp_path / "out").exists()


def test_a_test_set_in_the_training_data_is_refused(files: Path, tmp_path: Path) -> None:
    said = refused(files, tmp_path / "out", "--eval-triplets", str(files / "triplets.jsonl"))
    assert "also in the training files" in said


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--epochs", "0"], "Epochs must be more than 0"),
        (["--matryoshka", "x"], "--matryoshka takes numbers"),
        (["--matryoshka", "64"], "no prefix of 64"),
        (["--matryoshka", "64", "--dry-run"], "no prefix of 64"),
        (["--seed", "-1"], "seed must lie"),
        (["--patience", "2"], "needs --eval-triplets"),
        (["--base", "no-such-thing"], "--base no-such-thing: neither"),
        (["--pairs", "missing.jsonl"], "missing.jsonl"),
        (["--resume"], "nothing to resume"),
    ],
)
@pytest.mark.django_db
def test_bad_input_is_refused(more: list[str], said: str, files: Path, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=said):
        run(files, tmp_path / "out", *more)
    assert not (tmp_path / "out").exists()


def test_no_training_file_is_refused(files: Path, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="nothing to train on"):
        run(files, tmp_path / "out", names=())
