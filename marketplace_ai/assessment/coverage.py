"""How much could be automatic at a target precision, what proves it, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

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

    ``threshold`` (None: nothing could be proven) was proven on ``rows`` of the older postings, kin
    counted once, of which ``errors`` are wrong: with the target's confidence level no more than
    ``error_bound`` of such rows are. ``rows_needed`` more, none of them wrong, would prove it.

    ``coverage`` is the share of the held-out postings that would have been automatic, with its 95%
    interval; ``automatic`` counts them, and ``wrong`` those of them that are. ``refuted``: so many
    are wrong that the guarantee does not hold (exact binomial, kin counted once).
    """

    target: Target
    threshold: float | None
    rows: int
    errors: int
    error_bound: float
    rows_needed: int
    older_coverage: float
    coverage: float
    coverage_interval: tuple[float, float]
    automatic: int
    wrong: int
    refuted: bool

    @property
    def precision(self) -> float | None:
        """The share of the automatic held-out postings that is right; None where there are none."""
        return 1 - self.wrong / self.automatic if self.automatic else None


def cover(
    found: RowPredictions,
    split: Split,
    right: Bools,
    families: npt.NDArray[np.intp],
    target: Target,
) -> tuple[TargetCoverage, Bools]:
    """Prove a target on the older rows, and decide the held-out ones by what was proven.

    ``right`` bool (n,) says where the first choice is right, and ``families`` (n,) number the kin.
    The second value (n,) marks the rows of both parts that would be automatic.
    """
    classifier = found.classifier
    if classifier.out_of_fold is None:
        raise AssertionError("predict_rows gives a classifier that was just fitted")
    guarantee = certify(
        classifier.out_of_fold,
        found.classes,
        {},
        np.bincount(found.y_true[split.older], minlength=len(found.classes)),
        target=target,
        calibrated_on=classifier.calibrated_on,
    )
    automatic = automatic_rows(guarantee, found.classes, found.first_choice, found.probability)
    held_out = automatic[split.held_out]
    decided = split.held_out[held_out]
    wrong = int((~right[decided]).sum())
    rule, worth = guarantee.automatic, effective_rows(families[split.held_out])
    share = float(held_out.mean())
    return (
        TargetCoverage(
            target, rule.threshold, rule.rows, rule.errors, rule.error_bound, rule.rows_needed,
            rule.coverage, share, interval(share * worth, worth), len(decided), wrong,
            _refuted(~right[decided], families[decided], target),
        ),
        automatic,
    )  # fmt: skip


def _refuted(wrong: Bools, families: npt.NDArray[np.intp], target: Target) -> bool:
    sample = CalibrationSample(np.ones(len(wrong)), wrong, families)
    rows, errors = sample.count_evidence()
    return error_lower_bound(errors, rows, target.confidence_level) > target.max_error_rate
