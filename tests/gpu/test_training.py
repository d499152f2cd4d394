"""The recipe on a GPU: a model of bge-m3's shape in bfloat16, and its memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from marketplace_ai.encoding import load_encoder
from marketplace_ai.encoding.sources import ModelPath
from marketplace_ai.training.data.row_files import Pair, ScoredPair, Triplet
from marketplace_ai.training.data.training_data import TrainingData, plan_epoch
from marketplace_ai.training.recipe import Recipe
from marketplace_ai.training.run.callbacks import TrainingProgress
from marketplace_ai.training.run.estimate import estimate_training
from marketplace_ai.training.train import train
from tests.gpu import models, needs_cuda

pytestmark = needs_cuda

#: 34 batches of each set: 102 steps.
ROWS = 34 * 32
WORDS = ["male", "legge", "bytte", "rive", "bygge", "tak", "gulv", "vegg", "bad", "stue", "kran"]


def training_data() -> TrainingData:
    draw = np.random.default_rng(0)

    def text() -> str:
        return " ".join(draw.choice(WORDS, int(draw.integers(2, 12))).tolist())

    return TrainingData(
        [Triplet(text(), text(), text()) for _ in range(ROWS)],
        [Pair(text(), text(), str(number % 64)) for number in range(ROWS)],
        [ScoredPair(text(), text(), number % 11 / 10) for number in range(ROWS)],
    )


def test_a_hundred_steps_of_a_large_model_in_bfloat16(tmp_path: Path) -> None:
    directory = models.large(tmp_path, torch.float32)
    base = ModelPath(directory, str(directory))
    recipe, data = Recipe(bf16=True), training_data()
    assert plan_epoch(data, recipe.batch_size).steps >= 100
    expected = estimate_training(base, data, recipe)
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    steps: list[TrainingProgress] = []
    trained = train(base, data, recipe, tmp_path / "out", report=steps.append)
    peak = torch.cuda.max_memory_allocated()
    last = steps[-1]
    print(
        f"{last.step} steps in {last.seconds:.1f} s ({last.step / last.seconds:.1f}/s), "
        f"{peak / 1e9:.1f} GB at peak; estimated for bge-m3 on 80 GB: {expected['bge_m3']}"
    )
    assert trained.figures["steps"] >= 100
    assert last.loss is not None and np.isfinite(last.loss)
    # Close to the estimate, which is for the same shape.
    assert 0.5 < peak / expected["bge_m3"]["bytes"] < 1.5
    encoder = load_encoder(str(tmp_path / "out"), cache_dir=tmp_path)
    assert encoder.dimension == 1024
    assert np.isfinite(encoder.encode(["male stue", "legge tak"])).all()
