"""The one loop that works postings off; it polls, and needs neither Celery nor Redis.

Each step is small and says whether it found work. Infrastructure errors end a turn, not the
loop: rows whose write failed are given back or freed by their lease.
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
from marketplace_ai.db.read_timeout import set_read_timeout
from marketplace_ai.models import Encoder, PostingChange, QueuedPosting
from marketplace_ai.queue import claim as claims
from marketplace_ai.queue import intake
from marketplace_ai.queue.lease import Liveness
from marketplace_ai.queue.notify import Listener
from marketplace_ai.queue.scans import Walker
from marketplace_ai.text.normalize import one_line

from .candidate_schedule import Candidates
from .prefetch import INFRASTRUCTURE, Overlap

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Executor

    from marketplace_ai.queue.write import Written
    from marketplace_ai.serving.pipeline import Pipeline

logger = logging.getLogger(__name__)

#: Dead and frozen workers are looked for this often, in seconds.
RECOVER_SECONDS = 1.0
#: A waiting drainer notices a stop, or the end of its parent, within this many seconds.
NOTICE_SECONDS = 0.5
#: Longest pause after errors of the database, in seconds.
MAX_BACKOFF = 10.0
#: A frozen worker must not hold locks in an open transaction; one statement of ours takes
#: milliseconds, so these bounds only ever end what has gone wrong.
SESSION = "SET idle_in_transaction_session_timeout = '15s'; SET lock_timeout = '10s'"


class Drainer:
    """Works the queue off until told to stop.

    ``on_batch`` is called after each batch, for progress. ``parent`` is the process to end
    with (a supervisor that was killed cannot tell us). ``executor`` is where texts are encoded
    and candidates loaded: threads of their own, unless given. ``only``: the key of a candidate,
    for which alone this drainer works; the active encoder is not loaded then.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        *,
        parent: int | None = None,
        on_batch: Callable[[Written], None] = lambda written: None,
        executor: Executor | None = None,
        only: int | None = None,
    ) -> None:
        self.pipeline = pipeline
        self._only = only
        self.liveness = Liveness()
        self.listener = Listener()
        self._parent = parent
        self._intake = intake.Intake()
        self._walker = Walker()
        self._executor = executor or ThreadPoolExecutor(1, thread_name_prefix="encoder")
        self._overlap = Overlap(
            pipeline,
            stopping=lambda: self.stopping,
            collect=self._intake.step,
            on_batch=on_batch,
            executor=self._executor,
        )
        self._candidates = Candidates(
            pipeline,
            stopping=lambda: self.stopping,
            collect=self._intake.step,
            on_batch=on_batch,
            executor=self._executor,
            loader=executor,
            only=only,
        )
        self._encoder: Encoder | None = None
        self._stopped = False
        self._next_recovery = 0.0
        connection_created.connect(_configure_session, dispatch_uid="marketplace_ai.drainer")

    def stop(self, *signal_arguments: Any) -> None:
        """Finish the batch that is being encoded and return from ``run``; the others go back.
        Safe in a signal handler."""
        # A plain mark: an Event that is being waited for would deadlock in a signal handler.
        self._stopped = True

    @property
    def stopping(self) -> bool:
        return self._stopped or (self._parent is not None and os.getppid() != self._parent)

    def run(self, *, until_empty: bool = False) -> None:
        """Turn after turn until stopped, or until nothing is left that is due now."""
        failures = 0
        # A connection that was open before would lack what _configure_session sets.
        connections[alias()].close()
        try:
            while not self.stopping:
                try:
                    found = self.turn()
                    failures = 0
                    if found:
                        continue
                    if until_empty and self._is_empty():
                        return
                    self._wait(0.1 if until_empty else conf.poll_seconds, self.listener.wait)
                except INFRASTRUCTURE as error:
                    failures += 1
                    pause = min(0.2 * 2**failures, MAX_BACKOFF)
                    logger.warning("%s; trying again in %.1f s", _one_line(error), pause)
                    self._overlap.save()
                    self._candidates.save()
                    self._hang_up()
                    self._wait(pause, _sleep)
        finally:
            self.close()

    def close(self) -> None:
        """Write the batch that is in the encoder, if the database lets us, give the others
        back, and leave all connections but Django's. Whoever calls ``turn`` calls this at the end:
        what stays in hand would be renewed, and count as hung after its time."""
        try:
            for work in (self._candidates, self._overlap):
                try:
                    work.close()
                except INFRASTRUCTURE as error:
                    logger.warning("The last batch was not written: %s", _one_line(error))
        finally:
            self._executor.shutdown()
            self.listener.close()
            self.liveness.close()

    def _hang_up(self) -> None:
        """Leave all connections: what one lost, the others may have lost without noticing."""
        connections[alias()].close()
        self.listener.close()
        self.liveness.close()

    def _wait(self, seconds: float, wait: Callable[[float], bool]) -> None:
        """Wait until something wakes us; in pieces, so that a stop is noticed in between."""
        until = time.monotonic() + seconds
        while not self.stopping and (left := until - time.monotonic()) > 0:
            if wait(min(left, NOTICE_SECONDS)):
                return

    def turn(self) -> bool:
        """One round of all steps; whether there was anything to do. One batch may still be
        in the encoder when it returns, to be written by the next turn."""
        worker = self.liveness.hold()
        if time.monotonic() >= self._next_recovery:
            freed = claims.recover()
            if freed:
                logger.warning("Freed %d postings of a worker that ended or froze", freed)
            self._next_recovery = time.monotonic() + RECOVER_SECONDS
        collected = self._intake.step() > 0 or not self._intake.between_passes
        if self._only is not None:
            return self._build(worker, self._only) or collected
        worked = self._work(worker)
        # After the batch: older postings keep no fresh one waiting.
        walked = self._walk()
        if not (worked or walked or self._candidates.is_busy):
            worked = self._candidates.turn(worker)
        return worked or walked or collected

    def _build(self, worker: int, only: int) -> bool:
        """A turn of the one encoder that this drainer is for, as long as it is a candidate."""
        if not Encoder.objects.using(alias()).candidates().filter(pk=only).exists():
            logger.info("This encoder is a candidate no longer: nothing is left to build")
            self.stop()
        return self._candidates.turn(worker)

    def _work(self, worker: int) -> bool:
        """A turn of whichever encoder has batches in hand; the active one's, where there are none
        or something waits for it."""
        if self._candidates.is_busy:
            if not claims.is_due() and not self.pipeline.stale():
                return self._candidates.turn(worker)
            self._candidates.pause()
        if self.pipeline.stale():
            self._overlap.finish()
            self.pipeline.refresh()
            if self.pipeline.encoder is not self._encoder:
                self._overlap.give_back()  # read for another encoder
                self.pipeline.settle()
                self._encoder = self.pipeline.encoder
        return self._overlap.turn(worker)

    def _walk(self) -> bool:
        encoder = self.pipeline.encoder
        return encoder is not None and self._walker.step(encoder)

    def _is_empty(self) -> bool:
        """Whether nothing is left to do, but for candidates that do not work."""
        due = QueuedPosting.objects.remaining().exclude(encoder__in=self._candidates.in_trouble)
        if self._only is not None:
            due = due.filter(encoder=self._only)
        return not (
            self._candidates.is_loading
            or due.exists()
            or PostingChange.objects.filter(posting__isnull=False).exists()
        )


def handle_signals(drainer: Drainer) -> None:
    """SIGTERM and SIGINT finish the batch in hand."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, drainer.stop)


def _sleep(seconds: float) -> bool:
    time.sleep(seconds)
    return False


def _configure_session(sender: Any, connection: Any, **kwargs: Any) -> None:
    if connection.alias == alias():
        set_read_timeout(connection.connection)
        with connection.cursor() as cursor:
            cursor.execute(SESSION)


def _one_line(error: BaseException) -> str:
    return one_line(str(error)) or type(error).__name__
