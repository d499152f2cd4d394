"""Which labels next: first choice over answers, from zero, by the order in which postings are
answered."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from marketplace_ai.classifier import Classifier, LabeledTexts
from marketplace_ai.classifier.labeled import families_of
from marketplace_ai.labeling.acquisition_order import acquisition_order
from marketplace_ai.labeling.teaching_weights import Choices, teaching_weights
from marketplace_ai.management.console import progress

from .inputs import catalogue, encoded, labeled, public_split
from .rows import Benchmark, say

#: After so many answers the classifier is fitted anew, and what waits is put in order again.
CHECKPOINTS = (20, 40, 60, 80, 100, 150, 200, 250, 300)
DRAWS = range(10)
#: Postings that wait, and test rows, of a public set in one draw.
WAITING, TESTED = 3000, 1000
#: The share of the families of the demo's rows that is tested on.
TEST_SHARE = 0.3
SETS = ("massive_sv-SE", "calibration_nb and exemplars_nb")
GOAL = 1.2
FIGURE = Path(__file__).resolve().parent.parent / "docs" / "images" / "labels-next.svg"

Integers = npt.NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Queue:
    """What waits, in the order in which it came in, and what is known of it.

    ``choices`` is None before the first answer. ``labeled`` (m, d) are the vectors of the answered.
    """

    waiting: LabeledTexts
    choices: Choices | None
    labeled: npt.NDArray[np.float32]
    random: np.random.Generator


Order = Callable[[Queue, int], Integers]


def by_product(queue: Queue, count: int) -> Integers:
    """What ``plan_labels`` asks for."""
    weights = teaching_weights(queue.choices, len(queue.waiting))
    return acquisition_order(queue.waiting.vectors, weights, queue.labeled, count)


def by_uncertainty(queue: Queue, count: int) -> Integers:
    """The least probable first choice first; at random while there is none."""
    if queue.choices is None:
        return at_random(queue, count)
    return np.argsort(queue.choices.probability, kind="stable")[:count]


def at_random(queue: Queue, count: int) -> Integers:
    return queue.random.permutation(len(queue.waiting))[:count]


def newest_first(queue: Queue, count: int) -> Integers:
    return np.arange(len(queue.waiting))[::-1][:count]


ORDERS: dict[str, Order] = {
    "the product's order": by_product,
    "uncertainty alone": by_uncertainty,
    "at random": at_random,
    "newest first": newest_first,
}


def benchmarks() -> Iterator[Benchmark]:
    for name in SETS:
        public = name == SETS[0]
        for order in ("the product's order", "uncertainty alone", "newest first"):
            yield Benchmark(
                f"labels next: area under the learning curve, {order} / at random: {name}",
                "x", GOAL if order == "the product's order" else None, "higher",
                partial(ratio, name, order, "at random"), public=public,
            )  # fmt: skip
        yield Benchmark(
            f"labels next: area under the learning curve, the product's order / newest first: "
            f"{name}",
            "x", 1.0, "higher",
            partial(ratio, name, "the product's order", "newest first"), public=public,
        )  # fmt: skip


def ratio(name: str, order: str, other: str) -> float:
    """The areas' ratio, over the same draws."""
    return float(np.mean(areas(name, order)) / np.mean(areas(name, other)))


def areas(name: str, order: str) -> npt.NDArray[np.float64]:
    """The area under each draw's learning curve, as the mean first choice over 0-300 answers."""
    return area(curves(name)[order])


def area(found: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The area under curves (draws, checkpoints), from nothing at no answer."""
    answers = np.array([0, *CHECKPOINTS])
    heights = np.hstack([np.zeros((len(found), 1)), found])
    return np.asarray(np.trapezoid(heights, answers, axis=1) / answers[-1])


@cache
def curves(name: str) -> dict[str, npt.NDArray[np.float64]]:
    """By order the first choice (draws, checkpoints) on test rows that nobody was asked about."""
    found: dict[str, list[list[float]]] = {order: [] for order in ORDERS}
    draw_rows = of_public if name == SETS[0] else of_catalogue
    with progress(f"Answering {name}", len(DRAWS) * len(ORDERS)) as advance:
        for draw in DRAWS:
            pool, test = draw_rows(draw)
            for order, choose in ORDERS.items():
                found[order].append(curve(pool, test, choose, draw))
                advance(1)
    result = {order: np.array(rows) for order, rows in found.items()}
    for order, rows in result.items():
        told = area(rows)
        say(
            f"  {name}, {order}: area {told.mean():.3f} (standard error "
            f"{told.std(ddof=1) / len(told) ** 0.5:.3f}); "
            + ", ".join(
                f"{at}: {share:.3f}"
                for at, share in zip(CHECKPOINTS, rows.mean(axis=0), strict=True)
            )
        )
    return result


def curve(pool: LabeledTexts, test: LabeledTexts, choose: Order, seed: int) -> list[float]:
    """The first choice on ``test`` after each checkpoint, by a classifier that was fitted on the
    answers so far and nothing else."""
    random = np.random.default_rng(seed)
    asked: list[int] = []
    choices: Choices | None = None
    found: list[float] = []
    for answers in CHECKPOINTS:
        rest = np.setdiff1d(np.arange(len(pool)), asked)
        queue = Queue(pool.take(rest), choices, pool.vectors[asked], random)
        asked += rest[choose(queue, answers - len(asked))].tolist()
        taught = pool.take(np.array(asked, dtype=np.intp))
        classifier = Classifier.fit(taught)
        found.append(first_choice(classifier, taught, test))
        rest = np.setdiff1d(np.arange(len(pool)), asked)
        choices = predicted(classifier, taught, pool.take(rest))
    return found


def first_choice(classifier: Classifier, taught: LabeledTexts, test: LabeledTexts) -> float:
    pooled, _ = scores(classifier, taught, test)
    best = pooled.argmax(axis=1)
    return float(
        np.mean([classifier.classes[b] == y for b, y in zip(best, test.labels, strict=True)])
    )


def predicted(classifier: Classifier, taught: LabeledTexts, rows: LabeledTexts) -> Choices:
    """The best category of each row, its probability, and how many answers it has."""
    pooled, probability = scores(classifier, taught, rows)
    best = pooled.argmax(axis=1)
    counts = np.array([taught.labels.count(name) for name in classifier.classes], dtype=np.intp)
    return Choices(best, probability[np.arange(len(best)), best], counts)


def scores(
    classifier: Classifier, taught: LabeledTexts, rows: LabeledTexts
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Pooled scores without "none", and the probabilities of all classes, (b, k) each."""
    from marketplace_ai.classifier.predict import choice_probabilities

    index = classifier.exemplar_model.index(taught)
    none_index = classifier.classes.index(None)
    scored = classifier.exemplar_model.score_rows(index, rows)
    found = classifier.calibration.scores(scored, none_index)
    probability = choice_probabilities(found.pooled, found.first_choice, found.probability)
    pooled = found.pooled.copy()
    pooled[:, none_index] = -1.0
    return pooled, probability


def of_public(draw: int) -> tuple[LabeledTexts, LabeledTexts]:
    """Rows of the published training split, and of its test split."""
    train, test = (
        labeled(rows) for rows in encoded(public_split("massive_sv-SE", "train", "test"))
    )
    random = np.random.default_rng(draw)
    pool = np.sort(random.permutation(len(train))[:WAITING])
    return train.take(pool), test.take(random.permutation(len(test))[:TESTED])


def of_catalogue(draw: int) -> tuple[LabeledTexts, LabeledTexts]:
    """Both files together, split by family anew in each draw."""
    exemplars, _, postings = (labeled(rows) for rows in encoded(catalogue()))
    rows = LabeledTexts(
        [*exemplars.texts, *postings.texts],
        np.concatenate([exemplars.vectors, postings.vectors]),
        [*exemplars.labels, *postings.labels],
    )
    random = np.random.default_rng(draw)
    families = families_of(rows)
    is_tested = (random.random(families.max() + 1) < TEST_SHARE)[families]
    inside = np.array([label is not None for label in rows.labels])
    pool = random.permutation(np.flatnonzero(~is_tested))
    return rows.take(pool), rows.take(np.flatnonzero(is_tested & inside))
