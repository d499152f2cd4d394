"""Weighed postings to verdicts: calibrated choices, the rule that applies, the matches."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from .calibration import Calibration, Scores
from .ground import Names, Weighed
from .promise import Promise
from .secondary import second_jobs
from .taxonomy import parent_columns, sum_by_parent
from .verdict import MAX_CHOICES, MAX_MATCHES, Match, Outcome, Verdict

#: Values of which only the largest is looked at first, in a search for the largest of all.
_BLOCK = 256


def judge(
    weighed: Weighed,
    calibration: Calibration,
    promise: Promise,
    parents: Mapping[str, str | None],
    ids: npt.NDArray[np.int64],
) -> list[Verdict]:
    """Turn b weighed postings into verdicts; ``ids`` (n,) are the exemplars' keys."""
    names = weighed.names
    none = names.index(None)
    calibration = calibration.widened(len(names))
    scores = calibration.scores(weighed.evidence, none)
    choices = _chances(scores)
    voice = _voice(scores, calibration.pool.weights)
    voice[np.isnan(weighed.evidence.by_vector)] = 1.0  # only the vote knows such a label
    categories = scores.pooled.copy()
    categories[:, none] = -1.0
    best = categories.argmax(axis=1)
    tops, columns = parent_columns(names, parents)
    sums = sum_by_parent(scores.pooled, columns, max(len(tops), 1))
    automated = {row.label: row.automated for row in promise.categories}

    seconds = second_jobs(weighed.pattern, weighed.divided, scores.pooled, none)
    said = seconds.tagged(promise.secondary.threshold)

    verdicts = []
    for row, first in enumerate(scores.first):
        label, probability = names[first], float(scores.probability[row])
        top = int(sums[row].argmax())
        outcome, threshold = _outcome(label, probability, float(sums[row, top]), promise, automated)
        matches, own, rest = _explain(weighed, scores, voice, row, names, ids)
        second = names[seconds.codes[row]] if said[row] else None
        if not automated.get(second or "", False):
            second = None  # what its own rows refute as a first choice is no second one either
        ranked = np.argsort(-choices[row], kind="stable")[:MAX_CHOICES]
        verdicts.append(
            Verdict(
                label=label,
                probability=probability,
                threshold=threshold,
                outcome=outcome,
                best_category=names[best[row]],
                parent=tops[top] if outcome == "automatic_parent" else None,
                choices=tuple((names[code], float(choices[row, code])) for code in ranked),
                matches=matches,
                score=float(scores.pooled[row, first]),
                own_share=own,
                rest=rest,
                secondary=((second, float(seconds.strengths[row])),) if second else (),
            )
        )
    return verdicts


def _outcome(
    label: str | None,
    probability: float,
    parent_score: float,
    promise: Promise,
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


def _chances(scores: Scores) -> npt.NDArray[np.float64]:
    """Spread what the first choice's probability leaves over the others by their scores.

    None of them may exceed the first, so that the order of choices stays that of the scores.
    """
    rows = np.arange(len(scores.first))
    first = scores.pooled[rows, scores.first]
    left = (1 - scores.probability) / np.maximum(1 - first, 1e-12)
    chances = np.minimum(scores.pooled * left[:, None], scores.probability[:, None])
    chances[rows, scores.first] = scores.probability
    return chances


def _explain(
    weighed: Weighed,
    scores: Scores,
    voice: npt.NDArray[np.float64],
    row: int,
    names: Names,
    ids: npt.NDArray[np.int64],
) -> tuple[tuple[Match, ...], float, float]:
    """The exemplars with the largest shares, the patterns' share, and what is not shown.

    A label's score is divided between its vote and its patterns by how far each lifts it
    above an even chance, weighed as in the pool; the vote's part between its exemplars by
    their kernel, of which a description beside exemplars has half, as in the vote. So the
    shares of all exemplars and all patterns sum to 1.
    """
    first = scores.first[row]
    voted = scores.pooled[row] * voice[row]
    own = float(scores.pooled[row, first] - voted[first])
    mass, words = weighed.vote.mass[row], weighed.vote.words[row]
    voted = np.where((mass > 0) & (words > 0), voted / 2, voted)
    worth = (voted / np.where(mass > 0, mass, 1.0))[weighed.codes]
    if weighed.described.any():
        worth_of_words = (voted / np.where(words > 0, words, 1.0))[weighed.codes]
        worth = np.where(weighed.described, worth_of_words, worth)
    shares = weighed.vote.kernel[row] * worth
    shown = largest(shares, MAX_MATCHES)
    matches = tuple(
        Match(
            int(ids[i]),
            names[weighed.codes[i]],
            float(weighed.similarity[row, i]),
            float(shares[i]),
        )
        for i in shown
    )
    seen = sum(float(shares[i]) for i in shown if weighed.codes[i] == first)
    rest = max(0.0, float(scores.pooled[row, first]) - own - seen)
    return matches, own, rest


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


def _voice(scores: Scores, weights: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The vote's part (b, k) of each label's score, 0 to 1; the rest is the patterns'."""
    even = -np.log(scores.pooled.shape[1])
    lift = np.maximum(scores.parts[:3] - even, 0) * weights[:3, None, None]
    total = lift.sum(axis=0)
    usual = weights[0] / max(weights[:3].sum(), 1e-12)
    return np.asarray(np.where(total > 0, lift[0] / np.where(total > 0, total, 1.0), usual))
