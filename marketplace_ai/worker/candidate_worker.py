"""One encoder beside the active one, in a worker: loaded when there is work, and looked after."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from marketplace_ai.encoders import active, register
from marketplace_ai.encoding import EncoderError
from marketplace_ai.exemplars import vector_store
from marketplace_ai.models import EncoderState
from marketplace_ai.queue.scans import Walker
from marketplace_ai.serving.candidate_model import Candidate
from marketplace_ai.text.normalize import one_line

from .prefetch import INFRASTRUCTURE, Overlap

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Executor, Future

    from marketplace_ai.encoding import TextEncoder
    from marketplace_ai.models import Encoder

logger = logging.getLogger(__name__)

#: Pause of one that cannot be loaded or does not work, in seconds: ordinary work goes on.
TROUBLE_SECONDS = 60.0
#: Pause after a fault of the database, in seconds, of which the worker's loop takes care.
FAULT_SECONDS = 5.0


class Beside:
    """What a worker does for one encoder that is not in force, a step at a time.

    ``encoder`` is its row as it is now. ``loaded`` are the encoders of this process by primary
    key, to which it adds its own; ``loader`` is where it is loaded; ``overlap`` makes what has
    its batches encoded.
    """

    def __init__(
        self,
        encoder: Encoder,
        *,
        loaded: dict[int, TextEncoder],
        loader: Executor,
        overlap: Callable[[Candidate], Overlap],
    ) -> None:
        self.encoder = encoder
        self._loaded, self._loader, self._make_overlap = loaded, loader, overlap
        self._walker = Walker()
        self._candidate: Candidate | None = None
        self._overlap: Overlap | None = None
        self._loading: Future[TextEncoder] | None = None
        self._complete: tuple[int, int] | None = None
        self._resting_until = 0.0
        self._told = ""

    @property
    def is_resting(self) -> bool:
        """Whether it pauses after something went wrong."""
        return time.monotonic() < self._resting_until

    @property
    def in_trouble(self) -> bool:
        """Whether it cannot be loaded or does not work, by the last attempt."""
        return bool(self._told)

    @property
    def is_loading(self) -> bool:
        return self._loading is not None

    @property
    def is_busy(self) -> bool:
        """Whether a batch of it is in hand."""
        return self._overlap is not None and not self._overlap.is_idle

    def turn(self, worker: int, *, is_due: bool) -> bool:
        """One step, whatever is next; whether there was one. ``is_due``: rows of it wait.

        Nothing that goes wrong with it is raised: it pauses, and ordinary work goes on.
        """
        if self.is_resting:
            return False
        try:
            return self._turn(worker, is_due)
        except INFRASTRUCTURE as error:
            logger.warning("The encoder %s pauses: %s", self.encoder, one_line(str(error)))
            self._resting_until = time.monotonic() + FAULT_SECONDS
        except EncoderError as error:
            self._in_trouble(str(error))
        except Exception as error:
            logger.exception("The encoder %s does not work", self.encoder)
            self._in_trouble(f"{type(error).__name__}: {error}")
        return False

    def pause(self) -> None:
        """Write what is in the encoder and give the rest back."""
        if self._overlap is not None:
            try:
                self._overlap.close()
            except EncoderError as error:
                self._in_trouble(str(error))

    def save(self) -> None:
        """Give all back after a fault of the database; see ``Overlap.save``."""
        if self._overlap is not None:
            self._overlap.save()

    def _turn(self, worker: int, is_due: bool) -> bool:
        lacking = self._lacks_exemplars()
        worked = False
        if lacking or is_due or self.is_busy:
            if not self._is_there():
                return False
            assert self._candidate is not None and self._overlap is not None  # noqa: S101
            if lacking:
                self._overlap.close()  # it is called by one thread at a time
                return self._candidate.encode_some()
            self._candidate.follow(self.encoder)
            worked = self._overlap.turn(worker)
        walked = self.encoder.state != EncoderState.ACTIVE and self._walker.step(self.encoder)
        if not worked and not walked and self.encoder.state == EncoderState.BUILDING:
            return register.mark_ready(self.encoder)
        return worked or walked

    def _lacks_exemplars(self) -> bool:
        if self.encoder.state == EncoderState.ACTIVE:
            return False  # the pipeline's own
        seen = vector_store.generation()
        if seen != self._complete:
            if vector_store.without_vector(self.encoder.pk, 1):
                return True
            self._complete = seen
        return False

    def _is_there(self) -> bool:
        """Whether it is loaded; else it is being loaded, beside what the worker does meanwhile."""
        if self._candidate is not None:
            return True
        texts = self._loaded.get(self.encoder.pk)
        if texts is None:
            if self._loading is None:
                logger.info("Loading the encoder %s beside the active one", self.encoder)
                self._loading = self._loader.submit(_load, self.encoder)
            if not self._loading.done():
                return False
            loading, self._loading = self._loading, None
            texts = self._loaded.setdefault(self.encoder.pk, loading.result())
        self._candidate = Candidate(self.encoder, texts)
        self._overlap = self._make_overlap(self._candidate)
        self._told = ""
        register.clear_trouble(self.encoder)
        return True

    def _in_trouble(self, message: str) -> None:
        """Tell it, once in the log, and begin anew after a pause."""
        self._resting_until = time.monotonic() + TROUBLE_SECONDS
        message = one_line(message)
        if message != self._told:
            logger.error("The encoder %s pauses: %s", self.encoder, message)
            self._told = message
        if self._overlap is not None:
            self._overlap.give_back()
        self._candidate = self._overlap = None
        self._loaded.pop(self.encoder.pk, None)
        register.record_trouble(self.encoder, message)


def _load(encoder: Encoder) -> TextEncoder:
    texts = active.load(encoder)
    texts.warm_up()
    return texts
