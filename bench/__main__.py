"""`python -m bench`, which `make bench` starts."""

from __future__ import annotations

import argparse
import os
import sys
from itertools import chain
from pathlib import Path

from rich.console import Console

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

from . import (
    assessment,
    by_time,
    catalogue,
    cold,
    condensing,
    encoding,
    exact,
    labels_next,
    life,
    life_designs,
    open_set,
    promise,
    public,
    queue,
    rare,
    robust,
    scrub,
    secondary,
    speed,
    strangers,
    training,
    tuned,
    unkind,
)
from .rows import Benchmark, read, run, say, table

RESULTS = Path(__file__).resolve().parent / "results.json"


def benchmarks() -> list[Benchmark]:
    """Every row, in the order of the table."""
    parts = (
        exact,
        speed,
        encoding,
        catalogue,
        strangers,
        secondary,
        cold,
        promise,
        life,
        life_designs,
        public,
        rare,
        robust,
        scrub,
        queue,
        training,
        unkind,
        open_set,
        tuned,
        assessment,
        by_time,
        labels_next,
        condensing,
    )
    return list(chain.from_iterable(part.benchmarks() for part in parts))


def main(arguments: list[str] | None = None) -> int:
    """0 when all was measured that can be, 1 where a row broke, 2 on bad usage."""
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description="Measures the benchmarks, prints a table and writes bench/results.json. "
        "The environment variable BENCH_DATA names the folder with the public sets.",
    )
    parser.add_argument("--only", default="", metavar="TEXT", help="rows whose name contains it")
    only = parser.parse_args(arguments).only
    rows = benchmarks()
    if not any(only in row.name for row in rows):
        say(f"No benchmark has {only!r} in its name. There are:")
        for row in rows:
            say(f"  {row.name}")
        return 2
    unbroken = run(rows, RESULTS, only)
    found = [row for row in read(RESULTS).values() if only in row["name"]]
    # In a log a name must not be broken into lines.
    console = Console() if sys.stdout.isatty() else Console(width=140)
    console.print(table(found))
    for why in dict.fromkeys(row["why"] for row in found if "why" in row):
        console.print(f"Not measured: {why}.", markup=False, highlight=False)
    return 0 if unbroken else 1


if __name__ == "__main__":
    sys.exit(main())
