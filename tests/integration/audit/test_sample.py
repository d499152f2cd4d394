"""Which postings are drawn for audit, what is stored of them, and what an answer changes."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import connection
from django.test import override_settings
from django.test.utils import CaptureQueriesContext
from hypothesis import given, settings
from hypothesis import strategies as st

from marketplace_ai.models import AuditedPosting, Category, JobPosting, Outcome
from marketplace_ai.queue import audit_sample
from marketplace_ai.review.answers import answer
from tests.integration.worker_runs import automatic, drain, fit

from .factories import audited, text_digest, version

EVERY = override_settings(MARKETPLACE_AI_AUDIT_SAMPLE_RATE=1)


@pytest.fixture
def everything_drawn(settings: Any) -> None:
    settings.MARKETPLACE_AI_AUDIT_SAMPLE_RATE = 1


@pytest.fixture
def fitted(exemplars: None) -> None:
    fit()


def row(job: JobPosting) -> AuditedPosting:
    return AuditedPosting.objects.get(posting=job)


class TestTheDraw:
    @pytest.mark.parametrize("share", [0.01, 0.2, 0.5])
    @pytest.mark.parametrize("kind", ["numbers", "uuids"])
    def test_the_share_of_postings_is_drawn(self, share: float, kind: str) -> None:
        number = 20_000
        keys = range(number) if kind == "numbers" else [uuid.UUID(int=n) for n in range(number)]
        with override_settings(MARKETPLACE_AI_AUDIT_SAMPLE_RATE=share):
            found = sum(audit_sample.is_sampled(key) for key in keys) / number
        assert abs(found - share) < 5 * (share * (1 - share) / number) ** 0.5

    @given(st.one_of(st.integers(), st.uuids(), st.text()))
    @settings(max_examples=50)
    def test_0_draws_none_and_1_all(self, key: Any) -> None:
        with override_settings(MARKETPLACE_AI_AUDIT_SAMPLE_RATE=0):
            assert not audit_sample.is_sampled(key)
        with EVERY:
            assert audit_sample.is_sampled(key)

    @given(st.uuids(), st.floats(0, 1), st.floats(0, 1))
    @settings(max_examples=50)
    def test_a_larger_share_keeps_what_a_smaller_one_drew(
        self, key: uuid.UUID, one: float, other: float
    ) -> None:
        drawn = []
        for share in sorted((one, other)):
            with override_settings(MARKETPLACE_AI_AUDIT_SAMPLE_RATE=share):
                drawn.append(audit_sample.is_sampled(key))
        assert drawn in ([False, False], [False, True], [True, True])

    def test_the_draw_cannot_be_predicted_without_the_secret_key(self, settings: Any) -> None:
        settings.MARKETPLACE_AI_AUDIT_SAMPLE_RATE = 0.5
        before = [audit_sample.is_sampled(n) for n in range(200)]
        settings.SECRET_KEY = "another"
        assert (
            sum(
                a != b
                for a, b in zip(before, map(audit_sample.is_sampled, range(200)), strict=True)
            )
            > 60
        )

    @pytest.mark.django_db
    def test_it_does_not_depend_on_what_is_decided(
        self, fitted: None, catalog: dict[str, Category], monkeypatch: Any, settings: Any
    ) -> None:
        settings.MARKETPLACE_AI_AUDIT_SAMPLE_RATE = 0.3
        jobs = [JobPosting(title=f"Male rom {n}") for n in range(60)]
        JobPosting.objects.bulk_create(jobs)
        samples = []
        for outcome in (Outcome.AUTOMATIC, Outcome.REVIEW):
            AuditedPosting.objects.all().delete()
            automatic(monkeypatch, catalog["maling"], outcome)
            drain()
            samples.append(set(AuditedPosting.objects.values_list("posting_id", flat=True)))
            assert set(AuditedPosting.objects.values_list("outcome", flat=True)) == {outcome}
            JobPosting.objects.update(description="Ny tekst")
        assert (
            samples[0] == samples[1] == {job.pk for job in jobs if audit_sample.is_sampled(job.pk)}
        )
        assert 5 < len(samples[0]) < 35

    @pytest.mark.django_db
    def test_postings_that_are_not_drawn_cost_no_query(self, settings: Any) -> None:
        settings.MARKETPLACE_AI_AUDIT_SAMPLE_RATE = 0
        with CaptureQueriesContext(connection) as captured:
            audit_sample.record(range(64))
        assert len(captured) == 0


@pytest.mark.django_db
@pytest.mark.usefixtures("everything_drawn")
class TestWhatIsStored:
    def test_the_automatic_category_of_an_audited_posting_is_applied(
        self, fitted: None, posting: JobPosting, catalog: dict[str, Category], monkeypatch: Any
    ) -> None:
        automatic(monkeypatch, catalog["maling"], Outcome.AUTOMATIC)
        drain()
        posting.refresh_from_db()
        assert posting.category == catalog["maling"]
        stored = row(posting)
        assert (stored.outcome, stored.category, stored.category_key, stored.probability) == (
            Outcome.AUTOMATIC, catalog["maling"], "maling", 0.99,
        )  # fmt: skip
        assert stored.classifier is not None and stored.encoder is not None
        assert bytes(stored.text_digest) == text_digest(posting)
        assert stored.answered_at is None

    @pytest.mark.parametrize("category", [None, "plen"])
    def test_postings_with_a_persons_category_are_not_audited(
        self, fitted: None, catalog: dict[str, Category], monkeypatch: Any, category: str | None
    ) -> None:
        JobPosting.objects.create(title="Male stue", category=catalog["plen"])
        if category is None:
            automatic(monkeypatch, catalog["plen"], Outcome.AUTOMATIC)
            JobPosting.objects.update(category=None)
            drain()
            AuditedPosting.objects.all().delete()
            JobPosting.objects.update(category=None, title="Ny")
        drain()
        assert not AuditedPosting.objects.exists()

    def test_a_new_decision_replaces_an_unanswered_one(
        self, fitted: None, posting: JobPosting, catalog: dict[str, Category], monkeypatch: Any
    ) -> None:
        automatic(monkeypatch, catalog["maling"], Outcome.AUTOMATIC)
        drain()
        AuditedPosting.objects.update(drawn_at="2026-01-01T00:00Z")
        first = row(posting)
        JobPosting.objects.update(description="Ny tekst")
        automatic(monkeypatch, catalog["plen"], Outcome.REVIEW)
        drain()
        second = row(posting)
        assert (second.pk, second.outcome, second.category_key) == (first.pk, "review", "plen")
        assert second.drawn_at > first.drawn_at
        posting.refresh_from_db()
        assert bytes(second.text_digest) == text_digest(posting)

    def test_an_answered_row_does_not_change(self, catalog: dict[str, Category]) -> None:
        job = audited(version(catalog["maling"]), catalog["maling"])
        answer(job.pk, catalog["maling"].pk, None)
        audit_sample.record([job.pk])
        assert (row(job).outcome, row(job).is_correct) == (Outcome.AUTOMATIC, True)

    def test_the_row_outlives_the_posting_and_its_category(
        self, catalog: dict[str, Category]
    ) -> None:
        job = audited(version(catalog["maling"]), catalog["maling"])
        answer(job.pk, catalog["plen"].pk, None)
        with connection.cursor() as cursor:
            cursor.execute("DELETE FROM marketplace_ai_jobposting")
        Category.objects.filter(slug__in=["maling", "plen"]).delete()
        stored = AuditedPosting.objects.get()
        assert (stored.posting_id, stored.is_correct) == (None, False)
        assert (stored.category_id, stored.category_key) == (None, "maling")
        assert (stored.answer_id, stored.answer_key) == (None, "plen")

    def test_two_deleted_postings_are_two_rows(self, catalog: dict[str, Category]) -> None:
        for _ in range(2):
            audited(None, catalog["maling"]).delete()
        assert AuditedPosting.objects.filter(posting=None).count() == 2
        assert not AuditedPosting.objects.unanswered().exists()


@pytest.mark.django_db
@pytest.mark.usefixtures("everything_drawn")
class TestAnAnswer:
    @pytest.mark.parametrize(
        ("outcome", "decided", "answered", "right"),
        [
            (Outcome.AUTOMATIC, "maling", "maling", True),
            (Outcome.AUTOMATIC, "maling", "plen", False),
            (Outcome.AUTOMATIC, "maling", None, False),
            (Outcome.NONE, None, None, True),
            (Outcome.NONE, None, "plen", False),
            (Outcome.REVIEW, "maling", "maling", True),
            (Outcome.REVIEW, "maling", "plen", False),
            (Outcome.AUTOMATIC_PARENT, "bygg", "rorlegger", True),
            (Outcome.AUTOMATIC_PARENT, "bygg", "bygg", True),
            (Outcome.AUTOMATIC_PARENT, "bygg", "plen", False),
            (Outcome.AUTOMATIC_PARENT, "bygg", None, False),
            (Outcome.AUTOMATIC, "bygg", "rorlegger", False),
        ],
    )
    def test_an_answer_tells_whether_the_machine_was_right(
        self,
        catalog: dict[str, Category],
        outcome: Outcome,
        decided: str | None,
        answered: str | None,
        right: bool,
    ) -> None:
        user = get_user_model().objects.create_user("auditor")
        job = audited(version(), catalog[decided] if decided else None, outcome)
        answer(job.pk, catalog[answered].pk if answered else None, user)
        found = row(job)
        assert found.is_correct is right
        assert (found.answer_key, found.answered_by) == (answered or "", user)
        assert found.answered_at is not None

    def test_an_answer_about_another_text_only_ends_the_wait(
        self, catalog: dict[str, Category]
    ) -> None:
        job = audited(version(), catalog["maling"])
        JobPosting.objects.update(title="Klippe gress")
        answer(job.pk, catalog["plen"].pk, None)
        assert row(job).is_correct is None
        assert not AuditedPosting.objects.unanswered().exists()
        # A second answer about that text does not make a judgement of it either.
        answer(job.pk, catalog["maling"].pk, None)
        assert (row(job).is_correct, row(job).answer_key) == (None, "plen")

    def test_a_later_answer_replaces_an_earlier_one(self, catalog: dict[str, Category]) -> None:
        job = audited(version(), catalog["maling"])
        answer(job.pk, catalog["plen"].pk, None)
        answer(job.pk, catalog["maling"].pk, None)
        assert (row(job).is_correct, row(job).answer_key) == (True, "maling")

    def test_what_no_classifier_decided_is_neither_right_nor_wrong(
        self, catalog: dict[str, Category]
    ) -> None:
        job = audited(None, None, Outcome.REVIEW)
        AuditedPosting.objects.update(probability=None)
        answer(job.pk, catalog["plen"].pk, None)
        assert (row(job).is_correct, row(job).answer_key) == (None, "plen")

    def test_a_cycle_of_parents_ends(self, catalog: dict[str, Category]) -> None:
        Category.objects.filter(slug="hage").update(parent=catalog["plen"])
        job = audited(version(), catalog["bygg"], Outcome.AUTOMATIC_PARENT)
        answer(job.pk, catalog["plen"].pk, None)
        assert row(job).is_correct is False
