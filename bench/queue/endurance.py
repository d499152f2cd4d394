"""What a long run does to a worker's memory and to the queue's tables."""

from __future__ import annotations

import os
import time
from statistics import quantiles

import psycopg
from django.db import connection, connections

from marketplace_ai.queue import claim as claims
from marketplace_ai.queue.lease import Liveness
from marketplace_ai.worker.loop import Drainer

from ..rows import say
from .postings import ReadyPipeline, create, empty
from .world import scaled

STEP = 10_000
#: Postings a second while a transaction is held, and for how long, in seconds.
OFFERED, HELD = 2_000, 90.0


def memory() -> float:
    """Resident bytes at the end by those after a tenth of the postings, when all is loaded."""
    drainer, total, sizes = Drainer(ReadyPipeline()), scaled(200_000), []
    empty()
    step = min(STEP, total // 10)
    for done in range(step, total + 1, step):
        create(step)
        while drainer.turn():
            pass
        sizes.append(_resident())
        if done % (step * 5) == 0:
            say(f"{done:,} postings: {sizes[-1] / 2**20:.1f} MiB")
    drainer.close()
    return max(sizes) / sizes[len(sizes) // 10 - 1]


def held_transaction() -> float:
    """Milliseconds of a claim while a reader's transaction keeps every dead row from vacuum.

    Postings come at a steady rate and are worked off as they come.
    """
    drainer, liveness = Drainer(ReadyPipeline()), Liveness()
    empty()
    reader = connections["default"].copy()
    with reader.cursor() as cursor:
        cursor.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        cursor.execute("SELECT count(*) FROM marketplace_ai_queuedposting")
    worker, taken, created, turns = liveness.hold(), [], 0, []
    start = time.monotonic()
    seconds = HELD * float(os.environ.get("BENCH_SCALE", "1"))
    while (now := time.monotonic() - start) < seconds:
        if (due := int(now * OFFERED) - created) >= 100:
            create(due)
            created += due
        begun = time.perf_counter()
        drainer.turn()
        turns.append(time.perf_counter() - begun)
        begun = time.perf_counter()
        claimed = claims.claim(worker)
        taken.append(time.perf_counter() - begun)
        if claimed is not None:
            claims.release(claimed.token, [row.id for row in claimed.rows])
    liveness.close()
    drainer.close()
    dead = _dead_rows()
    reader.close()
    claim, turn = (1000 * quantiles(times, n=20)[-1] for times in (taken, turns))
    say(
        f"{created:,} postings in {seconds:.0f} s, {dead:,} dead rows in queue and log; 95th "
        f"percentile of a claim {claim:.1f} ms, of a whole turn {turn:.1f} ms; "
        f"load {os.getloadavg()[0]:.1f}"
    )
    return claim


def _dead_rows() -> int:
    connection.close()
    with psycopg.connect(os.environ["DATABASE_URL"]) as own:
        own.execute("SELECT pg_stat_force_next_flush()")
        time.sleep(1)
        row = own.execute(
            "SELECT sum(n_dead_tup) FROM pg_stat_user_tables WHERE relname IN "
            "('marketplace_ai_queuedposting', 'marketplace_ai_postingchange')"
        ).fetchone()
    return int(row[0]) if row else 0


def _resident() -> int:
    with open("/proc/self/statm") as file:  # noqa: PTH123 (no file on a disk)
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
