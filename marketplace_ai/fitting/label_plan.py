"""The plan of labels: which postings to answer next, which categories lack rows, and how many
answers are missing to each goal."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from marketplace_ai.adapter import get_adapter
from marketplace_ai.audit.counted_answers import counted_answers
from marketplace_ai.classifier import Classifier
from marketplace_ai.classifier.certify import leaf_sample
from marketplace_ai.db.alias import alias
from marketplace_ai.guarantee.threshold_search import CalibrationSample
from marketplace_ai.labeling import goals
from marketplace_ai.labeling.acquisition_order import acquisition_order
from marketplace_ai.labeling.category_rows import CategoryRows, lacking
from marketplace_ai.labeling.subset_fits import MAX_ROWS, REPEATS, SHARES, fit_subsets
from marketplace_ai.labeling.teaching_weights import teaching_weights
from marketplace_ai.models import (
    ClassifierVersion,
    Encoder,
    Exemplar,
    ExemplarSource,
    get_category_model,
    get_job_model,
)
from marketplace_ai.versions.create import category_parents
from marketplace_ai.versions.exemplar_set import ExemplarSet, load_exemplars

from .waiting_postings import WaitingPostings, exemplars_by_key, read_waiting

if TYPE_CHECKING:
    from collections.abc import Callable

    from marketplace_ai.guarantee.target import Target

#: Steps of the progress bar: the fits on subsets, one on all rows, and the order.
STEPS = len(SHARES) * REPEATS + 2


@dataclass(frozen=True, slots=True)
class PlannedPosting:
    """A posting to answer, with the decision that waits and what the machine makes of it:
    ``category`` is a key, "" where there is no proposal."""

    posting: Any
    decision: int
    text: str
    category: str
    probability: float


@dataclass(frozen=True, slots=True)
class Goal:
    """A goal, with the answers that ``teach`` and those of the ``audit`` it still takes."""

    name: str
    teach: goals.Needed | None
    audit: goals.Needed | None


@dataclass(frozen=True, slots=True)
class LabelPlan:
    """``postings`` in the order in which they teach most, of the ``compared`` ones of those
    ``waiting``; ``audited`` more wait in the audit.

    ``labeled`` exemplars have a vector. ``answers`` exemplars are people's answers in reviews and
    audits, and ``counted`` the answers of the audit that count toward a guarantee.
    """

    encoder: str | None
    postings: list[PlannedPosting]
    waiting: int
    compared: int
    audited: int
    categories: int
    lacking: list[CategoryRows]
    labeled: int
    answers: int
    counted: int
    goals: list[Goal]


def plan(count: int, target: Target, advance: Callable[[int], None]) -> LabelPlan:
    """Plan the next ``count`` labels. Reads only, and loads no encoder.

    ``advance`` is called ``STEPS`` times in all, by one.
    """
    encoder = Encoder.objects.active()
    keys = _category_keys()
    exemplars = exemplars_by_key(keys)
    counted = len(counted_answers().kept)
    if encoder is None:
        advance(STEPS)
        return LabelPlan(
            None, [], 0, 0, 0, len(keys), lacking(exemplars, {}), 0, 0, counted,
            [Goal(name, None, None) for name in GOALS],
        )  # fmt: skip
    waiting = read_waiting(encoder)
    known = load_exemplars(encoder)
    weights = teaching_weights(waiting.choices(exemplars), len(waiting.decisions))
    order = acquisition_order(waiting.vectors, weights, known.train.vectors, count)
    advance(1)
    return LabelPlan(
        encoder=encoder.name,
        postings=_planned(waiting, order.tolist()),
        waiting=waiting.total,
        compared=len(waiting.decisions),
        audited=waiting.audited,
        categories=len(keys),
        lacking=lacking(exemplars, _first_choices(waiting)),
        labeled=len(known.train),
        answers=Exemplar.objects.using(alias()).filter(source=ExemplarSource.REVIEWED).count(),
        counted=counted,
        goals=_goals(known, waiting.total, counted, target, encoder, advance),
    )


SHARE_OF_ALL, FIRST_GUARANTEE, HALF = "share_of_all", "first_guarantee", "half_automatic"
GOALS = (SHARE_OF_ALL, FIRST_GUARANTEE, HALF)


def _goals(
    known: ExemplarSet,
    waiting: int,
    counted: int,
    target: Target,
    encoder: Encoder,
    advance: Callable[[int], None],
) -> list[Goal]:
    """What each goal takes, by fits on subsets of what is labeled and by audits drawn from the
    out-of-fold predictions for it."""
    descriptions = known.descriptions if len(known.descriptions) else None
    fits = fit_subsets(known.train, descriptions, advance)
    if fits is None:
        advance(len(SHARES) * REPEATS)
    sample = _sample(known)
    advance(1)
    labeled = len(known.train)
    share_of_all = goals.to_share_of_all(fits, labeled, waiting)
    half = goals.to_share_automatic(fits, labeled, target)
    guarantee = goals.audit_answers(sample, target, 0.0, counted)
    half_audit = goals.audit_answers(sample, target, goals.SHARE_AUTOMATIC, counted)
    # Where an audit would prove something, the classifier has learned enough for that.
    if guarantee.answers is not None or _guarantees(encoder):
        learned = goals.Needed(0, 0, 0, goals.Reason.REACHED)
    else:
        learned = replace(guarantee, low=None)
    return [
        Goal(SHARE_OF_ALL, share_of_all, None),
        Goal(FIRST_GUARANTEE, learned, guarantee),
        Goal(HALF, half, half_audit),
    ]


def _guarantees(encoder: Encoder) -> bool:
    """Whether the active version decides something without a person, whatever that rests on."""
    version = ClassifierVersion.objects.filter(encoder=encoder, is_active=True).first()
    if version is None:
        return False
    return version.figures.get("automatic", {}).get("threshold") is not None


def _sample(known: ExemplarSet) -> CalibrationSample:
    """Out-of-fold predictions for the labeled rows; empty where nothing can be fitted."""
    rows = known.train
    if len(rows) > MAX_ROWS:
        rows = rows.take(np.sort(np.random.default_rng(0).permutation(len(rows))[:MAX_ROWS]))
    if len({label for label in rows.labels if label is not None}) < 2:
        nothing = np.zeros(0)
        return CalibrationSample(nothing, nothing.astype(np.bool_), nothing.astype(np.intp))
    descriptions = known.descriptions if len(known.descriptions) else None
    found = Classifier.fit(rows, descriptions=descriptions).out_of_fold
    assert found is not None  # noqa: S101 (a fit has them)
    return leaf_sample(found)


def _category_keys() -> list[str]:
    """The keys of the categories without children."""
    adapter = get_adapter()
    categories = list(get_category_model()._base_manager.using(alias()).order_by("pk"))
    parents = set(category_parents().values())
    return [str(adapter.category_key(row)) for row in categories if str(row.pk) not in parents]


def _first_choices(waiting: WaitingPostings) -> dict[str, int]:
    """About how many of all that wait have each category as their best one, by key."""
    scale = waiting.total / max(len(waiting.decisions), 1)
    return {key: round(n * scale) for key, n in Counter(waiting.keys).items()}


def _planned(waiting: WaitingPostings, order: list[int]) -> list[PlannedPosting]:
    adapter = get_adapter()
    wanted = [waiting.postings[place] for place in order]
    rows = get_job_model()._base_manager.using(alias()).filter(pk__in=wanted)
    texts = {posting.pk: adapter.encoder_input(posting) for posting in rows}
    return [
        PlannedPosting(
            waiting.postings[place],
            waiting.decisions[place],
            texts[waiting.postings[place]],
            waiting.keys[place],
            float(waiting.probabilities[place]),
        )
        for place in order
        if waiting.postings[place] in texts
    ]
