"""Which decisions are a sample of the stream."""

from __future__ import annotations

import datetime as dt

import pytest
from django.utils import timezone

from marketplace_ai.models import Decision, ScanPurpose, TableScan
from marketplace_ai.refitting import decision_sample
from marketplace_ai.refitting.decision_sample import find_drift, read_sample

from .factories import WEEK, aged, decided, drifted

pytestmark = pytest.mark.django_db

HOUR = dt.timedelta(hours=1)


def count(version_id: int, start: dt.datetime, per_hour: int = 6) -> int:
    return len(read_sample(version_id, start, start + WEEK, per_hour))


def test_each_hour_gives_a_few_and_no_more_are_read(
    fitted: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = aged(40)
    start = version.activated_at
    decided(version, start, ["plen"] * 168)  # one an hour
    decided(version, start + WEEK, ["plen"] * 50)  # those of the next week are not asked for
    assert count(version.pk, start) == 168
    decided(version, start + 5 * HOUR, ["maling"] * 30, period=HOUR)
    assert count(version.pk, start) == 168 + 5
    assert count(version.pk, start, per_hour=1) == 168
    monkeypatch.setattr(decision_sample, "EXAMINED", 3)
    assert count(version.pk, start) == 168 + 2


def test_only_first_decisions_by_this_version_and_one_of_equal_texts(fitted: None) -> None:
    version = aged(40)
    start = version.activated_at
    rows = decided(version, start, ["plen"] * 20)
    assert count(version.pk, start) == 20
    # Decided again, by a person, and by another version.
    again = Decision.objects.get(pk=rows[0].pk)
    again.pk, again.decided_at = None, start + HOUR
    Decision.objects.filter(pk=rows[0].pk).update(is_current=False)
    again.save()
    Decision.objects.filter(pk=rows[1].pk).update(choice_keys=[], choice_probabilities=[])
    Decision.objects.filter(pk=rows[2].pk).update(classifier=None)
    Decision.objects.filter(pk=rows[3].pk).update(text_digest=bytes(rows[4].text_digest))
    assert count(version.pk, start) == 17


def test_a_backfill_is_not_the_stream(fitted: None) -> None:
    version = aged(40)
    start = version.activated_at
    decided(version, start, ["plen"] * 168)
    scan = TableScan.objects.create(
        purpose=ScanPurpose.BACKFILL, requested_at=start + 10.5 * HOUR, advanced_at=start,
        scheduled_at=start, finished_at=start + 12.5 * HOUR,
    )  # fmt: skip
    # Hours 10 to 12, and the one after it, in which its last postings are decided.
    assert count(version.pk, start) == 164
    TableScan.objects.filter(pk=scan.pk).update(is_vector_only=True)
    assert count(version.pk, start) == 168


def test_weeks_are_compared_once_they_do_not_overlap(fitted: None) -> None:
    assert find_drift(aged(13.9), timezone.now()) is None
    report = find_drift(aged(14.1), timezone.now())
    assert report is not None
    assert (report.look, report.before, report.now, report.is_tested) == (1, 0, 0, False)


def test_a_drift_is_found_the_same_all_day(fitted: None) -> None:
    version = aged(40.2)
    drifted(version)
    report = find_drift(version, timezone.now())
    assert report is not None
    assert report.categories_drifted and report.look == 27
    assert {moved.key for moved in report.moved} >= {"plen", "rorlegger"}
    decided(version, timezone.now() - HOUR, ["plen"] * 100, period=HOUR)
    assert find_drift(version, timezone.now()) == report


def test_few_postings_are_compared_over_four_weeks(fitted: None) -> None:
    version = aged(70.2)
    month = 4 * WEEK
    decided(version, version.activated_at, ["plen", "maling"] * 60, period=month)
    decided(version, timezone.now() - month, ["rorlegger", "maling"] * 60, period=month)
    report = find_drift(version, timezone.now())
    assert report is not None and report.is_tested
    assert report.categories_drifted
