"""Fits of the past on public sentences that come in over a year of our making."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import partial

import numpy as np

from marketplace_ai.evaluation.by_time import dated_rows
from marketplace_ai.evaluation.past_fits import fit_in_the_past
from marketplace_ai.evaluation.time_figures import time_figures
from marketplace_ai.evaluation.time_output import lines
from marketplace_ai.evaluation.time_periods import add_months
from marketplace_ai.evaluation.vectors import EncodedRows
from marketplace_ai.management.console import progress
from marketplace_ai.text.labeled_csv import LabeledRows

from .inputs import encoded_rows, public_split
from .rows import Benchmark, say

ROWS, MONTHS, FITS = 5000, 12, 3


def benchmarks() -> Iterator[Benchmark]:
    yield Benchmark(
        "by time: fall of the first choice that is shown, dates drawn at random: massive_sv-SE",
        "points", 0.0, "lower", partial(fall, turning=False), public=True,
    )  # fmt: skip
    yield Benchmark(
        "by time: fall of the first choice that is shown, a year from Swedish to Danish: massive",
        "points", 3.0, "higher", partial(fall, turning=True), public=True,
    )  # fmt: skip


def fall(*, turning: bool) -> float:
    """The largest fall that the intervals show, in points; 0 where they show none."""
    rows = _year(turning)
    found = time_figures(fit_in_the_past(dated_rows(rows, rows), limit=FITS, progress=progress))
    for line in lines(found):
        say(f"  {line}")
    change = found.largest_fall
    return 0.0 if change is None else -100 * change.change


def _year(turning: bool) -> EncodedRows:
    """5,000 training sentences with a date each, in Swedish, or turning Danish month by month."""
    swedish, danish = (
        public_split(name, "train", "test").train for name in ("massive_sv-SE", "massive_da-DK")
    )
    random = np.random.default_rng(0)
    drawn = np.sort(random.choice(len(swedish), ROWS, replace=False)).tolist()
    months = random.integers(0, MONTHS, ROWS)
    is_danish = turning & (random.random(ROWS) < months / (MONTHS - 1))
    sources = [danish if each else swedish for each in is_danish.tolist()]
    rows = LabeledRows(
        "massive",
        drawn,
        [source.texts[row] for source, row in zip(sources, drawn, strict=True)],
        [source.true_labels[row] for source, row in zip(sources, drawn, strict=True)],
        None,
        {},
        dates=[
            add_months(datetime(2025, 1, 1), month) + timedelta(days=day)
            for month, day in zip(
                months.tolist(), random.integers(0, 28, ROWS).tolist(), strict=True
            )
        ],
    )
    return encoded_rows(rows)
