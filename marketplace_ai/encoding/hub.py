"""Model repositories of the Hugging Face hub: taken from its cache, else downloaded."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from marketplace_ai.encoding.model_directory import check_directory
from marketplace_ai.encoding.text_encoder import EncoderError

#: All that is fetched of a repository: neither code nor pickles, whatever it holds.
_FILE_PATTERNS = ["*.json", "*.safetensors", "*.txt", "*.model"]
#: Seconds after which a hub that does not answer counts as unreachable.
TIMEOUT_SECONDS = 10.0


def snapshot(repo: str, revision: str | None, progress: Callable[[str], None]) -> Path:
    """The local directory of ``repo`` at ``revision``; the hub is asked only if the cache lacks it.

    Raises ``EncoderError`` if it is neither in the cache nor can be fetched.
    """
    from huggingface_hub import HfApi, snapshot_download

    def download(*, offline: bool) -> Path:
        directory = snapshot_download(
            repo,
            revision=revision,
            allow_patterns=_FILE_PATTERNS,
            local_files_only=offline,
            etag_timeout=TIMEOUT_SECONDS,
        )
        return Path(directory)

    try:
        cached = download(offline=True)
        # An interrupted download leaves a snapshot that lacks files.
        check_directory(cached, links_within=cached.parent.parent)
    except (OSError, ValueError, EncoderError):
        progress(f"Downloading the encoder {repo} …")
    else:
        return cached
    try:
        # snapshot_download itself waits for minutes on a hub that accepts connections and is
        # silent.
        HfApi().repo_info(repo, revision=revision, timeout=TIMEOUT_SECONDS)
        return download(offline=False)
    except Exception as error:
        raise EncoderError(
            f"There is no directory {repo!r}, and no encoder of that id"
            f"{f' and revision {revision}' if revision else ''} in the hub's cache, nor can it "
            f"be fetched ({type(error).__name__}: {str(error).partition(chr(10))[0]}). Check the "
            "name, set HF_HOME to a cache that has it, or give a sentence-transformers directory."
        ) from error
