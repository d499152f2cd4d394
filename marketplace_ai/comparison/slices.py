"""Two classifiers on parts of the same rows: each category, and each kind of text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from marketplace_ai.guarantee.guarantee import CategoryGuarantee, Guarantee

from .labeled_predictions import Said
from .scoring import Bools
from .version_comparison import Shown, sign_test

#: What is proven of a category: nothing, with all others, or by its own rows.
Promised = Literal["none", "pooled", "own"]
LADDER: tuple[Promised, ...] = ("none", "pooled", "own")
#: What the new and the old one say of the same rows.
Both = tuple[Said, Said]

#: Kinds of a labelled file that are told apart, the most frequent ones.
KINDS = 20
#: A text of at most so many words is short.
SHORT_WORDS = 12
TITLE_ONLY, WITH_DESCRIPTION, SHORT, LONG = "title_only", "with_description", "short", "long"


@dataclass(frozen=True, slots=True)
class Slice:
    """``rows`` of one kind, what both showed on them, and where only one is right
    (near-duplicates count once; ``p_worse`` as in ``Comparison``)."""

    name: str
    rows: int
    new: Shown
    old: Shown
    gained: int
    lost: int
    p_worse: float


@dataclass(frozen=True, slots=True)
class CategorySlice:
    """One category: its ``rows``, of which each counts as ``right``, and the rows that were
    given it without a person, of which some are ``errors``. What each promises of it;
    ``promise_lost``: the new one less than the old one."""

    label: str
    rows: int
    new: Shown
    old: Shown
    gained: int
    lost: int
    p_worse: float
    promised_new: Promised
    promised_old: Promised
    promise_lost: bool


def by_kind(
    kinds: Sequence[tuple[str, ...]], said: Both, groups: npt.NDArray[np.intp]
) -> tuple[Slice, ...]:
    """Of the rows of each kind; ``kinds`` has those of each row, a row may be of several."""
    counts = Counter(kind for row in kinds for kind in row if kind)
    right = [one.answers.right for one in said]
    found = []
    for kind, rows in counts.most_common(KINDS):
        part = np.array([kind in row for row in kinds], dtype=bool)
        new, old = (
            _shown(one.answers.right & part, one.answers.automatic & part, one) for one in said
        )
        gained, lost, p = sign_test(right[0][part], right[1][part], groups[part])
        found.append(Slice(kind, rows, new, old, gained, lost, p))
    return tuple(found)


def kinds_of(text: str) -> tuple[str, ...]:
    """What kind of text it is: a title alone, or with a description below it; and whether it
    has more than ``SHORT_WORDS`` words."""
    lines = [line for line in text.splitlines() if line.strip()]
    return (
        TITLE_ONLY if len(lines) <= 1 else WITH_DESCRIPTION,
        SHORT if len(text.split()) <= SHORT_WORDS else LONG,
    )


def by_category(
    labels: Sequence[str | None],
    said: Both,
    promises: tuple[Guarantee, Guarantee],
    groups: npt.NDArray[np.intp],
) -> tuple[CategorySlice, ...]:
    """Of each category that a row has or was given; ``labels`` are the right answers, ``said``
    and ``promises`` those of the new and the old one. Most rows first."""
    found = _categories(labels, said, promises, groups)
    return tuple(sorted(found, key=lambda row: (-row.rows, row.label)))


def _categories(
    labels: Sequence[str | None],
    said: Both,
    promises: tuple[Guarantee, Guarantee],
    groups: npt.NDArray[np.intp],
) -> Iterator[CategorySlice]:
    promised = [_promised(promise) for promise in promises]
    right = [one.answers.right for one in said]
    for label in promised[1]:
        answer = _is(labels, label)
        given = [_is(one.labels, label) & one.answers.automatic for one in said]
        if not answer.any() and not any(part.any() for part in given):
            continue
        new, old = (
            _shown(one.answers.right & answer, part, one)
            for one, part in zip(said, given, strict=True)
        )
        gained, lost, p = sign_test(right[0][answer], right[1][answer], groups[answer])
        now, was = promised[0].get(label, "none"), promised[1][label]
        less = LADDER.index(now) < LADDER.index(was)
        yield CategorySlice(
            label, int(answer.sum()), new, old, gained, lost, p, now, was, promise_lost=less
        )


def _promised(promise: Guarantee) -> dict[str, Promised]:
    """By category; nothing where no threshold was proven."""

    def of(row: CategoryGuarantee) -> Promised:
        if promise.automatic.threshold is None or not row.automated:
            return "none"
        return "own" if row.has_own_guarantee else "pooled"

    return {row.label: of(row) for row in promise.categories}


def _is(labels: Sequence[str | None], wanted: str) -> Bools:
    return np.array([label == wanted for label in labels], dtype=bool)


def _shown(right: Bools, automatic: Bools, said: Said) -> Shown:
    return Shown(
        int(right.sum()), int(automatic.sum()), int((automatic & ~said.answers.right).sum())
    )
