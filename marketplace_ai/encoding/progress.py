"""Progress callbacks: how long work reports to its caller, whoever that is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

Advance = Callable[[int], None]
#: ``progress(title, total)`` starts a step, with ``total`` None if it is unknown; calling what it
#: yields with n advances the step by n.
Progress = Callable[[str, int | None], AbstractContextManager[Advance]]


@contextmanager
def silent(title: str, total: int | None) -> Iterator[Advance]:
    """Progress that nobody sees."""
    yield lambda n: None
