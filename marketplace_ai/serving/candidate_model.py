"""An encoder beside the active one: vectors of what comes in, and answers without effect."""

from __future__ import annotations

from typing import TYPE_CHECKING

from marketplace_ai.exemplars.encode import encode_next
from marketplace_ai.queue.write import Written, write
from marketplace_ai.serving.loaded_model import Batch, Resident, Vectors

if TYPE_CHECKING:
    from marketplace_ai.encoding import TextEncoder
    from marketplace_ai.models import Encoder


class Candidate(Resident):
    """A candidate, loaded. It works on rows of the queue that are its own; so does an encoder
    that has become the active one on those that were left then, of which it gives the vectors."""

    def __init__(self, encoder: Encoder, texts: TextEncoder) -> None:
        super().__init__()
        self._use(encoder, texts)
        self.claims_for: int | None = encoder.pk

    def encode_some(self) -> bool:
        """A batch of exemplars that lack its vectors; whether there were any."""
        assert self.encoder is not None and self.texts is not None  # noqa: S101
        return encode_next(self.encoder, self.texts) > 0

    def follow(self, encoder: Encoder) -> None:
        """Be as its row is now; where it decides in the shadow, with what is in force for it."""
        self.encoder = encoder
        if not encoder.is_shadowing:
            self._followed = self.classifier_id = self.classifier = self.index = None
            return
        self._follow_classifier()
        if not self._is_current():
            self._follow_exemplars()

    def finish(self, batch: Batch, vectors: Vectors) -> Written:
        """Write an encoded batch; for what is raised see ``Pipeline.finish``."""
        answers = self._encoded(batch, vectors, asks=lambda row: not row.vector_only)
        return write(batch.claim, batch.encoder, self.classifier_id, answers)
