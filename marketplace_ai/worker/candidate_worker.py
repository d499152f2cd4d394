"""The work for one candidate encoder in a worker: loading it, encoding with it, finishing it."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from marketplace_ai.db.error_kind import DATABASE_ERRORS, describe
from marketplace_ai.encoders import active, partitions, readiness, register
from marketplace_ai.encoding import EncoderError
from marketplace_ai.exemplars import vector_store
from marketplace_ai.models import EncoderState
from marketplace_ai.queue.retry_policy import (
    CANDIDATE_DATABASE_SECONDS,
    CANDIDATE_ENCODER_SECONDS,
)
from marketplace_ai.queue.scans import TableScanner
from marketplace_ai.serving.candidate_model import CandidateModel
from marketplace_ai.serving.loaded_model import COMPARISON_SECONDS
from marketplace_ai.text.normalize import one_line

from .prefetch import Prefetcher

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Executor, Future

    from marketplace_ai.encoding import TextEncoder
    from marketplace_ai.models import Encoder

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LoadedCandidate:
    """A candidate in memory, and what has its batches encoded."""

    model: CandidateModel
    prefetcher: Prefetcher


class CandidateWorker:
    """Works for one encoder that is not active, one step at a time.

    ``encoder`` is its current row. ``text_encoders`` are those of this process by primary key,
    to which it adds its own; ``loader`` runs the loading; ``make_prefetcher`` makes the
    prefetcher of the loaded candidate.
    """

    def __init__(
        self,
        encoder: Encoder,
        *,
        text_encoders: dict[int, TextEncoder],
        loader: Executor,
        make_prefetcher: Callable[[CandidateModel], Prefetcher],
    ) -> None:
        self.encoder = encoder
        self._text_encoders, self._loader = text_encoders, loader
        self._make_prefetcher = make_prefetcher
        self._scanner = TableScanner()
        self._loaded: LoadedCandidate | None = None
        self._loading: Future[TextEncoder] | None = None
        #: Generation of the exemplars at which none lacked a vector.
        self._complete_generation: int | None = None
        self._next_comparison = 0.0
        self._paused_until = 0.0
        self._last_error = ""

    @property
    def is_paused(self) -> bool:
        """Whether it pauses after an error."""
        return time.monotonic() < self._paused_until

    @property
    def has_failed(self) -> bool:
        """Whether it could not be loaded or did not work at the last attempt."""
        return bool(self._last_error)

    @property
    def is_loading(self) -> bool:
        return self._loading is not None

    @property
    def is_busy(self) -> bool:
        """Whether a batch of it is in flight."""
        return self._loaded is not None and not self._loaded.prefetcher.is_idle

    def run_once(self, worker: int, *, is_due: bool) -> bool:
        """Take the next step, if there is one. ``is_due``: rows wait for this encoder.

        Raises nothing: after an error it pauses, and ordinary work continues.
        """
        if self.is_paused:
            return False
        try:
            return self._step(worker, is_due)
        except DATABASE_ERRORS as error:
            logger.warning("The encoder %s pauses: %s", self.encoder, describe(error))
            self._paused_until = time.monotonic() + CANDIDATE_DATABASE_SECONDS
        except EncoderError as error:
            self._record_failure(str(error))
        except Exception as error:
            logger.exception("The encoder %s does not work", self.encoder)
            self._record_failure(f"{type(error).__name__}: {error}")
        return False

    def pause(self) -> None:
        """Write what is in the encoder and release the rest."""
        if self._loaded is not None:
            try:
                self._loaded.prefetcher.close()
            except EncoderError as error:
                self._record_failure(str(error))

    def release_after_error(self) -> None:
        """Release everything after an infrastructure error; see ``Prefetcher``."""
        if self._loaded is not None:
            self._loaded.prefetcher.release_after_error()

    def _step(self, worker: int, is_due: bool) -> bool:
        lacks_vectors = self._lacks_exemplar_vectors()
        has_written = False
        if lacks_vectors or is_due or self.is_busy:
            loaded = self._load()
            if loaded is None:
                return False
            if lacks_vectors:
                loaded.prefetcher.close()  # the encoder is called by one thread at a time
                return loaded.model.encode_some()
            if loaded.model.follow(self.encoder):
                return True
            has_written = loaded.prefetcher.run_once(worker)
        has_scanned = self.encoder.state != EncoderState.ACTIVE and self._scanner.run_once(
            self.encoder
        )
        if not has_written and not has_scanned and self.encoder.state == EncoderState.BUILDING:
            return readiness.mark_ready(self.encoder)
        return has_written or has_scanned

    def _lacks_exemplar_vectors(self) -> bool:
        if self.encoder.state == EncoderState.ACTIVE:
            return False  # the active model encodes them itself
        now, generation = time.monotonic(), vector_store.generation()
        if generation != self._complete_generation or now >= self._next_comparison:
            if vector_store.without_vector(self.encoder.pk, 1):
                return True
            self._complete_generation = generation
            self._next_comparison = now + COMPARISON_SECONDS
        return False

    def _load(self) -> LoadedCandidate | None:
        """The loaded candidate; None while it is being loaded, in a thread, so that the worker
        does not wait."""
        if self._loaded is not None:
            return self._loaded
        text_encoder = active.find_loaded(self.encoder, self._text_encoders)
        if text_encoder is None:
            if self._loading is None:
                logger.info("Loading the candidate encoder %s", self.encoder)
                self._loading = self._loader.submit(_load_and_warm_up, self.encoder)
            if not self._loading.done():
                return None
            loading, self._loading = self._loading, None
            text_encoder = self._text_encoders[self.encoder.pk] = loading.result()
        partitions.ensure(self.encoder)
        model = CandidateModel(self.encoder, text_encoder)
        self._loaded = LoadedCandidate(model, self._make_prefetcher(model))
        self._last_error = ""
        register.clear_trouble(self.encoder)
        return self._loaded

    def _record_failure(self, message: str) -> None:
        """Log the error once, pause, and load the encoder again afterwards."""
        self._paused_until = time.monotonic() + CANDIDATE_ENCODER_SECONDS
        message = one_line(message)
        if message != self._last_error:
            logger.error("The encoder %s pauses: %s", self.encoder, message)
            self._last_error = message
        if self._loaded is not None:
            self._loaded.prefetcher.release_all()
        self._loaded = None
        self._text_encoders.pop(self.encoder.pk, None)
        register.record_trouble(self.encoder, message)


def _load_and_warm_up(encoder: Encoder) -> TextEncoder:
    text_encoder = active.load(encoder)
    text_encoder.warm_up()
    return text_encoder
