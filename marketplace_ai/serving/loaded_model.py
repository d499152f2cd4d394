"""An encoder with the classifier that is in force for it and the exemplars, kept in memory."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import psycopg
from django.db import Error as DatabaseError

from marketplace_ai.adapter import get_adapter
from marketplace_ai.audit import stops
from marketplace_ai.classifier import ArtifactError
from marketplace_ai.classifier.index import ExemplarIndex
from marketplace_ai.encoding import encode_each
from marketplace_ai.exemplars import vector_store
from marketplace_ai.models import Encoder, Outcome, get_category_model
from marketplace_ai.queue import claim as claims
from marketplace_ai.queue.claim_batches import batches
from marketplace_ai.queue.proposal import Encoded, Proposal
from marketplace_ai.queue.sql import alias
from marketplace_ai.queue.write import prepared_text
from marketplace_ai.text.normalize import digest, is_blank, one_line
from marketplace_ai.versions import activation

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from marketplace_ai.classifier import Classifier, Verdict
    from marketplace_ai.encoding import TextEncoder
    from marketplace_ai.queue.claim import Claim, Claimed

logger = logging.getLogger(__name__)

#: Similarities of postings with exemplars that are worked on at once: 64 MiB, some five times over.
SIMILARITIES = 1 << 24

#: Nothing was fitted yet, so nothing can be proposed: a person looks at it.
UNDECIDED = Proposal(Outcome.REVIEW, None)
#: A text without a letter or digit fits nothing, whatever is fitted.
BLANK = Proposal(Outcome.NONE, None)


#: By text: its vector (d,), or what its encoding raised. Blank texts have none.
Vectors = dict[str, "NDArray[np.float32] | Exception"]


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows of a claim with their texts and the encoder that is to encode them, all at once."""

    claim: Claim
    encoder: Encoder
    texts: TextEncoder
    rows: list[tuple[Claimed, str]]

    def encode(self) -> Vectors:
        """Equal texts once; each posting keeps its own vector and decision. No database here:
        it runs in a thread of its own. Raises ``EncoderError`` where no text is to blame."""
        distinct = list(dict.fromkeys(text for _, text in self.rows if not is_blank(text)))
        return dict(zip(distinct, encode_each(self.texts, distinct), strict=True))


class Resident:
    """What is resident of one encoder, and the work that is the same whether it decides or not."""

    def __init__(self) -> None:
        self.encoder: Encoder | None = None
        self.texts: TextEncoder | None = None
        self.classifier: Classifier | None = None
        self.classifier_id: int | None = None
        self.index: ExemplarIndex | None = None
        self._followed: int | None = None
        self._removals = 0

    def _use(self, encoder: Encoder, texts: TextEncoder) -> None:
        """From now on this encoder, and nothing yet that was fitted for it."""
        self.encoder, self.texts = encoder, texts
        self._followed = self.classifier_id = self.classifier = self.index = None

    def _follow_classifier(self) -> None:
        """A damaged one decides nothing: the resident one stays until another is in force.
        Where there is none, as after a start, postings go to review."""
        assert self.encoder is not None  # noqa: S101 (there is one before anything is followed)
        version = activation.in_force(self.encoder)
        if version == self._followed:
            return
        try:
            loaded = activation.load(version) if version else None
        except ArtifactError as error:
            instead = f"version {self.classifier_id} goes on" if self.classifier else "none decides"
            logger.error("Classifier version %s cannot be used (%s): %s", version, instead, error)
        else:
            self.classifier, self.classifier_id, self.index = loaded, version, None
        self._followed = version

    def _is_current(self) -> bool:
        """Whether the index holds the exemplars as they are."""
        return self.index is not None and vector_store.generation() == (
            self.index.generation,
            self._removals,
        )

    def _follow_exemplars(self) -> None:
        """Take those that changed into the index."""
        assert self.encoder is not None  # noqa: S101
        if self.classifier is None:
            return
        index = self.index
        if index is None:
            index = self.classifier.new_index(generation=-1)
            if self.texts is not None and self.texts.uses_all_cores:
                index.threads = 1  # the next batch is encoded meanwhile
        changed = vector_store.changes(
            self.encoder.pk,
            self.encoder.dimension,
            since=index.generation,
            removals=self._removals,
            known=index.ids.tolist(),
        )
        index.update(
            changed.ids,
            changed.texts,
            changed.labels,
            changed.vectors,
            changed.gone,
            changed.described.tolist(),
        )
        index.generation, self._removals = changed.generation, changed.removals
        self.index = index

    # -- a batch ---------------------------------------------------------------------------

    def read(self, claim: Claim) -> list[Batch]:
        """A claim's rows with their texts, in the batches and the order they are to be encoded in.

        Rows whose posting is gone or not to be tagged leave the queue, those on which the
        adapter fails are counted; faults of the database raise.
        """
        assert self.encoder is not None and self.texts is not None  # noqa: S101
        adapter = get_adapter()
        # Not from a replica, where a new posting may not have arrived yet.
        there = adapter.jobs().using(alias()).filter(pk__in=[row.job_id for row in claim.rows])
        jobs: dict[Any, Any] = {job.pk: job for job in there}
        texts: list[tuple[Claimed, str]] = []
        gone: list[int] = []
        for row in claim.rows:
            job = jobs.get(row.job_id)
            try:
                if job is None or not adapter.eligible(job):
                    gone.append(row.id)
                else:
                    texts.append((row, prepared_text(adapter, job)))
            except (DatabaseError, psycopg.Error):
                raise  # a timeout or a lost connection is not the posting's fault
            except Exception as error:
                claims.fail(claim.token, row.id, f"{type(error).__name__}: {error}")
                logger.exception("The adapter failed on posting %s", row.job_id)
        claims.finish(claim.token, gone)
        return [
            Batch(claim, self.encoder, self.texts, rows)
            for rows in batches(texts, self.texts.tokens_at_once, self.texts.max_tokens)
        ]

    def _encoded(
        self, batch: Batch, vectors: Vectors, asks: Callable[[Claimed], bool] = lambda row: True
    ) -> list[Encoded]:
        """A batch with its vectors and what the classifier says of rows that ask for it; texts
        that could not be encoded are recorded with their rows and left out."""
        results: list[Encoded] = []
        good: list[tuple[Claimed, str, NDArray[np.float32]]] = []
        for row, text in batch.rows:
            vector = vectors.get(text)
            if vector is None:
                results.append(Encoded(row.id, row.job_id, digest(text), None, BLANK))
            elif isinstance(vector, Exception):
                claims.fail(batch.claim.token, row.id, f"{type(vector).__name__}: {vector}")
                logger.error("Posting %s cannot be encoded: %s", row.job_id, one_line(str(vector)))
            elif not asks(row):
                results.append(Encoded(row.id, row.job_id, digest(text), vector, UNDECIDED))
            else:
                good.append((row, text, vector))
        proposals = self.propose([t for _, t, _ in good], [v for _, _, v in good])
        for (row, text, vector), proposal in zip(good, proposals, strict=True):
            results.append(Encoded(row.id, row.job_id, digest(text), vector, proposal))
        return results

    def propose(
        self, texts: Sequence[str], vectors: Sequence[NDArray[np.float32]]
    ) -> list[Proposal]:
        """What the classifier in force says of encoded texts."""
        if not texts:
            return []
        version, index = self.classifier_id, self.index
        if version is None or self.classifier is None or index is None or not len(index):
            return [UNDECIDED] * len(texts)
        step = max(SIMILARITIES // len(index), 1)
        verdicts: list[Verdict] = []
        for start in range(0, len(texts), step):
            some = slice(start, start + step)
            verdicts += self.classifier.decide(index, np.stack(vectors[some]), list(texts[some]))
        stopped = stops.load_stops(version)
        key = _key_of()
        return [_proposal(stopped.apply_to(verdict), key) for verdict in verdicts]


def _proposal(verdict: Verdict, key: Callable[[str | None], Any | None]) -> Proposal:
    outcome = Outcome(verdict.outcome)
    parent_only = outcome is Outcome.AUTOMATIC_PARENT
    return Proposal(
        outcome=outcome,
        category=key(verdict.parent if parent_only else verdict.label),
        probability=verdict.probability,
        threshold=verdict.threshold,
        matches=tuple((m.exemplar_id, m.similarity, m.share) for m in verdict.matches),
        own_share=verdict.own_share,
        choices=tuple((key(label), p) for label, p in verdict.choices),
        secondary=tuple(key(label) for label, _ in verdict.secondary),
    )


def _key_of() -> Callable[[str | None], Any | None]:
    """What turns a classifier's label into the category's primary key."""
    pk = get_category_model()._meta.pk
    assert pk is not None  # noqa: S101 (every model has one)
    return cache(lambda label: None if label is None else pk.to_python(label))
