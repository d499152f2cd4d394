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
    for figure, shown, goal in (
        ("torch_by_bare", "by the bare encode (torch)", 0.9),
        ("int8_by_bare", "by the bare encode (ONNX int8)", 0.8),
        ("torch_by_naive", "by the naive way on torch (torch)", 5),
        ("int8_by_naive", "by the naive way on torch (ONNX int8)", 10),
        ("int8_by_torch", "ONNX int8 by torch", 1.6),
    ):
        yield Benchmark(
            f"queue: queue to decision, 20,000 exemplars, {shown}",
            "times", goal, "higher", partial(public_measured, "whole", "way", figure),
            public=True,
        )  # fmt: skip
    for figure, shown in (("torch_rate", "torch"), ("int8_rate", "ONNX int8")):
        yield Benchmark(
            f"queue: postings a second, queue to decision ({shown})",
            "postings/s", None, "higher", partial(public_measured, "whole", "way", figure),
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
        "queue: created to decided while 2,000 categories are added, the longest",
        "s", None, "lower", partial(measured, "latency", "beside_new_categories", real=True),
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
    for figure, shown, unit in (
        ("decision", "bytes of a decision with 20 matches, its indexes included", "bytes"),
        ("vector", "bytes of a stored vector of 384 values, its indexes included", "bytes"),
        ("index", "bytes a vector of the search index", "bytes"),
        ("build", "building the search index of 50,000 vectors", "s"),
    ):
        yield Benchmark(
            f"queue: {shown}", unit, None, "lower", partial(measured, "storage", "disk", figure)
        )
