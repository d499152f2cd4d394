"""Prefetching: while one batch is encoded, the next is claimed and read, and the last is written.

A claim is read into batches of texts of similar length, of a size that suits the encoder. The
encoder runs in a thread of its own, which does not use the database; everything else happens in
the caller's thread, on its one connection. When the last batch of a claim is in the encoder, the
next claim is taken; fresh rows are taken before the rest of a backfill's claim, which waits.
"""

from __future__ import annotations

import logging
import os
from collections import defaultdict
from concurrent.futures import Executor, Future, wait
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from django.db import connections

from marketplace_ai.conf import conf
from marketplace_ai.db.alias import alias
from marketplace_ai.db.error_kind import (
    DATABASE_ERRORS,
    ErrorKind,
    describe,
    describe_with_cure,
    error_kind,
    may_concern_one_row,
)
from marketplace_ai.encoding import EncoderError
from marketplace_ai.models import Priority
from marketplace_ai.queue import claim as claims
from marketplace_ai.queue.lease import Renewal
from marketplace_ai.queue.retry_policy import RELEASED_CLAIM_SECONDS, SETUP_SECONDS
from marketplace_ai.worker import EXIT_HUNG

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

    from marketplace_ai.queue.write import Written
    from marketplace_ai.serving.loaded_model import Batch, Vectors

logger = logging.getLogger(__name__)

#: Isolated rows that are claimed between two ordinary claims. A killed worker leaves a thousand.
MAX_ISOLATED_CLAIMS = 16
#: Postings in a row, each alone, that a mistake in the set-up stops before it is taken for
#: everybody's: from then on one posting at a time tries whether it is mended.
SETUP_IS_BROKEN = 3
#: Infrastructure errors in a row, of a server that answers, after which one row is suspected.
REPEATED_ERRORS = 5


@dataclass(slots=True, eq=False)
class UnreadClaim:
    """A claim whose texts are being read."""

    claim: claims.Claim
    renewal: Renewal

    @property
    def ids(self) -> list[int]:
        return [row.id for row in self.claim.rows]


@dataclass(slots=True, eq=False)
class InFlightBatch:
    """A batch that was claimed and is not yet written. Batches of one claim share its renewal."""

    batch: Batch
    renewal: Renewal
    #: Set once the batch is in the encoder.
    vectors: Future[Vectors] | None = None

    @property
    def claim(self) -> claims.Claim:
        return self.batch.claim

    @property
    def ids(self) -> list[int]:
        return [row.id for row, _ in self.batch.rows]

    @property
    def priority(self) -> int:
        return self.batch.rows[0][0].priority  # a batch's rows are equally urgent


class ClaimProcessor(Protocol):
    """What is done with claims: by ``ActiveModel`` with those of the active encoder
    (``claims_for`` None), by ``CandidateModel`` with those of one candidate."""

    claims_for: int | None

    def read(self, claim: claims.Claim) -> list[Batch]: ...
    def finish(self, batch: Batch, vectors: Vectors) -> Written: ...


class Prefetcher:
    """Claims, has encoded and writes; each ``run_once`` writes one batch.

    ``processor`` reads and writes; ``stopping`` is asked before anything new is claimed;
    ``collect`` moves changes from the log to the queue; ``on_batch`` is called after each write;
    texts are encoded in ``executor``, which has a single thread.
    """

    def __init__(
        self,
        processor: ClaimProcessor,
        *,
        stopping: Callable[[], bool],
        collect: Callable[[], object],
        on_batch: Callable[[Written], None],
        executor: Executor,
    ) -> None:
        self._processor, self._on_batch = processor, on_batch
        self._stopping, self._collect = stopping, collect
        self._executor = executor
        self._unread: UnreadClaim | None = None
        self._in_flight: list[InFlightBatch] = []
        self._isolated_claims_left = MAX_ISOLATED_CLAIMS
        self._worker = 0
        #: Postings in a row that a mistake in the set-up stopped, and errors that repeat.
        self._setup_failures = self._repeated_errors = 0

    @property
    def is_idle(self) -> bool:
        """Whether no batch is in flight."""
        return not self._in_flight

    def run_once(self, worker: int) -> bool:
        """Write one batch, after giving the encoder the next one; whether there was one.

        Raises database errors that are no single posting's fault, after releasing all claims
        uncounted, and EncoderError, whose batch a restarted worker tries row by row.
        """
        self._worker = worker
        try:
            if not self._in_flight:
                claim = self._claim_first(worker)
                if claim is None:
                    return False
                self._take(claim)
            for current in self._in_flight[:1]:  # none, if the claim could not be read
                self._encode(current)
                if len(self._in_flight) == 1 and self._may_prefetch(current):
                    self._take(self._claim(worker))
                self._complete(current)
        except EncoderError:
            self.release_all()
            raise
        except DATABASE_ERRORS:
            self.release_after_error()
            raise
        return True

    def finish(self) -> None:
        """Write what is being encoded and claim nothing more; afterwards the encoder is idle."""
        try:
            for batch in [batch for batch in self._in_flight if batch.vectors is not None]:
                self._complete(batch, encode_next=False)
        except DATABASE_ERRORS:
            self.release_after_error()
            raise

    def release_all(self) -> None:
        """Release everything in flight, uncounted; nothing may be in the encoder."""
        self._release(self._in_flight)

    def release_after_error(self) -> None:
        """``release_all`` after an infrastructure error; leases free what cannot be released."""
        connections[alias()].close()
        for batch in self._in_flight:
            if batch.vectors is not None and not batch.vectors.cancel():
                wait([batch.vectors])  # the next caller needs an idle encoder
        try:
            self._release(self._in_flight, delay=RELEASED_CLAIM_SECONDS)
        except DATABASE_ERRORS:
            logger.info("Batches could not be released; their leases will free them")

    def close(self) -> None:
        """``finish``, and release the rest."""
        try:
            self.finish()
        finally:
            self.release_all()

    # -- claiming and encoding -------------------------------------------------------------

    def _claim_first(self, worker: int) -> claims.Claim | None:
        """A claim with nothing in flight: some isolated rows, then an ordinary claim, so that
        neither starves the other."""
        if self._setup_is_broken:
            self._isolated_claims_left = min(self._isolated_claims_left, 1)
        if self._isolated_claims_left:
            self._isolated_claims_left -= 1
            if claim := self._claim(worker, isolated=True):
                return claim
        self._isolated_claims_left = MAX_ISOLATED_CLAIMS
        return self._claim(worker) or self._claim(worker, isolated=True)

    def _claim(
        self, worker: int, *, isolated: bool = False, above: int = -1
    ) -> claims.Claim | None:
        return claims.claim(
            worker,
            encoder_id=self._processor.claims_for,
            isolated=isolated,
            above=above,
            single=self._setup_is_broken,
        )

    @property
    def _setup_is_broken(self) -> bool:
        return self._setup_failures >= SETUP_IS_BROKEN

    def _may_prefetch(self, current: InFlightBatch) -> bool:
        """Not together with an isolated row: should the process die of it, nothing else may count
        as lost with it. Nor while such rows wait, which need a worker with nothing in flight."""
        claim = current.claim
        return not (
            claim.is_isolated or claim.isolated_waiting or self._setup_is_broken or self._stopping()
        )

    def _take(self, claim: claims.Claim | None, position: int | None = None) -> None:
        """Read a claim into batches, before those at ``position`` or behind all others."""
        if claim is None:
            return
        position = len(self._in_flight) if position is None else position
        unread = self._unread = UnreadClaim(claim, Renewal(claim.token, expire=_end_process))
        unread.renewal.start()
        try:
            batches = self._processor.read(claim)
        except Exception as error:  # noqa: BLE001 (raised again unless it is a posting's)
            self._end_failed(unread, error, "read")
            return
        read = [InFlightBatch(batch, unread.renewal) for batch in batches]
        self._in_flight[position:position] = read
        self._drop(unread)

    def _encode(self, batch: InFlightBatch) -> Future[Vectors]:
        """The batch's vectors to come; gives it to the encoder unless it is there already."""
        if batch.vectors is None:
            batch.renewal.start_timer()
            batch.vectors = self._executor.submit(_encode_timed, batch.batch, batch.renewal)
        return batch.vectors

    # -- writing and releasing -------------------------------------------------------------

    def _complete(self, batch: InFlightBatch, *, encode_next: bool = True) -> None:
        """Wait for the vectors, give the encoder its next batch, then decide and write."""
        try:
            vectors = self._encode(batch).result()
        except Exception as error:
            logger.exception("A batch of %d postings cannot be encoded", len(batch.ids))
            self._blame(batch, error)
            if isinstance(error, EncoderError):
                # It worked when it was warmed up, so a text of this batch may have broken it.
                raise
            return
        if encode_next:
            self._encode_next()
        try:
            written = self._processor.finish(batch.batch, vectors)
        except Exception as error:  # noqa: BLE001 (raised again unless it is a posting's)
            self._end_failed(batch, error, "written")
            return
        self._setup_failures = self._repeated_errors = 0
        self._drop(batch)
        self._on_batch(written)

    def _encode_next(self) -> None:
        """Give the encoder the next batch; a more urgent one, if any has come in meanwhile."""
        prefetched = self._in_flight[1:]
        if self._stopping():
            self._release(prefetched)
        elif prefetched and prefetched[0].priority < Priority.FRESH:
            # A backfill's batch must not go before what was created while it waited.
            self._collect()
            urgent = self._claim(self._worker, above=prefetched[0].priority)
            if urgent is not None:
                # Kept in flight, the backfill's rows would wait for the end of a flood, and
                # isolated rows with them.
                if urgent.isolated_waiting or len(urgent.rows) >= conf.claim_size:
                    self._release(prefetched)
                self._take(urgent, position=1)
        for following in self._in_flight[1:2]:
            self._encode(following)

    def _end_failed(
        self, failed: InFlightBatch | UnreadClaim, error: Exception, participle: str
    ) -> None:
        """End what could not be read or written, by the kind of its error. Raises the error
        where the caller has to wait before anything is tried again."""
        kind = error_kind(error)
        if kind is ErrorKind.INFRASTRUCTURE:
            self._repeated_errors += may_concern_one_row(error)
            if self._repeated_errors < REPEATED_ERRORS:
                raise error
            kind = ErrorKind.SETUP  # find the row, and count it for nobody
        if kind is ErrorKind.SETUP:
            self._postpone(failed, error)
            return
        # A database error's traceback would quote the row.
        trace = None if isinstance(error, DATABASE_ERRORS) else error
        logger.error(
            "A batch of %d postings cannot be %s: %s",
            len(failed.ids), participle, describe(error), exc_info=trace,
        )  # fmt: skip
        self._blame(failed, error)

    def _postpone(self, failed: InFlightBatch | UnreadClaim, error: Exception) -> None:
        """A mistake in the set-up, which may concern all postings or only some: each is tried
        alone, uncounted, so that the others are decided. Raises the error once several have met
        it, since then everything waits."""
        claim = failed.claim
        if len(claim.rows) > 1:
            claims.isolate(claim.token, failed.ids)
            self._drop(failed)
            return
        message = describe_with_cure(error)
        claims.postpone(claim.token, failed.ids[0], message, delay=SETUP_SECONDS)
        self._drop(failed)
        self._setup_failures += 1
        if self._setup_is_broken:
            raise error
        logger.warning("A posting waits, uncounted: %s", message)

    def _blame(self, failed: InFlightBatch | UnreadClaim, error: Exception) -> None:
        """Find the posting that fails: isolate each row of a batch, count an isolated one."""
        claim = failed.claim
        if claim.is_isolated:
            claims.fail(claim.token, failed.ids[0], describe(error))
        else:
            claims.isolate(claim.token, failed.ids)
        self._drop(failed)

    def _release(self, batches: list[InFlightBatch], delay: float = 0.0) -> None:
        """Stop renewing the batches, then release their rows, one claim at a time. Rows that
        are being renewed at that moment would be skipped."""
        ids: dict[UUID, list[int]] = defaultdict(list)
        dropping: list[InFlightBatch | UnreadClaim] = [*batches]
        if self._unread is not None:
            dropping.append(self._unread)
        for dropped in dropping:
            ids[dropped.claim.token] += dropped.ids
            self._drop(dropped)
        for token, rows in ids.items():
            claims.release(token, rows, delay=delay)

    def _drop(self, dropped: InFlightBatch | UnreadClaim) -> None:
        """Remove it, and stop the renewal of its claim after the last batch."""
        if isinstance(dropped, UnreadClaim):
            self._unread = None
        else:
            self._in_flight.remove(dropped)
        if all(batch.renewal is not dropped.renewal for batch in self._in_flight):
            dropped.renewal.stop()


def _encode_timed(batch: Batch, renewal: Renewal) -> Vectors:
    """Runs in the encoder's thread: the time it takes is what counts as hanging."""
    try:
        return batch.encode()
    finally:
        renewal.stop_timer()


def _end_process() -> None:
    """A batch hangs: no exception can end a device call, so the supervisor starts a new worker."""
    logger.error(
        "A batch took longer than MARKETPLACE_AI_ENCODE_TIMEOUT (%s s); this worker ends itself",
        conf.encode_timeout,
    )
    os._exit(EXIT_HUNG)
