"""Optional dependencies: whether large libraries are installed, and how to keep them quiet."""

from __future__ import annotations

import importlib.util
import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from marketplace_ai.encoding.text_encoder import EncoderError


def require(packages: Sequence[str], purpose: str, extra: str) -> None:
    """Raise ``EncoderError`` if a package is missing, naming the ``extra`` that installs it."""
    missing = [name for name in packages if importlib.util.find_spec(name) is None]
    if missing:
        raise EncoderError(
            f"Not installed: {', '.join(missing)}. {purpose} needs "
            f'pip install "marketplace-ai[{extra}]".'
        )


@contextmanager
def quiet(*loggers: str) -> Iterator[None]:
    """Suppress all warnings, and what these loggers log below the level of an error."""
    muted = [logging.getLogger(name) for name in loggers]
    levels = [logger.level for logger in muted]
    for logger in muted:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(muted, levels, strict=True):
            logger.setLevel(level)
