"""Large libraries that not everybody needs: whether they are there, and how they are kept quiet."""

from __future__ import annotations

import importlib.util
import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from marketplace_ai.encoding.text_encoder import EncoderError


def require(packages: Sequence[str], purpose: str, extra: str) -> None:
    """EncoderError that names what is not installed, and the ``extra`` of this package with it."""
    missing = [name for name in packages if importlib.util.find_spec(name) is None]
    if missing:
        raise EncoderError(
            f"Not installed: {', '.join(missing)}. {purpose} needs "
            f'pip install "marketplace-ai[{extra}]".'
        )


@contextmanager
def quiet(*loggers: str) -> Iterator[None]:
    """Without warnings, and without what these loggers say below an error."""
    logs = [logging.getLogger(name) for name in loggers]
    levels = [log.level for log in logs]
    for log in logs:
        log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for log, level in zip(logs, levels, strict=True):
            log.setLevel(level)
