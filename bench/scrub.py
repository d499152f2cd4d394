"""What scrubbing removes, what it leaves alone, and what that does to the deciding."""

from __future__ import annotations

import csv
import random
import re
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from statistics import median

import numpy as np

from marketplace_ai.classifier import Classifier
from marketplace_ai.evaluation.vectors import EncodedRows, encode
from marketplace_ai.management.console import progress
from marketplace_ai.scrub import scrub
from marketplace_ai.text.csv_files import read_csv
from marketplace_ai.text.labeled_csv import LabeledRows
from marketplace_ai.text.normalize import normalize

from .inputs import CATALOGUE, ROOT, VECTORS, catalogue, encoded, encoder, labeled
from .rows import Benchmark

REPEATS = 5


def benchmarks() -> Iterator[Benchmark]:
    yield Benchmark("scrubbing: planted data left in postings_nb", "of 30", 0, "lower", left)
    yield Benchmark(
        "scrubbing: exemplars_nb unchanged", "share", 0.99, "higher", lambda: unchanged("exemplars")
    )
    yield Benchmark(
        "scrubbing: calibration_nb unchanged", "share", 0.99, "higher",
        lambda: unchanged("calibration"),
    )  # fmt: skip
    yield Benchmark(
        "scrubbing: first choice on calibration_nb with planted data, scrubbed less left",
        "points", 0, "higher", gain,
    )  # fmt: skip
    yield Benchmark("scrubbing postings_nb, by encoding it", "share", 0.05, "lower", cost)


def left() -> float:
    """Items of ``planted_nb.csv``, read by hand, that are found again after scrubbing."""
    postings = {
        row["title"]: f"{row['title']}\n{row['description']}" for row in _csv("postings_nb")
    }
    planted = read_csv(str(ROOT / "planted_nb.csv"), ("title", "kind", "item"))
    return sum(_has(scrub(postings[row["title"]]), row["item"]) for row in planted)


def unchanged(name: str) -> float:
    """Share of the texts that come back byte for byte."""
    texts = [
        row.get("text") or f"{row['title']}\n{row['description']}" for row in _csv(f"{name}_nb")
    ]
    texts = [normalize(text) for text in texts]
    return sum(scrub(text) == text for text in texts) / len(texts)


def gain() -> float:
    """Points of first choice that scrubbing gives back, by a classifier fitted on exemplars_nb
    alone: each posting of calibration_nb has three pieces of invented data behind it."""
    left = planted(encoded(catalogue())[2].rows)
    scrubbed = _with(left, [normalize(scrub(text)) for text in left.texts])
    both = encode(encoder(), [left, scrubbed], kept_in=VECTORS, progress=progress)
    before, after = map(_first_choice, both)
    return 100 * (after - before)


def cost() -> float:
    """Seconds of scrubbing by seconds of encoding the same texts, interleaved, medians."""
    texts = catalogue().test.texts
    raw = [f"{row['title']}\n{row['description']}" for row in _csv("postings_nb")]
    encoder().encode(texts)
    shares = []
    for _ in range(REPEATS):
        scrub.cache_clear()
        start = time.perf_counter()
        for text in raw:
            scrub(text)
        middle = time.perf_counter()
        encoder().encode(texts)
        shares.append((middle - start) / (time.perf_counter() - middle))
    return median(shares)


def planted(rows: LabeledRows, seed: int = 0) -> LabeledRows:
    """Each text with a phone number, an address and a code or an e-mail address behind it."""
    drawn = random.Random(seed)  # noqa: S311 (invented data, not secrets)

    def number(digits: int) -> str:
        return str(drawn.randrange(10 ** (digits - 1), 10**digits))

    def sentences() -> str:
        street = drawn.choice(("Blåbær", "Tyttebær", "Skog", "Kirke", "Fjell", "Gran", "Strand"))
        street += drawn.choice(("veien", "gata", "stien", "lia", "svingen"))
        phone = f"9{number(2)} {number(2)} {number(3)}"
        said = [
            drawn.choice((f"Ring {phone}.", f"Tlf {phone} etter kl 16.", f"Sms til +47 {phone}.")),
            drawn.choice(
                (f"Adressen er {street} {number(2)}.", f"Vi bor i {street} {number(1)}B.")
            ),
            drawn.choice(
                (
                    f"Kode til porten er {number(4)}.",
                    f"Mail: {street.lower()}{number(2)}@example.no.",
                )
            ),
        ]
        return " ".join(said)

    return _with(rows, [f"{text} {sentences()}" for text in rows.texts])


@cache
def _alone() -> Classifier:
    return Classifier.fit(labeled(encoded(catalogue())[0]), parents=catalogue().parents)


def _first_choice(rows: EncodedRows) -> float:
    index = _alone().exemplar_model.index(labeled(encoded(catalogue())[0]))
    verdicts = _alone().predict(index, rows.vectors, rows.rows.texts)
    right = [
        next((label for label, _ in verdict.choices if label is not None), None) in answers
        for verdict, answers in zip(verdicts, rows.rows.true_labels, strict=True)
        if answers
    ]
    return float(np.mean(right))


def _with(rows: LabeledRows, texts: list[str]) -> LabeledRows:
    return replace(rows, texts=texts)


def _has(text: str, item: str) -> bool:
    """Whether the item, or its digits alone, stand in the text."""
    digits = re.sub(r"\D", "", item)
    return item in text or bool(digits and len(digits) > 2 and digits in re.sub(r"\D", "", text))


def _csv(name: str) -> list[dict[str, str]]:
    with (CATALOGUE / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
