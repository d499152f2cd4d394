"""Whether this machine's GPU is used as well as it could be."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from marketplace_ai.encoding import backend_registry
from marketplace_ai.encoding.dtype import Device, plan_dtype

_DRIVER = Path("/proc/driver/nvidia/version")


@dataclass(frozen=True)
class GpuStatus:
    """What torch sees. ``visible`` is the number of devices it may use, ``device`` the first."""

    visible: int
    device: Device
    name: str = ""


def has_driver() -> bool:
    """Whether this machine has an NVIDIA GPU; looks at a file, imports nothing."""
    return _DRIVER.exists()


def detect_gpus() -> GpuStatus:
    import torch

    device = Device.detect()
    if device.kind != "cuda":
        return GpuStatus(0, device)
    return GpuStatus(torch.cuda.device_count(), device, torch.cuda.get_device_name(0))


def advice(gpus: GpuStatus, backend: str, dtype: str) -> Iterator[tuple[str, str]]:
    """(state, what would be better or "") for a machine with an NVIDIA driver.

    ``backend`` and ``dtype`` are the values of the settings.
    """
    if gpus.device.kind != "cuda":
        yield (
            "There is a GPU, but torch cannot use it.",
            "Install torch from the index of a CUDA build, or clear CUDA_VISIBLE_DEVICES.",
        )
        return
    if not backend_registry.may_use_gpu(backend):
        yield (
            f"There is a {gpus.name}, but the back end {backend} computes on the CPU.",
            "Set MARKETPLACE_AI_BACKEND to 'auto' or 'torch'.",
        )
        return
    plan = plan_dtype(gpus.device, dtype)
    attention = "flash attention" if plan.attention else "SDPA"
    cure = ""
    if plan.dtype == "float32":
        cure = "Set MARKETPLACE_AI_DTYPE to 'auto': half precision is faster."
    elif plan.attention is None and plan_dtype(_with_flash(gpus.device), dtype).attention:
        cure = "Install flash-attn: batches then need no padding."
    yield f"{gpus.name}: {plan.dtype} with {attention}", cure
    if gpus.visible > 1:
        yield (
            f"{gpus.visible} GPUs are visible; a worker uses the first.",
            "Start a worker for each, with CUDA_VISIBLE_DEVICES=0, =1 and so on.",
        )


def _with_flash(device: Device) -> Device:
    return Device(device.kind, device.capability, has_flash_attention=True)
