"""Encoding on a GPU: in half precision it agrees with the CPU, and it survives a lack of memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch

from marketplace_ai.encoding import TextEncoder, encode_each, load_encoder
from marketplace_ai.encoding.batched_encoder import BatchedEncoder
from tests.gpu import models, needs_cuda

pytestmark = needs_cuda

#: Least cosine to the same weights in float32 on the CPU. (8 bits of mantissa, and 11.)
AGREEMENT = {"bfloat16": 0.99, "float16": 0.999}
#: Bytes that a model may use besides its weights: too few for a device batch of the full budget,
#: whose widest layer alone takes 128 MiB twice, and enough for a few texts.
SCARCE = 128 << 20


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("make", [models.bundled, models.large], ids=["bundled", "large"])
def test_a_gpu_agrees_with_the_cpu(
    make: Callable[[Path, torch.dtype], Path], dtype: torch.dtype, tmp_path: Path
) -> None:
    directory = make(tmp_path, dtype)
    expected = models.reference(directory, models.TEXTS)

    with loaded(directory) as encoder:
        least = AGREEMENT[encoder.dtype]  # KeyError: it computes in float32
        vectors = encoder.encode(models.TEXTS)

    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-3)
    cosines = vectors @ expected.T
    assert cosines.diagonal().min() >= least
    # A model with the same vector for all texts would pass the check above.
    assert cosines.argmax(axis=1).tolist() == list(range(len(models.TEXTS)))


def test_padding_changes_nothing(tmp_path: Path) -> None:
    with loaded(models.large(tmp_path, torch.float16)) as encoder:
        batched = encoder.encode(models.TEXTS)
        single = np.concatenate([encoder.encode([text]) for text in models.TEXTS])
    assert (batched * single).sum(axis=1).min() >= AGREEMENT[encoder.dtype]


def test_a_lack_of_memory_halves_until_it_fits(tmp_path: Path) -> None:
    texts = [f"{number} {models.TEXTS[-1]}" for number in range(32)]
    with loaded(models.large(tmp_path, torch.float16)) as encoder:
        expected = encoder.encode(texts)
        failures = torch.cuda.memory_stats()["num_ooms"]
        with scarce_memory():
            results = encode_each(encoder, texts)
        assert torch.cuda.memory_stats()["num_ooms"] > failures
        vectors = np.stack([vector for vector in results if not isinstance(vector, Exception)])
        assert len(vectors) == len(texts)
        assert (vectors * expected).sum(axis=1).min() >= AGREEMENT[encoder.dtype]
        assert isinstance(encoder, BatchedEncoder)
        assert encoder.budget.now < encoder.budget.full
        # It goes on encoding as before.
        assert len(encoder.encode(texts)) == len(texts)


@contextmanager
def loaded(directory: Path) -> Iterator[TextEncoder]:
    """A warm encoder for the block, whose weights are in the memory of the GPU."""
    torch.cuda.empty_cache()
    before = torch.cuda.memory_allocated()
    encoder = load_encoder(str(directory), cache_dir=directory)
    weights = sum(file.stat().st_size for file in directory.rglob("*.safetensors"))
    assert torch.cuda.memory_allocated() - before > 0.9 * weights  # saved in 16 bits
    encoder.warm_up()
    yield encoder


@contextmanager
def scarce_memory() -> Iterator[None]:
    torch.cuda.empty_cache()
    _, total = torch.cuda.mem_get_info()
    torch.cuda.set_per_process_memory_fraction((torch.cuda.memory_reserved() + SCARCE) / total)
    try:
        yield
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
