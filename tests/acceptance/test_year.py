"""A year in a minute: postings come, people answer, categories and the season change, and the
classifier keeps itself in shape.

A real worker decides; what takes months is done by ``time_travel``.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.core.management import CommandError
from django.db.models import Max
from scipy import stats

from marketplace_ai import tasks
from marketplace_ai.models import (
    AuditedPosting,
    AutomationStop,
    Category,
    Decision,
    ExemplarGeneration,
    JobPosting,
    Outcome,
    QueuedPosting,
    Refit,
    RefitOutcome,
)
from marketplace_ai.review.answers import answer
from tests.acceptance import ledger, workers
from tests.acceptance.time_travel import pass_time
from tests.integration.command_calls import call, call_json

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

#: Two months: the stream of the first four weeks is then compared with that of the last four.
PERIOD = dt.timedelta(days=60)
PERIODS = 6
POSTINGS = 300
TARGET = 0.9
WORDS = {
    "maling": ["male", "maling", "tapet", "sparkle", "beis", "lakk"],
    "rorlegger": ["kran", "avløp", "rør", "toalett", "vask", "dusj"],
    "plen": ["gress", "plen", "klippe", "gjødsle", "hekk", "ugress"],
    "sno": ["snø", "måke", "strø", "brøyte", "takras", "skuffe"],
}
SUMMER = {"maling": 0.3, "rorlegger": 0.25, "plen": 0.4, "sno": 0.05}
WINTER = {"maling": 0.3, "rorlegger": 0.25, "plen": 0.02, "sno": 0.43}
#: Words of a category whose meaning changes: what a person gives them in the last months.
NEW_MEANING = dict.fromkeys(["tapet", "sparkle", "beis", "lakk"], "tapetsering")


#: What happens when.
CATEGORY_ADDED, WINTER_COMES, MEANING_CHANGED = 1, 3, 4


@dataclass
class Year:
    """The world outside: what comes in, and what people say about it."""

    random: np.random.Generator
    period: int = 0
    report: list[str] = field(default_factory=list)

    def create(self) -> list[JobPosting]:
        """The postings of two months. Winter comes in the middle of its own."""
        half = POSTINGS // 2
        first = WINTER if self.period > WINTER_COMES else SUMMER
        second = WINTER if self.period >= WINTER_COMES else SUMMER
        titles = [self._title(shares) for shares in (first, second) for _ in range(half)]
        return JobPosting.objects.bulk_create(
            JobPosting(title=f"{title} {self.period}-{number}")
            for number, title in enumerate(titles)
        )

    def _title(self, shares: dict[str, float]) -> str:
        known = {k: v for k, v in shares.items() if k != "sno" or self.period >= CATEGORY_ADDED}
        key = self.random.choice([*known], p=np.array([*known.values()]) / sum(known.values()))
        return " ".join(self.random.choice(WORDS[key], 2))

    def truth(self, title: str) -> str:
        """The category that a person gives."""
        words = title.split()[:2]
        if self.period >= MEANING_CHANGED:
            for word in words:
                if word in NEW_MEANING:
                    return NEW_MEANING[word]
        return next(key for key, known in WORDS.items() if words[0] in known)


def answer_all(year: Year, rows: Any, categories: dict[str, Category]) -> None:
    for posting_id in list(rows.values_list("posting_id", flat=True)):
        title = JobPosting.objects.values_list("title", flat=True).get(pk=posting_id)
        answer(posting_id, categories[year.truth(title)].pk, None)


def wrong(year: Year, jobs: list[JobPosting]) -> tuple[int, int]:
    """Automatic postings among them, and how many of them a person would have changed."""
    rows = Decision.objects.filter(posting__in=jobs, outcome=Outcome.AUTOMATIC)
    given = list(rows.values_list("posting__title", "category_key"))
    return len(given), sum(year.truth(title) != key for title, key in given)


@pytest.fixture
def year(transactional_db: None, catalog: dict[str, Category], exemplars: None) -> Iterator[Year]:
    # A test before this one has emptied all tables, the counter's row with them.
    ExemplarGeneration.objects.get_or_create(pk=1)
    found = Year(np.random.default_rng(4))
    yield found
    print(*found.report, sep="\n")


def test_it_keeps_itself_in_shape(year: Year, catalog: dict[str, Category], tmp_path: Path) -> None:
    url = workers.database()
    categories = dict(catalog)
    call("fit_classifier", target_precision=TARGET, confidence=0.8)
    with (
        workers.redis(tmp_path) as redis,
        workers.celery(
            tmp_path, workers.environment(url, redis.url(), audit_sample_rate=0.1)
        ) as worker,
    ):
        for year.period in range(PERIODS):
            for at, key in ((CATEGORY_ADDED, "sno"), (MEANING_CHANGED, "tapetsering")):
                if year.period == at:
                    categories[key] = Category.objects.create(slug=key, name=key)
            last = Decision.objects.aggregate(last=Max("pk"))["last"] or 0
            jobs = year.create()
            worker.wait_for(lambda: ledger.queue(url).settled, "the queue does not drain")
            automatic, errors = wrong(year, jobs)
            stops = AutomationStop.objects.count()
            answer_all(year, AuditedPosting.objects.unanswered(), categories)
            answer_all(year, Decision.objects.in_review().filter(posting__in=jobs), categories)
            pass_time(PERIOD, after=last)
            if year.period == 0:
                tasks.refit.delay()  # as beat does; after that, without a process each time
                worker.wait_for(has_refitted, "Celery fits nothing")
                due = "by Celery"
            else:
                due = refit()
            worker.wait_for(lambda: ledger.queue(url).settled, "the queue does not drain")
            stops = AutomationStop.objects.count() - stops
            year.report.append(f"{automatic} automatic, {errors} wrong, {stops} stops; {due}")
            # No guarantee is broken without a stop, or an alarm at least.
            if stats.binom(automatic, 1 - TARGET).sf(errors - 1) < 0.001:
                assert stops or "categories" in due
    rows = list(Refit.objects.order_by("pk"))
    triggers = Counter(trigger for row in rows for trigger in row.triggers)
    assert triggers["answers"] >= 3 and triggers["audit"] >= 1
    assert {row.outcome for row in rows} <= {RefitOutcome.ACTIVATED, RefitOutcome.REFUSED}
    assert "categories" in year.report[WINTER_COMES]
    assert " 0 stops" not in year.report[MEANING_CHANGED]
    # Nothing is lost, and nothing waits.
    assert not QueuedPosting.objects.exists()
    assert Decision.objects.current().count() == PERIODS * POSTINGS


def has_refitted() -> bool:
    return Refit.objects.exclude(finished_at=None).exists()


def refit() -> str:
    """What the task does, in words."""
    try:
        found = call_json("refit", if_due=True)
    except CommandError as error:
        return str(error)
    done = found["refit"]
    if done is None:
        return "nothing is due"
    return f"{', '.join(found['triggers'])}: {done['outcome']}"
