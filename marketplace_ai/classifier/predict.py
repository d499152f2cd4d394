"""Weighed postings to verdicts: calibrated choices, the rule that applies, the matches."""

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

#: Values of which only the largest is looked at first, in a search for the largest of all.
_BLOCK = 256


def predict(
    weighed: ScoredPostings,
    calibration: Calibration,
    promise: Guarantee,
    parents: Mapping[str, str | None],
    ids: npt.NDArray[np.int64],
) -> list[Prediction]:
    """Turn b weighed postings into verdicts; ``ids`` (n,) are the exemplars' keys."""
    names = weighed.classes
    none = names.index(None)
    calibration = calibration.widened(len(names))
    scores = calibration.scores(weighed.model_scores, none)
    choices = _chances(scores)
    voice = _voice(scores, calibration.opinion_pool.weights)
    voice[np.isnan(weighed.model_scores.by_vector)] = 1.0  # only the vote knows such a label
    categories = scores.pooled.copy()
    categories[:, none] = -1.0
    best = categories.argmax(axis=1)
    tops, columns = parent_columns(names, parents)
    sums = sum_by_parent(scores.pooled, columns, max(len(tops), 1))
    automated = {row.label: row.automated for row in promise.categories}

    explained = _explain(weighed, scores, voice)
    seconds = find_second_categories(
        weighed.linear_heads, weighed.clause_features, scores.pooled, none
    )
    said = seconds.tagged(promise.second_category.threshold)

    verdicts = []
    for row, first in enumerate(scores.first_choice):
        label, probability = names[first], float(scores.probability[row])
        top = int(sums[row].argmax())
        outcome, threshold = outcome_of(
            label, probability, float(sums[row, top]), promise, automated
        )
        matches = _matches(weighed, explained, row, ids)
        score, own = float(scores.pooled[row, first]), float(explained.own[row])
        seen = sum(match.share for match in matches if match.label == label)
        second = names[seconds.codes[row]] if said[row] else None
        if not automated.get(second or "", False):
            second = None  # what its own rows refute as a first choice is no second one either
        ranked = np.argsort(-choices[row], kind="stable")[:MAX_CHOICES]
        verdicts.append(
            Prediction(
                label=label,
                probability=probability,
                threshold=threshold,
                outcome=outcome,
                best_category=names[best[row]],
                parent=tops[top] if outcome == "automatic_parent" else None,
                choices=tuple((names[code], float(choices[row, code])) for code in ranked),
                matches=matches,
                score=score,
                head_share=own,
                other_share=max(0.0, score - own - seen),
                second_categories=((second, float(seconds.strengths[row])),) if second else (),
            )
        )
    return verdicts


def outcome_of(
    label: str | None,
    probability: float,
    parent_score: float,
    promise: Guarantee,
    automated: Mapping[str, bool],
) -> tuple[Outcome, float | None]:
    """Apply the rules in their order; a label newer than the fit is a person's to confirm."""
    if label is None:
        threshold = promise.none.threshold
        certain = threshold is not None and probability >= threshold
        return ("none" if certain else "review"), threshold
    if label not in automated:
        return "review", None
    threshold = promise.automatic.threshold if automated[label] else None
    if threshold is not None and probability >= threshold:
        return "automatic", threshold
    above = promise.parent.threshold
    if above is not None and parent_score >= above:
        return "automatic_parent", above
    return "review", threshold


def _chances(scores: PooledScores) -> npt.NDArray[np.float64]:
    """Spread what the first choice's probability leaves over the others by their scores.

    None of them may exceed the first, so that the order of choices stays that of the scores.
    """
    rows = np.arange(len(scores.first_choice))
    first = scores.pooled[rows, scores.first_choice]
    left = (1 - scores.probability) / np.maximum(1 - first, 1e-12)
    chances = np.minimum(scores.pooled * left[:, None], scores.probability[:, None])
    chances[rows, scores.first_choice] = scores.probability
    return chances


@dataclass(frozen=True, eq=False)
class Shares:
    """Whose score the first choices of b postings are: ``shares`` float32 (b, n) of every
    exemplar, ``own`` (b,) of the patterns; ``shown`` the positions of the largest shares."""

    shares: npt.NDArray[np.float32]
    own: npt.NDArray[np.float64]
    shown: list[npt.NDArray[np.intp]]


def _explain(
    weighed: ScoredPostings, scores: PooledScores, voice: npt.NDArray[np.float64]
) -> Shares:
    """Divide each label's score between its vote and its patterns by how far each lifts it
    above an even chance, weighed as in the pool; the vote's part between its exemplars by
    their kernel, of which a description beside exemplars has half, as in the vote. So the
    shares of all exemplars and all patterns sum to 1.
    """
    rows = np.arange(len(scores.first_choice))
    voted = scores.pooled * voice
    own = scores.pooled[rows, scores.first_choice] - voted[rows, scores.first_choice]
    mass, words = weighed.vote.mass, weighed.vote.words
    voted = np.where((mass > 0) & (words > 0), voted / 2, voted)
    worth = voted / np.where(mass > 0, mass, 1.0)
    columns = weighed.codes
    if weighed.described.any():
        worth = np.hstack([worth, voted / np.where(words > 0, words, 1.0)])
        columns = columns + weighed.described * mass.shape[1]
    shares = np.take(worth.astype(np.float32), columns, axis=1)
    shares *= weighed.vote.kernel
    return Shares(shares, own, [largest(row, MAX_MATCHES) for row in shares])


def _matches(
    weighed: ScoredPostings, explained: Shares, row: int, ids: npt.NDArray[np.int64]
) -> tuple[Match, ...]:
    shown = explained.shown[row]
    return tuple(
        Match(exemplar, weighed.classes[code], similarity, share)
        for exemplar, code, similarity, share in zip(
            ids[shown].tolist(),
            weighed.codes[shown].tolist(),
            weighed.similarity[row, shown].tolist(),
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
        tops = values[: blocks * _BLOCK].reshape(blocks, _BLOCK).max(axis=1)
        found = np.flatnonzero(values >= np.partition(tops, -count)[-count])
    return found[np.argsort(-values[found], kind="stable")[:count]]


def _voice(scores: PooledScores, weights: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The vote's part (b, k) of each label's score, 0 to 1; the rest is the patterns'."""
    even = -np.log(scores.pooled.shape[1])
    lift = np.maximum(scores.parts[:3] - even, 0) * weights[:3, None, None]
    total = lift.sum(axis=0)
    usual = weights[0] / max(weights[:3].sum(), 1e-12)
    return np.asarray(np.where(total > 0, lift[0] / np.where(total > 0, total, 1.0), usual))
