"""Whether another encoder may take the place of the active one: the classifiers of both are
fitted on the same exemplars and asked about the same labelled rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from marketplace_ai.classifier.classifier import Classifier
from marketplace_ai.classifier.labeled import LabeledTexts
from marketplace_ai.classifier.prediction import Outcome
from marketplace_ai.guarantee.guarantee import Guarantee

from . import slices
from .held_out import HeldOut, held_out
from .intervals import Paired, paired
from .labeled_predictions import Said, say
from .slices import CategorySlice, Slice
from .version_comparison import LARGEST_FALL, SIGNIFICANCE

#: Less than this part of what is automatic is no loss, however sure: one threshold decides all rows
#: at once, and moves by so much with one error more, so the rows are no independent signs.
SMALLEST_FALL = 0.05
#: Rows kept whose decision changes, those first on which the new one loses.
CHANGES = 200


@dataclass(frozen=True, slots=True)
class OneSaid:
    """What one classifier says of a row: the category (None: fits none; a parent where only
    that is certain), the probability of its first answer, and what comes of it."""

    label: str | None
    probability: float
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Change:
    """A row that the new one decides otherwise: its text, the right answer, and what both say."""

    text: str
    right: str | None
    new: OneSaid
    old: OneSaid


@dataclass(frozen=True, slots=True)
class Side:
    """One classifier: what it proved, and what it showed on the rows.

    Thresholds are None where nothing is proven. ``automatic`` rows were given a category,
    ``errors`` of them a wrong one; ``automatic_parent`` only its parent, and ``none`` were
    decided to fit none.
    """

    threshold: float | None
    parent_threshold: float | None
    none_threshold: float | None
    automatic: int
    errors: int
    automatic_parent: int
    none: int
    held_out: HeldOut


@dataclass(frozen=True, slots=True)
class Contest:
    """Both on the same ``rows`` (``groups`` of near-duplicates).

    ``first``: the first answer is right ("none" is one). ``parent``: the parent is, of the
    ``with_parent`` rows whose category has one. ``recognized``: "none" was the first answer,
    of the ``fit_none`` rows. ``automatic``: a category is given without a person.
    ``changed`` rows are decided otherwise, ``changes`` are at most ``CHANGES`` of them.
    """

    rows: int
    groups: int
    with_parent: int
    fit_none: int
    new: Side
    old: Side
    first: Paired
    parent: Paired
    recognized: Paired
    automatic: Paired
    categories: tuple[CategorySlice, ...]
    kinds: tuple[Slice, ...]
    changed: int
    changes: tuple[Change, ...]

    def as_dict(self) -> dict[str, Any]:
        """The same as plain values for JSON."""
        return asdict(self)


def contest(
    new: Classifier,
    old: Classifier,
    rows: LabeledTexts,
    kinds: Sequence[tuple[str, ...]] | None = None,
    seed: int = 0,
) -> Contest:
    """Hold two classifiers against each other that were just fitted with these labelled
    ``rows`` (the exemplars, where they were cross-validated on those), on the same exemplars
    and with the same seed; only the vectors differ, of which none are looked at here.

    ``kinds`` has the kinds of each row's text; None: ``slices.kinds_of`` says them. Raises
    ValueError for classifiers that were not just fitted on these rows, or dealt them otherwise.
    """
    said = say(new, rows), say(old, rows)
    assert new.out_of_fold is not None and old.out_of_fold is not None  # noqa: S101 (say has asked)
    groups = new.out_of_fold.groups
    if not np.array_equal(groups, old.out_of_fold.groups):
        raise ValueError("the two were not fitted on the same texts")
    kinds = [slices.kinds_of(text) for text in rows.texts] if kinds is None else kinds
    none = np.array([label is None for label in rows.labels], dtype=bool)
    with_parent = said[0].has_parent | said[1].has_parent
    first, automatic = (
        paired(getattr(said[0].answers, name), getattr(said[1].answers, name), groups, seed)
        for name in ("right", "automatic")
    )
    changed = _changed(*said)
    return Contest(
        rows=len(rows),
        groups=len(np.unique(groups)),
        with_parent=int(with_parent.sum()),
        fit_none=int(none.sum()),
        new=_side(new, said[0], seed),
        old=_side(old, said[1], seed),
        first=first,
        parent=paired(
            said[0].parent_right[with_parent],
            said[1].parent_right[with_parent],
            groups[with_parent],
            seed,
        ),
        recognized=paired(
            said[0].answers.right[none], said[1].answers.right[none], groups[none], seed
        ),
        automatic=automatic,
        categories=slices.by_category(rows.labels, said, (new.guarantee, old.guarantee), groups),
        kinds=slices.by_kind(kinds, said, groups),
        changed=len(changed),
        changes=tuple(
            Change(rows.texts[row], rows.labels[row], _one(said[0], row), _one(said[1], row))
            for row in changed[:CHANGES]
        ),
    )


def objections(
    new: Guarantee, old: Guarantee, found: Contest, serving: Guarantee | None = None
) -> Iterator[str]:
    """Why the new encoder should not take the old one's place; nothing where it may.

    "worse": its first answer is right less often, by more than chance. "no_automation": it
    proves no category without a person, and the old one does; or ``serving`` does, the promise
    that holds today, unless a stricter one is asked for. "unkept": rows that took no part in
    finding its threshold refute its promise, and do not refute the old one's. "fewer": less is
    decided without a person, by more than ``LARGEST_FALL`` of it, or by more than chance and
    ``SMALLEST_FALL``. "weaker": less is promised than ``serving`` promises.
    """
    if serving is not None and _stricter(serving, new):
        yield "weaker"
    if found.first.p < SIGNIFICANCE:
        yield "worse"
    promised = old.automatic.threshold is not None
    if serving is not None and not _stricter(new, serving):
        promised |= serving.automatic.threshold is not None
    if new.automatic.threshold is None:
        if promised:
            yield "no_automation"
        return
    if found.new.held_out.refuted and not found.old.held_out.refuted:
        yield "unkept"
    kept = found.automatic.new / found.automatic.old if found.automatic.old else 1.0
    surely = found.automatic.p < SIGNIFICANCE and kept < 1 - SMALLEST_FALL
    if kept < 1 - LARGEST_FALL or surely:
        yield "fewer"


def _stricter(new: Guarantee, old: Guarantee) -> bool:
    return new.target.is_stricter_than(old.target)


def _side(classifier: Classifier, said: Said, seed: int) -> Side:
    promise, answers = classifier.guarantee, said.answers
    return Side(
        threshold=promise.automatic.threshold,
        parent_threshold=promise.parent.threshold,
        none_threshold=promise.none.threshold,
        automatic=int(answers.automatic.sum()),
        errors=int((answers.automatic & ~answers.right).sum()),
        automatic_parent=said.outcomes.count("automatic_parent"),
        none=said.outcomes.count("none"),
        held_out=held_out(classifier, seed),
    )


def _changed(new: Said, old: Said) -> list[int]:
    """Rows that are decided otherwise: first those where only the old one is right, then those
    where only the new one is, then the others."""

    def order(row: int) -> int:
        right = bool(new.answers.right[row]), bool(old.answers.right[row])
        return {(False, True): 0, (True, False): 1}.get(right, 2)

    decisions = zip(new.outcomes, new.decided, old.outcomes, old.decided, strict=True)
    differ = [row for row, (a, b, c, d) in enumerate(decisions) if (a, b) != (c, d)]
    return sorted(differ, key=order)


def _one(said: Said, row: int) -> OneSaid:
    return OneSaid(said.decided[row], float(said.probability[row]), said.outcomes[row])
