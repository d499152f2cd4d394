"""Load an encoder from its source, on the back end that the settings choose."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from marketplace_ai.encoding import backend_registry
from marketplace_ai.encoding.sources import dummy_encoder, find_directory
from marketplace_ai.encoding.text_encoder import TextEncoder

if TYPE_CHECKING:
    from marketplace_ai.encoding.batched_encoder import BatchedEncoder


def load_encoder(
    source: str,
    *,
    cache_dir: Path,
    revision: str | None = None,
    progress: Callable[[str], None] = lambda line: None,
    backend: str = backend_registry.TORCH,
    dtype: str = "auto",
    token_budget: int | None = None,
) -> TextEncoder:
    """The encoder that ``source`` names, loaded.

    Parameters
    ----------
    source
        ``bundled`` (built below ``cache_dir`` at its first use), ``dummy`` or
        ``dummy:DIMENSION`` (no weights, for tests), a sentence-transformers directory, or a hub
        id ``owner/name``, taken from the hub's own cache if it is there.
    cache_dir
        Where the bundled encoder and ONNX exports are kept.
    revision
        A branch, tag or commit of a hub id.
    progress
        Gets a line of text before anything slow.
    backend
        One of ``backend_registry.choices()``. ``auto`` is torch on a CUDA device, elsewhere
        ONNX Runtime if these weights were exported in float32, else torch.
    dtype
        One of ``DTYPES``, for torch; see ``plan_dtype``.
    token_budget
        Padded tokens of one device batch; by default what suits the back end.

    Raises
    ------
    EncoderError
        Says what is wrong and what to do.

    Example
    -------
    >>> encoder = load_encoder("bundled", cache_dir=Path("~/.cache/marketplace_ai"))
    >>> encoder.encode(["Male stue og gang"]).shape
    (1, 384)
    """
    if backend != backend_registry.AUTO:
        backend_registry.get(backend)  # an unknown name is refused before anything is loaded
    if dummy := dummy_encoder(source):
        return dummy
    model = find_directory(source, cache_dir=cache_dir, revision=revision, progress=progress)
    spec, loaded = backend_registry.load(backend, model, cache_dir=cache_dir, dtype=dtype)
    # Imported here: web processes import this package and never encode.
    from marketplace_ai.encoding.batched_encoder import BatchedEncoder

    def load_reference() -> BatchedEncoder:
        assert spec.reference is not None  # noqa: S101 (not called otherwise)
        _, reference = backend_registry.load(
            spec.reference, model, cache_dir=cache_dir, dtype=dtype
        )
        return BatchedEncoder(reference, model.source, token_budget)

    return BatchedEncoder(
        loaded, model.source, token_budget, load_reference if spec.reference else None
    )
