"""Which encoder beside the active one a worker turns to, when that one has nothing to do.

What comes in for the active encoder goes first: it waits for one batch of a candidate at most.
So of all encoders only one has batches in a worker's hands at a time.
"""

from __future__ import annotations

import gc
import logging
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from django.db.models import Exists, OuterRef
from django.db.models.functions import Now

from marketplace_ai.db.alias import alias
from marketplace_ai.models import Encoder, EncoderState, QueuedPosting
from marketplace_ai.queue import claim as claims

from .candidate_worker import Beside
from .prefetch import Overlap

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Executor

    from marketplace_ai.queue.write import Written
    from marketplace_ai.serving.candidate_model import Candidate
    from marketplace_ai.serving.pipeline import Pipeline

logger = logging.getLogger(__name__)


class Candidates:
    """All encoders beside the active one, in this worker; ``only`` the one with that key.

    ``executor`` is the pipeline's too, so that one text at a time is encoded. For the rest see
    ``Overlap``; ``loader``: a thread of its own, unless given.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        *,
        stopping: Callable[[], bool],
        collect: Callable[[], object],
        on_batch: Callable[[Written], None],
        executor: Executor,
        loader: Executor | None = None,
        only: int | None = None,
    ) -> None:
        self._pipeline, self._only = pipeline, only
        self._stopping, self._collect, self._on_batch = stopping, collect, on_batch
        self._executor = executor
        self._loader = loader or ThreadPoolExecutor(1, thread_name_prefix="loader")
        self._known: dict[int, Beside] = {}
        self._first: list[int] = []

    @property
    def is_busy(self) -> bool:
        """Whether a batch is in hand."""
        return any(beside.is_busy for beside in self._known.values())

    @property
    def is_loading(self) -> bool:
        return any(beside.is_loading for beside in self._known.values())

    @property
    def in_trouble(self) -> list[int]:
        """Keys of those that do not work here."""
        return [key for key, beside in self._known.items() if beside.in_trouble]

    def turn(self, worker: int) -> bool:
        """A step for the first encoder that has something to do; whether there was one."""
        found = self._look()
        self._first = []
        for encoder, is_due in found:
            beside = self._known[encoder.pk]
            # In the middle of a claim of one, those before it wait for its batch in the encoder.
            at_hand = not (beside.is_resting or beside.is_loading)
            if self.is_busy and not beside.is_busy and is_due and at_hand:
                self.pause()
            if beside.turn(worker, is_due=is_due):
                return True
            if not beside.is_resting:
                self._first.append(encoder.pk)
        return False

    def _look(self) -> list[tuple[Encoder, bool]]:
        """Encoders that there may be something to do for, with whether rows wait for them.

        Those that are ready come first: they are to stay so. The active one has rows of its own
        only where it became so before they were worked off.
        """
        rows = QueuedPosting.objects.filter(
            encoder=OuterRef("pk"), token__isnull=True, failed_at__isnull=True,
            scheduled_at__lte=Now(),
        )  # fmt: skip
        encoders = (
            Encoder.objects.using(alias())
            .exclude(state=EncoderState.RETIRED)
            .annotate(is_due=Exists(rows))
            .defer("metrics", "comparison")
            .order_by("pk")
        )
        if self._only is not None:
            encoders = encoders.filter(pk=self._only)
        found = [(encoder, bool(getattr(encoder, "is_due"))) for encoder in encoders]  # noqa: B009
        found = [(e, is_due) for e, is_due in found if is_due or e.state != EncoderState.ACTIVE]
        found.sort(key=lambda pair: pair[0].state == EncoderState.BUILDING)
        self._forget({encoder.pk for encoder, _ in found})
        for encoder, _ in found:
            known = self._known.get(encoder.pk)
            if known is None:
                known = self._known[encoder.pk] = Beside(
                    encoder,
                    loaded=self._pipeline.loaded,
                    loader=self._loader,
                    overlap=self._overlap,
                )
            known.encoder = encoder
        return found

    def _forget(self, wanted: set[int]) -> None:
        """Let go of those that are no candidates any more, and of their weights."""
        for key in self._known.keys() - wanted:
            self._known.pop(key).pause()
        active = self._pipeline.encoder
        kept = wanted if active is None else wanted | {active.pk}
        released = self._pipeline.loaded.keys() - kept
        for key in released:
            del self._pipeline.loaded[key]
            logger.info("Released the encoder %s", key)
        if released:
            # Models hold themselves in circles, and what is frozen (``Pipeline.settle``) is not
            # looked at.
            gc.unfreeze()
            gc.collect()
            gc.freeze()

    def _overlap(self, candidate: Candidate) -> Overlap:
        return Overlap(
            candidate,
            stopping=self._must_yield,
            collect=lambda: None,
            on_batch=self._on_batch,
            executor=self._executor,
        )

    def _must_yield(self) -> bool:
        """Whether nothing more may be taken up now: what the active encoder, or one that was
        looked at before, has to do goes first."""
        if self._stopping():
            return True
        if self._only is not None:
            return False
        self._collect()
        return claims.is_due(self._first)

    def pause(self) -> None:
        """Write what is in the encoder and give the rest back."""
        for beside in self._known.values():
            beside.pause()

    def save(self) -> None:
        """Give all back after a fault of the database; see ``Overlap.save``."""
        for beside in self._known.values():
            beside.save()

    def close(self) -> None:
        try:
            self.pause()
        finally:
            self._loader.shutdown(wait=False)
