"""The exemplars that a classifier is fitted on, with their vectors of one encoder."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from marketplace_ai.classifier import LabeledTexts
from marketplace_ai.db.alias import alias
from marketplace_ai.exemplars import vector_store
from marketplace_ai.models import Exemplar, ExemplarSource

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from marketplace_ai.models import Encoder


@dataclass(frozen=True, eq=False)
class ExemplarSet:
    """Active exemplars as of ``generation``.

    ``train`` are the texts that people labeled, with their keys ``train_ids`` (n,); ``counted``
    bool (n,) are those that may count toward a guarantee. Answers teach only: most were chosen
    because the machine was uncertain or wrong, and those to drawn postings count as the audit. Of a
    fine-tuned encoder no exemplar counts: it was trained on them, and finds each of them easier
    than any posting to come.
    ``descriptions`` of categories vote, but nothing is fitted on them. ``condensed_by`` int64 (n,):
    the version from which on each of the former does not vote, 0 for one that does.
    """

    train: LabeledTexts
    train_ids: NDArray[np.int64]
    descriptions: LabeledTexts
    description_ids: NDArray[np.int64]
    generation: int
    counted: NDArray[np.bool_]
    condensed_by: NDArray[np.int64]

    def votes(self, version: int | None = None) -> NDArray[np.bool_]:
        """Which of the labeled exemplars vote in a stored version, bool (n,); in one that is fitted
        now, if None."""
        is_later = False if version is None else self.condensed_by > version
        return np.asarray((self.condensed_by == 0) | is_later, dtype=np.bool_)

    def take(self, train: NDArray[np.intp], descriptions: NDArray[np.intp]) -> ExemplarSet:
        return replace(
            self,
            train=self.train.take(train),
            train_ids=self.train_ids[train],
            descriptions=self.descriptions.take(descriptions),
            description_ids=self.description_ids[descriptions],
            counted=self.counted[train],
            condensed_by=self.condensed_by[train],
        )


def load_exemplars(encoder: Encoder) -> ExemplarSet:
    """The exemplars that have a vector of ``encoder``."""
    stored = vector_store.changes(encoder.pk, encoder.dimension)
    assert stored.generation is not None  # noqa: S101 (all were read)
    rows = LabeledTexts(stored.texts, stored.vectors, stored.labels, stored.families)
    ids = np.array(stored.ids, dtype=np.int64)
    train, descriptions = np.flatnonzero(~stored.described), np.flatnonzero(stored.described)
    stored_rows = Exemplar.objects.using(alias())
    answers = stored_rows.filter(source=ExemplarSource.REVIEWED)
    is_answer = np.isin(ids[train], list(answers.values_list("pk", flat=True)))
    condensed = dict(stored_rows.exclude(condensed_by=None).values_list("pk", "condensed_by_id"))
    return ExemplarSet(
        rows.take(train), ids[train], rows.take(descriptions), ids[descriptions], stored.generation,
        ~is_answer & (not encoder.is_fine_tuned),
        np.array([condensed.get(i, 0) for i in ids[train].tolist()], dtype=np.int64),
    )  # fmt: skip


def intersect(one: ExemplarSet, other: ExemplarSet) -> tuple[ExemplarSet, ExemplarSet]:
    """The exemplars that are in both sets, in the same order, with labels and families of ``one``.

    The sets are of two encoders and were loaded one after the other, so an exemplar may have been
    added or relabeled in between.
    """
    train, other_train = _common(one.train_ids, other.train_ids)
    descriptions, other_descriptions = _common(one.description_ids, other.description_ids)
    generation = min(one.generation, other.generation)
    first = replace(one.take(train, descriptions), generation=generation)
    second = other.take(other_train, other_descriptions)
    return first, replace(
        second,
        train=replace(second.train, labels=first.train.labels, families=first.train.families),
        condensed_by=first.condensed_by,
        descriptions=replace(second.descriptions, labels=first.descriptions.labels),
        generation=generation,
    )


def _common(
    one: NDArray[np.int64], other: NDArray[np.int64]
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Positions in each of the keys that are in both; both are in ascending order."""
    _, first, second = np.intersect1d(one, other, assume_unique=True, return_indices=True)
    return first, second
