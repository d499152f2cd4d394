"""The numeric type and the attention implementation that torch uses on a device."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec

from marketplace_ai.encoding.text_encoder import EncoderError

DTYPES = ("auto", "float32", "bfloat16", "float16")
#: CUDA compute capability from which bfloat16 and flash attention are in hardware (Ampere).
_AMPERE = (8, 0)


@dataclass(frozen=True)
class Device:
    """The device a model runs on. ``capability`` is CUDA's, (0, 0) on a CPU."""

    kind: str
    capability: tuple[int, int] = (0, 0)
    has_flash_attention: bool = False

    @classmethod
    def detect(cls) -> Device:
        """The first visible CUDA device (CUDA_VISIBLE_DEVICES), else the CPU."""
        import torch

        if not torch.cuda.is_available():
            return cls("cpu")
        has_flash = find_spec("flash_attn") is not None
        return cls("cuda", torch.cuda.get_device_capability(0), has_flash)


@dataclass(frozen=True)
class DtypePlan:
    """How torch is to compute: ``dtype`` by torch's name, and ``attention`` by the name that
    transformers gives the implementation, or None for its own choice (SDPA if the model has it).
    """

    dtype: str
    attention: str | None


def plan_dtype(device: Device, dtype: str = "auto", saved: str = "float32") -> DtypePlan:
    """How to compute on ``device`` with weights that are saved in the numeric type ``saved``.

    ``dtype`` is one of ``DTYPES``. ``auto`` is float32 on a CPU. On CUDA it is a half-precision
    type: the one the weights are saved in, else bfloat16, which has the range of float32, or
    float16 on GPUs older than Ampere. Flash attention is used if it is installed and the device
    has it. Raises ``EncoderError`` for a type that does not exist or does not suit the device.
    """
    if dtype not in DTYPES:
        raise EncoderError(f"There is no dtype {dtype!r}: it is one of {DTYPES}.")
    if dtype == "float16" and device.kind == "cpu":
        raise EncoderError(
            "float16 is for GPUs: on a CPU it is slower than float32 and can overflow. Set "
            "MARKETPLACE_AI_DTYPE to 'auto'."
        )
    is_modern = device.kind == "cuda" and device.capability >= _AMPERE
    if dtype == "auto" and device.kind == "cpu":
        dtype = "float32"
    elif dtype == "auto":
        dtype = "bfloat16" if is_modern and saved != "float16" else "float16"
    flash = is_modern and device.has_flash_attention and dtype != "float32"
    return DtypePlan(dtype, "flash_attention_2" if flash else None)
