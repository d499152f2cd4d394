"""Whether a GPU that is here is used as it should be."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from marketplace_ai.encoding.dtype import Device, plan_dtype

_DRIVER = Path("/proc/driver/nvidia/version")


@dataclass(frozen=True)
class Gpus:
    """What the driver and torch say. ``visible`` counts the devices that torch may use."""

    visible: int
    device: Device
    name: str = ""


def has_driver() -> bool:
    """Whether this machine has an NVIDIA GPU; looks at a file, imports nothing."""
    return _DRIVER.exists()


def gpus_here() -> Gpus:
    import torch

    device = Device.here()
    if device.kind != "cuda":
        return Gpus(0, device)
    return Gpus(torch.cuda.device_count(), device, torch.cuda.get_device_name(0))


def advice(found: Gpus, backend: str, dtype: str) -> Iterator[tuple[str, str]]:
    """(What is so, what would be better or "") for a machine with an NVIDIA driver."""
    if found.device.kind != "cuda":
        yield (
            "There is a GPU, but torch cannot use it.",
            "Install torch from the index of a CUDA build, or clear CUDA_VISIBLE_DEVICES.",
        )
        return
    if backend in ("onnx", "onnx-int8"):
        yield (
            f"There is a {found.name}, but the back end {backend} computes on the CPU.",
            "Set MARKETPLACE_AI_BACKEND to 'auto' or 'torch'.",
        )
        return
    how = plan_dtype(found.device, dtype)
    attention = "flash attention" if how.attention else "SDPA"
    cure = ""
    if how.dtype == "float32":
        cure = "Set MARKETPLACE_AI_DTYPE to 'auto': half precision is faster."
    elif how.attention is None and plan_dtype(_with_flash(found.device), dtype).attention:
        cure = "Install flash-attn: batches then need no padding."
    yield f"{found.name}: {how.dtype} with {attention}", cure
    if found.visible > 1:
        yield (
            f"{found.visible} GPUs are visible; a worker uses the first.",
            "Start a worker for each, with CUDA_VISIBLE_DEVICES=0, =1 and so on.",
        )


def _with_flash(device: Device) -> Device:
    return Device(device.kind, device.capability, has_flash_attention=True)
