"""The encoder's thread, left out."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any


class Inline(Executor):
    """Runs what is submitted at once, in the caller's thread.

    For tests that do something to the database while a text is encoded: they do it inside their
    own transaction, which another thread would not see.
    """

    def submit(self, work: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(work(*args, **kwargs))
        except Exception as error:  # noqa: BLE001 (a future holds whatever was raised)
            future.set_exception(error)
        return future


class Late(Executor):
    """Runs what is submitted when its result is waited for, in the caller's thread."""

    def submit(self, work: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        return _LateFuture(lambda: work(*args, **kwargs))


class _LateFuture(Future[Any]):
    def __init__(self, work: Callable[[], Any]) -> None:
        super().__init__()
        self._work = work

    def done(self) -> bool:
        return True  # its result can be had whenever it is asked for

    def result(self, timeout: float | None = None) -> Any:
        return self._work()
