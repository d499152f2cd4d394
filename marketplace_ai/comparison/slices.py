"""Slices of a comparison: each category, and each kind of text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np

from marketplace_ai.guarantee.guarantee import CategoryGuarantee, Guarantee

from .labeled_predictions import Predictions
from .paired_tests import Bools, Groups, sign_test
from .report import CategorySlice, Counts, GuaranteeScope, Slice, TextKind

#: Predictions of the new and of the old classifier for the same rows.
PredictionPair = tuple[Predictions, Predictions]

#: The most frequent kinds of a labeled file get a slice each.
MAX_KINDS = 20
#: A text of at most so many words is short.
MAX_SHORT_WORDS = 12


def by_kind(
    kinds: Sequence[tuple[str, ...]], predictions: PredictionPair, groups: Groups
) -> tuple[Slice, ...]:
    """A slice for each kind of text, most rows first; ``kinds`` has the kinds of each row."""
    counts = Counter(kind for row in kinds for kind in row if kind)
    new, old = (part.scored for part in predictions)
    slices = []
    for kind, rows in counts.most_common(MAX_KINDS):
        part = np.flatnonzero([kind in row for row in kinds])
        test = sign_test(new.correct[part], old.correct[part], groups[part])
        slices.append(Slice(kind, rows, new.take(part).counts(), old.take(part).counts(), *test))
    return tuple(slices)


def text_kinds(text: str) -> tuple[TextKind, TextKind]:
    """The kinds of a text: title only or with a description; short or long."""
    lines = [line for line in text.splitlines() if line.strip()]
    return (
        TextKind.TITLE_ONLY if len(lines) <= 1 else TextKind.WITH_DESCRIPTION,
        TextKind.SHORT if len(text.split()) <= MAX_SHORT_WORDS else TextKind.LONG,
    )


def by_category(
    labels: Sequence[str | None],
    predictions: PredictionPair,
    guarantees: tuple[Guarantee, Guarantee],
    groups: Groups,
) -> tuple[CategorySlice, ...]:
    """A slice for each category that a row is labeled with or was given, most rows first.

    ``predictions`` and ``guarantees`` are those of the new and the old classifier.
    """
    slices = _categories(labels, predictions, guarantees, groups)
    return tuple(sorted(slices, key=lambda row: (-row.rows, row.label)))


def _categories(
    labels: Sequence[str | None],
    predictions: PredictionPair,
    guarantees: tuple[Guarantee, Guarantee],
    groups: Groups,
) -> Iterator[CategorySlice]:
    new_scopes, old_scopes = (_guarantee_scopes(guarantee) for guarantee in guarantees)
    new_correct, old_correct = (part.scored.correct for part in predictions)
    for label, old_scope in old_scopes.items():
        labeled = _equals(labels, label)
        given = [_equals(part.labels, label) & part.scored.automatic for part in predictions]
        if not labeled.any() and not any(part.any() for part in given):
            continue
        new_scope = new_scopes.get(label, GuaranteeScope.NONE)
        new, old = (
            _counts(part, labeled, automatic)
            for part, automatic in zip(predictions, given, strict=True)
        )
        gained, lost, p_value = sign_test(
            new_correct[labeled], old_correct[labeled], groups[labeled]
        )
        yield CategorySlice(
            label=label,
            rows=int(labeled.sum()),
            new=new,
            old=old,
            gained=gained,
            lost=lost,
            p_value=p_value,
            guarantee_new=new_scope,
            guarantee_old=old_scope,
            guarantee_lost=new_scope.is_weaker_than(old_scope),
        )


def _guarantee_scopes(guarantee: Guarantee) -> dict[str, GuaranteeScope]:
    """How far each category is covered; not at all where no threshold was proven."""

    def scope(row: CategoryGuarantee) -> GuaranteeScope:
        if guarantee.automatic.threshold is None or not row.automated:
            return GuaranteeScope.NONE
        return GuaranteeScope.OWN if row.has_own_guarantee else GuaranteeScope.OVERALL

    return {row.label: scope(row) for row in guarantee.categories}


def _equals(labels: Sequence[str | None], wanted: str) -> Bools:
    return np.array([label == wanted for label in labels], dtype=bool)


def _counts(predictions: Predictions, labeled: Bools, automatic: Bools) -> Counts:
    """Correct rows among the ``labeled`` ones, errors among the ``automatic`` ones."""
    correct = predictions.scored.correct
    return Counts(
        int((correct & labeled).sum()), int(automatic.sum()), int((automatic & ~correct).sum())
    )
