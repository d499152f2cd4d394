"""``plan_labels``: what it names, what it keeps, and that the audit stays apart."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from marketplace_ai.audit.counted_answers import counted_answers
from marketplace_ai.fitting import waiting_postings
from marketplace_ai.models import (
    AuditedPosting,
    Category,
    Decision,
    Exemplar,
    ExemplarSource,
    JobPosting,
    ReviewRank,
)
from marketplace_ai.queue import audit_sample
from marketplace_ai.review import ranks
from marketplace_ai.review.answers import answer
from tests.integration.command_calls import call, call_json, refused
from tests.integration.worker_runs import current, drain

pytestmark = [pytest.mark.django_db, pytest.mark.slow]

TITLES = (
    "Male kjøkken", "Male kjøkken", "Vanlekkasje i kjeller", "Klippe hekk", "Flytte piano",
    "Lakke gulv",
)  # fmt: skip


@pytest.fixture
def undrawn(settings: Any) -> None:
    settings.MARKETPLACE_AI_AUDIT_SAMPLE_RATE = 0


@pytest.fixture
def waiting(fitted: None, undrawn: None) -> list[JobPosting]:
    """Postings in review: so few exemplars guarantee nothing."""
    jobs = [JobPosting.objects.create(title=title) for title in TITLES]
    drain()
    assert Decision.objects.in_review().count() == len(TITLES)
    return jobs


def test_the_next_postings_are_those_that_wait_and_none_twice(
    waiting: list[JobPosting],
) -> None:
    found = call_json("plan_labels", count=5)
    assert found["waiting"] == found["compared"] == len(TITLES)
    named = [row["posting"] for row in found["next"]]
    assert len(named) == len(set(named)) == 5
    titles = [JobPosting.objects.get(pk=key).title for key in named]
    assert titles.count("Male kjøkken") == 1
    first = found["next"][0]
    assert first["decision"] == current(JobPosting.objects.get(pk=first["posting"])).pk
    assert first["url"].endswith(f"/{first['posting']}/change/?_review=rank")


def test_categories_that_lack_rows_are_named_with_how_many(waiting: list[JobPosting]) -> None:
    found = call_json("plan_labels")
    assert found["categories"] == 3
    assert {row["label"]: (row["exemplars"], row["missing"]) for row in found["lacking"]} == {
        "maling": (4, 8),
        "rorlegger": (4, 8),
        "plen": (4, 8),
    }


def test_goals_that_nothing_supports_are_not_known(waiting: list[JobPosting]) -> None:
    goals = call_json("plan_labels")["goals"]
    assert set(goals) == {"share_of_all", "first_guarantee", "half_automatic"}
    assert goals["share_of_all"]["teach"]["answers"] is None
    assert goals["share_of_all"]["teach"]["reason"] == "too_few_labels"
    text = call("plan_labels")
    assert "not known" in text
    assert "3 of 3 categories lack rows:" in text


def test_it_writes_nothing_unless_it_is_told_to(waiting: list[JobPosting]) -> None:
    with CaptureQueriesContext(connection) as captured:
        call("plan_labels")
    sql = [query["sql"].split()[0].upper() for query in captured.captured_queries]
    assert not {"INSERT", "UPDATE", "DELETE"} & set(sql)


def test_the_stored_order_is_the_one_that_is_shown_and_replaces_the_older_one(
    waiting: list[JobPosting],
) -> None:
    found = call_json("plan_labels", count=3, store=True)
    assert found["stored"] == 3
    named = [row["decision"] for row in found["next"]]
    stored = ReviewRank.objects.order_by("rank").values_list("decision_id", "rank")
    assert list(stored) == [(key, rank) for rank, key in enumerate(named, start=1)]
    call("plan_labels", count=2, store=True)
    assert ReviewRank.objects.count() == 2


def test_a_decision_that_no_longer_waits_gets_no_rank(
    waiting: list[JobPosting], catalog: dict[str, Category]
) -> None:
    one, other = (current(job).pk for job in waiting[:2])
    answer(waiting[0].pk, catalog["maling"].pk, None)
    assert ranks.store([one, other]) == 1
    assert ReviewRank.objects.get().decision_id == other


def test_a_deleted_posting_takes_its_rank_with_it(waiting: list[JobPosting]) -> None:
    call("plan_labels", count=3, store=True)
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM marketplace_ai_jobposting")
    assert not ReviewRank.objects.exists()


def test_the_table_has_the_postings_and_no_text(waiting: list[JobPosting], tmp_path: Path) -> None:
    file = tmp_path / "next.csv"
    call("plan_labels", count=2, csv=str(file))
    rows = list(csv.DictReader(file.open()))
    assert [row["rank"] for row in rows] == ["1", "2"]
    assert list(rows[0]) == ["rank", "posting", "decision", "category", "probability", "url"]


def test_answers_that_were_planned_teach_and_are_never_counted(
    waiting: list[JobPosting], catalog: dict[str, Category]
) -> None:
    for row in call_json("plan_labels", count=6)["next"]:
        answer(row["posting"], catalog["maling"].pk, None)
    assert Exemplar.objects.filter(source=ExemplarSource.REVIEWED).count() == 6
    assert not counted_answers().kept
    assert not AuditedPosting.objects.exists()


def test_what_waits_in_the_audit_is_left_to_the_audit(
    waiting: list[JobPosting], settings: Any
) -> None:
    drawn = waiting[2]
    settings.MARKETPLACE_AI_AUDIT_SAMPLE_RATE = 1
    audit_sample.record([drawn.pk])
    assert AuditedPosting.objects.unanswered().count() == 1
    found = call_json("plan_labels")
    assert (found["waiting"], found["audited"]) == (len(TITLES) - 1, 1)
    assert drawn.pk not in [row["posting"] for row in found["next"]]


def test_of_a_long_queue_a_random_part_is_compared(
    waiting: list[JobPosting], monkeypatch: Any
) -> None:
    monkeypatch.setattr(waiting_postings.read_waiting, "__defaults__", (4,))
    found = call_json("plan_labels")
    assert (found["waiting"], found["compared"], len(found["next"])) == (len(TITLES), 4, 4)
    assert "4 of them were compared" in call("plan_labels")


def test_with_nothing_waiting_it_says_so(fitted: None) -> None:
    assert "No posting waits for review." in call("plan_labels")
    assert call_json("plan_labels")["next"] == []


def test_before_there_is_anything_it_says_what_to_do(catalog: dict[str, Category]) -> None:
    assert "start a worker first" in call("plan_labels")
    found = call_json("plan_labels")
    assert found["encoder"] is None
    assert len(found["lacking"]) == 3


def test_a_count_or_target_that_is_none_is_refused(db: Any) -> None:
    assert "--count must be 1 or more" in refused("plan_labels", count=0)
    assert "must lie between 0 and 1" in refused("plan_labels", target_precision=1.5)
