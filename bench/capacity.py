"""How far one installation goes, computed from measured unit costs: ``python -m bench.capacity``.

Reads bench/results.json as ``make bench ONLY=queue`` wrote it, and prints the tables of
docs/performance.md. Whatever is not in there is not computed.
"""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass

from . import __main__ as bench
from .rows import read

BUILT = 50_000
DAY = 86_400.0
SIZES = (1_000_000, 10_000_000, 50_000_000, 100_000_000, 1_000_000_000)
PREFIX = "queue: "
ROWS = {
    "torch": "postings a second, queue to decision (torch)",
    "int8": "postings a second, queue to decision (ONNX int8)",
    "writes": "collected, claimed and written by two workers, nothing encoded",
    "decision": "bytes of a decision with 20 matches, its indexes included",
    "vector": "bytes of a stored vector of 384 values, its indexes included",
    "index": "bytes a vector of the search index",
    "build": "building the search index of 50,000 vectors",
}


@dataclass(frozen=True)
class Units:
    """Measured: postings a second of one two-core machine with its own PostgreSQL on ``torch`` and
    on ``int8``, and of two workers that encode nothing (``writes``); bytes a posting of its
    ``decision``, its ``vector`` and its entry in the search ``index``; seconds to ``build`` the
    index of ``BUILT`` vectors on two cores."""

    torch: float
    int8: float
    writes: float
    decision: float
    vector: float
    index: float
    build: float

    def stored(self, postings: int) -> float:
        """Bytes in PostgreSQL without the search index."""
        return postings * (self.decision + self.vector)

    def build_seconds(self, postings: int) -> float:
        """Of the index, while its graph fits into memory: n log n, from that of ``BUILT``."""
        return self.build * postings / BUILT * math.log(postings) / math.log(BUILT)

    def workers(self, postings: int, days: float) -> int:
        """Two-core machines that decide so many postings within so many days, on int8."""
        return math.ceil(postings / (self.int8 * DAY * days))


def table(units: Units) -> list[str]:
    """A line for each number of postings."""
    lines = [
        "| postings | PostgreSQL | search index | to build it | backfill, one machine | "
        "machines for a week | writing alone |",
        "|---|---|---|---|---|---|---|",
    ]
    for postings in SIZES:
        lines.append(
            f"| {postings:,} | {_size(units.stored(postings))} | "
            f"{_size(postings * units.index)} | {_time(units.build_seconds(postings))} | "
            f"{_time(postings / units.int8)} | {units.workers(postings, 7)} | "
            f"{_time(postings / units.writes)} |"
        )
    return lines


def _size(count: float) -> str:
    for unit in ("MB", "GB", "TB"):
        count /= 1000 if unit != "MB" else 1_000_000
        if count < 1000:
            break
    return f"{count:.2g} {unit}" if count < 10 else f"{count:,.0f} {unit}"


def _time(seconds: float) -> str:
    for unit, length in (("days", DAY), ("h", 3600.0), ("min", 60.0)):
        if seconds >= 2 * length:
            return f"{seconds / length:,.0f} {unit}"
    return f"{seconds:.0f} s"


def main() -> int:
    measured = {row["name"]: row["value"] for row in read(bench.RESULTS).values()}
    missing = [name for name in ROWS.values() if measured.get(PREFIX + name) is None]
    if missing:
        sys.stderr.write(f"Not measured: {'; '.join(missing)}. Run make bench ONLY=queue first.\n")
        return 1
    units = Units(**{unit: measured[PREFIX + name] for unit, name in ROWS.items()})
    sys.stdout.write("\n".join(table(units)) + "\n")
    sys.stdout.write(
        f"A day of one two-core machine: {units.torch * DAY:,.0f} postings on torch, "
        f"{units.int8 * DAY:,.0f} on ONNX int8.\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
