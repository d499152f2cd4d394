"""An encoder in memory, with its active classifier version and the exemplars."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from marketplace_ai.adapter import get_adapter
from marketplace_ai.classifier import ArtifactError
from marketplace_ai.classifier.index import ExemplarIndex
from marketplace_ai.db.alias import alias
from marketplace_ai.db.error_kind import DATABASE_ERRORS, ErrorKind, describe, error_kind
from marketplace_ai.encoding import encode_each
from marketplace_ai.exemplars import vector_store
from marketplace_ai.models import Encoder
from marketplace_ai.queue import claim as claims
from marketplace_ai.queue import row_security
from marketplace_ai.queue.claim_batches import batches
from marketplace_ai.queue.proposal import EncodedPosting, Proposal
from marketplace_ai.queue.retry_policy import SETUP_SECONDS
from marketplace_ai.text.normalize import digest, is_blank, one_line
from marketplace_ai.versions import activation

from .propose import BLANK, UNDECIDED, propose

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from marketplace_ai.classifier import Classifier
    from marketplace_ai.encoding import TextEncoder
    from marketplace_ai.queue.claim import Claim, ClaimedRow

logger = logging.getLogger(__name__)

#: All exemplars are compared with those in memory this often, in seconds. A restore that disables
#: triggers (``pg_restore --data-only --disable-triggers``) changes no generation.
COMPARISON_SECONDS = 30.0

#: Exemplars that are taken into memory at a time, while postings may wait.
EXEMPLARS_AT_A_TIME = 1024

#: By text: its vector (d,), or what encoding it raised. Blank texts have none.
Vectors = dict[str, "NDArray[np.float32] | Exception"]


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows of a claim with their texts, to be encoded together by one encoder."""

    claim: Claim
    encoder: Encoder
    text_encoder: TextEncoder
    rows: list[tuple[ClaimedRow, str]]

    def encode(self) -> Vectors:
        """The vector of each distinct text; each posting keeps its own vector and decision.

        Runs in the encoder's thread, so it must not use the database. Raises EncoderError where
        no single text is to blame.
        """
        distinct = list(dict.fromkeys(text for _, text in self.rows if not is_blank(text)))
        return dict(zip(distinct, encode_each(self.text_encoder, distinct), strict=True))


@dataclass(slots=True)
class LoadedClassifier:
    """A classifier version in memory, with the index of the exemplars it votes with."""

    version_id: int
    classifier: Classifier
    index: ExemplarIndex
    #: The generation of the exemplars that the index has taken in; None before the first.
    generation: int | None = None
    #: Of each exemplar in the index the number it is recognized by (see ``vector_store``).
    numbers: dict[int, int] = field(default_factory=dict)
    #: When all exemplars are compared again, by ``time.monotonic``.
    next_comparison: float = 0.0

    def is_current(self) -> bool:
        """Whether the index has all exemplars; one query."""
        return (
            time.monotonic() < self.next_comparison and vector_store.generation() == self.generation
        )

    def update(self, encoder: Encoder, limit: int | None) -> None:
        """Take exemplars that changed into the index, at most ``limit`` at a time."""
        since = self.generation
        if time.monotonic() >= self.next_comparison:
            since = None
            self.next_comparison = time.monotonic() + COMPARISON_SECONDS
        self._take(
            vector_store.changes(
                encoder.pk,
                encoder.dimension,
                version=self.version_id,
                since=since,
                known=self.numbers,
                limit=limit,
            )
        )

    def _take(self, changed: vector_store.Changes) -> None:
        self.index.update(
            changed.ids, changed.texts, changed.labels, changed.vectors, changed.gone,
            changed.described.tolist(),
        )  # fmt: skip
        for gone in changed.gone:
            self.numbers.pop(gone, None)
        self.numbers.update(zip(changed.ids, changed.numbers, strict=True))
        self.generation = changed.generation


class LoadedModel:
    """An encoder in memory, with its active classifier version where there is one.

    It is usable from its construction on: without ``fitted``, everything goes to review.
    ``ActiveModel`` decides with it, ``CandidateModel`` does not. It follows the database in pieces,
    between which postings are decided.
    """

    def __init__(self, encoder: Encoder, text_encoder: TextEncoder) -> None:
        self.encoder = encoder
        self.text_encoder = text_encoder
        self.fitted: LoadedClassifier | None = None
        #: What takes its place when all exemplars are in its index.
        self._next: LoadedClassifier | None = None
        #: The active version at the last look, whether or not it could be loaded.
        self._followed_version: activation.VersionKey | None = None

    @property
    def version_id(self) -> int | None:
        """The classifier version that decides; None before the first fit."""
        return None if self.fitted is None else self.fitted.version_id

    # -- following the database ------------------------------------------------------------

    def _follow_classifier(self) -> None:
        """Load the active version, if it is another one; its exemplars are read afterwards.

        A damaged one decides nothing: the loaded one stays until another is activated. If there
        is none, as after a start, postings go to review.
        """
        key = activation.active_version_key(self.encoder)
        if key == self._followed_version:
            return
        self._next = None
        try:
            if key is None:
                self.fitted = None
            else:
                self._next = self._load_classifier(key.version)
        except ArtifactError as error:
            instead = f"version {self.version_id} still decides" if self.fitted else "none decides"
            logger.error(
                "Classifier version %s cannot be used (%s): %s", key and key.version, instead, error
            )
        self._followed_version = key

    def _load_classifier(self, version: int) -> LoadedClassifier:
        classifier = activation.load(version)
        index = classifier.new_index()
        if self.text_encoder.uses_all_cores:
            index.threads = 1  # the next batch is encoded meanwhile
        return LoadedClassifier(version, classifier, index)

    def _follow_exemplars(self, limit: int | None) -> bool:
        """Take changed exemplars into memory, at most ``limit`` of them; whether more are left.

        A newly activated version takes the other's place once it has all of them.
        """
        for loaded in (self.fitted, self._next):
            if loaded is not None and not loaded.is_current():
                loaded.update(self.encoder, limit)
        if self._next is not None and self._next.generation is not None:
            self.fitted, self._next = self._next, None
        return self._next is not None or (
            self.fitted is not None and self.fitted.generation is None
        )

    # -- a batch ---------------------------------------------------------------------------

    def read(self, claim: Claim) -> list[Batch]:
        """Read the texts of a claim's rows and split them into batches, in encoding order.

        Rows whose posting is gone or not eligible leave the queue; those on which the adapter
        fails are counted as failures. Errors of the database are raised.
        """
        adapter = get_adapter()
        # Not from a replica, where a new posting may not have arrived yet.
        postings: dict[Any, Any] = {
            posting.pk: posting
            for posting in adapter.jobs()
            .using(alias())
            .filter(pk__in=[row.posting_id for row in claim.rows])
        }
        texts: list[tuple[ClaimedRow, str]] = []
        not_eligible: list[int] = []
        # Those that are seen and cannot be locked too: they could be encoded, and never written.
        hidden = row_security.hidden([row.posting_id for row in claim.rows])
        complaint = " ".join(row_security.complaint(len(hidden))) if hidden else ""
        for row in claim.rows:
            posting = postings.get(row.posting_id)
            try:
                if row.posting_id in hidden:
                    claims.postpone(claim.token, row.id, complaint, delay=SETUP_SECONDS)
                elif posting is None or not adapter.eligible(posting):
                    not_eligible.append(row.id)
                else:
                    texts.append((row, adapter.encoder_input(posting)))
            except Exception as error:
                if error_kind(error) is not ErrorKind.POSTING:
                    raise  # a timeout, a lost connection or a missing column
                claims.fail(claim.token, row.id, describe(error))
                # A database error's traceback would quote rows.
                trace = None if isinstance(error, DATABASE_ERRORS) else error
                logger.error("The adapter failed on posting %s", row.posting_id, exc_info=trace)
        claims.finish(claim.token, not_eligible)
        tokens, longest = self.text_encoder.tokens_at_once, self.text_encoder.max_tokens
        return [
            Batch(claim, self.encoder, self.text_encoder, rows)
            for rows in batches(texts, tokens, longest)
        ]

    def encoded_postings(
        self,
        batch: Batch,
        vectors: Vectors,
        needs_proposal: Callable[[ClaimedRow], bool] = lambda row: True,
    ) -> list[EncodedPosting]:
        """A batch's postings with their vectors, and proposals for rows that need one.

        Texts that could not be encoded are recorded as failures of their rows and left out.
        """
        results: list[EncodedPosting] = []
        to_propose: list[tuple[ClaimedRow, str, NDArray[np.float32]]] = []
        for row, text in batch.rows:
            vector = vectors.get(text)
            if vector is None:
                results.append(EncodedPosting(row.id, row.posting_id, digest(text), None, BLANK))
            elif isinstance(vector, Exception):
                claims.fail(batch.claim.token, row.id, f"{type(vector).__name__}: {vector}")
                logger.error(
                    "Posting %s cannot be encoded: %s", row.posting_id, one_line(str(vector))
                )
            elif not needs_proposal(row):
                results.append(
                    EncodedPosting(row.id, row.posting_id, digest(text), vector, UNDECIDED)
                )
            else:
                to_propose.append((row, text, vector))
        proposals = self.propose([t for _, t, _ in to_propose], [v for _, _, v in to_propose])
        for (row, text, vector), proposal in zip(to_propose, proposals, strict=True):
            results.append(EncodedPosting(row.id, row.posting_id, digest(text), vector, proposal))
        return results

    def propose(
        self, texts: Sequence[str], vectors: Sequence[NDArray[np.float32]]
    ) -> list[Proposal]:
        """What the active classifier version says about encoded texts, one proposal each."""
        return propose(self.fitted, texts, vectors)
