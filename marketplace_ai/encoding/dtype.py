"""In what numbers and with which attention torch computes on a device."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec

from marketplace_ai.encoding.text_encoder import EncoderError

DTYPES = ("auto", "float32", "bfloat16", "float16")
#: CUDA compute capability from which bfloat16 and flash attention are in hardware (Ampere).
_AMPERE = (8, 0)


@dataclass(frozen=True)
class Device:
    """What is known of the machine. ``capability`` is CUDA's, (0, 0) on a CPU."""

    kind: str
    capability: tuple[int, int] = (0, 0)
    has_flash_attention: bool = False

    @classmethod
    def here(cls) -> Device:
        """The first CUDA device that is visible (CUDA_VISIBLE_DEVICES), else the CPU."""
        import torch

        if not torch.cuda.is_available():
            return cls("cpu")
        has_flash = find_spec("flash_attn") is not None
        return cls("cuda", torch.cuda.get_device_capability(0), has_flash)


@dataclass(frozen=True)
class DtypePlan:
    """``dtype`` is torch's name. ``attention`` is what transformers calls the implementation;
    None is its own choice: SDPA where the model has it."""

    dtype: str
    attention: str | None


def plan_dtype(device: Device, dtype: str = "auto", saved: str = "float32") -> DtypePlan:
    """How to compute there with weights that are saved in ``saved``.

    ``auto``: float32 on a CPU; on CUDA half the precision, as it was saved, else bfloat16, whose
    range is that of float32, and float16 on GPUs older than Ampere. Flash attention where it is
    installed and can be used. Raises ``EncoderError`` for a precision that there is not, or that
    is not for this device.
    """
    if dtype not in DTYPES:
        raise EncoderError(f"There is no precision {dtype!r}: it is one of {DTYPES}.")
    if dtype == "float16" and device.kind == "cpu":
        raise EncoderError(
            "float16 is for GPUs: on a CPU it is slower than float32 and can overflow. Set "
            "MARKETPLACE_AI_DTYPE to 'auto'."
        )
    modern = device.kind == "cuda" and device.capability >= _AMPERE
    if dtype == "auto" and device.kind == "cpu":
        dtype = "float32"
    elif dtype == "auto":
        dtype = "bfloat16" if modern and saved != "float16" else "float16"
    flash = modern and device.has_flash_attention and dtype != "float32"
    return DtypePlan(dtype, "flash_attention_2" if flash else None)
