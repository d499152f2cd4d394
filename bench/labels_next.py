"""Which labels next: first choice over answers, from zero, by the order in which postings are
answered."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from unittest.mock import patch

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from marketplace_ai.classifier import Classifier, LabeledTexts, cross_fitting
from marketplace_ai.classifier.index import ExemplarIndex
from marketplace_ai.classifier.labeled import families_of
from marketplace_ai.classifier.predict import choice_probabilities
from marketplace_ai.labeling.acquisition_order import acquisition_order
from marketplace_ai.labeling.teaching_weights import Choices, teaching_weights
from marketplace_ai.management.console import progress

from .inputs import VECTORS, catalogue, encoded, labeled, public_split
from .rows import Benchmark, say

#: After so many answers the classifier is fitted anew, and what waits is put in order again.
CHECKPOINTS = (20, 40, 60, 100, 150, 200, 300)
DRAWS = range(10)
#: Postings that wait, and test rows, of a public set in one draw.
WAITING, TESTED = 1500, 1000
#: The share of the families of the demo's rows that is tested on.
TEST_SHARE = 0.3
SETS = ("massive_sv-SE", "calibration_nb and exemplars_nb")
GOAL = 1.2
#: The folds in which the classifier weighs its models, instead of ten: a third of the time.
FOLDS = 3
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
            goal = GOAL if order == "the product's order" else None
            yield Benchmark(
                f"labels next: area under the learning curve, {order} / at random: {name}",
                "x", goal, "higher", partial(ratio, name, order, "at random"), public=public,
            )  # fmt: skip
        yield Benchmark(
            f"labels next: area under the learning curve, the product's order / newest first: "
            f"{name}",
            "x", 1.0, "higher",
            partial(ratio, name, "the product's order", "newest first"), public=public,
        )  # fmt: skip


def ratio(name: str, order: str, other: str) -> float:
    """The areas' ratio, over the same draws."""
    return float(np.mean(area(curves(name)[order])) / np.mean(area(curves(name)[other])))


def area(found: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The area under curves (draws, 1 + checkpoints): the mean first choice over 0-300 answers."""
    answers = np.array([0, *CHECKPOINTS])
    return np.asarray(np.trapezoid(found, answers, axis=1) / answers[-1])


@cache
def curves(name: str) -> dict[str, npt.NDArray[np.float64]]:
    """By order the first choice (draws, 1 + checkpoints) on rows that nobody was asked about."""
    found: dict[str, list[list[float]]] = {order: [] for order in ORDERS}
    with progress(f"Answering {name}", len(DRAWS) * len(ORDERS)) as advance:
        for draw in DRAWS:
            pool, test = of_public(draw) if name == SETS[0] else of_catalogue(draw)
            for order, choose in ORDERS.items():
                found[order].append(curve(pool, test, choose, draw))
                advance(1, f"draw {draw}, {order}: {area(np.array(found[order][-1:]))[0]:.3f}")
    result = {order: np.array(rows) for order, rows in found.items()}
    for order, rows in result.items():
        told, shares = area(rows), rows.mean(axis=0)
        say(
            f"  {name}, {order}: area {told.mean():.3f} (standard error "
            f"{told.std(ddof=1) / len(told) ** 0.5:.3f}); "
            + ", ".join(f"{n}: {x:.3f}" for n, x in zip((0, *CHECKPOINTS), shares, strict=True))
        )
    keep(name, result)
    return result


def curve(pool: LabeledTexts, test: LabeledTexts, choose: Order, seed: int) -> list[float]:
    """The first choice on ``test`` at first (0) and after each checkpoint, by a classifier that
    was fitted on the answers so far and nothing else."""
    random = np.random.default_rng(seed)
    asked: list[int] = []
    choices: Choices | None = None
    found = [0.0]
    for answers in CHECKPOINTS:
        rest = np.setdiff1d(np.arange(len(pool)), asked)
        queue = Queue(pool.take(rest), choices, pool.vectors[asked], random)
        asked += rest[choose(queue, answers - len(asked))].tolist()
        choices, right = taught(pool, asked, test)
        found.append(right)
    return found


def taught(pool: LabeledTexts, asked: list[int], test: LabeledTexts) -> tuple[Choices, float]:
    """What a fit on the answers makes of those that still wait, and how often it is right."""
    answers = pool.take(np.array(asked, dtype=np.intp))
    with patch.object(cross_fitting, "FOLDS_OF_EXEMPLARS", FOLDS):
        classifier = Classifier.fit(answers)
    index = classifier.exemplar_model.index(answers)
    rest = pool.take(np.setdiff1d(np.arange(len(pool)), asked))
    pooled, probability, classes = scores(classifier, index, rest)
    best = pooled.argmax(axis=1)
    counts = np.array([answers.labels.count(name) for name in classes], dtype=np.intp)
    choices = Choices(best, probability[np.arange(len(best)), best], counts)
    pooled, _, _ = scores(classifier, index, test)
    first = [classes[place] for place in pooled.argmax(axis=1)]
    right = float(np.mean([a == b for a, b in zip(first, test.labels, strict=True)]))
    return choices, right


def scores(
    classifier: Classifier, index: ExemplarIndex, rows: LabeledTexts
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], tuple[str | None, ...]]:
    """Pooled scores without "none", the probabilities of all classes, (b, k) each, and the k."""
    parts = []
    for start in range(0, len(rows), 256):
        stop = start + 256
        scored = classifier.exemplar_model.score(
            index, rows.vectors[start:stop], rows.texts[start:stop]
        )
        none_index = scored.classes.index(None)
        calibration = classifier.calibration.widened(len(scored.classes))
        found = calibration.scores(scored.model_scores, none_index)
        probability = choice_probabilities(found.pooled, found.first_choice, found.probability)
        found.pooled[:, none_index] = -1.0
        parts.append((found.pooled, probability))
    pooled, probability = (np.concatenate(each) for each in zip(*parts, strict=True))
    return pooled, probability, scored.classes


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


def keep(name: str, found: dict[str, npt.NDArray[np.float64]]) -> None:
    """Keep the mean curves of a set, and draw those of all sets once there are some of each."""
    file = VECTORS / "labels_next.json"
    kept = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    kept[name] = {order: rows.mean(axis=0).tolist() for order, rows in found.items()}
    VECTORS.mkdir(exist_ok=True)
    file.write_text(json.dumps(kept), encoding="utf-8")
    if all(each in kept for each in SETS):
        draw_figure(kept)


def draw_figure(kept: dict[str, dict[str, list[float]]]) -> None:
    """The rising curves, one panel for each set, into the docs."""
    figure = Figure(figsize=(8, 3.6), layout="constrained")
    for axes, name in zip(figure.subplots(1, len(SETS), sharey=True), SETS, strict=True):
        for order, style in zip(ORDERS, ("-", "--", ":", "-."), strict=True):
            axes.plot([0, *CHECKPOINTS], kept[name][order], style, label=order)
        axes.set_title(name, fontsize=9)
        axes.set_xlabel("answers")
        axes.grid(alpha=0.3)
        axes.yaxis.set_major_formatter(PercentFormatter(1, 0))
    figure.axes[0].set_ylabel("first choice right")
    figure.axes[0].legend(fontsize=8, frameon=False)
    figure.savefig(FIGURE, format="svg", metadata={"Date": None})
