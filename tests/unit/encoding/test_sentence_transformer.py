"""The torch back end on other directories than the bundled one, in float32 on the CPU.

The models here have two layers of 32 values and random weights.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from marketplace_ai.encoding import EncoderError, load_encoder
from marketplace_ai.encoding.token_batches import plan_batches

from .fakes import TEXTS, save


def load(path: Path) -> Any:
    return load_encoder(str(path / "model"), cache_dir=path)


@pytest.mark.parametrize("pooling", ["cls", "mean"])
@pytest.mark.parametrize("normalize", [False, True])
def test_pooling_is_the_directorys_and_rows_have_length_1(
    tmp_path: Path, pooling: str, normalize: bool
) -> None:
    model = save(tmp_path, pooling=pooling, normalize=normalize)
    encoder = load(tmp_path)

    expected = model.encode(TEXTS, normalize_embeddings=True)
    np.testing.assert_allclose(encoder.encode(TEXTS), expected, atol=2e-6)
    assert (encoder.dimension, encoder.max_tokens, encoder.prompts) == (32, 24, {})
    assert encoder.source == str(tmp_path / "model")


@pytest.mark.slow
def test_a_default_prompt_is_applied_once_and_others_never(tmp_path: Path) -> None:
    model = save(
        tmp_path, prompts={"a": "spor : ", "b": "flis : "}, default_prompt_name="a", pooling="mean"
    )
    encoder = load(tmp_path)

    expected = model.encode(
        ["spor : " + text for text in TEXTS], prompt="", normalize_embeddings=True
    )
    np.testing.assert_allclose(encoder.encode(TEXTS), expected, atol=2e-6)
    assert encoder.prompts == {"a": "spor : ", "b": "flis : "}


def test_prompts_without_a_default_are_not_applied(tmp_path: Path) -> None:
    model = save(tmp_path, prompts={"a": "spor : "})

    expected = model.encode(TEXTS, prompt="", normalize_embeddings=True)
    np.testing.assert_allclose(load(tmp_path).encode(TEXTS), expected, atol=2e-6)


@pytest.mark.skipif(torch.cuda.is_available(), reason="on CUDA the saved dtype is kept")
def test_half_precision_weights_are_computed_in_float32_on_the_cpu(tmp_path: Path) -> None:
    save(tmp_path, dtype=torch.float16)
    encoder = load(tmp_path)

    assert encoder.dtype == "float32"
    assert encoder.encode(TEXTS).dtype == np.float32


def test_damaged_weights_give_an_error_and_no_vectors(tmp_path: Path) -> None:
    save(tmp_path)
    encoder = load(tmp_path)
    with torch.no_grad():
        next(encoder.backend.model.parameters()).fill_(float("nan"))

    with pytest.raises(EncoderError, match="not finite unit vectors"):
        encoder.encode(TEXTS)


def test_batches_are_those_of_the_plan(tmp_path: Path) -> None:
    save(tmp_path)
    encoder = load_encoder(str(tmp_path / "model"), cache_dir=tmp_path, token_budget=20)
    shapes: list[tuple[int, ...]] = []
    encoder.backend.model.register_forward_pre_hook(
        lambda module, inputs: shapes.append(tuple(inputs[0]["input_ids"].shape))
    )

    vectors = encoder.encode(TEXTS)

    # Tokens of TEXTS with [CLS] and [SEP], cut off at 24.
    lengths = [4, 5, 10, 3, 24, 4]
    # In any order: each core encodes a batch of its own.
    assert sorted(shapes) == sorted(
        (len(batch), max(lengths[index] for index in batch))
        for batch in plan_batches(lengths, 20, 512)
    )
    np.testing.assert_allclose(vectors, load(tmp_path).encode(TEXTS), atol=2e-6)


def test_a_special_token_of_this_directory_is_plain_text_in_a_posting(tmp_path: Path) -> None:
    model = save(tmp_path)

    vectors = load(tmp_path).encode(["male [SEP] stue"])

    expected = model.encode(["male [ SEP] stue"], normalize_embeddings=True)
    np.testing.assert_allclose(vectors, expected, atol=2e-6)


def test_a_relative_directory_is_remembered_absolutely(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(tmp_path)
    monkeypatch.chdir(tmp_path)

    encoder = load_encoder("model", cache_dir=tmp_path)

    assert (encoder.source, encoder.name) == (str(tmp_path / "model"), "model")
