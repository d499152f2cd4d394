"""From a name in the settings to an encoder that is ready."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from marketplace_ai.encoding.backend import Backend
from marketplace_ai.encoding.bundled_e5.encoder import embedded_directory
from marketplace_ai.encoding.dummy import DummyEncoder
from marketplace_ai.encoding.model_directory import check_directory
from marketplace_ai.encoding.onnx.exported import Kind, Manifest, is_any_exported, read_export
from marketplace_ai.encoding.text_encoder import EncoderError, TextEncoder

if TYPE_CHECKING:
    from marketplace_ai.encoding.batched_encoder import BatchedEncoder

logger = logging.getLogger(__name__)

BACKENDS = ("auto", "torch", "onnx", "onnx-int8")
EMBEDDED = "embedded"
_DUMMY = re.compile(r"dummy(?::([0-9]{1,5}))?")
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
#: All that is fetched of a hub repository: neither code nor pickles, whatever it holds.
_HUB_FILES = ["*.json", "*.safetensors", "*.txt", "*.model"]
#: Seconds after which a hub that does not answer counts as unreachable.
_HUB_TIMEOUT = 10.0


@dataclass(frozen=True)
class Found:
    """A directory, what people call it, and where its links may lead (for a hub cache)."""

    path: Path
    source: str
    links_within: Path | None = None


def is_source(name: str) -> bool:
    """Whether ``load_encoder`` can be asked for this: no database has to know the name."""
    known = name == EMBEDDED or _DUMMY.fullmatch(name) or _HUB_ID.fullmatch(name)
    return bool(known) or (name != "" and Path(name).expanduser().is_dir())


def load_encoder(
    source: str,
    *,
    cache_dir: Path,
    revision: str | None = None,
    progress: Callable[[str], None] = lambda line: None,
    backend: str = "torch",
    dtype: str = "auto",
    token_budget: int | None = None,
) -> TextEncoder:
    """The encoder that ``source`` names, loaded.

    ``source`` is ``embedded`` (built below ``cache_dir`` at its first use), ``dummy`` or
    ``dummy:DIMENSION`` (no weights, for tests), a sentence-transformers directory, or a hub id
    ``owner/name`` (with ``revision``, a branch, tag or commit; taken from the hub's own cache
    without asking the hub when it is there). ``progress`` gets a line before anything slow.

    ``backend`` is one of ``BACKENDS``: ``auto`` is torch where there is a CUDA device, elsewhere
    ONNX Runtime where the float32 export of these weights is there, else torch; ``onnx-int8``
    needs both exports, that in float32 for ``exact``. ``precision`` is torch's, see
    ``computation``; ``token_budget`` the padded tokens of one device batch, instead of the back
    end's own. Raises ``EncoderError`` that says what to do.
    """
    if backend not in BACKENDS:
        raise EncoderError(f"There is no back end {backend!r}: it is one of {BACKENDS}.")
    if dummy := _DUMMY.fullmatch(source):
        return DummyEncoder(int(dummy[1] or 64))
    found = find_directory(source, cache_dir=cache_dir, revision=revision, progress=progress)
    loaded = _backend(found, cache_dir, backend, dtype)
    from marketplace_ai.encoding.batched_encoder import BatchedEncoder

    load_exact = _exact(found, cache_dir, token_budget) if loaded.name == "onnx-int8" else None
    return BatchedEncoder(loaded, found.source, token_budget, load_exact)


def find_directory(
    source: str,
    *,
    cache_dir: Path,
    revision: str | None = None,
    progress: Callable[[str], None] = lambda line: None,
) -> Found:
    """The sentence-transformers directory that ``source`` names, made or fetched where needed.

    Raises ``EncoderError``, for a dummy too, which has none.
    """
    if source == EMBEDDED:
        return Found(embedded_directory(cache_dir, progress), EMBEDDED)
    path = Path(source).expanduser()
    if source and path.is_dir():
        return Found(path.absolute(), str(path.absolute()))
    if path.exists() or not _HUB_ID.fullmatch(source):
        raise EncoderError(
            f"There is no encoder {source!r}: 'embedded', an existing sentence-transformers "
            "directory or a hub id such as BAAI/bge-m3 was expected."
        )
    snapshot = _hub_snapshot(source, revision, progress)
    return Found(snapshot, source, links_within=snapshot.parent.parent)


def _backend(found: Found, cache_dir: Path, backend: str, dtype: str) -> Backend:
    if backend == "auto":
        exported = _usable_export(found, cache_dir)
    elif backend == "torch":
        exported = None
    else:
        check_directory(found.path, links_within=found.links_within)
        kind: Kind = "int8" if backend == "onnx-int8" else "float32"
        exported = read_export(found.path, cache_dir, kind)
    # Imported here: this package is imported by web processes, which never encode.
    if exported is None:
        from marketplace_ai.encoding.sentence_transformer import TorchBackend

        return TorchBackend(found.path, links_within=found.links_within, dtype=dtype)
    from marketplace_ai.encoding.onnx.backend import OnnxBackend

    return OnnxBackend(*exported)


def _exact(found: Found, cache_dir: Path, token_budget: int | None) -> Callable[[], BatchedEncoder]:
    """What loads the float32 export. Whether it is there is asked now: its lack must not end a
    worker at its first exemplar."""
    folder, manifest = read_export(found.path, cache_dir, "float32")

    def load_exact() -> BatchedEncoder:
        from marketplace_ai.encoding.batched_encoder import BatchedEncoder
        from marketplace_ai.encoding.onnx.backend import OnnxBackend

        return BatchedEncoder(OnnxBackend(folder, manifest), found.source, token_budget)

    return load_exact


def _usable_export(found: Found, cache_dir: Path) -> tuple[Path, Manifest] | None:
    """The float32 export, where it is faster than torch. Never int8, which is a little less
    exact: that is for a person to choose."""
    if find_spec("onnxruntime") is None or not is_any_exported(cache_dir, "float32"):
        return None
    from marketplace_ai.encoding.dtype import Device

    if Device.here().kind == "cuda":
        return None
    try:
        check_directory(found.path, links_within=found.links_within)
        return read_export(found.path, cache_dir, "float32")
    except EncoderError as error:
        logger.info("The back end is torch: %s", error)
        return None


def _hub_snapshot(repo: str, revision: str | None, progress: Callable[[str], None]) -> Path:
    from huggingface_hub import HfApi, snapshot_download

    def snapshot(*, offline: bool) -> Path:
        folder = snapshot_download(
            repo,
            revision=revision,
            allow_patterns=_HUB_FILES,
            local_files_only=offline,
            etag_timeout=_HUB_TIMEOUT,
        )
        return Path(folder)

    try:
        cached = snapshot(offline=True)
        # A download that was cut off leaves a snapshot that lacks files.
        check_directory(cached, links_within=cached.parent.parent)
    except (OSError, ValueError, EncoderError):
        progress(f"Downloading the encoder {repo} …")
    else:
        return cached
    try:
        # The download itself waits for minutes on a hub that takes connections and is silent.
        HfApi().repo_info(repo, revision=revision, timeout=_HUB_TIMEOUT)
        return snapshot(offline=False)
    except Exception as error:
        raise EncoderError(
            f"There is no directory {repo!r}, and no encoder of that id"
            f"{f' and revision {revision}' if revision else ''} in the hub's cache, nor can it "
            f"be fetched ({type(error).__name__}: {str(error).partition(chr(10))[0]}). Check the "
            "name, set HF_HOME to a cache that has it, or give a sentence-transformers directory."
        ) from error
