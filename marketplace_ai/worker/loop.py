"""The queue worker's loop. It polls, and needs neither Celery nor Redis.

Each step is small and says whether it found work. Infrastructure errors end an iteration, not the
loop: rows whose write failed are released, or freed by their lease.
"""

from __future__ import annotations

import logging
import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from django.db import connections
from django.db.backends.signals import connection_created

from marketplace_ai.conf import conf
from marketplace_ai.db.alias import alias
from marketplace_ai.db.error_kind import (
    DATABASE_ERRORS,
    ErrorKind,
    describe,
    describe_with_cure,
    error_kind,
    sqlstate,
)
from marketplace_ai.db.read_timeout import set_read_timeout
from marketplace_ai.models import Encoder, PostingChange, QueuedPosting
from marketplace_ai.queue import claim as claims
from marketplace_ai.queue import intake, postponed, retry_policy, row_security
from marketplace_ai.queue.heartbeat import Heartbeat
from marketplace_ai.queue.lease import Liveness
from marketplace_ai.queue.lease_timing import lease_timing
from marketplace_ai.queue.notify import Listener
from marketplace_ai.queue.scans import TableScanner
from marketplace_ai.schema import rights, strays

from .candidate_schedule import CandidateScheduler
from .prefetch import Prefetcher

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Executor

    from django.db.models import QuerySet

    from marketplace_ai.queue.write import Written
    from marketplace_ai.serving.active_model import ActiveModel, ModelLoader

logger = logging.getLogger(__name__)

#: Claims of dead and frozen workers are looked for this often, in seconds.
RELEASE_LOST_SECONDS = 1.0
#: A waiting worker notices a stop, or the end of its parent, within this many seconds.
STOP_CHECK_SECONDS = 0.5
#: Tables whose rows may be hidden from this worker are looked for this often, in seconds.
HIDDEN_TABLES_SECONDS = 60.0
#: With ``until_empty``: how often to look whether the queue is empty, in seconds.
DRAIN_POLL_SECONDS = 0.1


class Worker:
    """Works the queue until it is stopped.

    ``models`` loads what it works with. ``parent`` is the process to end with (a supervisor that
    was killed cannot tell us). ``on_batch`` is called after each batch, for progress. ``executor``
    encodes texts and loads candidates: separate threads unless given. ``only`` is the key of
    the one candidate to work for; the active encoder is not loaded then.

    >>> worker = Worker(ModelLoader())   # doctest: +SKIP
    >>> worker.run(until_empty=True)     # doctest: +SKIP
    """

    def __init__(
        self,
        models: ModelLoader,
        *,
        parent: int | None = None,
        on_batch: Callable[[Written], None] = lambda written: None,
        executor: Executor | None = None,
        only: int | None = None,
    ) -> None:
        self._models = models
        self._only = only
        self.liveness = Liveness()
        self.listener = Listener()
        self._heartbeat = Heartbeat()
        #: Postings that row level security hides, as last logged.
        self._hidden = 0
        self._parent = parent
        self._on_batch = on_batch
        self._intake = intake.Intake()
        self._scanner = TableScanner(strays.remove)
        self._executor = executor or ThreadPoolExecutor(1, thread_name_prefix="encoder")
        #: The active model and what has its batches encoded; None before the first iteration.
        self._active: tuple[ActiveModel, Prefetcher] | None = None
        self._candidates = CandidateScheduler(
            models,
            stopping=lambda: self.stopping,
            collect=self._intake.collect_next,
            on_batch=on_batch,
            executor=self._executor,
            loader=executor,
            only=only,
        )
        self._stopped = False
        self._started_at = time.monotonic()
        self._next_release_lost = self._next_hidden_tables = 0.0
        #: Tables with rows that row level security may hide, as last logged.
        self._hidden_tables: list[tuple[str, str]] = []
        connection_created.connect(_configure_session, dispatch_uid="marketplace_ai.worker")

    def stop(self, *signal_arguments: Any) -> None:
        """Have ``run`` finish the batch that is being encoded, release the others, and return.
        Safe in a signal handler."""
        # A plain flag: an Event that is being waited for would deadlock in a signal handler.
        self._stopped = True

    @property
    def stopping(self) -> bool:
        return self._stopped or (self._parent is not None and os.getppid() != self._parent)

    def run(self, *, until_empty: bool = False) -> None:
        """Iterate until stopped, or until nothing is left but what ``unfinished`` names.

        Raises EncoderError where the active encoder cannot be loaded or fails; errors of the
        database are logged, and tried again. With ``until_empty`` a mistake in the set-up that
        stops everything is raised: only a person can end it.
        """
        failures = 0
        self._started_at = time.monotonic()
        # A connection that was open before would lack what _configure_session sets.
        connections[alias()].close()
        try:
            while not self.stopping:
                try:
                    has_worked = self.run_once()
                    failures = 0
                    self._heartbeat.beat(self.liveness.worker, "")
                    if has_worked:
                        continue
                    if until_empty and self._is_empty():
                        return
                    pause = DRAIN_POLL_SECONDS if until_empty else conf.poll_interval_seconds
                    self._wait(pause, self.listener.wait)
                except DATABASE_ERRORS as error:
                    if until_empty and error_kind(error) is ErrorKind.SETUP:
                        raise
                    failures += 1
                    pause = retry_policy.DATABASE.seconds(failures)
                    message = _sentence(error)
                    logger.warning("Trying again in %.1f s, after: %s", pause, message)
                    self._release_after_error()
                    self._disconnect()
                    if sqlstate(error):  # the database answers
                        self._report(message)
                    self._wait(pause, _sleep)
        finally:
            self.close()

    def close(self) -> None:
        """Write the batch that is in the encoder, if the database allows it, release the others,
        and close all connections but Django's. Whoever calls ``run_once`` must call this at
        the end: what stays in flight would be renewed, and count as hanging."""
        closing: list[CandidateScheduler | Prefetcher] = [self._candidates]
        if self._active is not None:
            closing.append(self._active[1])
        try:
            for work in closing:
                try:
                    work.close()
                except DATABASE_ERRORS as error:
                    logger.warning("The last batch was not written: %s", describe(error))
        finally:
            self._executor.shutdown()
            self._heartbeat.end()
            self.listener.close()
            self.liveness.close()

    def _release_after_error(self) -> None:
        if self._active is not None:
            self._active[1].release_after_error()
        self._candidates.release_after_error()

    def _report(self, error: str) -> None:
        """Show that this worker lives and what it waits for, while it pauses."""
        try:
            self._heartbeat.beat(self.liveness.acquire(), error)
        except DATABASE_ERRORS:
            self._disconnect()

    def _disconnect(self) -> None:
        """Close all connections: what one lost, the others may have lost without noticing."""
        connections[alias()].close()
        self.listener.close()
        self.liveness.close()

    def _wait(self, seconds: float, wait: Callable[[float], bool]) -> None:
        """Wait until something wakes us; in pieces, so that a stop is noticed in between."""
        until = time.monotonic() + seconds
        while not self.stopping and (left := until - time.monotonic()) > 0:
            if wait(min(left, STOP_CHECK_SECONDS)):
                return

    def run_once(self) -> bool:
        """One iteration over all kinds of work; whether there was any. One batch may still be in
        the encoder when it returns, to be written by the next iteration."""
        worker = self.liveness.acquire()
        self._heartbeat.beat(worker)
        self._release_lost_claims()
        has_collected = self._intake.collect_next() > 0 or not self._intake.is_between_passes
        self._complain_of_hidden()
        if self._only is not None:
            return self._build_candidate(worker, self._only) or has_collected
        has_written = self._process(worker)
        # After the batch: older postings keep no fresh one waiting.
        has_scanned = self._scan()
        if not (has_written or has_scanned or self._candidates.is_busy or self._models.is_behind):
            has_written = self._candidates.run_once(worker)
        return has_written or has_scanned or has_collected or self._models.is_behind

    def _release_lost_claims(self) -> None:
        if time.monotonic() < self._next_release_lost:
            return
        freed = claims.release_lost()
        if freed:
            logger.warning("Freed %d postings of a worker that ended or froze", freed)
        self._next_release_lost = time.monotonic() + RELEASE_LOST_SECONDS

    def _complain_of_hidden(self) -> None:
        """Name, once, what row level security keeps from this worker."""
        hidden, tables = self._intake.hidden, self._hidden_tables
        if time.monotonic() >= self._next_hidden_tables:
            tables = rights.hidden_tables()
            self._next_hidden_tables = time.monotonic() + HIDDEN_TABLES_SECONDS
        if (hidden, tables) == (self._hidden, self._hidden_tables):
            return
        self._hidden, self._hidden_tables = hidden, tables
        complaints = [*row_security.complaint(hidden)] if hidden else []
        for found in tables:
            complaints += [rights.hidden_sentence(*found), rights.hidden_cure(*found)]
        if complaints:
            logger.warning(" ".join(complaints))

    def _build_candidate(self, worker: int, only: int) -> bool:
        """An iteration for the one encoder that this worker is for, while it is a candidate."""
        if not Encoder.objects.using(alias()).candidates().filter(pk=only).exists():
            logger.info("This encoder is a candidate no longer: nothing is left to build")
            self.stop()
        return self._candidates.run_once(worker)

    def _process(self, worker: int) -> bool:
        """One batch: of the candidate that has batches in flight, unless something waits for the
        active encoder; else of the active encoder."""
        if self._candidates.is_busy:
            if not claims.is_due() and self._models.current() is not None:
                return self._candidates.run_once(worker)
            self._candidates.pause()
        return self._refresh().run_once(worker)

    def _refresh(self) -> Prefetcher:
        """The prefetcher of the active model, which is a piece closer to being up to date."""
        model = self._models.current()
        if model is None:
            if self._active is not None:
                self._active[1].finish()  # it may use the encoder
            model = self._models.advance()
            self._intake.collect_next()  # what came in meanwhile goes before the next piece
        if self._active is None or self._active[0] is not model:
            if self._active is not None:
                self._active[1].release_all()  # read for another encoder
            self._active = model, self._make_prefetcher(model)
            model.tune_process()
        return self._active[1]

    def _make_prefetcher(self, model: ActiveModel) -> Prefetcher:
        return Prefetcher(
            model,
            stopping=lambda: self.stopping,
            collect=self._intake.collect_next,
            on_batch=self._on_batch,
            executor=self._executor,
        )

    def _scan(self) -> bool:
        return self._active is not None and self._scanner.run_once(self._active[0].encoder)

    def unfinished(self) -> list[str]:
        """What stays undone until somebody acts, in a sentence each with its cure."""
        sentences = [postponed.complaint(self._postponed())]
        if self._intake.hidden:
            sentences.extend(row_security.complaint(self._intake.hidden))
        return [sentence for sentence in sentences if sentence]

    def _postponed(self) -> QuerySet[QueuedPosting]:
        """Rows that were tried since ``run`` began, and wait for a change of the set-up."""
        rows = postponed.tried_within(time.monotonic() - self._started_at)
        return rows if self._only is None else rows.filter(encoder=self._only)

    def _is_empty(self) -> bool:
        """Whether nothing is left to do, except for candidates that do not work, postponed rows
        and hidden changes."""
        due = (
            QueuedPosting.objects.remaining()
            .exclude(encoder__in=self._candidates.failed)
            .exclude(pk__in=self._postponed().values("pk"))
        )
        if self._only is not None:
            due = due.filter(encoder=self._only)
        hidden = self._intake.hidden_changes
        changes = PostingChange.objects.filter(posting__isnull=False)
        return not (
            self._candidates.is_loading or due.exists() or changes[: hidden + 1].count() > hidden
        )


def handle_signals(worker: Worker) -> None:
    """SIGTERM and SIGINT finish the batch that is being encoded and end the worker."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, worker.stop)


def _sleep(seconds: float) -> bool:
    time.sleep(seconds)
    return False


def _configure_session(sender: Any, connection: Any, **kwargs: Any) -> None:
    if connection.alias == alias():
        timing = lease_timing()
        set_read_timeout(connection.connection, timing.read_timeout)
        with connection.cursor() as cursor:
            cursor.execute(timing.session_sql())


def _sentence(error: BaseException) -> str:
    """The error for the log and for ``doctor``; with its cure, unless it passes by itself."""
    if error_kind(error) is ErrorKind.INFRASTRUCTURE:
        return describe(error)
    return describe_with_cure(error)
