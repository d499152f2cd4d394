"""Postings of a deleted category are decided again, whoever deleted it and however."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import connection, transaction

from marketplace_ai.db.error_kind import SetupError, cure
from marketplace_ai.doctor.queue import orphaned as doctor_orphaned
from marketplace_ai.models import (
    Category,
    ChangeKind,
    Decision,
    Encoder,
    JobPosting,
    Outcome,
    PostingChange,
    Priority,
    QueuedPosting,
)
from marketplace_ai.queue import backfill, intake
from marketplace_ai.queue import claim as claims
from marketplace_ai.queue.category_locks import lock_categories
from marketplace_ai.queue.lease import Liveness
from marketplace_ai.queue.proposal import EncodedPosting, Proposal
from marketplace_ai.queue.write import write
from marketplace_ai.review.answers import answer
from tests.integration.command_calls import call
from tests.integration.worker_runs import automatic, current, drain

from .test_reconcile import reconcile_all

pytestmark = pytest.mark.django_db


@pytest.fixture
def maling(
    fitted: None, posting: JobPosting, catalog: dict[str, Category], monkeypatch: Any
) -> Category:
    """A category that the machine gave to a posting."""
    automatic(monkeypatch, catalog["maling"], Outcome.AUTOMATIC)
    drain()
    assert current(posting).outcome == Outcome.AUTOMATIC
    return catalog["maling"]


def delete_by_sql(category: Category) -> None:
    JobPosting.objects.filter(category=category).update(category=None)
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM marketplace_ai_category WHERE id = %s", [category.pk])


def delete_as_an_empty_role(category: Category) -> None:
    """As somebody who may do this in the project, and nothing in our tables."""
    JobPosting.objects.filter(category=category).update(category=None)
    with connection.cursor() as cursor:
        cursor.execute("CREATE ROLE taxonomist")
        cursor.execute("GRANT SELECT, DELETE ON marketplace_ai_category TO taxonomist")
        cursor.execute("SET ROLE taxonomist")
        cursor.execute("SET search_path = ''")
        cursor.execute("DELETE FROM public.marketplace_ai_category WHERE id = %s", [category.pk])
        cursor.execute("RESET search_path")
        cursor.execute("RESET ROLE")


@pytest.mark.parametrize("delete", [Category.delete, delete_by_sql, delete_as_an_empty_role])
def test_an_automatic_posting_is_decided_again(
    delete: Any, posting: JobPosting, maling: Category, catalog: Any, monkeypatch: Any
) -> None:
    delete(maling)
    change = PostingChange.objects.get()
    assert (change.posting_id, change.kind) == (posting.pk, ChangeKind.CATEGORY)
    assert Decision.objects.orphaned().count() == 1
    automatic(monkeypatch, catalog["plen"], Outcome.AUTOMATIC)
    drain()
    posting.refresh_from_db()
    assert (posting.category, posting.category_set_by) == (catalog["plen"], "machine")
    assert not Decision.objects.orphaned().exists()
    assert not PostingChange.objects.exists()


def test_whoever_empties_it_needs_no_right_to_the_log(
    posting: JobPosting, maling: Category
) -> None:
    """Before PostgreSQL 18 the trigger fires as whoever deleted the category."""
    with connection.cursor() as cursor:
        cursor.execute("CREATE ROLE taxonomist")
        cursor.execute("GRANT SELECT, UPDATE ON marketplace_ai_decision TO taxonomist")
        cursor.execute("SET ROLE taxonomist")
        cursor.execute("UPDATE marketplace_ai_decision SET category_id = NULL")
        cursor.execute("RESET ROLE")
    assert PostingChange.objects.get().posting_id == posting.pk


def test_a_trigger_that_fails_does_not_fail_the_deletion(maling: Category) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("ALTER TABLE marketplace_ai_decision RENAME COLUMN is_current TO other")
        delete_by_sql(maling)
        cursor.execute("ALTER TABLE marketplace_ai_decision RENAME COLUMN other TO is_current")
    change = PostingChange.objects.get()
    assert (change.posting_id, change.kind) == (None, ChangeKind.RESCAN)
    assert Decision.objects.orphaned().count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_locked_log_does_not_hold_up_the_deletion(maling: Category) -> None:
    other = connection.copy()
    with other.cursor() as cursor, transaction.atomic():
        cursor.execute("BEGIN; LOCK TABLE marketplace_ai_postingchange")
        # A longer wait than the trigger's would fail.
        with connection.cursor() as own:
            own.execute("SET LOCAL lock_timeout = '2s'")
        delete_by_sql(maling)
        cursor.execute("ROLLBACK")
    other.close()
    assert not PostingChange.objects.exists()
    assert Decision.objects.orphaned().count() == 1


@pytest.mark.parametrize("outcome", [Outcome.REVIEW, Outcome.NONE])
def test_nobody_is_said_to_have_set_what_is_not_set(
    outcome: Outcome, posting: JobPosting, maling: Category, monkeypatch: Any
) -> None:
    maling.delete()
    automatic(monkeypatch, None, outcome)
    drain()
    posting.refresh_from_db()
    assert (posting.category, posting.category_set_by) == (None, "")
    assert current(posting).outcome == outcome


def test_a_key_that_the_project_left_behind_is_the_machines(
    posting: JobPosting, maling: Category, monkeypatch: Any
) -> None:
    """A project's foreign key without a constraint keeps the number of the deleted category."""
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL DEFERRED")
        cursor.execute("DELETE FROM marketplace_ai_category WHERE id = %s", [maling.pk])
    automatic(monkeypatch, None, Outcome.REVIEW)
    drain()
    posting.refresh_from_db()
    assert posting.category_id is None
    assert current(posting).outcome == Outcome.REVIEW


def test_a_persons_answer_is_asked_for_again(
    posting: JobPosting, maling: Category, catalog: Any
) -> None:
    answer(posting.pk, maling.pk, get_user_model().objects.create_user("moderator"))
    maling.delete()
    drain()
    decision = current(posting)
    assert (decision.outcome, decision.is_answered) == (Outcome.REVIEW, True)
    assert list(Decision.objects.in_review()) == [decision]


def test_a_category_that_a_person_gave_is_asked_for_again(
    posting: JobPosting, maling: Category, catalog: Any
) -> None:
    """The machine had proposed the same."""
    JobPosting.objects.update(category=catalog["plen"], title="Male taket")
    drain()
    assert current(posting).outcome == Outcome.HUMAN_OVERRIDE
    JobPosting.objects.update(category=maling)
    maling.delete()
    drain()
    assert current(posting).outcome == Outcome.REVIEW


def test_a_persons_category_that_the_machine_had_not_proposed(
    posting: JobPosting, maling: Category, catalog: Any
) -> None:
    """Nothing of ours refers to it: it is found by the scans, for a person to look at."""
    JobPosting.objects.update(category=catalog["plen"], title="Male taket")
    drain()
    assert current(posting).category == maling
    encoder = Encoder.objects.active()
    assert encoder is not None
    assert reconcile_all() == set()
    catalog["plen"].delete()
    assert not PostingChange.objects.exists()
    assert reconcile_all() == {posting.pk}
    backfill.request(encoder)
    drain()
    assert current(posting).outcome == Outcome.REVIEW
    assert reconcile_all() == set()
    assert not backfill.missing(encoder).exists()


def test_a_posting_that_was_moved_before_keeps_its_new_category(
    posting: JobPosting, maling: Category, catalog: Any
) -> None:
    JobPosting.objects.update(category=catalog["plen"])
    maling.delete()
    drain()
    posting.refresh_from_db()
    assert posting.category == catalog["plen"]
    assert current(posting).outcome == Outcome.HUMAN_OVERRIDE


def test_a_posting_that_is_deleted_with_its_category_leaves_nothing(
    posting: JobPosting, maling: Category
) -> None:
    JobPosting.objects.all().delete()
    maling.delete()
    drain()
    assert not QueuedPosting.objects.exists()
    assert not PostingChange.objects.exists()


def test_earlier_decisions_queue_nothing(
    posting: JobPosting, maling: Category, catalog: Any
) -> None:
    Decision.objects.update(category=catalog["maling"])
    answer(posting.pk, catalog["plen"].pk, None)
    maling.delete()
    assert not PostingChange.objects.exists()


def test_many_wait_behind_all_fresh_work_and_are_never_vector_only(
    posting: JobPosting, maling: Category
) -> None:
    maling.delete()
    PostingChange.objects.create(posting=posting, kind="bulk", logged_at="2026-01-01T00:00Z")
    intake.collect()
    row = QueuedPosting.objects.get(encoder=None)
    assert (row.priority, row.is_vector_only) == (Priority.BACKFILL, False)


def test_one_deleted_while_its_posting_is_claimed(
    posting: JobPosting, maling: Category, catalog: Any
) -> None:
    """The row is older than the decision, of the same text, and must still lead to another."""
    encoder = Encoder.objects.active()
    assert encoder is not None
    decision = current(posting)
    QueuedPosting.objects.create(
        posting=posting, queued_at="2026-01-01T00:00Z", scheduled_at="2026-01-01T00:00Z"
    )
    maling.delete()
    intake.collect()
    worker = Liveness()
    claim = claims.claim(worker.acquire())
    assert claim is not None
    item = EncodedPosting(
        claim.rows[0].id, posting.pk, bytes(decision.text_digest), None,
        Proposal(Outcome.REVIEW, None),
    )  # fmt: skip
    assert write(claim, encoder, decision.classifier_id, [item]).decided == 1
    worker.close()
    assert current(posting).outcome == Outcome.REVIEW


class TestWithoutTheTrigger:
    """As when a replica applied the DELETE, or somebody disabled it: nothing is in the log."""

    @pytest.fixture(autouse=True)
    def forgotten(self, maling: Category) -> None:
        maling.delete()
        with connection.cursor() as cursor:
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        PostingChange.objects.all()._raw_delete("default")

    def test_doctor_counts_it(self) -> None:
        [finding] = doctor_orphaned()
        assert finding.message.startswith("1 postings were decided for a category that was deleted")
        assert "backfill_embeddings" in finding.cure
        drain_backfill()
        assert list(doctor_orphaned()) == []

    def test_doctor_counts_none_that_the_project_withdrew(self, monkeypatch: Any) -> None:
        from marketplace_ai.adapter import JobAdapter

        monkeypatch.setattr(JobAdapter, "eligible", lambda self, job: False)
        assert list(doctor_orphaned()) == []

    def test_a_backfill_queues_it(self, posting: JobPosting) -> None:
        encoder = Encoder.objects.active()
        assert encoder is not None
        assert list(backfill.missing(encoder)) == [posting]
        assert not backfill.missing(encoder, vectors_only=True).exists()
        assert backfill.count(encoder) == (1, False)

    def test_a_dry_run_says_why(self) -> None:
        told = call("backfill_embeddings", dry_run=True)
        assert "1 of these have one, and were decided for a category that was deleted" in told

    def test_a_reconcile_run_queues_it(self, posting: JobPosting) -> None:
        """Also one that is older than the app."""
        JobPosting.objects.update(created_at="2020-01-01T00:00Z")
        assert reconcile_all() == {posting.pk}


def drain_backfill() -> None:
    encoder = Encoder.objects.active()
    assert encoder is not None
    backfill.request(encoder)
    drain()


@pytest.mark.parametrize("policy", ["", "CREATE POLICY seen ON {table} FOR SELECT USING (true)"])
def test_hidden_categories_are_not_taken_for_deleted(
    catalog: dict[str, Category], policy: str
) -> None:
    """Under row level security a category that cannot be read, or locked, looks deleted."""
    keys = [catalog["maling"].pk, catalog["plen"].pk]
    table = Category._meta.db_table
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute(f"CREATE ROLE reader; GRANT SELECT, UPDATE ON {table} TO reader")
        cursor.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        cursor.execute(policy.format(table=table) or "SELECT 1")
        cursor.execute("SET LOCAL ROLE reader")
    with pytest.raises(SetupError, match="hides categories from the role reader") as refusal:
        lock_categories(keys)
    assert "BYPASSRLS" in cure(refusal.value)
    with connection.cursor() as cursor:
        cursor.execute("RESET ROLE; GRANT CREATE, USAGE ON SCHEMA public TO reader")
        cursor.execute(f"CREATE POLICY whole ON {table} TO reader USING (true)")
        cursor.execute("SET LOCAL ROLE reader")
    assert lock_categories(keys).keys() == set(keys)
