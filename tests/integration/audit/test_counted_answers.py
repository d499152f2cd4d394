"""Which answers count toward a guarantee, and which only teach."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.utils import timezone

from marketplace_ai.audit import audited_postings
from marketplace_ai.audit.counted_answers import counted_answers
from marketplace_ai.audit.evidence import audit_evidence, audit_state
from marketplace_ai.fitting import labeled_postings
from marketplace_ai.guarantee.target import Target
from marketplace_ai.models import (
    AuditedPosting,
    Category,
    ClassifierVersion,
    Exemplar,
    JobPosting,
    Outcome,
)
from marketplace_ai.queue import audit_sample
from marketplace_ai.review.answers import answer
from tests.integration.admin.factories import decide

from .factories import audited, version

pytestmark = pytest.mark.django_db


@pytest.fixture
def everything_drawn(settings: Any) -> None:
    settings.MARKETPLACE_AI_AUDIT_SAMPLE_RATE = 1


def row(job: JobPosting) -> AuditedPosting:
    return AuditedPosting.objects.get(posting=job)


class TestWhatCounts:
    def test_an_answer_from_the_review_queue_teaches_and_is_not_counted(
        self, exemplars: None, catalog: dict[str, Category], settings: Any
    ) -> None:
        """120 postings that nobody drew: chosen because they were uncertain, corrected or
        confirmed many at a time."""
        settings.MARKETPLACE_AI_AUDIT_SAMPLE_RATE = 0
        before = Exemplar.objects.count()
        for n in range(120):
            job = JobPosting.objects.create(title=f"Male rom {n}")
            decide(job, catalog["maling"], Outcome.REVIEW, 0.5)
            answer(job.pk, catalog["maling" if n % 2 else "plen"].pk, None)
        assert Exemplar.objects.count() == before + 120
        found = labeled_postings.read_audits(Target())
        assert (found.rows, found.answered) == ([], 0)

    def test_a_drawn_posting_counts_whichever_door_its_answer_came_through(
        self, catalog: dict[str, Category], everything_drawn: None
    ) -> None:
        """Without those in review the sample would hold easy postings only."""
        current = version(catalog["maling"])
        jobs = [
            audited(current, catalog["maling"], outcome, age=60 - n)
            for n, outcome in enumerate((Outcome.AUTOMATIC, Outcome.REVIEW))
        ]
        for job in jobs:
            answer(job.pk, catalog["maling"].pk, None)
        assert [kept.pk for kept in counted_answers().kept] == [row(job).pk for job in jobs]
        assert audit_state(Target(), current).automatic == 1

    def test_what_was_drawn_after_a_posting_that_waits_does_not_count_yet(
        self, catalog: dict[str, Category], everything_drawn: None
    ) -> None:
        """Otherwise whoever answers complaints first, or what is easy, makes the sample."""
        current = version(catalog["maling"])
        first, waits, last = (audited(current, catalog["maling"], age=age) for age in (60, 50, 40))
        for job in (last, first):
            answer(job.pk, catalog["maling"].pk, None)
        counted = counted_answers()
        assert [kept.pk for kept in counted.kept] == [row(first).pk]
        assert (counted.answered, counted.too_early) == (2, 1)
        answer(waits.pk, catalog["plen"].pk, None)
        counted = counted_answers()
        assert (len(counted.kept), counted.too_early) == (3, 0)
        evidence = audit_evidence(counted, current)
        assert (evidence.answers, evidence.errors) == (3, 1)

    def test_a_draw_of_unknown_probability_never_counts(
        self, catalog: dict[str, Category], everything_drawn: None
    ) -> None:
        job = audited(version(catalog["maling"]), catalog["maling"])
        answer(job.pk, catalog["maling"].pk, None)
        AuditedPosting.objects.update(draw_probability=None)
        counted = counted_answers()
        assert (counted.kept, counted.answered, counted.unknown) == ((), 1, 1)
        assert audited_postings.labeled_texts(counted) == []

    def test_an_unknown_probability_stays_unknown_when_the_same_text_is_drawn_again(
        self, catalog: dict[str, Category], everything_drawn: None
    ) -> None:
        job = audited(version(catalog["maling"]), catalog["maling"])
        AuditedPosting.objects.update(draw_probability=None)
        audit_sample.record([job.pk])
        assert row(job).draw_probability is None
        AuditedPosting.objects.update(text_digest=b"another")
        audit_sample.record([job.pk])
        assert row(job).draw_probability == 1

    def test_answers_of_a_time_with_a_higher_share_are_thinned(
        self, catalog: dict[str, Category]
    ) -> None:
        now = timezone.now()
        jobs = JobPosting.objects.bulk_create([JobPosting(title=f"Male {n}") for n in range(400)])
        AuditedPosting.objects.bulk_create(
            AuditedPosting(
                posting=job, outcome=Outcome.AUTOMATIC, text_digest=b"x", drawn_at=now,
                draw_probability=0.2 if n < 360 else 0.02, answered_at=now, is_correct=n >= 4,
                answer=catalog["maling"],
            )
            for n, job in enumerate(jobs)
        )  # fmt: skip
        counted = counted_answers()
        rare = AuditedPosting.objects.filter(draw_probability=0.02).values_list("pk", flat=True)
        assert set(rare) <= {kept.pk for kept in counted.kept}
        assert 10 <= len(counted.kept) - 40 <= 70  # a tenth of 360
        assert counted.thinned == 400 - len(counted.kept)
        assert counted_answers() == counted

    def test_a_backfill_at_a_tiny_share_leaves_the_later_answers(
        self, catalog: dict[str, Category]
    ) -> None:
        now = timezone.now()
        jobs = JobPosting.objects.bulk_create([JobPosting(title=f"Male {n}") for n in range(50)])
        AuditedPosting.objects.bulk_create(
            AuditedPosting(
                posting=job, outcome=Outcome.AUTOMATIC, text_digest=b"x", drawn_at=now,
                draw_probability=0.0001 if n < 10 else 0.01, answered_at=now, is_correct=True,
                answer=catalog["maling"],
            )
            for n, job in enumerate(jobs)
        )  # fmt: skip
        counted = counted_answers()
        assert (len(counted.kept), counted.older, counted.thinned) == (40, 10, 0)


class TestTheProbabilityOfTheDraw:
    def draw(self, job: JobPosting, share: float, settings: Any) -> float | None:
        settings.MARKETPLACE_AI_AUDIT_SAMPLE_RATE = share
        audit_sample.record([job.pk])
        return row(job).draw_probability

    @pytest.fixture
    def job(self, catalog: dict[str, Category], settings: Any) -> JobPosting:
        """One that even a small share draws."""
        settings.MARKETPLACE_AI_AUDIT_SAMPLE_RATE = 0.05
        jobs = JobPosting.objects.bulk_create([JobPosting(title="Male stue") for _ in range(400)])
        job = next(job for job in jobs if audit_sample.is_sampled(job.pk))
        decide(job, catalog["maling"], Outcome.AUTOMATIC, 0.97)
        return job

    def test_it_is_the_share_at_that_time(self, job: JobPosting, settings: Any) -> None:
        assert self.draw(job, 0.05, settings) == 0.05

    def test_a_text_decided_under_two_shares_was_drawn_with_the_larger(
        self, job: JobPosting, settings: Any
    ) -> None:
        assert self.draw(job, 0.2, settings) == 0.2
        assert self.draw(job, 0.05, settings) == 0.2
        assert self.draw(job, 0.5, settings) == 0.5

    def test_a_new_text_is_drawn_anew(
        self, job: JobPosting, settings: Any, catalog: dict[str, Category]
    ) -> None:
        assert self.draw(job, 0.2, settings) == 0.2
        JobPosting.objects.filter(pk=job.pk).update(title="Bytte kran")
        job.refresh_from_db()
        decide(job, catalog["maling"], Outcome.AUTOMATIC, 0.97)
        assert self.draw(job, 0.05, settings) == 0.05


class TestWhenAFitCalibratesOnThem:
    def answers(self, category: Category, outcome: str, number: int) -> None:
        now = timezone.now() - dt.timedelta(days=1)
        for n in range(number):
            job = JobPosting.objects.create(title=f"Male {outcome} {n}")
            AuditedPosting.objects.create(
                posting=job, outcome=outcome, text_digest=b"x", draw_probability=0.01,
                drawn_at=now + dt.timedelta(seconds=n), answered_at=now, is_correct=True,
                answer=category, category=category,
            )  # fmt: skip

    def test_answers_about_automatic_postings_decide(self, catalog: dict[str, Category]) -> None:
        """99 answers, most about postings in review, would prove nothing and end automation."""
        current, target = version(catalog["maling"]), Target(0.8, 0.8)  # 8 without an error
        self.answers(catalog["maling"], Outcome.REVIEW, 20)
        assert not audit_state(target, current).suffices
        assert audit_state(target, None).suffices  # nothing is automatic: all answers serve
        ClassifierVersion.objects.update(calibrated_on="audits")
        assert audit_state(target, ClassifierVersion.objects.get()).suffices
        self.answers(catalog["maling"], Outcome.AUTOMATIC, 7)
        state = audit_state(target, current)
        assert (state.automatic, state.needed, state.suffices) == (7, 8, False)
        self.answers(catalog["maling"], Outcome.AUTOMATIC, 1)
        assert audit_state(target, current).suffices

    def test_after_a_stop_all_answers_serve(self, catalog: dict[str, Category]) -> None:
        from marketplace_ai.audit import stops

        current = version(catalog["maling"])
        self.answers(catalog["maling"], Outcome.REVIEW, 8)
        self.answers(catalog["maling"], Outcome.AUTOMATIC, 1)
        assert not audit_state(Target(0.8, 0.8), current).suffices
        stops.stop(current, Outcome.AUTOMATIC, reason="Trouble")
        assert audit_state(Target(0.8, 0.8), current).suffices
