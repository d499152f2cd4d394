"""Checks of the change triggers, the queue, table scans and long transactions."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

from marketplace_ai.doctor.finding import Finding
from marketplace_ai.models import EncoderState, ScanPurpose, TableScan
from marketplace_ai.queue import backfill, orphaned_postings, row_security, scans, stats, trigger

#: If a fresh posting waits longer than this, the workers do not keep up.
SLOW = dt.timedelta(minutes=1)
#: A transaction open longer than this makes dead rows pile up in the queue.
LONG_TRANSACTION = dt.timedelta(minutes=10)


def triggers() -> Iterator[Finding]:
    """Whether each trigger on the project's tables is installed and enabled."""
    for status in trigger.status():
        cure = {
            "installed": "",
            "disabled": f"ALTER TABLE {status.table} ENABLE TRIGGER {status.name}",
        }.get(status.state, "Run manage.py migrate: it installs the triggers.")
        yield Finding(
            "trigger", status.state == "installed",
            f"{status.name} on {status.table} is {status.state}", cure,
        )  # fmt: skip


def queue() -> Iterator[Finding]:
    """How long the queue is and how long its oldest fresh posting has waited; failed postings."""
    state = stats.queue_health()
    logged, queued, claimed, failed = map(
        stats.format_count, (state.logged, state.queued, state.claimed, state.failed)
    )
    is_late = state.oldest > SLOW
    yield Finding(
        "queue", not is_late,
        f"{logged} new changes, {queued} queued ({claimed} being worked on), "
        f"the oldest fresh one for {state.oldest.total_seconds():.0f} s",
        "Start more workers, or look at their log." if is_late else "",
    )  # fmt: skip
    if state.failed:
        yield Finding(
            "failed", False, f"{failed} postings failed and wait for a retry.",
            "See their errors in admin under Queued postings, and retry them from there.",
        )  # fmt: skip
    if state.postponed:
        waiting = f"{stats.format_count(state.postponed)} postings wait"
        if state.postponed == 1:
            waiting = "1 posting waits"
        yield Finding(
            "set-up", False, f"{waiting}, uncounted, after: {state.postponed_error}",
            "Fix that; workers try again every half minute.",
        )  # fmt: skip
    if state.rescans:
        yield Finding(
            "rescan", False,
            "A trigger could not say which postings changed (its warning is in PostgreSQL's log).",
            "Run manage.py migrate, then manage.py backfill_embeddings.",
        )  # fmt: skip


def orphaned() -> Iterator[Finding]:
    """How many postings were decided for a category that is deleted, and wait for nothing."""
    count, is_all = orphaned_postings.count_forgotten()
    if count:
        yield Finding(
            "deleted categories", False,
            f"{count}{'' if is_all else ' or more'} postings were decided for a category that was "
            "deleted since, and nothing looks at them again.",
            "Run manage.py backfill_embeddings: it has them decided anew.",
        )  # fmt: skip


def table_scans() -> Iterator[Finding]:
    """How far each unfinished backfill or reconcile run of the active encoder is."""
    for scan in TableScan.objects.unfinished().select_related("encoder").order_by("pk"):
        if scan.encoder is not None and scan.encoder.state != EncoderState.ACTIVE:
            continue  # reported with the candidate
        progress = scans.progress(scan, backfill.queued_rows()[: stats.LARGEST_COUNT].count())
        about = "about " if scan.is_estimated else ""
        left = "" if progress.left is None else f", {progress.left} left at {progress.rate:,.0f}/s"
        message = f"{progress.done:,} of {about}{progress.total:,} postings{left}"
        if scan.purpose == ScanPurpose.RECONCILE:
            yield Finding("reconcile", True, f"Looking for what was missed: {message}")
        elif scan.stopped_at:
            yield Finding(
                "backfill", True, f"Stopped after {message}",
                "To resume it, run manage.py backfill_embeddings with the same options.",
            )  # fmt: skip
        else:
            yield Finding("backfill", True, message)


def long_transaction() -> Iterator[Finding]:
    """The oldest transaction, if it is old enough to keep vacuum from the queue's dead rows."""
    transaction = stats.oldest_transaction(LONG_TRANSACTION)
    if transaction is not None:
        minutes = transaction.age.total_seconds() / 60
        yield Finding(
            "vacuum", False,
            f"A transaction of {transaction.user} ({transaction.application or 'unnamed'}, process "
            f"{transaction.pid}) has been open for {minutes:.0f} minutes: dead rows cannot be "
            "removed, and claims become slower.",
            f"End it where it was begun, or run SELECT pg_terminate_backend({transaction.pid}).",
        )  # fmt: skip


def row_level_security() -> Iterator[Finding]:
    """Whether policies hide postings from this role, which should be that of the workers."""
    if not row_security.is_active():
        return
    hidden = row_security.count_hidden(stats.LARGEST_COUNT)
    if hidden:
        yield Finding("row level security", False, *row_security.complaint(hidden))
    else:
        yield Finding(
            "row level security", True, "Policies decide which postings workers see.",
            "Give the workers' role BYPASSRLS, or a policy with USING (true): a posting that is "
            "hidden waits.",
        )  # fmt: skip


CHECKS = [queue, orphaned, row_level_security, table_scans, long_transaction]
