"""How much could be automatic at a target precision, what proves it, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from marketplace_ai.classifier import Classifier, Guarantee
from marketplace_ai.classifier.automatic_rows import automatic_rows
from marketplace_ai.classifier.certify import certify
from marketplace_ai.evaluation.metrics import effective_rows, interval
from marketplace_ai.guarantee.bounds import error_lower_bound
from marketplace_ai.guarantee.target import Target
from marketplace_ai.guarantee.threshold_search import CalibrationSample

from .predictions import RowPredictions
from .split import Split

#: The precisions that are asked for; 0.97 is what is guaranteed unless somebody says otherwise.
PRECISIONS = (0.90, 0.95, 0.97, 0.99)
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class TargetCoverage:
    """What is automatic at one target precision.

    ``threshold`` (None: nothing can be proven) is that of a fit on all postings, proven on ``rows``
    of them, kin counted once, of which ``errors`` are wrong: with the target's confidence level no
    more than ``error_bound`` of such rows are. ``rows_needed`` more, none of them wrong, would
    prove it. ``all_coverage`` is the share of all postings that it makes automatic out of fold, and
    ``older_coverage`` the same for the fit on the older ones.

    By that one ``held_out_coverage`` of the held-out postings are automatic (95%:
    ``held_out_interval``); ``automatic`` counts them, and ``wrong`` those of them that are.
    ``refuted``: so many are wrong that its guarantee does not hold (exact binomial, kin counted
    once).
    """

    target: Target
    threshold: float | None
    rows: int
    errors: int
    error_bound: float
    rows_needed: int
    all_coverage: float
    older_coverage: float
    held_out_coverage: float
    held_out_interval: tuple[float, float]
    automatic: int
    wrong: int
    refuted: bool

    @property
    def precision(self) -> float | None:
        """The share of the automatic held-out postings that is right; None where there are none."""
        return 1 - self.wrong / self.automatic if self.automatic else None

    @property
    def coverage(self) -> float:
        """The share of new postings that a fit on all these would make automatic.

        Out of fold a fit is less sure than it is of new postings, because it lacks a fold and all
        kin; by how much is seen on those held out. Where nothing is, the out-of-fold share, which
        is rather too low.
        """
        return self._of_new(self.held_out_coverage)

    @property
    def interval(self) -> tuple[float, float] | None:
        """95% interval of ``coverage`` by how many were held out; None where nothing is automatic
        or nothing was seen."""
        if self.threshold is None or not self.automatic:
            return None
        low, high = self.held_out_interval
        return self._of_new(low), self._of_new(high)

    def _of_new(self, share: float) -> float:
        if not self.automatic or not self.older_coverage:
            return self.all_coverage
        return min(1.0, share * self.all_coverage / self.older_coverage)


def cover(
    found: RowPredictions,
    split: Split,
    final: Classifier,
    right: Bools,
    families: npt.NDArray[np.intp],
    target: Target,
) -> tuple[TargetCoverage, Bools]:
    """Prove a target on the older rows, decide the held-out ones by that, and prove it on all.

    ``final`` was fitted on all rows; ``right`` bool (n,) says where the first choice is right, and
    ``families`` (n,) number the kin. The second value (n,) marks the rows of both parts that would
    be automatic.
    """
    older = prove(found.classifier, target)
    automatic = automatic_rows(older, found.classes, found.first_choice, found.probability)
    decided = split.held_out[automatic[split.held_out]]
    rule, worth = prove(final, target).automatic, effective_rows(families[split.held_out])
    share = len(decided) / len(split.held_out)
    return (
        TargetCoverage(
            target, rule.threshold, rule.rows, rule.errors, rule.error_bound, rule.rows_needed,
            rule.coverage, older.automatic.coverage, share, interval(share * worth, worth),
            len(decided), int((~right[decided]).sum()),
            _refuted(~right[decided], families[decided], target),
        ),
        automatic,
    )  # fmt: skip


def prove(classifier: Classifier, target: Target) -> Guarantee:
    """The guarantee of a classifier that was just fitted, at another target."""
    if classifier.out_of_fold is None:
        raise ValueError("a stored classifier no longer knows how its rows were scored")
    counts = [row.exemplars or 0 for row in classifier.guarantee.categories]
    return certify(
        classifier.out_of_fold,
        classifier.classes,
        classifier.parents,
        np.array([*counts, 0]),
        target=target,
        calibrated_on=classifier.calibrated_on,
    )


def _refuted(wrong: Bools, families: npt.NDArray[np.intp], target: Target) -> bool:
    sample = CalibrationSample(np.ones(len(wrong)), wrong, families)
    rows, errors = sample.count_evidence()
    return error_lower_bound(errors, rows, target.confidence_level) > target.max_error_rate
