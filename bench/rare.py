"""Categories that keep one or two exemplars while the others keep all: the whole classifier
compared with its vote alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache, partial

import numpy as np
import numpy.typing as npt

from marketplace_ai.classifier import Classifier, LabeledTexts

from .inputs import catalogue, encoded, labeled, public_split
from .rows import Benchmark

SHOTS, DRAWS = 24, (0, 1, 2, 3, 4)
#: So many categories keep one exemplar, and as many keep two.
THINNED = 6

Sets = tuple[LabeledTexts, LabeledTexts]


def benchmarks() -> Iterator[Benchmark]:
    for name, sets in (("catalogue", of_catalogue), (f"hwu64, {SHOTS} a category", of_hwu64)):
        for kept in (1, 2):
            yield Benchmark(
                f"rare categories: first choice minus the vote alone, {kept} kept: {name}",
                "points", 0.0, "higher", partial(above_vote, sets, kept),
                public=sets is of_hwu64,
            )  # fmt: skip


def above_vote(sets: Callable[[int], Sets], kept: int) -> float:
    """Points of right first choices above the vote's, over the rows of the categories that kept so
    many exemplars, of all draws together."""
    found = [
        (said, voted)
        for draw in DRAWS
        for of_row, said, voted in zip(*thinned(sets, draw), strict=True)
        if of_row == kept
    ]
    return 100 * float(np.mean([float(said) - float(voted) for said, voted in found]))


@cache
def thinned(sets: Callable[[int], Sets], draw: int) -> tuple[list[int], list[bool], list[bool]]:
    """For each test row the exemplars that its category kept (0: all), and whether the first choice
    and the vote's are right."""
    train, test = sets(draw)
    random = np.random.default_rng(draw)
    names = sorted({str(label) for label in train.labels if label is not None})
    drawn = random.permutation(names)[: 2 * THINNED].tolist()
    kept = {name: 1 + (place >= THINNED) for place, name in enumerate(drawn)}
    rows = random.permutation(len(train))
    seen = dict.fromkeys(kept, 0)
    exemplars: list[int] = []
    for row in rows.tolist():
        label = str(train.labels[row])
        if label in kept:
            seen[label] += 1
            if seen[label] > kept[label]:
                continue
        exemplars.append(row)
    train = train.take(np.sort(np.array(exemplars, dtype=np.intp)))
    classifier = Classifier.fit(train)
    index = classifier.exemplar_model.index(train)
    said = classifier.predict(index, test.vectors, test.texts)
    scored = classifier.exemplar_model.score_rows(index, test)
    voted = _best(scored.log_density, classifier.classes.index(None))
    return (
        [kept.get(str(label), 0) for label in test.labels],
        [each.best_category == label for each, label in zip(said, test.labels, strict=True)],
        [classifier.classes[best] == label for best, label in zip(voted, test.labels, strict=True)],
    )


def of_catalogue(draw: int) -> Sets:
    train, _, calibration = encoded(catalogue())
    return labeled(train), labeled(calibration)


def of_hwu64(draw: int) -> Sets:
    train, test = encoded(public_split("hwu64", "train", "test", SHOTS, draw))
    return labeled(train), labeled(test)


def _best(density: npt.NDArray[np.float64], none_index: int) -> npt.NDArray[np.intp]:
    categories = density.copy()
    categories[:, none_index] = -np.inf
    return np.asarray(categories.argmax(axis=1))
