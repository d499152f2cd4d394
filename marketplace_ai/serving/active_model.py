"""The active model, and the loader that gives it to a worker and keeps it up to date.

A worker reads, encodes, decides and writes claimed batches with it (``worker.prefetch``). No
database transaction is open while a batch is encoded, which happens in a thread of its own.
"""

from __future__ import annotations

import gc
import logging
import time
from typing import TYPE_CHECKING

from threadpoolctl import threadpool_limits

from marketplace_ai.encoders import active
from marketplace_ai.exemplars import condensed, descriptions, vector_store
from marketplace_ai.exemplars.encode import encode_next
from marketplace_ai.models import Encoder
from marketplace_ai.queue.write import Written, write
from marketplace_ai.serving.loaded_model import (
    COMPARISON_SECONDS,
    EXEMPLARS_AT_A_TIME,
    Batch,
    LoadedModel,
    Vectors,
)
from marketplace_ai.taxonomy import follow_keys
from marketplace_ai.versions import activation

if TYPE_CHECKING:
    from collections.abc import Callable

    from marketplace_ai.encoding import TextEncoder

logger = logging.getLogger(__name__)

#: Categories are compared with their descriptions this often, in seconds: a project may change
#: them in any way.
DESCRIPTIONS_SECONDS = 30.0


class ActiveModel(LoadedModel):
    """The active encoder, its active classifier version and the exemplars, in memory."""

    #: It claims what waits for the active encoder, whichever that is.
    claims_for: int | None = None

    def __init__(self, encoder: Encoder, text_encoder: TextEncoder) -> None:
        super().__init__(encoder, text_encoder)
        #: Generation of the exemplars at which none lacked a vector, and when that is asked again.
        self._complete_generation: int | None = None
        self._next_search = 0.0
        #: Whether reviews of another version are still to be queued again.
        self._owes_reviews = False

    def follow(self, progress: Callable[[int], None] = lambda encoded: None) -> bool:
        """Take in a piece of what changed: a newly activated classifier version, exemplars.

        Encodes a device batch of exemplars without a vector, so nothing else may use the encoder
        meanwhile. Where nothing decides yet, the version is loaded whole: postings would go to
        review. Returns whether more is left.
        """
        has_decided_meanwhile = self._next is not None and self.fitted is not None
        self._follow_classifier()
        if encoded := self._encode_some():
            progress(encoded)
        left = self._follow_exemplars(EXEMPLARS_AT_A_TIME if self.fitted else None)
        self._owes_reviews |= has_decided_meanwhile
        if self._owes_reviews and self._next is None and self.version_id is not None:
            # Another version decided while this one was loaded, and after reviews were queued
            # for it.
            activation.requeue_late_reviews(self.version_id)
            self._owes_reviews = False
        return left or encoded > 0

    def _encode_some(self) -> int:
        now, generation = time.monotonic(), vector_store.generation()
        if generation == self._complete_generation and now < self._next_search:
            return 0
        encoded = encode_next(self.encoder, self.text_encoder)
        if not encoded:
            self._complete_generation = generation
            self._next_search = now + COMPARISON_SECONDS
        return encoded

    def finish(self, batch: Batch, vectors: Vectors) -> Written:
        """Decide and write an encoded batch.

        Failures of single postings are recorded with them. Errors of the database are raised,
        and the caller must release the rows.
        """
        return write(
            batch.claim, batch.encoder, self.version_id, self.encoded_postings(batch, vectors)
        )

    def tune_process(self) -> None:
        """Save time in a process that does nothing but work the queue; call it after loading."""
        # Some hundred thousand objects of libraries, which no collection needs to visit again.
        gc.collect()
        gc.freeze()
        if self.text_encoder.uses_all_cores:
            # Threads of a matrix product keep spinning for some milliseconds when it is done.
            threadpool_limits(1, user_api="blas")


class ModelLoader:
    """Loads the active model, and keeps the text encoders of this process.

    >>> loader = ModelLoader()
    >>> model = loader.refresh()          # doctest: +SKIP
    >>> model.encoder, model.text_encoder # doctest: +SKIP
    """

    def __init__(self) -> None:
        #: Text encoders by primary key of their encoder, candidates included: one that becomes
        #: active, or no longer is, is not loaded again.
        self.text_encoders: dict[int, TextEncoder] = {}
        #: The model that ``refresh`` returned last.
        self.active: ActiveModel | None = None
        # The exemplars at the last look at descriptions; None: it failed, or was never done.
        self._described: int | None = None
        self._next_look = 0.0
        self._sync: descriptions.Sync | None = None
        self._state: activation.ActiveState | None = None
        #: Whether ``advance`` has left something for its next call.
        self.is_behind = False

    def current(self) -> ActiveModel | None:
        """The active model, or None if ``advance`` has something to do; one query."""
        if (
            self.is_behind
            or time.monotonic() >= self._next_look
            or activation.active_state() != self._state
        ):
            return None
        return self.active

    def refresh(self, progress: Callable[[int], None] = lambda encoded: None) -> ActiveModel:
        """The active model, complete and up to date: encoder, classifier version, exemplars.

        The same object as before, unless another encoder was activated. Cheap when nothing has
        changed. It may use the encoder, so nothing else may meanwhile.

        Raises EncoderError where the active encoder cannot be loaded.
        """
        model = self.advance(progress)
        while self.is_behind:
            model = self.advance(progress)
        return model

    def advance(self, progress: Callable[[int], None] = lambda encoded: None) -> ActiveModel:
        """``refresh``, but at most a piece of it: some categories are compared with their
        descriptions, a device batch of exemplars is encoded, and some are taken into memory.

        The model can be used whatever is left: an exemplar votes once it has its vector.
        """
        state = activation.active_state()  # read first: later changes are seen by the next call
        model = self._load()
        self._sync_descriptions()
        left = model.follow(progress)
        self.is_behind = left or self._sync is not None
        self.active, self._state = model, state
        return model

    def _load(self) -> ActiveModel:
        encoder = Encoder.objects.active()
        if self.active is not None and self.active.encoder.is_same_registration(encoder):
            return self.active
        encoder, text_encoder = active.ensure_active(logger.info, self.text_encoders)
        text_encoder.warm_up()
        self.text_encoders[encoder.pk] = text_encoder
        return ActiveModel(encoder, text_encoder)

    def _sync_descriptions(self) -> None:
        """Changed exemplars, and from time to time changed categories, may change which
        descriptions vote."""
        if self._sync is None:
            now, generation = time.monotonic(), vector_store.generation()
            if self._described in (generation, None) and now < self._next_look:
                return
            # First: exemplars that come back replace a description.
            has_more = now >= self._next_look and follow_keys.follow_safely()
            if now >= self._next_look:
                condensed.revive_safely()
            self._sync = descriptions.Sync(min_age=DESCRIPTIONS_SECONDS)
            # The generation from before: the next one looks for what changes meanwhile.
            self._described = generation
            self._next_look = now if has_more else now + DESCRIPTIONS_SECONDS
        self._sync.step_safely()
        if self._sync.is_done:
            if self._sync.has_failed:
                self._described = None
            self._sync = None
