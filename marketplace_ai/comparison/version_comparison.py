"""Whether a new classifier may take the place of the one that decides now: both answer the
same labelled rows, none of which either has learnt from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import binom

from marketplace_ai.classifier.classifier import Classifier
from marketplace_ai.classifier.labeled import LabeledTexts
from marketplace_ai.classifier.near_duplicates import near_duplicate_groups
from marketplace_ai.guarantee.guarantee import Guarantee

from .scoring import Answers, Bools, of_today, out_of_fold

#: A loss that chance alone brings about less often than this is taken for real. Where the new
#: one is as good as the old one, at most 1 comparison in 20 says otherwise.
SIGNIFICANCE = 0.05
#: The share decided without a person may fall by this part of itself. A threshold found by an
#: exact bound moves by several steps with one error more, so less would refuse good refits.
LARGEST_FALL = 0.2


@dataclass(frozen=True, slots=True)
class Shown:
    """Rows answered right, rows given a category without a person, and those of them that
    are wrong."""

    right: int
    automatic: int
    errors: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """What two classifiers showed on the same ``rows``.

    ``left_out``: rows more that were not compared, because the old one has learnt from their
    near-duplicates. ``gained`` and ``lost`` count where only the new, or only the old one is
    right; ``taken_up`` and ``given_up`` where only the new, or only the old one needs no
    person. Near-duplicates count once in these four. ``p_worse`` and ``p_fewer`` are the
    chances of so many losses if both were alike.
    """

    rows: int
    left_out: int
    new: Shown
    old: Shown
    gained: int
    lost: int
    p_worse: float
    taken_up: int
    given_up: int
    p_fewer: float

    def as_dict(self) -> dict[str, Any]:
        """The same as plain values for JSON."""
        return asdict(self)

    @property
    def worse(self) -> bool:
        return self.p_worse < SIGNIFICANCE

    @property
    def fewer(self) -> bool:
        """Whether less is automatic, by more than ``LARGEST_FALL`` and by more than chance."""
        falls = self.new.automatic < (1 - LARGEST_FALL) * self.old.automatic
        return falls and self.p_fewer < SIGNIFICANCE


def compare(
    new: Classifier,
    old: Classifier,
    exemplars: LabeledTexts,
    rows: LabeledTexts | None,
    learnt: Bools,
    seed: int = 0,
    descriptions: LabeledTexts | None = None,
) -> Comparison:
    """Compare a classifier that was just fitted with an older one, on the rows of that fit.

    ``exemplars``, ``descriptions`` and ``rows`` are those that ``new`` was fitted with (rows
    None: it was cross-validated on the exemplars), ``learnt`` bool (n,) says which exemplars
    were there when ``old`` was fitted.

    The new one answers by its out-of-fold scores. The old one answers as it would today: its
    fitted parts with the exemplars of now, less those that nearly repeat a row of the fold
    (which would hand it the answer, as to the new one). What it was fitted on cannot be
    taken out of it, so rows that nearly repeat such an exemplar are left out for both.
    Raises ValueError for a ``new`` that was not just fitted.
    """
    scored = exemplars if rows is None else rows
    texts = [*exemplars.texts] if rows is None else [*exemplars.texts, *rows.texts]
    groups = near_duplicate_groups(texts)
    own, groups = groups[: len(exemplars)], groups[-len(scored) :]
    fair = np.flatnonzero(~np.isin(groups, own[learnt]))
    ours = out_of_fold(new, scored).take(fair)
    theirs = of_today(old, exemplars, own, scored.take(fair), groups[fair], seed, descriptions)
    gained, lost, p_worse = sign_test(ours.right, theirs.right, groups[fair])
    taken_up, given_up, p_fewer = sign_test(ours.automatic, theirs.automatic, groups[fair])
    return Comparison(
        rows=len(fair), left_out=len(scored) - len(fair), new=_shown(ours), old=_shown(theirs),
        gained=gained, lost=lost, p_worse=p_worse,
        taken_up=taken_up, given_up=given_up, p_fewer=p_fewer,
    )  # fmt: skip


def objections(new: Guarantee, old: Guarantee, found: Comparison | None) -> Iterator[str]:
    """Why the new one should not take the old one's place; nothing where it may.

    "worse": its first answer is right less often. "no_automation", "fewer": less is decided
    without a person; not asked where the new promise is the stricter one, which costs that.
    """
    if found is not None and found.worse:
        yield "worse"
    if new.target.is_stricter_than(old.target):
        return
    if new.automatic.threshold is None and old.automatic.threshold is not None:
        yield "no_automation"
    elif found is not None and found.fewer:
        yield "fewer"


def sign_test(new: Bools, old: Bools, groups: npt.NDArray[np.intp]) -> tuple[int, int, float]:
    """Groups of rows where ``new`` holds more often, where ``old`` does, and the chance of at
    least so many of the latter if both were alike (one-sided, exact).

    With a group a row this is the exact form of the test of McNemar (1947) for paired answers,
    recommended by Dietterich (1998) to compare two classifiers on one set of rows.
    """
    _, members = np.unique(groups, return_inverse=True)
    lead = np.bincount(members, weights=new.astype(float) - old.astype(float))
    gained, lost = int((lead > 0).sum()), int((lead < 0).sum())
    return gained, lost, float(binom.sf(lost - 1, gained + lost, 0.5))


def _shown(answers: Answers) -> Shown:
    wrong = answers.automatic & ~answers.right
    return Shown(int(answers.right.sum()), int(answers.automatic.sum()), int(wrong.sum()))
