"""The way of a posting, top to bottom; the one place where the rooms meet.

A claimed batch is read, encoded, compared with the exemplars, decided and written. No database
transaction is open while it is encoded, in a thread beside (``worker.overlap``).
"""

from __future__ import annotations

import gc
import logging
import time
from typing import TYPE_CHECKING

from threadpoolctl import threadpool_limits

from marketplace_ai.encoders import active
from marketplace_ai.exemplars import descriptions, vector_store
from marketplace_ai.exemplars.encode import encode_exemplars
from marketplace_ai.models import Encoder
from marketplace_ai.queue import claim as claims
from marketplace_ai.queue.write import Written, write
from marketplace_ai.serving.loaded_model import Batch, Resident, Vectors
from marketplace_ai.versions import activation

if TYPE_CHECKING:
    from collections.abc import Callable

    from marketplace_ai.encoding import TextEncoder

logger = logging.getLogger(__name__)

#: Categories are looked at this often, in seconds: a host may write them by any road.
DESCRIPTIONS_SECONDS = 30.0


class Pipeline(Resident):
    """The active encoder, its classifier and the exemplars, and the work done with them."""

    #: It claims what waits for the active encoder, whichever that is.
    claims_for: int | None = None

    def __init__(self) -> None:
        super().__init__()
        #: Encoders in this process by primary key, candidates too: whichever becomes the active
        #: one, or is no longer it, is not loaded again.
        self.loaded: dict[int, TextEncoder] = {}
        self._described: tuple[int, int] | None = None  # None: it did not work, or was never done
        self._next_look = 0.0
        self._standing: activation.Standing | None = None

    def stale(self) -> bool:
        """Whether ``refresh`` has something to do; one query."""
        return (
            self.encoder is None
            or time.monotonic() >= self._next_look
            or activation.standing() != self._standing
        )

    def refresh(self, progress: Callable[[int], None] = lambda encoded: None) -> None:
        """Follow what is in force: encoder, classifier, exemplars; cheap when nothing is new.
        It may use the encoder, so nobody else may at that time."""
        standing = activation.standing()  # read first: what changes meanwhile is seen again
        encoder = Encoder.objects.active()
        if encoder is None or self.encoder is None or encoder.pk != self.encoder.pk:
            encoder, texts = active.ensure_active(logger.info, self.loaded)
            texts.warm_up()
            self.loaded[encoder.pk] = texts
            self._use(encoder, texts)
        self._follow_classifier()
        self._align_descriptions()
        if not self._is_current():
            assert self.encoder is not None and self.texts is not None  # noqa: S101
            encode_exemplars(self.encoder, self.texts, progress)
            self._follow_exemplars()
        self._standing = standing

    def settle(self) -> None:
        """For a process that does nothing else, after loading: what costs every batch processor
        time, and is worth none."""
        assert self.texts is not None  # noqa: S101
        # Some hundred thousand objects of libraries, which no collection needs to walk again.
        gc.collect()
        gc.freeze()
        if self.texts.uses_all_cores:
            # Threads of a product go on spinning for some milliseconds when it is done.
            threadpool_limits(1, user_api="blas")

    def _align_descriptions(self) -> None:
        """Exemplars that came or went, and from time to time the categories, may change which
        descriptions vote."""
        now, seen = time.monotonic(), vector_store.generation()
        if self._described in (seen, None) and now < self._next_look:
            return
        done = descriptions.sync_safely(min_age=DESCRIPTIONS_SECONDS)
        # As it was before: what came while this looked is looked at in the next turn.
        self._described = seen if done else None
        self._next_look = now + DESCRIPTIONS_SECONDS

    def finish(self, batch: Batch, vectors: Vectors) -> Written:
        """Decide and write an encoded batch. Faults of single postings are recorded with them;
        those of the database are raised, and the rows are the caller's to give back."""
        assert self.encoder is not None  # noqa: S101
        claim = batch.claim
        if batch.encoder.pk != self.encoder.pk:  # the classifier knows none of these vectors
            claims.release(claim.token, [row.id for row, _ in batch.rows])
            return Written(changed=[row.id for row, _ in batch.rows])
        return write(claim, batch.encoder, self.classifier_id, self._encoded(batch, vectors))
