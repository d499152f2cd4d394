"""The back ends that can run an encoder, by the value of MARKETPLACE_AI_BACKEND.

Whatever depends on the back end asks this registry or the loaded encoder, and compares no names.
Another back end is a class that fulfills ``backend.Backend`` and one entry, in
``builtin_backends`` or in the ``AppConfig.ready`` of a project::

    register(BackendSpec("openvino", load=load_openvino, find_problem=find_openvino_problem))
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from marketplace_ai.encoding.text_encoder import EncoderError

if TYPE_CHECKING:
    from marketplace_ai.encoding.backend import Backend, Problem
    from marketplace_ai.encoding.sources import ModelPath

#: The setting that leaves the choice to ``load``.
AUTO = "auto"
#: What ``auto`` falls back to, and the others are compared with.
TORCH = "torch"


class Load(Protocol):
    """Loads a model. Raises ``EncoderError`` that says what to do."""

    def __call__(self, model: ModelPath, *, cache_dir: Path, dtype: str) -> Backend: ...


@dataclass(frozen=True)
class BackendSpec:
    """How one back end is loaded, and what distinguishes it from others.

    The padded tokens of a device batch, the number of streams and whatever else depends on the
    loaded model are attributes of ``Backend``.

    ``name``: the value of MARKETPLACE_AI_BACKEND.
    ``load``: loads a model, and raises ``EncoderError`` where that is impossible.
    ``find_problem``: what is missing on this machine, given the cache folder; for system checks,
    so it must be quick and must not import numeric libraries.
    ``load_if_best``: for ``auto``: loads a model if this back end is the best choice for it on
    this machine, else returns None. Without it ``auto`` never chooses this back end.
    ``uses_gpu``: whether it runs on a GPU if there is one.
    ``reference``: the back end whose vectors stand for the encoder where this one rounds them:
    exemplars are encoded by it. None if this back end's own vectors do.
    """

    name: str
    load: Load
    find_problem: Callable[[Path], Problem | None] = lambda cache_dir: None
    load_if_best: Callable[[ModelPath, Path], Backend | None] | None = None
    uses_gpu: bool = False
    reference: str | None = None


_specs: dict[str, BackendSpec] = {}


def register(spec: BackendSpec) -> None:
    """Add a back end, or replace the one of the same name."""
    _specs[spec.name] = spec


def names() -> tuple[str, ...]:
    """Every registered back end; torch, with which the others are compared, is the first."""
    return tuple(_specs)


def choices() -> tuple[str, ...]:
    """What MARKETPLACE_AI_BACKEND may be."""
    return (AUTO, *_specs)


def get(name: str) -> BackendSpec:
    """The back end of that name. Raises ``EncoderError`` if there is none."""
    if name not in _specs:
        raise EncoderError(f"There is no back end {name!r}: it is one of {choices()}.")
    return _specs[name]


def find_problem(name: str, cache_dir: Path) -> Problem | None:
    """What this machine lacks for a back end; None for ``auto``, which takes what is there, and
    for a name that is not registered."""
    return _specs[name].find_problem(cache_dir) if name in _specs else None


def is_reference(name: str) -> bool:
    """Whether a back end's own vectors are those of the encoder, rather than rounded ones."""
    return name not in _specs or _specs[name].reference is None


def may_use_gpu(name: str) -> bool:
    """Whether a back end, or what ``auto`` chooses, runs on a GPU if there is one."""
    return name not in _specs or _specs[name].uses_gpu


def load(
    name: str, model: ModelPath, *, cache_dir: Path, dtype: str
) -> tuple[BackendSpec, Backend]:
    """A model on a back end, or on the one that ``auto`` chooses. Raises ``EncoderError``."""
    if name == AUTO:
        for spec in _specs.values():
            backend = spec.load_if_best(model, cache_dir) if spec.load_if_best else None
            if backend is not None:
                return spec, backend
        name = TORCH
    spec = get(name)
    return spec, spec.load(model, cache_dir=cache_dir, dtype=dtype)
