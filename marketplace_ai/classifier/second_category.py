"""A second job in one posting: another part of its text speaks for another category.

A posting that is torn between two like categories says the same of both from end to end; one
with two jobs speaks for one category up to some place and for the other from there on. The
pattern by text is linear in n-grams that lie within words, so what each clause adds to the
score of a category is known without encoding anything once more.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from marketplace_ai.classifier.ngrams import ClauseFeatures
from marketplace_ai.guarantee.bounds import error_upper_bound
from marketplace_ai.guarantee.guarantee import SecondCategoryRule
from marketplace_ai.scrub.languages import WORDS

from .linear_heads import LinearHeads

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.intp]
Bools = npt.NDArray[np.bool_]

#: The second job is the second or third choice of all: vectors and exemplars must see it too.
NUM_CHOICES = 3
#: At most this share of postings with one job may be given a second (proven at the
#: confidence of the promise).
MAX_FALSE_RATE = 0.03
#: Where one job ends and another begins, besides the marks below and the end of a line. In a
#: language that is not known the marks alone divide.
CONJUNCTIONS = (*WORDS.conjunctions, "&", "+", "/")
_CUT = re.compile(
    rf"(?<=[,.;:!?])\s+|\s*\n\s*|\s+(?=(?:{'|'.join(map(re.escape, CONJUNCTIONS))})(?:\s|$))",
    re.IGNORECASE,
)


@dataclass(frozen=True, eq=False)
class SecondCategories:
    """For each of b postings the one category that may be its second job.

    ``codes`` intp (b,), -1 where there is none; ``strengths`` float64 (b,): how much the
    more doubtful of two parts of the text prefers its own category to the other's, in log
    odds; 0 where no split speaks for two jobs.
    """

    codes: Codes
    strengths: Floats

    @classmethod
    def concatenate(cls, parts: Sequence[SecondCategories]) -> SecondCategories:
        return cls(
            np.concatenate([part.codes for part in parts]),
            np.concatenate([part.strengths for part in parts]),
        )

    def take(self, rows: Codes) -> SecondCategories:
        return SecondCategories(self.codes[rows], self.strengths[rows])

    def tagged(self, threshold: float | None) -> Bools:
        """For which postings it is said, bool (b,); for none without a threshold."""
        if threshold is None:
            return np.zeros(len(self.codes), dtype=np.bool_)
        return np.asarray(self.strengths > threshold)


def clauses(text: str) -> list[str]:
    """Cut a text after punctuation, at the end of a line and before a conjunction.

    Every word is in exactly one clause, in the order of the text.
    """
    return [clause for clause in _CUT.split(text.strip()) if clause]


def find_second_categories(
    pattern: LinearHeads, divided: ClauseFeatures, pooled: Floats, none: int
) -> SecondCategories:
    """Weigh the second and third choices of b postings with scores ``pooled`` (b, k).

    ``divided``: their texts by clause. A posting whose first choice is ``none`` has no
    second, and none is never one. Of two that may be, the stronger is taken: a posting with
    three jobs is rarer than a text whose clauses speak for a third category by chance.
    """
    ranked = np.argsort(-pooled, axis=1, kind="stable")[:, :NUM_CHOICES]
    missing = NUM_CHOICES - ranked.shape[1]
    ranked = np.pad(ranked, ((0, 0), (0, missing)), constant_values=-1)
    ranked[ranked == none] = -1
    alone = np.bincount(divided.owner, minlength=len(pooled)) < 2
    ranked[alone | (ranked[:, 0] < 0)] = -1
    said = pattern.said(divided, ranked)
    found = split_strengths(said, divided.owner, len(pooled))
    rows, best = np.arange(len(pooled)), found.argmax(axis=1)
    sure = found[rows, best]
    return SecondCategories(np.where(sure > 0, ranked[rows, best + 1], -1), sure)


def split_strengths(said: Floats, owner: Codes, texts: int) -> Floats:
    """How surely texts have two jobs, float64 (texts, c - 1), 0 or more.

    ``said`` (p, c): what each part adds to the score of its text's first choice and of c - 1
    others (NaN: not known); ``owner`` (p,), ascending. Of all places to cut a text in two,
    the best is taken; the lesser of both halves' preferences counts.
    """
    prefers = np.nan_to_num(said[:, :1] - said[:, 1:])  # the first, rather than each other
    found = np.zeros((texts, prefers.shape[1]))
    starts = np.searchsorted(owner, np.arange(texts + 1))
    sums = np.vstack([np.zeros((1, prefers.shape[1])), np.cumsum(prefers, axis=0)])
    left = sums[1:] - sums[starts[owner]]
    # Behind the last part nothing is left, which prefers neither: such a cut never counts.
    right = sums[starts[owner + 1]] - sums[1:]
    np.maximum.at(found, owner, np.minimum(left, -right))
    np.maximum.at(found, owner, np.minimum(-left, right))
    return found


def find_threshold(
    seconds: SecondCategories, answers: Codes, groups: Codes, confidence_level: float
) -> SecondCategoryRule:
    """Find the loosest threshold at which few labelled rows get a second job that they lack.

    ``answers`` (b,): the single right answer of each row (-1: unknown here); any other
    category given as a second counts as an error, though some rows do have two jobs.
    ``groups`` (b,) of near-duplicates count once. The lower the threshold, the more errors on
    the same rows: so the loosest that passes may be taken without paying for the search
    (as Bates et al. 2021 do with monotone losses).
    """
    wrong = np.where(seconds.codes != answers, seconds.strengths, 0.0)
    names, of = np.unique(groups, return_inverse=True)
    worst = np.zeros(len(names))
    np.maximum.at(worst, of, wrong)
    rows, allowed = len(names), -1
    while (
        allowed + 1 < rows
        and error_upper_bound(allowed + 1, rows, confidence_level) <= MAX_FALSE_RATE
    ):
        allowed += 1
    if allowed < 0:
        return SecondCategoryRule(None, rows, 0, error_upper_bound(0, rows, confidence_level))
    threshold = float(np.sort(worst)[::-1][allowed])
    errors = int((worst > threshold).sum())
    return SecondCategoryRule(
        threshold, rows, errors, error_upper_bound(errors, rows, confidence_level)
    )
