"""One batch ahead: while one is encoded, the next is claimed and read, and the last is written.

A claim is read into batches of texts of like length, of the size that suits the encoder. It works
in a thread of its own, which touches no database; everything else happens in the caller's
thread, on its one connection. When the last batch of a claim is in the encoder the next claim is
taken; what is fresh is taken before the rest of a backfill's claim, which waits in hand.
"""

from __future__ import annotations

import logging
import os
from collections import defaultdict
from concurrent.futures import Executor, Future, wait
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import psycopg
from django.db import InterfaceError, OperationalError, ProgrammingError, connections

from marketplace_ai.conf import conf
from marketplace_ai.db.alias import alias
from marketplace_ai.encoding import EncoderError
from marketplace_ai.models import Priority
from marketplace_ai.queue import claim as claims
from marketplace_ai.queue.lease import Renewal
from marketplace_ai.worker import EXIT_HUNG

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

    from marketplace_ai.queue.write import Written
    from marketplace_ai.serving.loaded_model import Batch, Vectors

logger = logging.getLogger(__name__)

#: Faults of connections, locks, timeouts, or a schema in the middle of a migration: no
#: posting is to blame. (psycopg's own come from connections that Django does not manage.)
INFRASTRUCTURE = (OperationalError, InterfaceError, ProgrammingError, psycopg.Error)
#: Rows marked alone that are tried between two ordinary claims. A killed worker leaves a thousand.
ALONE_IN_A_ROW = 16


@dataclass(slots=True, eq=False)
class Hand:
    """Rows of a claim in this worker's hands: read when ``batch`` is there, encoded or being
    encoded when ``vectors`` is. The hands of one claim share its renewal."""

    claim: claims.Claim
    renewal: Renewal
    batch: Batch | None = None
    vectors: Future[Vectors] | None = None

    @property
    def rows(self) -> list[claims.Claimed]:
        return self.claim.rows if self.batch is None else [row for row, _ in self.batch.rows]

    @property
    def ids(self) -> list[int]:
        return [row.id for row in self.rows]

    @property
    def priority(self) -> int:
        return self.rows[0].priority  # a batch's rows are equally urgent


class Work(Protocol):
    """What is done with claims: ``Pipeline`` with those of the active encoder (``claims_for``
    None), ``Candidate`` with one other encoder's."""

    claims_for: int | None

    def read(self, claim: claims.Claim) -> list[Batch]: ...
    def finish(self, batch: Batch, vectors: Vectors) -> Written: ...


class Overlap:
    """Claims, has encoded and writes, in turns that each write one batch.

    ``stopping`` is asked before anything new is taken up; ``collect`` moves what is new from the
    log to the queue; ``executor``, a single thread's, is where texts are encoded.
    """

    def __init__(
        self,
        work: Work,
        *,
        stopping: Callable[[], bool],
        collect: Callable[[], object],
        on_batch: Callable[[Written], None],
        executor: Executor,
    ) -> None:
        self._work, self._on_batch = work, on_batch
        self._stopping, self._collect = stopping, collect
        self._executor = executor
        self._hands: list[Hand] = []
        self._alone_left = ALONE_IN_A_ROW
        self._worker = 0

    @property
    def is_idle(self) -> bool:
        """Whether nothing is in hand."""
        return not self._hands

    def turn(self, worker: int) -> bool:
        """Write one batch, having given the encoder the next one; whether there was one.

        Raises what is nobody's fault (``INFRASTRUCTURE``, all claims are given back uncounted)
        and ``EncoderError`` (its batch is tried one by one by a worker that starts anew).
        """
        self._worker = worker
        try:
            if not self._hands:
                claim = self._claim(worker)
                if claim is None:
                    return False
                self._take(claim)
            for current in self._hands[:1]:  # none, where it could not be read
                self._encode(current)
                if len(self._hands) == 1 and self._may_go_ahead(current):
                    self._take(self._next(worker))
                self._complete(current)
        except EncoderError:
            self.give_back()
            raise
        except INFRASTRUCTURE:
            self.save()
            raise
        return True

    def finish(self) -> None:
        """Write what is being encoded and take up nothing new: then the encoder is idle."""
        try:
            for hand in [hand for hand in self._hands if hand.vectors is not None]:
                self._complete(hand, and_go_on=False)
        except INFRASTRUCTURE:
            self.save()
            raise

    def give_back(self) -> None:
        """All that is in hand, uncounted; nothing may be in the encoder."""
        self._release(self._hands)

    def save(self) -> None:
        """``give_back`` after a fault that was nobody's; what cannot be, its lease frees."""
        connections[alias()].close()
        for hand in self._hands:
            if hand.vectors is not None and not hand.vectors.cancel():
                wait([hand.vectors])  # whoever goes on needs an idle encoder
        try:
            self._release(self._hands, delay=1.0)
        except INFRASTRUCTURE:
            logger.info("Batches could not be given back; their leases will free them")

    def close(self) -> None:
        """``finish``, and give back the rest."""
        try:
            self.finish()
        finally:
            self.give_back()

    # -- taking up -------------------------------------------------------------------------

    def _claim(self, worker: int) -> claims.Claim | None:
        """With nothing in hand: some of the rows marked alone, then an ordinary claim, so that
        neither starves the other."""
        if self._alone_left:
            self._alone_left -= 1
            if claim := self._next(worker, alone=True):
                return claim
        self._alone_left = ALONE_IN_A_ROW
        return self._next(worker) or self._next(worker, alone=True)

    def _next(self, worker: int, *, alone: bool = False, above: int = -1) -> claims.Claim | None:
        return claims.claim(worker, encoder_id=self._work.claims_for, alone=alone, above=above)

    def _may_go_ahead(self, current: Hand) -> bool:
        """Not beside a row that is tried alone: should the process die of it, nothing else
        may count as lost with it. Nor where such rows wait, which need empty hands."""
        claim = current.claim
        return not (claim.alone or claim.alone_waits or self._stopping())

    def _take(self, claim: claims.Claim | None, place: int | None = None) -> None:
        """Read a claim into batches, before those at ``place`` or behind all others."""
        if claim is None:
            return
        place = len(self._hands) if place is None else place
        unread = Hand(claim, Renewal(claim.token, expire=_end_process))
        unread.renewal.start()
        self._hands.insert(place, unread)
        try:
            batches = self._work.read(claim)
        except INFRASTRUCTURE:
            raise
        except Exception as error:
            logger.exception("A batch of %d postings cannot be read", len(unread.ids))
            self._blame(unread, error)
            return
        read = [Hand(claim, unread.renewal, batch) for batch in batches]
        self._hands[place:place] = read
        self._drop(unread)

    def _encode(self, hand: Hand) -> None:
        if hand.vectors is None and hand.batch is not None:
            hand.renewal.begin()
            hand.vectors = self._executor.submit(_encoded, hand.batch, hand.renewal)

    # -- letting go ------------------------------------------------------------------------

    def _complete(self, hand: Hand, *, and_go_on: bool = True) -> None:
        """Wait for the vectors, give the encoder its next batch, then decide and write."""
        assert hand.batch is not None and hand.vectors is not None  # noqa: S101
        try:
            vectors = hand.vectors.result()
        except Exception as error:
            logger.exception("A batch of %d postings cannot be encoded", len(hand.ids))
            self._blame(hand, error)
            if isinstance(error, EncoderError):
                # It worked when it was warmed up, so a text of this batch may have broken it.
                raise
            return
        if and_go_on:
            self._go_on()
        try:
            written = self._work.finish(hand.batch, vectors)
        except INFRASTRUCTURE:
            raise
        except Exception as error:
            logger.exception("A batch of %d postings cannot be written", len(hand.ids))
            self._blame(hand, error)
            return
        self._drop(hand)
        self._on_batch(written)

    def _go_on(self) -> None:
        """Give the encoder the next batch: of what has become more urgent meanwhile, if any."""
        ahead = self._hands[1:]
        if self._stopping():
            self._release(ahead)
        elif ahead and ahead[0].priority < Priority.FRESH:
            # A backfill's batch must not stand before what was created while it waited.
            self._collect()
            urgent = self._next(self._worker, above=ahead[0].priority)
            if urgent is not None:
                # Kept in hand, it would wait for a flood's end, and rows marked alone with it.
                if urgent.alone_waits or len(urgent.rows) >= conf.batch_size:
                    self._release(ahead)
                self._take(urgent, place=1)
        for following in self._hands[1:2]:
            self._encode(following)

    def _blame(self, hand: Hand, error: Exception) -> None:
        """Find the posting that fails: each of a batch is tried alone, one alone is counted."""
        if hand.claim.alone:
            claims.fail(hand.claim.token, hand.ids[0], f"{type(error).__name__}: {error}")
        else:
            claims.isolate(hand.claim.token, hand.ids)
        self._drop(hand)

    def _release(self, hands: list[Hand], delay: float = 0.0) -> None:
        """Let go of hands, then give their rows back, a claim at a time: rows that are being
        renewed at that moment would be passed over."""
        ids: dict[UUID, list[int]] = defaultdict(list)
        for hand in [*hands]:
            ids[hand.claim.token] += hand.ids
            self._drop(hand)
        for token, rows in ids.items():
            claims.release(token, rows, delay=delay)

    def _drop(self, hand: Hand) -> None:
        self._hands.remove(hand)
        if all(other.renewal is not hand.renewal for other in self._hands):
            hand.renewal.stop()


def _encoded(batch: Batch, renewal: Renewal) -> Vectors:
    """In the encoder's thread, whose time is what counts as hanging."""
    try:
        return batch.encode()
    finally:
        renewal.rest()


def _end_process() -> None:
    """A batch hung: no exception can end a device call, so the supervisor starts anew."""
    logger.error(
        "A batch took longer than MARKETPLACE_AI_ENCODE_TIMEOUT (%s s); this worker ends itself",
        conf.encode_timeout,
    )
    os._exit(EXIT_HUNG)
