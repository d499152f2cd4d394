"""Scheduling of candidate encoders: which one a worker works for when the active one is idle.

New rows of the active encoder go first: they wait for at most one batch of a candidate. So of all
encoders only one has batches in flight at a time.
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

from .candidate_worker import CandidateWorker
from .prefetch import Prefetcher

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Executor

    from marketplace_ai.queue.write import Written
    from marketplace_ai.serving.active_model import ModelLoader
    from marketplace_ai.serving.candidate_model import CandidateModel

logger = logging.getLogger(__name__)


class CandidateScheduler:
    """All candidate encoders in one worker; ``only``: just the one with that key.

    ``models`` has the text encoders of this process. ``executor`` is the active model's too, so
    that one batch at a time is encoded; ``loader`` is a separate thread unless given. For the
    other parameters see ``Prefetcher``.
    """

    def __init__(
        self,
        models: ModelLoader,
        *,
        stopping: Callable[[], bool],
        collect: Callable[[], object],
        on_batch: Callable[[Written], None],
        executor: Executor,
        loader: Executor | None = None,
        only: int | None = None,
    ) -> None:
        self._models, self._only = models, only
        self._stopping, self._collect, self._on_batch = stopping, collect, on_batch
        self._executor = executor
        self._loader = loader or ThreadPoolExecutor(1, thread_name_prefix="loader")
        self._workers: dict[int, CandidateWorker] = {}
        #: Candidates checked before the current one; their new rows go first.
        self._more_urgent: list[int] = []

    @property
    def is_busy(self) -> bool:
        """Whether a batch of a candidate is in flight."""
        return any(worker.is_busy for worker in self._workers.values())

    @property
    def is_loading(self) -> bool:
        return any(worker.is_loading for worker in self._workers.values())

    @property
    def failed(self) -> list[int]:
        """Keys of encoders that do not work here."""
        return [key for key, worker in self._workers.items() if worker.has_failed]

    def run_once(self, worker: int) -> bool:
        """A step for the first encoder that has something to do; whether there was one."""
        candidates = self._find_candidates()
        self._more_urgent = []
        for encoder, is_due in candidates:
            candidate = self._workers[encoder.pk]
            # In the middle of one encoder's claim, more urgent ones wait for the batch that is
            # being encoded.
            can_run = not (candidate.is_paused or candidate.is_loading)
            if self.is_busy and not candidate.is_busy and is_due and can_run:
                self.pause()
            if candidate.run_once(worker, is_due=is_due):
                return True
            if not candidate.is_paused:
                self._more_urgent.append(encoder.pk)
        return False

    def _find_candidates(self) -> list[tuple[Encoder, bool]]:
        """Encoders that may have something to do, with whether rows wait for them.

        Ready ones come first, because they must stay up to date. The active encoder has rows of
        its own only if it was activated before they were encoded.
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
        candidates = [
            (encoder, is_due)
            for encoder in encoders
            if (is_due := bool(getattr(encoder, "is_due")))  # noqa: B009
            or encoder.state != EncoderState.ACTIVE
        ]
        candidates.sort(key=lambda pair: pair[0].state == EncoderState.BUILDING)
        self._release_all_but({encoder.pk for encoder, _ in candidates})
        for encoder, _ in candidates:
            known = self._workers.get(encoder.pk)
            if known is not None and not known.encoder.is_same_registration(encoder):
                # The database was restored, and the key is another encoder's now.
                self._workers.pop(encoder.pk).release_after_error()
            if encoder.pk not in self._workers:
                self._workers[encoder.pk] = CandidateWorker(
                    encoder,
                    text_encoders=self._models.text_encoders,
                    loader=self._loader,
                    make_prefetcher=self._make_prefetcher,
                )
            self._workers[encoder.pk].encoder = encoder
        return candidates

    def _release_all_but(self, wanted: set[int]) -> None:
        """Release encoders that are candidates no longer, and their weights."""
        for key in self._workers.keys() - wanted:
            self._workers.pop(key).pause()
        active = self._models.active
        needed = wanted if active is None else wanted | {active.encoder.pk}
        released = self._models.text_encoders.keys() - needed
        for key in released:
            del self._models.text_encoders[key]
            logger.info("Released the encoder %s", key)
        if released:
            # Models are reference cycles, and what is frozen (``ActiveModel.tune_process``) is
            # not collected.
            gc.unfreeze()
            gc.collect()
            gc.freeze()

    def _make_prefetcher(self, model: CandidateModel) -> Prefetcher:
        return Prefetcher(
            model,
            stopping=self._must_yield,
            collect=lambda: None,
            on_batch=self._on_batch,
            executor=self._executor,
        )

    def _must_yield(self) -> bool:
        """Whether nothing more may be claimed now, because the active encoder, or a more urgent
        candidate, has something to do."""
        if self._stopping():
            return True
        if self._only is not None:
            return False
        self._collect()
        return claims.is_due(self._more_urgent)

    def pause(self) -> None:
        """Write what is in the encoder and release the rest."""
        for worker in self._workers.values():
            worker.pause()

    def release_after_error(self) -> None:
        """Release everything after an infrastructure error; see ``Prefetcher``."""
        for worker in self._workers.values():
            worker.release_after_error()

    def close(self) -> None:
        try:
            self.pause()
        finally:
            self._loader.shutdown(wait=False)
