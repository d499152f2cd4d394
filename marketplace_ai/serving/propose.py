"""Proposals for encoded texts: prediction by the loaded classifier, automation stops applied."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from marketplace_ai.audit import stops
from marketplace_ai.models import Outcome, get_category_model
from marketplace_ai.queue.proposal import Proposal

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from marketplace_ai.classifier import Prediction

    from .loaded_model import LoadedClassifier

#: Similarities of postings to exemplars computed at once: 64 MiB, about five times over.
MAX_SIMILARITIES = 1 << 24

#: Nothing was fitted yet, so nothing can be proposed: it goes to review.
UNDECIDED = Proposal(Outcome.REVIEW, None)
#: A text without a letter or digit fits no category, whatever is fitted.
BLANK = Proposal(Outcome.NONE, None)


def propose(
    fitted: LoadedClassifier | None, texts: Sequence[str], vectors: Sequence[NDArray[np.float32]]
) -> list[Proposal]:
    """What a loaded classifier says about encoded texts, one proposal each.

    ``vectors`` are of unit length, shape (d,), float32. Automation stops of the version are
    applied. Without a classifier, or without exemplars, everything is undecided.
    """
    if not texts:
        return []
    if fitted is None or not len(fitted.index):
        return [UNDECIDED] * len(texts)
    index = fitted.index
    step = max(MAX_SIMILARITIES // len(index), 1)
    predictions: list[Prediction] = []
    for start in range(0, len(texts), step):
        part = slice(start, start + step)
        predictions += fitted.classifier.predict(index, np.stack(vectors[part]), list(texts[part]))
    stopped = stops.load_stops(fitted.version_id)
    key = _key_of()
    return [_proposal(stopped.apply_to(prediction), key) for prediction in predictions]


def _proposal(prediction: Prediction, key: Callable[[str | None], Any | None]) -> Proposal:
    outcome = Outcome(prediction.outcome)
    parent_only = outcome is Outcome.AUTOMATIC_PARENT
    return Proposal(
        outcome=outcome,
        category=key(prediction.parent if parent_only else prediction.label),
        probability=prediction.probability,
        threshold=prediction.threshold,
        matches=tuple((m.exemplar_id, m.similarity, m.share) for m in prediction.matches),
        own_share=prediction.head_share,
        choices=tuple((key(label), p) for label, p in prediction.choices),
        second_categories=tuple(key(label) for label, _ in prediction.second_categories),
    )


def _key_of() -> Callable[[str | None], Any | None]:
    """A function from a classifier's label to the category's primary key."""
    pk = get_category_model()._meta.pk
    assert pk is not None  # noqa: S101 (every model has one)
    return cache(lambda label: None if label is None else pk.to_python(label))
