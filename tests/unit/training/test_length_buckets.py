"""Length buckets: the same vectors and gradients as in one padded batch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from marketplace_ai.training.model import length_buckets
from tests.unit.encoding import fakes

TEXTS = ["male", "male stue " * 9, "legge nytt tak", "kran", "flis bad " * 4, "male tak"]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Any:
    made = fakes.save(tmp_path_factory.mktemp("model"), pooling="mean", normalize=True)
    return made.eval()  # without dropout


@pytest.mark.parametrize("max_tokens", [1, 12, 40, 10_000])
@pytest.mark.slow
def test_parts_have_the_vectors_and_gradients_of_the_whole(
    max_tokens: int, model: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(length_buckets, "MAX_PADDED_TOKENS", max_tokens)
    calls: list[int] = []

    def counted(features: dict[str, Any]) -> dict[str, Any]:
        calls.append(features["input_ids"].numel())
        return dict(type(model).forward(model, features))

    def outcome(forward: Any) -> tuple[Any, list[Any]]:
        model.zero_grad()
        vectors = forward(model.preprocess(TEXTS))["sentence_embedding"]
        weights = torch.arange(vectors.numel(), dtype=torch.float32).reshape(vectors.shape)
        (vectors * weights).sum().backward()
        return vectors.detach().numpy(), [
            p.grad.numpy().copy() for p in model.parameters() if p.grad is not None
        ]

    whole, whole_gradients = outcome(lambda features: type(model).forward(model, features))
    parts, part_gradients = outcome(length_buckets.bucket_by_length(counted))
    np.testing.assert_allclose(parts, whole, atol=1e-5)
    for one, other in zip(part_gradients, whole_gradients, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-3)
    padded = model.preprocess(TEXTS)["input_ids"].numel()
    assert (len(calls) > 1) == (max_tokens < padded)
    assert sum(calls) <= padded
