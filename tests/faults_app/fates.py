"""Fates: how and where a worker process will end or freeze, one for each process in turn.

A fate is a file of three words in a folder: the point, how many times it is passed, and the
signal that the process sends itself there. Each process that starts takes the first one that is
left. So a run is the same whenever its fates are, and the number of kills is bounded.
"""

from __future__ import annotations

import os
import signal
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

#: Not a point of the work but a time: as many hundredths of a second after the first batch began.
CLOCK = "clock"


def write(folder: Path, fates: list[tuple[str, int, signal.Signals]]) -> Path:
    folder.mkdir(exist_ok=True)
    for number, (point, passes, what) in enumerate(fates):
        (folder / f"{number:03}").write_text(f"{passes} {what.name} {point}")
    return folder


def left(folder: Path) -> int:
    return len(list(folder.iterdir()))


def take(folder: Path) -> Callable[[str], None]:
    """The next fate as a receiver of points."""
    for file in sorted(folder.iterdir()):
        with suppress(FileNotFoundError):
            passes, what, point = file.read_text().split(" ", 2)
            file.unlink()  # fails where another process was faster
            return _Fate(point, int(passes), signal.Signals[what]).reached
    return lambda point: None


class _Fate:
    def __init__(self, point: str, passes: int, what: signal.Signals) -> None:
        self.point, self.passes, self.what = point, passes, what
        self.seen: Counter[str] = Counter()

    def reached(self, point: str) -> None:
        self.seen[point] += 1
        if self.point == CLOCK and self.seen.total() == 1:
            timer = threading.Timer(self.passes / 100, self.strike)
            timer.daemon = True
            timer.start()
        if self.point == point and self.seen[point] == self.passes:
            self.strike()

    def strike(self) -> None:
        os.kill(os.getpid(), self.what)
