"""Condense votes: the fewest that decide held-out rows as all of them do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from marketplace_ai.classifier.exemplar_model import ExemplarModel
from marketplace_ai.classifier.labeled import LabeledTexts
from marketplace_ai.classifier.linear_heads import rare_classes, to_class_ids
from marketplace_ai.classifier.opinion_pool import exemplar_prior
from marketplace_ai.guarantee.target import DEFAULT_TARGET, Target

from .family_votes import family_votes
from .held_out_loss import Decided, HeldOut, Loss, decide, least_bound, loss_of, score
from .kernel_herding import herding_ranks

Codes = npt.NDArray[np.intp]
Bools = npt.NDArray[np.bool_]

#: First choices that may be lost: 0.2 points.
MAX_LOSS = 0.002
#: Most votes a category that are tried, fewer and fewer. A category keeps at least the last.
LIMITS = tuple(round(20 * 2 ** (step / 2)) for step in range(20, -1, -1))
#: Families held out to choose by, and as many others to measure the choice: so many, or this share
#: of all. One row of each is decided.
HELD_OUT, HELD_OUT_SHARE = 12_000, 0.2
#: Rows that metric, n-gram weights and linear heads are fitted on to decide those held out, shared
#: evenly among the categories. They are the same for all sets of votes, and with weaker heads votes
#: matter more, so what fewer of them cost is not understated.
FITTED_ON = 20_000
#: With fewer families too few can be held out to prove a loss of ``MAX_LOSS``.
MIN_FAMILIES = 7_500
#: The rank of a text that is no family's vote.
_BEYOND = np.iinfo(np.intp).max


@dataclass(frozen=True, eq=False)
class Condensed:
    """Who of n labeled texts votes: ``votes`` bool (n,).

    ``limit``: the most votes that a category keeps; None where none left but one of each family.
    ``loss``: what it costs on rows that took no part in the choice; None where too few can be held
    out, or none keeps the bound: then all vote. ``families``: votes, if each family has one.
    """

    votes: Bools
    limit: int | None
    loss: Loss | None
    families: int


def condense(
    exemplars: LabeledTexts,
    *,
    bound: float = MAX_LOSS,
    target: Target = DEFAULT_TARGET,
    seed: int = 0,
    progress: Callable[[int], None] = lambda n: None,
) -> Condensed:
    """Choose who votes, so that at most ``bound`` of all first choices are lost.

    First each family keeps one vote. Then each category keeps the votes that stand for the others
    (``kernel_herding``), at most as many as a limit, and the limit is lowered while what it costs
    on one half of the held-out rows stays within the bound, with its whole interval. The loss is
    measured on the other half; where it breaks the bound there, fewer votes leave. Nothing is
    fitted on either half but weights and thresholds, on the first.

    The choice is made anew from all texts each time, so condensing again changes nothing and losses
    do not add up. ``progress`` is called with the number of ``steps`` done.
    """
    names = sorted({label for label in exemplars.labels if label is not None})
    classes = (*names, None)
    codes = to_class_ids(exemplars.labels, classes)
    everything = Condensed(np.ones(len(codes), dtype=np.bool_), None, None, len(codes))
    if not len(codes):
        return everything
    families = family_votes(exemplars, codes)
    everything = Condensed(everything.votes, None, None, int(families.votes.sum()))
    teaching, choosing, testing = _split(families.families, seed)
    if least_bound(families.families[testing]) > bound:
        return everything

    rest = exemplars.take(teaching)
    rare = rare_classes(codes[teaching], np.zeros(len(classes), dtype=np.bool_))
    fitted_on = _share_evenly(codes[teaching], FITTED_ON, seed)
    model = ExemplarModel.fit(rest.take(fitted_on), classes, seed, rare)
    ranks = _ranks(model, rest, codes[teaching], families.votes[teaching], seed, progress)
    limits = _limits(ranks)
    sets = 1 + (ranks[:, None] < np.array(limits)).sum(axis=1)
    held_out = np.concatenate([choosing, testing])
    scored = HeldOut(
        score(model, rest, codes[teaching], sets, exemplars.take(held_out), progress),
        codes[held_out],
        families.families[held_out],
    )
    first = scored.take(np.arange(len(choosing)))
    second = scored.take(np.arange(len(choosing), len(held_out)))
    prior = exemplar_prior(codes[teaching], rare)

    def loss_on(rows: HeldOut) -> Callable[[int], Loss]:
        def decided(number: int) -> Decided:
            scores, own = rows.model_scores[number], first.model_scores[number]
            return decide(scores, first, own, rows.y_true, prior, target)

        before = decided(0)
        return lambda number: loss_of(before, decided(number + 1), rows.families)

    chosen, measured = fewest_within_bound(
        len(limits),
        loss_on(first),
        loss_on(second),
        lambda found: found.keeps(bound, target.precision),
    )
    if chosen is None:
        return everything
    # A category keeps the same share of its votes as of those that were left to teach.
    limit = round(limits[chosen] * len(codes) / len(teaching)) if chosen else None
    ranks = _ranks(model, exemplars, codes, families.votes, seed, progress)
    votes = ranks < (_BEYOND if limit is None else limit)
    return Condensed(votes, limit, measured, int(families.votes.sum()))


def fewest_within_bound(
    count: int,
    choosing: Callable[[int], Loss],
    measuring: Callable[[int], Loss],
    keeps: Callable[[Loss], bool],
) -> tuple[int | None, Loss | None]:
    """The last of ``count`` sets of votes, from most to fewest, up to which all keep the bound.

    ``choosing`` and ``measuring`` are the losses on the two halves of the held-out rows. Where the
    set chosen on the first breaks the bound on the second, the one before it is taken, and so on.
    Returns its number with its loss on the second half; None if none is left.
    """
    chosen = -1
    while chosen + 1 < count and keeps(choosing(chosen + 1)):
        chosen += 1
    while chosen >= 0:
        measured = measuring(chosen)
        if keeps(measured):
            return chosen, measured
        chosen -= 1
    return None, None


def steps(rows: int) -> int:
    """About how many steps ``condense`` takes with so many texts, for a progress bar."""
    return 2 * rows


def _split(families: Codes, seed: int) -> tuple[Codes, Codes, Codes]:
    """Rows that teach, rows to choose by and rows to measure by: of no family in common, and the
    latter two one of each family."""
    random = np.random.default_rng(seed)
    numbers, members = np.unique(families, return_inverse=True)
    order = random.permutation(len(numbers))
    count = min(HELD_OUT, int(HELD_OUT_SHARE * len(numbers)))
    shuffled = random.permutation(len(families))
    one_each = shuffled[np.unique(members[shuffled], return_index=True)[1]]
    teaching = np.flatnonzero(~np.isin(members, order[: 2 * count]))
    return teaching, one_each[order[:count]], one_each[order[count : 2 * count]]


def _share_evenly(codes: Codes, rows: int, seed: int) -> Codes:
    """At most so many of n rows, as evenly from the categories ``codes`` (n,) as they allow."""
    shuffled = np.random.default_rng(seed).permutation(len(codes))
    shuffled = shuffled[np.argsort(codes[shuffled], kind="stable")]
    counts = np.bincount(codes)
    turn = np.arange(len(codes)) - np.repeat(np.cumsum(counts) - counts, counts)
    return np.sort(shuffled[np.argsort(turn, kind="stable")[:rows]])


def _ranks(
    model: ExemplarModel,
    exemplars: LabeledTexts,
    codes: Codes,
    votes: Bools,
    seed: int,
    progress: Callable[[int], None],
) -> Codes:
    """The place of each of n texts among the votes of its category; beyond every limit for one that
    is no family's vote."""
    voting = np.flatnonzero(votes)
    ranks = np.full(len(codes), _BEYOND)
    ranks[voting] = herding_ranks(model, exemplars.take(voting), codes[voting], seed, progress)
    return ranks


def _limits(ranks: Codes) -> Sequence[int]:
    """The limits to try: none (one vote a family), then those that some category exceeds."""
    places = ranks[ranks < _BEYOND]
    return [_BEYOND, *(limit for limit in LIMITS if limit <= places.max(initial=0))]
