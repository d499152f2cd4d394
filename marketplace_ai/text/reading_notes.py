"""What is told about a file that was read in another form than UTF-8 with commas."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_tell: ContextVar[Callable[[str], None] | None] = ContextVar("tell", default=None)


@contextmanager
def told_to(say: Callable[[str], None]) -> Iterator[None]:
    """Call ``say`` with a sentence about each such file that is read meanwhile, once each."""
    told: set[str] = set()

    def once(sentence: str) -> None:
        if sentence not in told:
            told.add(sentence)
            say(sentence)

    token = _tell.set(once)
    try:
        yield
    finally:
        _tell.reset(token)


def tell(sentence: str) -> None:
    """Say how a file was read, to whom ``told_to`` names; nobody listens: nothing happens."""
    if (say := _tell.get()) is not None:
        say(sentence)
