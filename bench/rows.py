"""What a benchmark is, how it is run, and how its result is shown and kept."""

from __future__ import annotations

import json
import math
import os
import sys
import traceback
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from rich.table import Table

#: Kept rows by name, as ``results.json`` holds them.
Rows = dict[str, dict[str, Any]]


class NotMeasured(Exception):  # noqa: N818 (no error: the row says why it has no value)
    """A benchmark that cannot be measured here; the message says why, and the cure."""


@dataclass(frozen=True)
class Benchmark:
    """One row to be measured.

    ``goal`` is the value at which ``better`` ("higher": at least, "lower": at most) is met,
    None for a figure that is only context for others. ``public``: needs the folder BENCH_DATA.
    ``measure`` returns the value in ``unit``, or raises NotMeasured.
    """

    name: str
    unit: str
    goal: float | None
    better: Literal["higher", "lower"]
    measure: Callable[[], float]
    public: bool = False

    @property
    def command(self) -> str:
        """What measures this row alone."""
        return f'{"BENCH_DATA=DIR " if self.public else ""}make bench ONLY="{self.name}"'

    def met(self, value: float | None) -> bool | None:
        if value is None or self.goal is None:
            return None
        return value >= self.goal if self.better == "higher" else value <= self.goal

    def row(self, value: float | None, why: str | None = None) -> dict[str, Any]:
        """The row as ``results.json`` keeps it; ``why`` only where there is no value."""
        row = {
            "name": self.name, "value": value, "unit": self.unit, "goal": self.goal,
            "better": self.better, "met": self.met(value), "command": self.command,
        }  # fmt: skip
        return row if why is None else {**row, "why": why}


def run(benchmarks: Sequence[Benchmark], path: Path, only: str = "") -> bool:
    """Measure those whose name contains ``only``; whether none of them broke.

    Rows of earlier runs in ``path`` stay where they are not measured again; the file is
    written anew after every row, so that a run that is cut off loses nothing.
    """
    names = [benchmark.name for benchmark in benchmarks]
    kept = {name: row for name, row in read(path).items() if name in names}
    asked = [benchmark for benchmark in benchmarks if only in benchmark.name]
    unbroken = True
    for number, benchmark in enumerate(asked, start=1):
        say(f"[{number}/{len(asked)}] {benchmark.name} …")
        try:
            value = float(benchmark.measure())
            if not math.isfinite(value):
                raise ArithmeticError(f"the value came out as {value}")
            row = benchmark.row(value)
        except NotMeasured as error:
            row = benchmark.row(None, str(error))
        except Exception as error:  # noqa: BLE001 (one row that breaks must not stop the others)
            traceback.print_exc()
            row = benchmark.row(None, f"{type(error).__name__}: {error}")
            unbroken = False
        say(f"[{number}/{len(asked)}] {benchmark.name}: {shown(row)}")
        kept[benchmark.name] = row
        write(path, [kept[name] for name in names if name in kept])
    return unbroken


def read(path: Path) -> Rows:
    """Rows of earlier runs by name; none where there is no file, or one that holds no rows."""
    try:
        return {row["name"]: row for row in json.loads(path.read_text(encoding="utf-8"))}
    except (OSError, ValueError, TypeError, KeyError):
        return {}


def write(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Replace the file as a whole, so that nobody ever reads half of one."""
    part = path.with_suffix(f".{os.getpid()}.part")
    part.write_text(json.dumps(rows, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    part.replace(path)


def shown(row: dict[str, Any]) -> str:
    """The value with its unit, or why there is none."""
    if row["value"] is None:
        return f"not measured ({row['why']})"
    return f"{row['value']:.4g} {row['unit']}".rstrip()


def table(rows: Iterable[dict[str, Any]]) -> Table:
    """All rows for a terminal."""
    found = Table("benchmark", box=None, pad_edge=False)
    for title in ("value", "goal", "met"):
        found.add_column(title, justify="right", no_wrap=True)
    sign = {"higher": "≥", "lower": "≤"}
    met = {True: "yes", False: "NO", None: "-"}
    for row in rows:
        found.add_row(
            row["name"],
            "-" if row["value"] is None else shown(row),
            "-" if row["goal"] is None else f"{sign[row['better']]} {row['goal']:g}",
            met[row["met"]],
        )
    return found


def say(line: str) -> None:
    """A line of progress, on stderr."""
    print(line, file=sys.stderr, flush=True)
