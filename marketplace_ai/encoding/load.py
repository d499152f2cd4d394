"""From a name in the settings to an encoder that is ready."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from marketplace_ai.encoding.base import EncoderError, TextEncoder
from marketplace_ai.encoding.directory import check_directory
from marketplace_ai.encoding.dummy import DummyEncoder
from marketplace_ai.encoding.embedded import embedded_directory

EMBEDDED = "embedded"
_DUMMY = re.compile(r"dummy(?::([0-9]{1,5}))?")
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
#: All that is fetched of a hub repository: neither code nor pickles, whatever it holds.
_HUB_FILES = ["*.json", "*.safetensors", "*.txt", "*.model"]
#: Seconds after which a hub that does not answer counts as unreachable.
_HUB_TIMEOUT = 10.0


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
) -> TextEncoder:
    """The encoder that ``source`` names, loaded.

    ``source`` is ``embedded`` (built below ``cache_dir`` at its first use), ``dummy`` or
    ``dummy:DIMENSION`` (no weights, for tests), a sentence-transformers directory, or a hub id
    ``owner/name`` (with ``revision``, a branch, tag or commit; taken from the hub's own cache
    without asking the hub when it is there). ``progress`` gets a line before anything slow.
    Raises ``EncoderError`` that says what to do.
    """
    if source == EMBEDDED:
        return _sentence_transformer(embedded_directory(cache_dir, progress), EMBEDDED)
    if dummy := _DUMMY.fullmatch(source):
        return DummyEncoder(int(dummy[1] or 64))
    path = Path(source).expanduser()
    if source and path.is_dir():
        return _sentence_transformer(path, str(path.absolute()))
    if path.exists() or not _HUB_ID.fullmatch(source):
        raise EncoderError(
            f"There is no encoder {source!r}: 'embedded', an existing sentence-transformers "
            "directory or a hub id such as BAAI/bge-m3 was expected."
        )
    snapshot = _hub_snapshot(source, revision, progress)
    return _sentence_transformer(snapshot, source, links_within=snapshot.parent.parent)


def _sentence_transformer(
    path: Path, source: str, *, links_within: Path | None = None
) -> TextEncoder:
    # Imported here: this package is imported by web processes, which never need torch.
    from marketplace_ai.encoding.sentence_transformer import SentenceTransformerEncoder

    return SentenceTransformerEncoder(path, source=source, links_within=links_within)


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
