"""From scored postings to predictions: calibrated choices, the rule that applies, the matches."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from marketplace_ai.guarantee.guarantee import Guarantee

from .calibration import Calibration, PooledScores
from .exemplar_model import ScoredPostings
from .prediction import MAX_CHOICES, MAX_MATCHES, Match, Outcome, Prediction
from .second_category import find_second_categories
from .taxonomy import parent_columns, sum_by_parent

#: Values per block, of which only the largest is compared first.
_BLOCK = 256


def predict(
    scored: ScoredPostings,
    calibration: Calibration,
    guarantee: Guarantee,
    parents: Mapping[str, str | None],
    ids: npt.NDArray[np.int64],
) -> list[Prediction]:
    """Turn b scored postings into predictions; ``ids`` (n,) are the exemplars' keys."""
    classes = scored.classes
    none_index = classes.index(None)
    calibration = calibration.widened(len(classes))
    scores = calibration.scores(scored.model_scores, none_index)
    choices = choice_probabilities(scores.pooled, scores.first_choice, scores.probability)
    vote_share = _vote_share(scores, calibration.opinion_pool.weights)
    vote_share[np.isnan(scored.model_scores.by_vector)] = 1.0  # only the vote scores such a class
    categories = scores.pooled.copy()
    categories[:, none_index] = -1.0
    best = categories.argmax(axis=1)
    parent_names, columns = parent_columns(classes, parents)
    sums = sum_by_parent(scores.pooled, columns, max(len(parent_names), 1))
    automated = {row.label: row.automated for row in guarantee.categories}

    explained = _explain(scored, scores, vote_share)
    second_categories = find_second_categories(
        scored.linear_heads, scored.clause_features, scores.pooled, none_index
    )
    is_given = second_categories.tagged(guarantee.second_category.threshold)

    predictions = []
    for row, first in enumerate(scores.first_choice):
        label, probability = classes[first], float(scores.probability[row])
        top = int(sums[row].argmax())
        outcome, threshold = outcome_of(
            label, probability, float(sums[row, top]), guarantee, automated
        )
        matches = _matches(scored, explained, row, ids)
        score, head_share = float(scores.pooled[row, first]), float(explained.head_share[row])
        seen = sum(match.share for match in matches if match.label == label)
        second = classes[second_categories.codes[row]] if is_given[row] else None
        if not automated.get(second or "", False):
            second = None  # a category refuted as a first choice is no second one either
        ranked = np.argsort(-choices[row], kind="stable")[:MAX_CHOICES]
        predictions.append(
            Prediction(
                label=label,
                probability=probability,
                threshold=threshold,
                outcome=outcome,
                best_category=classes[best[row]],
                parent=parent_names[top] if outcome == "automatic_parent" else None,
                choices=tuple((classes[code], float(choices[row, code])) for code in ranked),
                matches=matches,
                score=score,
                head_share=head_share,
                other_share=max(0.0, score - head_share - seen),
                second_categories=((second, float(second_categories.strengths[row])),)
                if second
                else (),
            )
        )
    return predictions


def outcome_of(
    label: str | None,
    probability: float,
    parent_score: float,
    guarantee: Guarantee,
    automated: Mapping[str, bool],
) -> tuple[Outcome, float | None]:
    """Apply the rules in order; a label newer than the fit goes to review."""
    if label is None:
        threshold = guarantee.none.threshold
        certain = threshold is not None and probability >= threshold
        return ("none" if certain else "review"), threshold
    if label not in automated:
        return "review", None
    threshold = guarantee.automatic.threshold if automated[label] else None
    if threshold is not None and probability >= threshold:
        return "automatic", threshold
    above = guarantee.parent.threshold
    if above is not None and parent_score >= above:
        return "automatic_parent", above
    return "review", threshold


def choice_probabilities(
    pooled: npt.NDArray[np.float64],
    first_choice: npt.NDArray[np.intp],
    probability: npt.NDArray[np.float64],
) -> npt.NDArray[np.float64]:
    """A probability (b, k) of each class: that of the first choice, and what it leaves over spread
    over the others by their ``pooled`` scores (b, k).

    None of them may exceed the first, so that the order of choices stays that of the scores.
    """
    rows = np.arange(len(first_choice))
    left = (1 - probability) / np.maximum(1 - pooled[rows, first_choice], 1e-12)
    probabilities = np.minimum(pooled * left[:, None], probability[:, None])
    probabilities[rows, first_choice] = probability
    return probabilities


@dataclass(frozen=True, eq=False)
class Shares:
    """How the scores of b first choices divide: ``shares`` float32 (b, n) of every
    exemplar, ``head_share`` (b,) of the linear heads; ``shown`` positions of the largest."""

    shares: npt.NDArray[np.float32]
    head_share: npt.NDArray[np.float64]
    shown: list[npt.NDArray[np.intp]]


def _explain(
    scored: ScoredPostings, scores: PooledScores, vote_share: npt.NDArray[np.float64]
) -> Shares:
    """Divide each class's score between its vote and its linear heads by how far each raises it
    above even odds, weighted as in the pool, and the vote's part among its exemplars by
    their kernel, of which a description has half if there are exemplars, as in the vote. So the
    shares of all exemplars and all heads sum to 1.
    """
    rows = np.arange(len(scores.first_choice))
    voted = scores.pooled * vote_share
    head_share = scores.pooled[rows, scores.first_choice] - voted[rows, scores.first_choice]
    exemplar_mass, description_mass = scored.vote.exemplar_mass, scored.vote.description_mass
    voted = np.where((exemplar_mass > 0) & (description_mass > 0), voted / 2, voted)
    worth = voted / np.where(exemplar_mass > 0, exemplar_mass, 1.0)
    columns = scored.class_ids
    if scored.described.any():
        worth = np.hstack([worth, voted / np.where(description_mass > 0, description_mass, 1.0)])
        columns = columns + scored.described * exemplar_mass.shape[1]
    shares = np.take(worth.astype(np.float32), columns, axis=1)
    shares *= scored.vote.kernel
    return Shares(shares, head_share, [largest(row, MAX_MATCHES) for row in shares])


def _matches(
    scored: ScoredPostings, explained: Shares, row: int, ids: npt.NDArray[np.int64]
) -> tuple[Match, ...]:
    shown = explained.shown[row]
    return tuple(
        Match(exemplar, scored.classes[code], similarity, share)
        for exemplar, code, similarity, share in zip(
            ids[shown].tolist(),
            scored.class_ids[shown].tolist(),
            scored.similarity[row, shown].tolist(),
            explained.shares[row, shown].tolist(),
            strict=True,
        )
    )


def largest(values: npt.NDArray[np.floating], count: int) -> npt.NDArray[np.intp]:
    """Positions of the ``count`` largest of ``values`` (n,), largest first, equal ones in order.

    Most of many values are ruled out by one pass: at least ``count`` blocks have a maximum
    that is not below the ``count``-th largest maximum, so no value below it is among them.
    """
    blocks = len(values) // _BLOCK
    found = np.arange(len(values))
    if blocks > count:
        maxima = values[: blocks * _BLOCK].reshape(blocks, _BLOCK).max(axis=1)
        found = np.flatnonzero(values >= np.partition(maxima, -count)[-count])
    return found[np.argsort(-values[found], kind="stable")[:count]]


def _vote_share(scores: PooledScores, weights: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The vote's part (b, k) of each class's score, 0 to 1; the rest is the linear heads'."""
    even = -np.log(scores.pooled.shape[1])
    lift = np.maximum(scores.parts[:3] - even, 0) * weights[:3, None, None]
    total = lift.sum(axis=0)
    usual = weights[0] / max(weights[:3].sum(), 1e-12)
    return np.asarray(np.where(total > 0, lift[0] / np.where(total > 0, total, 1.0), usual))
