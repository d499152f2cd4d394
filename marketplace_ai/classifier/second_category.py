"""The second category of a posting: another part of its text supports another category.

A posting that is ambiguous between two similar categories supports both from beginning to end; one
with two jobs supports one category up to some place and the other from there on. The text head is
linear in n-grams within words, so the contribution of each clause to a category's score is known
without encoding anything again.
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

#: The second category is the second or third choice overall: vectors and exemplars support it too.
NUM_CHOICES = 3
#: At most this share of postings with one job may be given a second category (proven at the
#: confidence level of the guarantee).
MAX_FALSE_RATE = 0.03
#: Words that separate two parts of a text, in addition to punctuation and line ends. In a language
#: that is not listed, only punctuation and line ends separate.
CONJUNCTIONS = (*WORDS.conjunctions, "&", "+", "/")
_CUT = re.compile(
    rf"(?<=[,.;:!?])\s+|\s*\n\s*|\s+(?=(?:{'|'.join(map(re.escape, CONJUNCTIONS))})(?:\s|$))",
    re.IGNORECASE,
)


@dataclass(frozen=True, eq=False)
class SecondCategories:
    """For each of b postings the one category that may be its second.

    ``codes`` intp (b,), -1 for none; ``strengths`` float64 (b,): how much the
    more doubtful of two parts of the text prefers its own category to the other's, in log
    odds; 0 if no cut supports two jobs.
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
        """Which postings are given their second category, bool (b,); none without a threshold."""
        if threshold is None:
            return np.zeros(len(self.codes), dtype=np.bool_)
        return np.asarray(self.strengths > threshold)


def clauses(text: str) -> list[str]:
    """Cut a text after punctuation, at the end of a line and before a conjunction.

    Every word is in exactly one clause, in the order of the text.
    """
    return [clause for clause in _CUT.split(text.strip()) if clause]


def find_second_categories(
    heads: LinearHeads, features: ClauseFeatures, pooled: Floats, none: int
) -> SecondCategories:
    """The second categories of b postings with scores ``pooled`` (b, k), among choices 2 and 3.

    ``features``: their texts by clause. A posting whose first choice is "none" has no second
    category, and "none" is never one. Of two candidates the stronger is taken: a posting with
    three jobs is rarer than a text whose clauses support a third category by chance.
    """
    ranked = np.argsort(-pooled, axis=1, kind="stable")[:, :NUM_CHOICES]
    missing = NUM_CHOICES - ranked.shape[1]
    ranked = np.pad(ranked, ((0, 0), (0, missing)), constant_values=-1)
    ranked[ranked == none] = -1
    single_clause = np.bincount(features.owner, minlength=len(pooled)) < 2
    ranked[single_clause | (ranked[:, 0] < 0)] = -1
    clause_scores = heads.clause_scores(features, ranked)
    found = split_strengths(clause_scores, features.owner, len(pooled))
    rows, best = np.arange(len(pooled)), found.argmax(axis=1)
    strength = found[rows, best]
    return SecondCategories(np.where(strength > 0, ranked[rows, best + 1], -1), strength)


def split_strengths(clause_scores: Floats, owner: Codes, texts: int) -> Floats:
    """How strongly texts support two categories, float64 (texts, c - 1), 0 or more.

    ``clause_scores`` (p, c): what each clause adds to the score of its text's first choice and
    of c - 1 others (NaN: not known); ``owner`` (p,), ascending. Of all places to cut a text in two,
    the best is taken; the lesser of both halves' preferences counts.
    """
    # How much more each clause supports the first choice than each of the others.
    prefers = np.nan_to_num(clause_scores[:, :1] - clause_scores[:, 1:])
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
    seconds: SecondCategories, y_true: Codes, groups: Codes, confidence_level: float
) -> SecondCategoryRule:
    """Find the loosest threshold at which few labeled rows get a wrong second category.

    ``y_true`` (b,): the single label of each row (-1: unknown here); any other
    category given as a second counts as an error, though some rows do have two jobs.
    ``groups`` (b,) of near-duplicates count once. The lower the threshold, the more errors on
    the same rows: so the loosest that passes may be taken without paying for the search
    (as Bates et al. 2021 do with monotone losses).
    """
    wrong = np.where(seconds.codes != y_true, seconds.strengths, 0.0)
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
