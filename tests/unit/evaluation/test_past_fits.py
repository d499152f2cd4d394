"""Fits of the past on streams that drift and on streams that do not."""

from __future__ import annotations

import random
from datetime import datetime, timedelta

import numpy as np
import pytest

from marketplace_ai.encoding import DummyEncoder
from marketplace_ai.evaluation.by_time import dated_rows, look_back
from marketplace_ai.evaluation.past_fits import PastFits, fit_in_the_past
from marketplace_ai.evaluation.time_figures import TimeFigures, time_figures
from marketplace_ai.evaluation.time_periods import NoCutError, add_months
from marketplace_ai.evaluation.vectors import EncodedRows
from marketplace_ai.guarantee.target import Target
from marketplace_ai.text.labeled_csv import LabeledRows

pytestmark = pytest.mark.slow

START = datetime(2025, 1, 1)
TARGET = Target(0.8)
CATEGORIES = 3


def made_up(count: int, seed: int) -> list[str]:
    """Words that have nothing in common."""
    draw = random.Random(seed)
    return ["".join(draw.choices("abdefghiklmnoprstuvy", k=7)) for _ in range(count)]


#: Words of one category each, in the order in which a drifting stream comes to use them.
VOCABULARY = [made_up(20, 1 + category) for category in range(CATEGORIES)]
FILLER = made_up(80, 0)


def encoded(
    rows: list[tuple[str, str, datetime | None]], families: list[str] | None = None
) -> EncodedRows:
    texts = [text for text, _, _ in rows]
    labels = [() if label == "none" else (label,) for _, label, _ in rows]
    dates = [moment for _, _, moment in rows]
    labeled = LabeledRows(
        "a.csv", list(range(len(rows))), texts, labels, None, {}, families or (), dates=dates
    )
    return EncodedRows(labeled, DummyEncoder(64).encode(texts))


def stream(
    drift: float, months: int = 12, each: int = 13
) -> list[tuple[str, str, datetime | None]]:
    """``each`` postings of each category a month, whose words move on by ``drift`` a month."""
    draw = random.Random(0)
    rows: list[tuple[str, str, datetime | None]] = []
    for month in range(months):
        begin = round(drift * month)
        for number in range(each):
            moment = add_months(START, month) + timedelta(days=2 * number, hours=3)
            for category, words in enumerate(VOCABULARY):
                said = draw.sample(words[begin : begin + 8], 2) + draw.sample(FILLER, 5)
                draw.shuffle(said)
                rows.append((" ".join(said), f"kategori {category}", moment))
    return rows


@pytest.fixture(scope="module")
def steady() -> TimeFigures:
    return figures(encoded(stream(0)))


@pytest.fixture(scope="module")
def drifting() -> TimeFigures:
    return figures(encoded(stream(1)))


def past(rows: EncodedRows, limit: int = 3) -> PastFits:
    return fit_in_the_past(dated_rows(rows, rows), target=TARGET, limit=limit)


def figures(rows: EncodedRows) -> TimeFigures:
    return time_figures(past(rows))


def test_a_stream_that_does_not_drift_shows_no_fall(steady: TimeFigures) -> None:
    assert [str(each.period) for each in steady.periods] == ["0-1", "1-3", "3-6", ">6"]
    assert steady.largest_fall is None
    assert steady.first_refuted is None
    assert all(each.first_choice.share > 0.7 for each in steady.periods)


def test_a_stream_whose_words_change_shows_it(drifting: TimeFigures) -> None:
    assert drifting.largest_fall is not None
    assert drifting.largest_fall.change < -0.2
    shares = [each.first_choice.share for each in drifting.periods]
    assert shares == sorted(shares, reverse=True)
    changes = [each.first_choice_change for each in drifting.periods[1:]]
    assert all(change is not None and change.change < 0 for change in changes)


def test_each_fit_learns_what_came_before_it(steady: TimeFigures) -> None:
    assert [fit.exemplars for fit in steady.fits] == [
        3 * 13 * ((fit.cut.year - 2025) * 12 + fit.cut.month - 1) for fit in steady.fits
    ]
    assert {fit.categories for fit in steady.fits} == {3}
    assert len(steady.by_fit) == 3
    assert [each.decisions for each in steady.periods] == [
        sum(
            each.decisions
            for periods in steady.by_fit
            for each in periods
            if each.period == pooled.period
        )
        for pooled in steady.periods
    ]


def test_a_new_category_is_seen() -> None:
    rows = stream(0, months=4)
    new = [
        (f"helt nytt {text}", "ny", moment)
        for text, _, moment in rows
        if moment >= add_months(START, 3)
    ]
    found = figures(encoded(rows + new))
    assert found.periods[0].new_category.share > 0
    assert found.periods[-1].new_categories > 0
    assert found.by_fit[-1][0].categories == 4


def test_kin_of_what_the_fit_learned_is_left_out() -> None:
    rows = stream(0, months=4)
    moved = [(text, label, add_months(START, 3)) for text, label, _ in rows[:20]]
    assert past(encoded(rows + moved)).kin >= 20
    named = ["kunde" if number % 30 == 0 else "" for number in range(len(rows))]
    found = past(encoded(rows, named), limit=1)
    assert found.kin >= sum(name != "" for name in named[len(rows) // 2 :])


def test_a_row_without_a_date_teaches_and_is_never_asked_about() -> None:
    rows = stream(0, months=4)
    undated = [(text, label, None) for text, label, _ in rows[:30]] + rows[30:]
    found = past(encoded(undated))
    assert found.undated == 30
    assert not np.isin(found.later.row, np.arange(30)).any()
    assert found.fits[0].exemplars >= 30


def test_the_later_rows_of_another_file_are_asked_about() -> None:
    rows = stream(0, months=6)
    train, test = encoded(rows[: 3 * 13 * 4]), encoded(rows[3 * 13 * 4 :])
    looked = look_back(train, test, target=TARGET)
    assert looked.since is None
    assert list(looked.files) == [train, test]
    assert looked.figures.fits[-1].exemplars == len(train)
    assert sum(each.rows for each in looked.figures.by_fit[-1]) == len(test)


def test_one_file_is_divided_so_that_the_newest_fifth_is_decided() -> None:
    rows = encoded(stream(0, months=10, each=5))
    looked = look_back(rows, rows, target=TARGET)
    assert looked.since == datetime(2025, 9, 1)
    assert [len(each) for each in looked.files] == [len(rows) * 8 // 10, len(rows) * 2 // 10]


def test_labeled_postings_after_the_fit_calibrate_nothing() -> None:
    rows, labeled = encoded(stream(0, months=6)), encoded(stream(0, months=6, each=9))
    looked = look_back(rows, rows, labeled, target=TARGET)
    assert looked.since is not None
    dates = looked.files[2].rows.dates
    assert 0 < len(dates) < len(labeled)
    assert all(moment < looked.since for moment in dates if moment)


def test_where_all_later_rows_repeat_earlier_ones_nothing_can_be_asked() -> None:
    rows = stream(0, months=1)
    again = [(text, label, add_months(START, 1)) for text, label, _ in rows]
    with pytest.raises(NoCutError, match="All later rows are kin of earlier ones"):
        past(encoded(rows + again))
