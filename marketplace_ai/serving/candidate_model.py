"""A candidate encoder in memory: vectors of new postings, and shadow decisions without effect."""

from __future__ import annotations

from typing import TYPE_CHECKING

from marketplace_ai.exemplars.encode import encode_next
from marketplace_ai.queue.write import Written, write
from marketplace_ai.serving.loaded_model import (
    EXEMPLARS_AT_A_TIME,
    Batch,
    LoadedModel,
    Vectors,
)

if TYPE_CHECKING:
    from marketplace_ai.encoding import TextEncoder
    from marketplace_ai.models import Encoder


class CandidateModel(LoadedModel):
    """A loaded candidate, which works on queue rows of its own.

    So does an encoder that has become active, on rows that were left over from before: it adds
    their vectors.
    """

    def __init__(self, encoder: Encoder, text_encoder: TextEncoder) -> None:
        super().__init__(encoder, text_encoder)
        self.claims_for: int | None = encoder.pk

    def encode_some(self) -> bool:
        """Encode a device batch of exemplars without a vector; whether there were any."""
        return encode_next(self.encoder, self.text_encoder) > 0

    def follow(self, encoder: Encoder) -> bool:
        """Take in the current row of its encoder; in shadow mode, also a piece of its active
        classifier version and changed exemplars. Returns whether more is left."""
        self.encoder = encoder
        if not encoder.is_shadowing:
            self._followed_version = self.fitted = self._next = None
            return False
        self._follow_classifier()
        return self._follow_exemplars(EXEMPLARS_AT_A_TIME)

    def finish(self, batch: Batch, vectors: Vectors) -> Written:
        """Write an encoded batch; raises the same as ``ActiveModel.finish``."""
        encoded = self.encoded_postings(
            batch, vectors, needs_proposal=lambda row: not row.vector_only
        )
        return write(batch.claim, batch.encoder, self.version_id, encoded)
