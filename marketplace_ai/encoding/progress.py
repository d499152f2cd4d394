"""How long work tells whoever waits for it, without knowing who that is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

Advance = Callable[[int], None]
#: ``progress(title, total)`` opens a step; ``advance(n)`` moves it. Total None: not known.
Progress = Callable[[str, int | None], AbstractContextManager[Advance]]


@contextmanager
def silent(title: str, total: int | None) -> Iterator[Advance]:
    yield lambda n: None
