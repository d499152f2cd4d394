"""The tests of the stream: how often they raise a false alarm, and what they find."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from marketplace_ai.refitting import drift
from marketplace_ai.refitting.category_shares import estimate_shares, posteriors
from marketplace_ai.refitting.drift import DecidedPosting, compare, level_at

KEYS = [f"c{number}" for number in range(30)]
#: What comes in: a few common categories, many rare ones.
USUAL = 1 / np.arange(1, 31)
USUAL = USUAL / USUAL.sum()


def stream(
    rng: np.random.Generator, rows: int, shares: np.ndarray = USUAL, sure: float = 4.0
) -> list[DecidedPosting]:
    """Postings with a calibrated probability of their first choice, and a second choice."""
    drawn = rng.choice(len(KEYS), rows, p=shares)
    certain = rng.beta(sure, 1.0, rows)
    other = (drawn + rng.integers(1, len(KEYS), rows)) % len(KEYS)
    return [
        DecidedPosting(((KEYS[first], float(p)), (KEYS[second], float((1 - p) / 2))))
        for first, p, second in zip(drawn, certain, other, strict=True)
    ]


@pytest.mark.slow
@pytest.mark.parametrize("rows", [100, 300])
def test_no_more_false_alarms_than_stated(rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    # At a level that shows in 300 draws: 0.1 for each of both tests.
    monkeypatch.setattr(drift, "ALPHA", 0.4)
    rng = np.random.default_rng(1)
    draws = 300
    reports = [compare(stream(rng, rows), stream(rng, rows), 1) for _ in range(draws)]
    assert reports[0].level == pytest.approx(0.1)
    most = stats.binom(draws, 0.1).ppf(0.999)
    assert sum(report.scores_drifted for report in reports) <= most
    assert sum(report.categories_drifted for report in reports) <= most
    assert sum(report.categories_drifted for report in reports) >= draws * 0.05  # nor far fewer


def test_all_looks_together_spend_the_level_once() -> None:
    spent = sum(2 * level_at(look) for look in range(1, 100_000))
    assert drift.ALPHA * 0.999 < spent <= drift.ALPHA


def test_a_season_is_found_and_named() -> None:
    rng = np.random.default_rng(2)
    winter = USUAL.copy()
    winter[[1, 20]] = winter[20], winter[1]  # the lawns rest, and snow is to be cleared
    found = [compare(stream(rng, 400), stream(rng, 400, winter), 100) for _ in range(40)]
    assert all(report.categories_drifted for report in found)
    assert not any(report.scores_drifted for report in found)
    for report in found:
        named = {moved.key: moved.now - moved.before for moved in report.moved}
        assert named["c1"] < -0.05 and named["c20"] > 0.05


def test_postings_that_are_harder_are_found() -> None:
    rng = np.random.default_rng(3)
    found = [compare(stream(rng, 400), stream(rng, 400, sure=2.0), 100) for _ in range(40)]
    assert all(report.scores_drifted for report in found)


def test_too_few_postings_are_not_tested() -> None:
    rng = np.random.default_rng(4)
    winter = USUAL[::-1]
    report = compare(stream(rng, 500), stream(rng, 90, winter), 1)
    assert not report.is_tested and not report.drifted
    assert report.as_dict()["is_tested"] is False


def test_one_category_alone_has_no_shares_to_compare() -> None:
    rows = [DecidedPosting((("c0", 0.9),))] * 200
    report = compare(rows, rows, 1)
    assert report.categories_p_value == 1.0 and not report.drifted


def test_em_finds_the_shares_of_postings_that_are_hard_to_tell_apart() -> None:
    # Two normal distributions that overlap: the means of the posteriors alone find 0.66.
    rng = np.random.default_rng(5)
    is_first = rng.random(20_000) < 0.9
    value = rng.normal(np.where(is_first, 1.0, -1.0), 1.5)
    odds = stats.norm(1, 1.5).pdf(value) / stats.norm(-1, 1.5).pdf(value)
    posterior = np.stack([odds / (1 + odds), 1 / (1 + odds)], axis=1)
    assert posterior[:, 0].mean() < 0.75
    found = estimate_shares(posterior, np.array([0.5, 0.5]))
    assert found[0] == pytest.approx(0.9, abs=0.01)


rows_of_choices = st.lists(
    st.lists(
        st.tuples(st.sampled_from(["a", "b", "c", ""]), st.floats(0, 1)),
        min_size=1, max_size=3, unique_by=lambda choice: choice[0],
    ),
    min_size=1, max_size=20,
)  # fmt: skip


@settings(deadline=None)
@given(rows_of_choices)
def test_shares_are_shares_whatever_the_choices(
    choices: list[list[tuple[str, float]]],
) -> None:
    table = posteriors(choices, ["", "a", "b"])
    assert table.shape == (len(choices), 4)
    assert (table >= 0).all()
    np.testing.assert_allclose(table.sum(axis=1), 1.0)
    found = estimate_shares(table, table.mean(axis=0))
    assert (found >= 0).all()
    assert found.sum() == pytest.approx(1.0)


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(100, 200))
def test_a_stream_never_drifts_from_itself(seed: int, count: int) -> None:
    rows = stream(np.random.default_rng(seed), count)
    report = compare(rows, rows[::-1], 1)
    assert not report.drifted
    assert report.distance == 0.0
