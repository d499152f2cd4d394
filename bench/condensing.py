"""How few of 200,000 answers need to vote, what it costs, and what it saves.

No public set of this kind is so large, so it is made: every training row of massive_sv-SE and
massive_da-DK as it is, and rows made of two others of its category. A fifth of these are reposts
(the same words, retyped); the others are paraphrases: words left out, or taken from another row,
and a vector between the two, moved by the difference of two further rows. Test rows are the
published ones as they are; weights and thresholds come from the dev rows.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import cache
from statistics import median
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from marketplace_ai.classifier import LabeledTexts
from marketplace_ai.classifier.exemplar_model import ExemplarModel
from marketplace_ai.classifier.linear_heads import rare_classes, to_class_ids
from marketplace_ai.classifier.opinion_pool import exemplar_prior
from marketplace_ai.condensing import MAX_LOSS, Loss, condense
from marketplace_ai.condensing.held_out_loss import HeldOut, decide, loss_of, score
from marketplace_ai.guarantee.target import DEFAULT_TARGET

from .inputs import encoded, labeled, public_split
from .rows import Benchmark, say

ANSWERS, MOST_VOTES = 200_000, 30_000
SETS = ("massive_sv-SE", "massive_da-DK")
REPOSTS = 0.2
#: Of a paraphrase's words, those left out and those taken from the other row.
LEFT_OUT, TAKEN = 0.15, 0.15
BATCH, REPEATS = 64, 7


def benchmarks() -> Iterator[Benchmark]:
    name = f"condensing: {ANSWERS:,} answers, massive-like"
    yield Benchmark(
        f"{name}: votes that are enough", "", MOST_VOTES, "lower",
        lambda: float(measured().votes), public=True,
    )  # fmt: skip
    yield Benchmark(
        f"{name}: first choices lost on test rows", "points", 100 * MAX_LOSS, "lower",
        lambda: 100 * measured().loss.loss, public=True,
    )  # fmt: skip
    yield Benchmark(
        f"{name}: precision of automatic test rows, after minus before", "points", 0, "higher",
        lambda: 100 * _precision_gained(measured().loss), public=True,
    )  # fmt: skip
    yield Benchmark(
        f"{name}: processor time", "s", 3_600, "lower", lambda: measured().seconds, public=True
    )  # fmt: skip
    yield Benchmark(
        f"{name}: deciding {BATCH}, after by before", "times", 0.5, "lower",
        lambda: measured().deciding, public=True,
    )  # fmt: skip


class Measured(NamedTuple):
    """``votes`` that are left, their ``loss`` on test rows, ``seconds`` of processor time that
    condensing took, and the time for ``deciding`` a batch by that with all votes."""

    votes: int
    loss: Loss
    seconds: float
    deciding: float


@cache
def measured() -> Measured:
    answers = massive_like(ANSWERS, np.random.default_rng(0))
    say(f"Condensing {len(answers):,} answers …")
    start = time.process_time()
    found = condense(answers)
    seconds = time.process_time() - start
    kept = np.flatnonzero(found.votes)
    say(f"{len(kept):,} of {found.families:,} families vote, {found.limit} a category at most")
    say(f"on the answers' own held-out rows: {found.loss}")

    dev, test = both("dev"), both("test")
    classes = (*sorted({label for label in answers.labels if label is not None}), None)
    codes = to_class_ids(answers.labels, classes)
    rare = rare_classes(codes, np.zeros(len(classes), dtype=np.bool_))
    model = ExemplarModel.fit(answers, classes, 0, rare)
    prior = exemplar_prior(codes, rare)
    sets = 1 + found.votes.astype(np.intp)
    # A sentence and its translation are one family: both files have the same rows.
    calibrating, asked = (
        HeldOut(
            score(model, answers, codes, sets, rows, lambda n: None),
            to_class_ids(rows.labels, classes),
            np.arange(len(rows)) % (len(rows) // len(SETS)),
        )
        for rows in (dev, test)
    )
    before, after = (
        decide(
            asked.model_scores[trial], calibrating, calibrating.model_scores[trial],
            asked.y_true, prior, DEFAULT_TARGET,
        )
        for trial in range(2)
    )  # fmt: skip
    loss = loss_of(before, after, asked.families)
    say(f"on test rows: {loss}")
    index, fewer = model.index(answers), model.index(answers.take(kept))
    batch = test.take(np.arange(BATCH))
    times: list[list[float]] = [[], []]
    for turn in range(REPEATS + 1):
        for place, each in enumerate((index, fewer)):
            began = time.perf_counter()
            model.score(each, batch.vectors, batch.texts)
            if turn:  # the first turn only warms up
                times[place].append(time.perf_counter() - began)
    say(f"deciding {BATCH}: {median(times[0]):.3f} s before, {median(times[1]):.3f} s after")
    return Measured(len(kept), loss, seconds, median(times[1]) / median(times[0]))


def both(split: str) -> LabeledTexts:
    """A split of both sets, one after the other."""
    parts = [labeled(encoded(public_split(name, "train", split))[1]) for name in SETS]
    return _joined(parts)


def massive_like(count: int, random: np.random.Generator) -> LabeledTexts:
    """``count`` labeled texts: the training rows of both sets, and what is made of them."""
    real = [labeled(encoded(public_split(name, "train", "dev"))[0]) for name in SETS]
    missing = count - sum(map(len, real))
    shares = [len(part) / sum(map(len, real)) for part in real]
    made = [
        _made(part, round(missing * share), random)
        for part, share in zip(real, shares, strict=True)
    ]
    return _joined([*real, *made])


def _made(rows: LabeledTexts, count: int, random: np.random.Generator) -> LabeledTexts:
    labels = np.array(rows.labels)
    members = {label: np.flatnonzero(labels == label) for label in np.unique(labels)}
    own = random.integers(len(rows), size=count)
    texts, vectors = [], np.zeros((count, rows.vectors.shape[1]), dtype=np.float32)
    for place, row in enumerate(own):
        other, one, two = random.choice(members[labels[row]], 3)
        vector = rows.vectors[row]
        if random.random() < REPOSTS:
            texts.append(f"{rows.texts[row].upper()} !")
            toward, apart = 0.02, 0.02
        else:
            texts.append(_paraphrase(rows.texts[row].split(), rows.texts[other].split(), random))
            toward, apart = 0.5 * random.random(), 0.3 * random.random()
        vector = vector + toward * (rows.vectors[other] - vector)
        vectors[place] = vector + apart * (rows.vectors[one] - rows.vectors[two])
    return LabeledTexts(texts, vectors, [rows.labels[row] for row in own])


def _paraphrase(words: list[str], others: list[str], random: np.random.Generator) -> str:
    chances = random.random(len(words))
    said = [
        str(random.choice(others)) if chance < LEFT_OUT + TAKEN else word
        for word, chance in zip(words, chances, strict=True)
        if chance >= LEFT_OUT
    ]
    return " ".join(said or words)


def _joined(parts: list[LabeledTexts]) -> LabeledTexts:
    texts = [text for part in parts for text in part.texts]
    labels: list[str | None] = [label for part in parts for label in part.labels]
    vectors: npt.NDArray[np.float32] = np.vstack([part.vectors for part in parts])
    return LabeledTexts(texts, vectors, labels)


def _precision_gained(loss: Loss) -> float:
    before, after = (
        1 - errors / max(rows, 1)
        for rows, errors in (
            (loss.automatic_before, loss.errors_before),
            (loss.automatic_after, loss.errors_after),
        )
    )
    return after - before
