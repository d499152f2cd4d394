"""The numeric type for each device. Tests that need a GPU are in tests/gpu."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from marketplace_ai.encoding import EncoderError, load_encoder
from marketplace_ai.encoding.backend import ATTENTION_MASK
from marketplace_ai.encoding.dtype import Device, DtypePlan, plan_dtype
from marketplace_ai.encoding.gpu import GpuStatus, advice
from marketplace_ai.encoding.model_directory import saved_dtype
from marketplace_ai.encoding.sentence_transformer import TorchBackend, load_model

from .fakes import TEXTS, save

CPU = Device("cpu")
TURING = Device("cuda", (7, 5), True)
AMPERE = Device("cuda", (8, 6))
HOPPER = Device("cuda", (9, 0), True)


@pytest.mark.parametrize(
    ("device", "setting", "saved", "dtype", "attention"),
    [
        (CPU, "auto", "float32", "float32", None),
        (CPU, "auto", "float16", "float32", None),
        (CPU, "bfloat16", "float32", "bfloat16", None),
        (TURING, "auto", "float32", "float16", None),
        (TURING, "auto", "bfloat16", "float16", None),
        (AMPERE, "auto", "float32", "bfloat16", None),
        (AMPERE, "auto", "float16", "float16", None),
        (HOPPER, "auto", "bfloat16", "bfloat16", "flash_attention_2"),
        (HOPPER, "float16", "float32", "float16", "flash_attention_2"),
        (HOPPER, "float32", "float16", "float32", None),
    ],
)
def test_the_dtype_that_suits_a_device(
    device: Device, setting: str, saved: str, dtype: str, attention: str | None
) -> None:
    assert plan_dtype(device, setting, saved) == DtypePlan(dtype, attention)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str)
def test_the_dtype_that_weights_are_saved_in(tmp_path: Path, dtype: torch.dtype) -> None:
    save(tmp_path, dtype=dtype)
    assert f"torch.{saved_dtype(tmp_path / 'model')}" == str(dtype)


def test_float16_on_a_cpu_and_unknown_dtypes_are_refused() -> None:
    with pytest.raises(EncoderError, match="float16 is for GPUs"):
        plan_dtype(CPU, "float16")
    with pytest.raises(EncoderError, match="no dtype 'int4'"):
        plan_dtype(HOPPER, "int4")


def test_bfloat16_on_the_cpu_gives_unit_vectors_near_those_of_float32(tmp_path: Path) -> None:
    save(tmp_path, pooling="mean")
    float32, bfloat16 = (
        load_encoder(str(tmp_path / "model"), cache_dir=tmp_path, dtype=dtype)
        for dtype in ("auto", "bfloat16")
    )

    assert (float32.dtype, bfloat16.dtype) == ("float32", "bfloat16")
    cosines = (float32.encode(TEXTS) * bfloat16.encode(TEXTS)).sum(axis=1)
    assert cosines.min() > 0.999
    assert cosines.max() < 1 - 1e-7 or not np.array_equal(
        float32.encode(TEXTS), bfloat16.encode(TEXTS)
    )


def test_a_model_without_flash_attention_is_loaded_without(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    save(tmp_path)
    model = load_model(tmp_path / "model", "cpu", DtypePlan("float32", "flash_attention_2"))

    assert "No flash_attention_2 for model" in caplog.text
    assert model.dtype == torch.float32


def test_a_batch_for_flash_attention_is_what_sentence_transformers_would_join(
    tmp_path: Path,
) -> None:
    from transformers import DataCollatorWithFlattening

    save(tmp_path)
    backend = TorchBackend(tmp_path / "model")
    first = backend.model[0]
    first.data_collator = DataCollatorWithFlattening(
        return_seq_idx=True, return_flash_attn_kwargs=True, return_position_ids=True
    )
    first._flatten_position_offset = 0
    tokens = backend.tokenize(TEXTS)
    first.can_flatten_inputs = True
    expected = backend.model.preprocess(TEXTS, prompt="")
    backend._unpadded = True

    joined = backend._features(tokens)

    assert joined["input_ids"].shape == (1, int(tokens.columns[ATTENTION_MASK].sum()))
    assert joined.keys() == expected.keys()
    for name, value in expected.items():
        if isinstance(value, torch.Tensor):
            assert torch.equal(joined[name], value), name
        else:
            assert joined[name] == value, name


def advice_for(
    visible: int, device: Device, backend: str = "auto", dtype: str = "auto"
) -> list[tuple[str, str]]:
    return list(advice(GpuStatus(visible, device, "H100"), backend, dtype))


def test_a_gpu_that_torch_cannot_use_is_reported() -> None:
    ((message, cure),) = advice_for(0, CPU)
    assert "torch cannot use it" in message
    assert "CUDA build" in cure


def test_a_gpu_that_is_used_well_needs_no_cure() -> None:
    assert advice_for(1, HOPPER) == [("H100: bfloat16 with flash attention", "")]


@pytest.mark.parametrize(
    ("arguments", "cure"),
    [
        ((1, HOPPER, "onnx"), "MARKETPLACE_AI_BACKEND"),
        ((1, HOPPER, "auto", "float32"), "MARKETPLACE_AI_DTYPE"),
        ((1, AMPERE), "flash-attn"),
    ],
)
def test_settings_that_do_not_suit_a_gpu_have_a_cure(arguments: Any, cure: str) -> None:
    assert cure in advice_for(*arguments)[0][1]


def test_several_gpus_want_several_workers() -> None:
    message, cure = advice_for(4, HOPPER)[-1]
    assert "4 GPUs are visible" in message
    assert "CUDA_VISIBLE_DEVICES" in cure
