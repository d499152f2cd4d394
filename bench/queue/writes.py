"""Two workers that collect, claim, read, decide and write, and have nothing to encode."""

from __future__ import annotations

import multiprocessing
import os
import time
from multiprocessing.synchronize import Barrier
from pathlib import Path

import django
from django.db import connection

from ..rows import say
from .world import scaled

WORKERS = 2


def write() -> dict[str, float]:
    """``rate``: postings a second, from the first look at the log to the last commit.

    ``processor_time``: microseconds a posting, of both workers and their PostgreSQL backends,
    which another load of the machine leaves as it is. Two free cores do 2,000,000 by this a second.
    """
    from .postings import create, empty, ready_models

    count = scaled(40_000)
    ready_models()  # registers the encoder and the categories
    empty()
    create(count)
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")
    connection.close()
    processes = multiprocessing.get_context("spawn")
    barrier, results = processes.Barrier(WORKERS + 1), processes.Queue()
    workers = [processes.Process(target=_work, args=(barrier, results)) for _ in range(WORKERS)]
    for worker in workers:
        worker.start()
    barrier.wait()
    start = time.time()
    found = [results.get() for _ in workers]
    for worker in workers:
        worker.join()
    wall = max(end for end, _, _, _ in found) - start
    decided = sum(n for _, n, _, _ in found)
    if decided != count:
        raise RuntimeError(f"{decided} of {count} postings were decided")
    python, postgres = (sum(row[k] for row in found) / count * 1e6 for k in (2, 3))
    say(
        f"{count / wall:,.0f} rows/s in {wall:.1f} s, batches of {_batch_size()}; processor time "
        f"a row: Python {python:.0f} µs, PostgreSQL {postgres:.0f} µs; "
        f"load {os.getloadavg()[0]:.1f}"
    )
    return {"rate": count / wall, "processor_time": python + postgres}


def _batch_size() -> int:
    from marketplace_ai.conf import conf

    return conf.claim_size


def _work(
    barrier: Barrier, results: multiprocessing.Queue[tuple[float, int, float, float]]
) -> None:
    django.setup()
    from marketplace_ai.queue.write import Written
    from marketplace_ai.worker.loop import Worker

    from .postings import ready_models

    last, decided = time.time(), 0

    def count(written: Written) -> None:
        nonlocal last, decided
        last, decided = time.time(), decided + written.decided

    queue_worker = Worker(ready_models(), on_batch=count)
    barrier.wait()
    python = time.process_time()
    queue_worker.run(until_empty=True)
    python = time.process_time() - python
    pid = connection.connection.info.backend_pid
    results.put((last, decided, python, _seconds(pid)))


def _seconds(pid: int) -> float:
    """Processor time of a process so far; the backend is as old as the worker's run."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
