"""The figures of `evaluate_classifier --json`, from predictions and true labels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import binom

from marketplace_ai.classifier import Prediction
from marketplace_ai.guarantee.target import Target
from marketplace_ai.text.circles import Parents

from .metrics import among_first, brier_score, expected_calibration_error, share

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class ScoredRow:
    """One labeled row and its prediction; ``true_labels`` is empty if it fits none."""

    text: str
    line: int
    true_labels: tuple[str, ...]
    kind: str | None
    prediction: Prediction

    @property
    def choice(self) -> str | None:
        """The first choice among categories, "none" left out (None: a text without a letter)."""
        return self.prediction.best_category

    @property
    def probability(self) -> float:
        """The probability that belongs to ``choice``: where "none" is the first of all, the
        category's own entry among the choices, not that of "none"."""
        if self.prediction.label is not None and self.prediction.label == self.choice:
            return self.prediction.probability
        return dict(self.prediction.choices).get(self.choice, 0.0)

    @property
    def right(self) -> bool:
        """Whether ``choice`` is a right answer; on a row that fits none no category is."""
        return self.choice in self.true_labels

    @property
    def ranked(self) -> list[str]:
        """Categories by probability, the first choice first."""
        first = [] if self.choice is None else [self.choice]
        others = [label for label, _ in self.prediction.choices if label not in (None, self.choice)]
        return [*first, *(str(label) for label in others)]


def first_choice_probabilities(rows: Sequence[ScoredRow]) -> tuple[Floats, Bools]:
    """The first choices' probabilities and whether each is right: both (n,)."""
    return (
        np.array([row.probability for row in rows], dtype=np.float64),
        np.array([row.right for row in rows], dtype=np.bool_),
    )


def figures(rows: Sequence[ScoredRow], parents: Parents, target: Target) -> dict[str, Any]:
    """All figures of scored rows; a share of nothing is None."""
    probability, right = first_choice_probabilities(rows)
    return {
        "n": len(rows),
        **_choices(rows, parents),
        "auto": _tagged(
            rows, "automatic", lambda row: row.prediction.label in row.true_labels, target
        ),
        "auto_parent": _tagged(
            rows,
            "automatic_parent",
            lambda row: (
                row.prediction.parent in {parent_of(label, parents) for label in row.true_labels}
            ),
            target,
        ),
        "none": _none(rows),
        "secondary": _second_categories(rows),
        "calibration": {
            "ece": expected_calibration_error(probability, right),
            "brier": brier_score(probability, right),
        },
        "by_kind": _by_kind(rows, parents, target),
    }


def parent_of(label: str, parents: Parents) -> str:
    """The parent of a category; one at the top counts as its own."""
    return parents.get(label) or label


def _choices(rows: Sequence[ScoredRow], parents: Parents) -> dict[str, Any]:
    """Over the rows that have an answer; the parent only where there are parents at all."""
    asked = [row for row in rows if row.true_labels]
    under = [
        row.choice is not None
        and parent_of(row.choice, parents)
        in {parent_of(label, parents) for label in row.true_labels}
        for row in asked
    ]
    ranked, answers = [row.ranked for row in asked], [row.true_labels for row in asked]
    some = any(parent is not None for parent in parents.values())
    return {
        "accuracy": share(sum(row.right for row in asked), len(asked)),
        "parent_accuracy": share(sum(under), len(asked)) if some else None,
        "top3_accuracy": share(among_first(ranked, answers, 3), len(asked)),
    }


def _tagged(
    rows: Sequence[ScoredRow], outcome: str, right: Callable[[ScoredRow], bool], target: Target
) -> dict[str, Any]:
    """Rows with this outcome. ``p_value``: the probability of so many errors or more if exactly the
    target precision held (exact binomial); below 0.05 the guarantee is refuted."""
    tagged = [row for row in rows if row.prediction.outcome == outcome]
    errors = sum(not right(row) for row in tagged)
    refuted = binom.sf(errors - 1, len(tagged), target.max_error_rate) if tagged else None
    return {
        "target_precision": target.precision,
        "coverage": share(len(tagged), len(rows)),
        "precision": share(len(tagged) - errors, len(tagged)),
        "n": len(tagged),
        "errors": errors,
        "p_value": None if refuted is None else float(refuted),
    }


def _none(rows: Sequence[ScoredRow]) -> dict[str, int]:
    fitting_none = [row.prediction for row in rows if not row.true_labels]
    return {
        "n": len(fitting_none),
        "rejected": sum(verdict.outcome in ("review", "none") for verdict in fitting_none),
        "recognized": sum(verdict.label is None for verdict in fitting_none),
    }


def _second_categories(rows: Sequence[ScoredRow]) -> dict[str, int]:
    """Rows given a second category ``n``; ``of`` the rows with several right answers in the
    file, those that were given one of these as a second (``right``)."""
    several = [row for row in rows if len(row.true_labels) > 1]
    return {
        "n": sum(bool(row.prediction.second_categories) for row in rows),
        "right": sum(
            any(label in row.true_labels for label, _ in row.prediction.second_categories)
            for row in several
        ),
        "of": len(several),
    }


def _by_kind(
    rows: Sequence[ScoredRow], parents: Parents, target: Target
) -> dict[str, dict[str, Any]]:
    kinds: dict[str, list[ScoredRow]] = {}
    for row in rows:
        if row.kind is not None:
            kinds.setdefault(row.kind, []).append(row)
    found = {}
    for kind, members in sorted(kinds.items()):
        auto = _tagged(
            members, "automatic", lambda row: row.prediction.label in row.true_labels, target
        )
        found[kind] = {
            "n": len(members),
            **_choices(members, parents),
            "auto": {name: auto[name] for name in ("coverage", "precision", "n", "errors")},
            "none": _none(members),
        }
    return found
