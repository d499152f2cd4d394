"""train_encoder and evaluate_encoder on rows that say little, or contradict each other."""

from __future__ import annotations

import json
from collections.abc import Iterable
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from tests.unit.encoding import fakes

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("base")
    fakes.save(folder, normalize=True)
    return folder / "model"


def write(path: Path, rows: Iterable[dict[str, Any]]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


def train(base: Path, output: Path, *files: str) -> tuple[str, str]:
    """What the command writes to stderr, and the card of the model."""
    said = StringIO()
    call_command(
        "train_encoder", *files, "--base", str(base), "--output", str(output), stdout=StringIO(),
        stderr=said,
    )  # fmt: skip
    return said.getvalue(), (output / "README.md").read_text(encoding="utf-8")


def test_pairs_that_are_never_trained_on_are_told(base: Path, tmp_path: Path) -> None:
    names = ["male"] * 20 + ["tak", "flis"]
    pairs = (
        {"anchor": f"{name} stue {n}", "positive": f"{name} bad {n}", "category": name}
        for n, name in enumerate(names)
    )
    said, card = train(base, tmp_path / "out", "--pairs", write(tmp_path / "pairs.jsonl", pairs))
    assert "19 of 22 pairs stay unused in an epoch: a batch has each category once" in said
    assert "| pairs | 22 | 19 |" in card
