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
from django.db.models import Max
from scipy import stats

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
)
from marketplace_ai.review.answers import answer
from tests.acceptance import ledger, workers
from tests.acceptance.time_travel import pass_time
from tests.integration.command_calls import call, call_json

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

MONTH = dt.timedelta(days=30)
POSTINGS_A_MONTH = 150
TARGET = 0.9
WORDS = {
    "maling": ["male", "maling", "tapet", "sparkle", "beis", "lakk"],
    "rorlegger": ["kran", "avløp", "rør", "toalett", "vask", "dusj"],
    "plen": ["gress", "plen", "klippe", "gjødsle", "hekk", "ugress"],
    "sno": ["snø", "måke", "strø", "brøyte", "takras", "skuffe"],
}
SUMMER = {"maling": 0.3, "rorlegger": 0.25, "plen": 0.4, "sno": 0.05}
WINTER = {"maling": 0.3, "rorlegger": 0.25, "plen": 0.02, "sno": 0.43}
#: What is in the database that a person gives instead, from the tenth month on.
NEW_MEANING = {"tapet": "tapetsering", "sparkle": "tapetsering"}


@dataclass
class Year:
    """The world outside: what comes in, and what people say about it."""

    random: np.random.Generator
    month: int = 0
    report: list[str] = field(default_factory=list)

    @property
    def shares(self) -> dict[str, float]:
        known = dict(WINTER if 6 <= self.month <= 9 else SUMMER)
        if self.month < 3:
            known.pop("sno")
        return {key: share / sum(known.values()) for key, share in known.items()}

    def create(self) -> list[JobPosting]:
        keys = self.random.choice([*self.shares], POSTINGS_A_MONTH, p=[*self.shares.values()])
        return JobPosting.objects.bulk_create(
            JobPosting(title=f"{' '.join(self.random.choice(WORDS[key], 2))} {self.month}-{number}")
            for number, key in enumerate(keys)
        )

    def truth(self, title: str) -> str:
        """The category that a person gives."""
        words = title.split()[:2]
        if self.month >= 10 and (new := [NEW_MEANING[w] for w in words if w in NEW_MEANING]):
            return new[0]
        return next(key for key, known in WORDS.items() if words[0] in known)


def answer_all(year: Year, rows: Any, categories: dict[str, Category]) -> None:
    for posting_id in list(rows.values_list("posting_id", flat=True)):
        title = JobPosting.objects.values_list("title", flat=True).get(pk=posting_id)
        answer(posting_id, categories[year.truth(title)].pk, None)


def wrong(year: Year, jobs: list[JobPosting]) -> tuple[int, int]:
    """Automatic postings of this month, and how many of them a person would have changed."""
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
    environment = workers.environment(url, audit_sample_rate=0.1)
    suspicious: list[int] = []
    with workers.queue_worker(tmp_path, environment) as worker:
        for month in range(13):
            year.month = month
            for at, key in ((3, "sno"), (10, "tapetsering")):
                if month == at:
                    categories[key] = Category.objects.create(slug=key, name=key)
            last = Decision.objects.aggregate(last=Max("pk"))["last"] or 0
            jobs = year.create()
            worker.wait_for(lambda: ledger.queue(url).settled, "the queue does not drain")
            automatic, errors = wrong(year, jobs)
            if stats.binomtest(errors, max(automatic, 1), 1 - TARGET).pvalue < 0.01 and (
                errors > (1 - TARGET) * automatic
            ):
                suspicious.append(month)
            answer_all(year, AuditedPosting.objects.unanswered(), categories)
            # In the quiet months nobody looks into the queue of reviews.
            if not 5 <= month <= 9:
                waiting = Decision.objects.in_review().filter(posting__in=jobs)
                answer_all(year, waiting, categories)
            pass_time(MONTH, after=last)
            stopped = AutomationStop.objects.filter(resumed_at=None).count()
            found = refit()
            worker.wait_for(lambda: ledger.queue(url).settled, "the queue does not drain")
            year.report.append(
                f"month {month}: {automatic} automatic, {errors} wrong, {stopped} stops, {found}"
            )
    rows = list(Refit.objects.order_by("pk"))
    triggers = Counter(trigger for row in rows for trigger in row.triggers)
    assert triggers["answers"] >= 3 and triggers["audit"] >= 1 and triggers["categories"] >= 1
    assert {row.outcome for row in rows} <= {"activated", "refused"}
    # Nothing is lost, and nothing waits.
    assert not QueuedPosting.objects.exists()
    assert Decision.objects.current().count() == 13 * POSTINGS_A_MONTH
    # The guarantee was broken, once a category meant something else, and never unnoticed.
    assert suspicious and min(suspicious) >= 10
    assert AutomationStop.objects.exists()


def refit() -> str:
    try:
        found = call_json("refit", if_due=True)
    except Exception as error:  # noqa: BLE001 (a refusal is a result)
        return str(error)
    row = found["refit"]
    return f"{found['triggers']} {found['hindrance'] or ''} {row and row['outcome']}"
