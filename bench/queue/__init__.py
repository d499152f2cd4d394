"""The queue, on an embedded PostgreSQL of the run's own: trigger, writes, latency, endurance.

Each row works in a process of its own and an empty database. BENCH_SCALE (1 by default) sizes
the long ones down; a figure of another scale is not the one that the goal is about.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from ..rows import Benchmark
from .world import measured, public_measured


def benchmarks() -> Iterator[Benchmark]:
    yield Benchmark(
        "queue: 1,000,000 rows by SQL with the trigger, by those without",
        "times", 1.5, "lower", partial(measured, "trigger", "by_sql"),
    )  # fmt: skip
    yield Benchmark(
        "queue: bulk_create of 10,000 with the trigger, by that without",
        "times", 1.2, "lower", partial(measured, "trigger", "by_bulk_create"),
    )  # fmt: skip
    yield Benchmark(
        "queue: collected, claimed and written by two workers, nothing encoded",
        "rows/s", 5000, "higher", partial(measured, "writes", "write", "rate"),
    )  # fmt: skip
    yield Benchmark(
        "queue: processor time of the same, a row, workers and PostgreSQL",
        "µs", 400, "lower", partial(measured, "writes", "write", "processor_time"),
    )  # fmt: skip
    yield Benchmark(
        "queue: queue to decision, 20,000 exemplars, by the bare encode (torch)",
        "times", 0.9, "higher", partial(public_measured, "whole", "way", "by_bare_encode"),
        public=True,
    )  # fmt: skip
    yield Benchmark(
        "queue: queue to decision, 20,000 exemplars, by the naive way (torch)",
        "times", 5, "higher", partial(public_measured, "whole", "way", "by_naive_way"),
        public=True,
    )  # fmt: skip
    yield Benchmark(
        "queue: created to decided less one encode, worker idle, 95th percentile",
        "ms", 150, "lower", partial(measured, "latency", "idle", redis=True, real=True),
    )  # fmt: skip
    yield Benchmark(
        "queue: created to decided beside a backfill of 100,000, 95th percentile",
        "batches", 2, "lower", partial(measured, "latency", "beside_backfill", real=True),
    )  # fmt: skip
    yield Benchmark(
        "queue: a save with Redis dead less one with Redis alive, slowest of 200",
        "ms", 50, "lower", partial(measured, "latency", "dead_redis", redis=True),
    )  # fmt: skip
    yield Benchmark(
        "queue: a worker's memory after 200,000 postings, by that after 20,000",
        "times", 1.05, "lower", partial(measured, "endurance", "memory"),
    )  # fmt: skip
    yield Benchmark(
        "queue: claim beside a transaction held for 90 s, 95th percentile",
        "ms", 50, "lower", partial(measured, "endurance", "held_transaction"),
    )  # fmt: skip
