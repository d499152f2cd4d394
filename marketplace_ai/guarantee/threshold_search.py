"""What may be decided without a person, proven on labelled rows that fitted nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from marketplace_ai.guarantee import minimum_counts

from .bounds import TestedThreshold, error_lower_bound, error_upper_bound, fixed_sequence, rows_needed

Floats = npt.NDArray[np.float64]

#: The search walks from the surest rows to all of them in this many equal steps.
NUM_THRESHOLDS = 40
#: Errors that the first step survives where there are rows enough. With one, a fourth of the
#: searches on resampled postings of the demo's catalogue end without a promise; with three or
#: four, one of fifty.
MAX_ERRORS_AT_FIRST = 4


@dataclass(frozen=True, slots=True)
class Rule:
    """One way to decide without a person, and what it showed on the labelled rows.

    ``rows`` and ``errors`` (twins count once) are those that were tested, and
    ``error_bound`` follows from them. ``threshold`` is None where nothing could be promised;
    then they count what the search looked at first. ``coverage``: share of all labelled
    rows that the rule decides, without those of categories that are not automated.
    ``rows_needed``: labelled rows of this kind still missing if no further error is seen, 0
    where the promise stands.
    """

    threshold: float | None
    candidates: int
    rows: int
    errors: int
    coverage: float
    error_bound: float
    rows_needed: int


@dataclass(frozen=True, slots=True)
class CategoryGuarantee:
    """One category's own rows: answers ``rows``, of them and others tagged ``automatic``.

    ``promised``: its own automatic rows prove the target without help from the others;
    ``automated``: it is decided without a person. The promise over all categories covers those
    which had ``enough.FOR_THE_PROMISE`` exemplars at the fit and whose own rows do not refute
    it; one with fewer is automated only where it is ``promised``. ``exemplars``: how many it
    had (None: a version that was fitted before they were counted).
    """

    label: str
    rows: int
    automatic: int
    errors: int
    promised: bool
    automated: bool
    rows_needed: int
    exemplars: int | None = None


@dataclass(frozen=True, slots=True)
class SecondCategoryRule:
    """From which strength on a second job is said, and what that showed on the labelled rows.

    ``threshold`` (to be exceeded) is None where too few ``rows`` (twins count once) prove
    anything; ``errors``: rows given a second category that is not their answer, and
    ``error_bound`` follows from them.
    """

    threshold: float | None
    rows: int
    errors: int
    error_bound: float


@dataclass(frozen=True, slots=True)
class Guarantee:
    """Rules for a leaf, for "none of these", for a parent and for a second job, and every
    category's figures.

    ``calibrated_on`` is "postings" or "exemplars" (no labelled postings were given, so
    cross-validation on exemplars stood in); ``unknown_labels`` counts labelled postings whose
    category has no exemplar (each is an error if tagged); ``first_choice`` is the share of
    rows with a category whose best category is the right one (None: no such row).
    """

    target_precision: float
    confidence: float
    calibrated_on: str
    rows: int
    groups: int
    unknown_labels: int
    first_choice: float | None
    automatic: Rule
    none: Rule
    parent: Rule
    secondary: SecondCategoryRule
    categories: tuple[CategoryGuarantee, ...]

    def as_dict(self) -> dict[str, Any]:
        """The same as plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Guarantee:
        rules = {name: Rule(**values[name]) for name in ("automatic", "none", "parent")}
        secondary = SecondCategoryRule(**values["secondary"])
        categories = tuple(CategoryGuarantee(**row) for row in values["categories"])
        return cls(**{**values, **rules, "secondary": secondary, "categories": categories})


@dataclass(frozen=True, eq=False)
class CalibrationSample:
    """Candidates for one rule among the labelled rows: how sure, whether wrong, which group.

    ``confidence`` float (r,), ``wrong`` bool (r,), ``groups`` intp (r,) of near-duplicates.
    """

    confidence: Floats
    wrong: npt.NDArray[np.bool_]
    groups: npt.NDArray[np.intp]

    def take(self, rows: npt.NDArray[np.bool_]) -> CalibrationSample:
        return CalibrationSample(self.confidence[rows], self.wrong[rows], self.groups[rows])

    def counted(self) -> tuple[int, int]:
        """Pieces of evidence, and how many of them are errors.

        Twins that are right are one piece, not two: they could not have come out apart. Each
        wrong row is one, for the promise is about postings, and a template that is tagged
        wrongly sixty times is sixty wrong postings.
        """
        errors = int(self.wrong.sum())
        right = len(np.unique(self.groups)) - len(np.unique(self.groups[self.wrong]))
        return right + errors, errors

    def steps(self, target_precision: float, confidence: float) -> Iterator[TestedThreshold]:
        """Thresholds from strict to loose, fixed by how many groups reach them.

        Sizes depend on the number of candidates and the promise alone, never on which are
        wrong. The first survives as many errors as it can: one that allows none, or only one,
        would end most searches by bad luck. The last takes in every row.
        """
        total = len(np.unique(self.groups))
        first = _first_size(total, target_precision, confidence)
        order = np.argsort(-self.confidence, kind="stable")
        ranked = self.confidence[order]
        # A group counts from its surest row on, so the k-th group to appear makes size k.
        appears = np.sort(np.unique(self.groups[order], return_index=True)[1])
        sizes = {first, *np.linspace(0, total, NUM_THRESHOLDS + 1).astype(int), total}
        for size in sorted(size for size in sizes if first <= size <= total):
            threshold = float(ranked[appears[size - 1]] if size < total else ranked[-1])
            rows, errors = self.take(self.confidence >= threshold).counted()
            yield TestedThreshold(threshold, rows, errors)


def _first_size(total: int, target_precision: float, confidence: float) -> int:
    """The fewest rows that prove the promise in spite of ``MAX_ERRORS_AT_FIRST`` errors. Of fewer errors
    where that is more than half of all rows, which together may not be good enough; of one
    wherever there are rows for it."""
    none, one, *more = (
        rows_needed(target_precision, confidence, errors) for errors in range(MAX_ERRORS_AT_FIRST + 1)
    )
    usual = one if one <= total else none
    return max((size for size in more if size <= total / 2), default=usual)


def find_threshold(trial: CalibrationSample, total: int, target_precision: float, confidence: float) -> Rule:
    """Find the loosest threshold that keeps the promise; ``total``: rows of every kind."""
    passed = fixed_sequence(trial.steps(target_precision, confidence), target_precision, confidence)
    if passed is None:
        first = next(trial.steps(target_precision, confidence), None)
        rows, errors = (first.rows, first.errors) if first else trial.counted()
        missing = max(0, rows_needed(target_precision, confidence, errors) - rows)
        bound = error_upper_bound(errors, rows, confidence)
        return Rule(None, len(trial.wrong), rows, errors, 0.0, bound, missing)
    rows, errors = passed.rows, passed.errors
    bound = error_upper_bound(errors, rows, confidence)
    covered = int((trial.confidence >= passed.threshold).sum()) / max(total, 1)
    return Rule(passed.threshold, len(trial.wrong), rows, errors, covered, bound, 0)


def category_guarantees(
    names: Sequence[str],
    answers: npt.NDArray[np.intp],
    first: npt.NDArray[np.intp],
    trial: CalibrationSample,
    exemplars: npt.NDArray[np.intp],
    target_precision: float,
    confidence: float,
) -> tuple[CategoryGuarantee, ...]:
    """Each category's own evidence; ``trial`` holds one row per answer, automatic or not
    told apart by a confidence of -inf; ``exemplars`` (k,) counts each category's.

    Each question is asked of many categories, so each answer is held to its share of the doubt
    (Bonferroni): that any one is refuted by bad luck alone, or that any one which the pooled
    promise does not cover is proven by good luck, has a chance of at most 1 - confidence.
    """
    tagged = np.isfinite(trial.confidence)
    few = exemplars[: len(names)] < minimum_counts.MIN_EXEMPLARS_FOR_GUARANTEE
    strict = 1 - (1 - confidence) / max(int(few.sum()), 1)
    cautious = 1 - (1 - confidence) / max(len(np.unique(first[tagged])), 1)
    found = []
    for code, name in enumerate(names):
        rows, errors = trial.take(tagged & (first == code)).counted()
        asked = strict if few[code] else confidence
        proven = error_upper_bound(errors, rows, asked) <= 1 - target_precision
        refuted = error_lower_bound(errors, rows, cautious) > 1 - target_precision
        missing = max(0, rows_needed(target_precision, asked, errors) - rows)
        answered = int((answers == code).sum())
        own = int(exemplars[code])
        automated = proven or (own >= minimum_counts.MIN_EXEMPLARS_FOR_GUARANTEE and not refuted)
        found.append(CategoryGuarantee(name, answered, rows, errors, proven, automated, missing, own))
    return tuple(found)
