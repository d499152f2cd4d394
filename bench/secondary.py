"""Second jobs: how often one is said where there is none, and how many are found."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from marketplace_ai.classifier import Classifier, Prediction
from marketplace_ai.classifier.labeled import families_of
from marketplace_ai.classifier.linear_heads import to_class_ids
from marketplace_ai.classifier.near_duplicates import group_folds
from marketplace_ai.classifier.second_category import MAX_FALSE_RATE
from marketplace_ai.text.labeled_csv import LabeledRows

from .catalogue import TARGET
from .inputs import catalogue, encoded, encoded_rows, labeled
from .rows import Benchmark, NotMeasured, say

FOLDS = 5

Codes = npt.NDArray[np.intp]


def benchmarks() -> Iterator[Benchmark]:
    yield Benchmark(
        "second jobs: calibration_nb given one that is no answer, cross-fitted",
        "share", MAX_FALSE_RATE, "lower", false_tags,
    )  # fmt: skip
    yield Benchmark(
        "second jobs: both found in two rows of calibration_nb made one, cross-fitted",
        "share", None, "higher", found,
    )  # fmt: skip
    yield Benchmark(
        "second jobs: said of two rows made one, both right",
        "share", None, "higher", precision,
    )  # fmt: skip


def false_tags() -> float:
    """Over all rows, each with a single answer in the file (though some do have two jobs)."""
    judged = measured()
    wrong = [
        any(label != answer for label, _ in verdict.second_categories)
        for verdict, answer in zip(judged.single, judged.true_labels, strict=True)
    ]
    return float(np.mean(wrong))


def found() -> float:
    """Share of all made postings whose first choice and second job are their two categories."""
    judged = measured()
    return float(np.mean([_both(*pair) for pair in zip(judged.double, judged.pairs, strict=True)]))


def precision() -> float:
    """The same among the made postings that were given a second job."""
    judged = measured()
    right = [
        _both(verdict, pair)
        for verdict, pair in zip(judged.double, judged.pairs, strict=True)
        if verdict.second_categories
    ]
    if not right:
        raise NotMeasured("no posting was given a second job")
    return float(np.mean(right))


def _both(verdict: Prediction, pair: tuple[str, str]) -> bool:
    return {verdict.label, *(label for label, _ in verdict.second_categories)} == set(pair)


@dataclass(frozen=True)
class Judged:
    """Verdicts on the rows and on pairs of them, by classifiers that saw none of either."""

    single: list[Prediction]
    true_labels: list[str | None]
    double: list[Prediction]
    pairs: list[tuple[str, str]]


@cache
def measured() -> Judged:
    """Five fits, each on the exemplars and rows of other families than its fold's."""
    train, _, calibration = encoded(catalogue())
    exemplars, rows = labeled(train), labeled(calibration)
    groups = families_of(exemplars, rows)
    own, groups = groups[: len(exemplars)], groups[len(exemplars) :]
    names = sorted({label for label in rows.labels if label is not None})
    codes = to_class_ids(rows.labels, names)
    judged = Judged([], [], [], [])
    for number, fold in enumerate(group_folds(groups, codes, FOLDS, 0), start=1):
        say(f"Fitting fold {number} of {FOLDS} …")
        known = exemplars.take(np.flatnonzero(~np.isin(own, groups[fold])))
        others = np.setdiff1d(np.arange(len(rows)), fold)
        classifier = Classifier.fit(
            known,
            rows.take(others),
            target=TARGET,
            parents=catalogue().parents,
        )
        index = classifier.exemplar_model.index(known)
        single = rows.take(fold)
        double = encoded_rows(made(calibration.rows.take(fold), number))
        judged.single.extend(classifier.predict(index, single.vectors, single.texts))
        judged.true_labels.extend(single.labels)
        judged.double.extend(classifier.predict(index, double.vectors, double.rows.texts))
        judged.pairs.extend((first, second) for first, second in double.rows.true_labels)
    return judged


def made(rows: LabeledRows, seed: int) -> LabeledRows:
    """Rows with a category, two and two of different ones as one posting, each once.

    By turns: the titles joined by "og", alone; the titles in two lines; the titles joined,
    and both descriptions below.
    """
    left = [i for i in np.random.default_rng(seed).permutation(len(rows)) if rows.true_labels[i]]
    texts: list[str] = []
    answers: list[tuple[str, ...]] = []
    while left:
        first = left.pop()
        other = next((i for i in left if rows.true_labels[i] != rows.true_labels[first]), None)
        if other is None:
            break
        left.remove(other)
        (title, _, body), (second, _, more) = (
            rows.texts[i].partition("\n") for i in (first, other)
        )
        lower = second[:1].lower() + second[1:] if second[1:2].islower() else second
        joined = f"{title} og {lower}"
        below = " ".join(part for part in (body, more) if part)
        forms = (joined, f"{title}\n{second}", f"{joined}\n{below}".strip())
        texts.append(forms[len(texts) % len(forms)])
        answers.append((rows.true_labels[first][0], rows.true_labels[other][0]))
    return LabeledRows(rows.path, [0] * len(texts), texts, answers, None, rows.parents)
