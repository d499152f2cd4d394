"""Recording of answers: one function, one transaction, one winner."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import OperationalError, connection, connections, transaction

from marketplace_ai.imports.exemplars import exemplars_from_postings
from marketplace_ai.models import (
    Category,
    Decision,
    Exemplar,
    ExemplarEmbedding,
    ExemplarSource,
    JobPosting,
    Outcome,
)
from marketplace_ai.review.answers import AnswerError, answer
from tests.integration.worker_runs import current, drain, fit

pytestmark = [pytest.mark.django_db, pytest.mark.slow]


@pytest.fixture
def decided(exemplars: None, posting: JobPosting) -> JobPosting:
    fit()
    drain()
    return posting


@pytest.fixture
def moderator(db: Any) -> Any:
    return get_user_model().objects.create_user("moderator")


def test_a_confirmation_is_a_decision_a_category_and_an_exemplar(
    decided: JobPosting, catalog: dict[str, Category], moderator: Any
) -> None:
    decision = answer(decided.pk, catalog["maling"].pk, moderator)
    assert (decision.outcome, decision.decided_by) == (Outcome.CONFIRMED, moderator)
    decided.refresh_from_db()
    assert (decided.category, decided.category_set_by) == (catalog["maling"], "person")
    exemplar = Exemplar.objects.get(posting=decided)
    assert exemplar.text == "Male stue og gang\nCirka 40 kvm"
    assert (exemplar.source, exemplar.created_by) == (ExemplarSource.REVIEWED, moderator)
    # It takes the posting's vector along, so nothing needs to be encoded again.
    assert ExemplarEmbedding.objects.filter(exemplar=exemplar).count() == 1
    assert Decision.objects.filter(posting=decided, is_current=True).count() == 1


def test_another_category_is_a_correction(
    decided: JobPosting, catalog: dict[str, Category], moderator: Any
) -> None:
    assert answer(decided.pk, catalog["plen"].pk, moderator).outcome == Outcome.CORRECTED


def test_none_of_these_removes_the_category_and_adds_an_exemplar(
    decided: JobPosting, catalog: dict[str, Category], moderator: Any
) -> None:
    answer(decided.pk, catalog["maling"].pk, moderator)
    decision = answer(decided.pk, None, moderator)
    assert (decision.outcome, decision.category) == (Outcome.CORRECTED, None)
    decided.refresh_from_db()
    assert decided.category is None
    assert Exemplar.objects.get(posting=decided).is_none


def test_a_confirmed_category_is_never_overwritten(
    decided: JobPosting, catalog: dict[str, Category], moderator: Any
) -> None:
    answer(decided.pk, catalog["maling"].pk, moderator)
    JobPosting.objects.update(title="Klippe gress hver uke", description="")
    drain()
    decided.refresh_from_db()
    assert decided.category == catalog["maling"]
    assert current(decided).outcome == Outcome.HUMAN_OVERRIDE
    assert current(decided).category_key == "plen"


def test_an_answer_without_any_decision_is_recorded(
    catalog: dict[str, Category], posting: JobPosting, moderator: Any
) -> None:
    assert answer(posting.pk, catalog["plen"].pk, moderator).outcome == Outcome.CORRECTED


def test_an_answer_to_an_outdated_decision_is_refused(
    decided: JobPosting, catalog: dict[str, Category], moderator: Any
) -> None:
    seen = current(decided).pk
    answer(decided.pk, catalog["maling"].pk, moderator, seen=seen)
    with pytest.raises(AnswerError, match="changed the decision meanwhile"):
        answer(decided.pk, catalog["plen"].pk, moderator, seen=seen)
    assert current(decided).category_key == "maling"


def test_a_missing_posting_or_category_is_refused(
    decided: JobPosting, catalog: dict[str, Category], moderator: Any
) -> None:
    with pytest.raises(AnswerError, match="category does not exist"):
        answer(decided.pk, 987654, moderator)
    decided.delete()
    with pytest.raises(AnswerError, match="posting does not exist"):
        answer(decided.pk, catalog["maling"].pk, moderator)


@pytest.mark.django_db(transaction=True)
def test_of_two_simultaneous_answers_one_wins_and_the_other_is_refused(
    catalog: dict[str, Category], posting: JobPosting
) -> None:
    seen = answer(posting.pk, catalog["hage"].pk, None).pk
    outcomes: list[str] = []
    barrier = threading.Barrier(2)

    def press(key: str) -> None:
        try:
            barrier.wait(10)
            answer(posting.pk, catalog[key].pk, None, seen=seen)
            outcomes.append(key)
        except AnswerError:
            outcomes.append("refused")
        finally:
            connection.close()

    threads = [threading.Thread(target=press, args=(key,)) for key in ("maling", "plen")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert "refused" in outcomes
    assert len(outcomes) == 2
    winner = next(key for key in outcomes if key != "refused")
    assert current(posting).category_key == winner
    posting.refresh_from_db()
    assert posting.category == catalog[winner]


def test_deleting_the_posting_deletes_its_decisions_and_exemplar(
    decided: JobPosting, catalog: dict[str, Category], moderator: Any
) -> None:
    answer(decided.pk, catalog["maling"].pk, moderator)
    decided.delete()
    assert not Decision.objects.exists()
    assert not Exemplar.objects.filter(source=ExemplarSource.REVIEWED).exists()


def test_a_deleted_category_leaves_readable_decisions_and_no_vote(
    decided: JobPosting, catalog: dict[str, Category], moderator: Any
) -> None:
    answer(decided.pk, catalog["maling"].pk, moderator)
    catalog["maling"].delete()
    assert (current(decided).category_id, current(decided).category_key) == (None, "maling")
    exemplar = Exemplar.objects.get(posting=decided)
    assert (exemplar.state, exemplar.is_none) == ("orphaned", False)


def test_confirming_a_posting_that_is_an_exemplar_already(
    decided: JobPosting, catalog: dict[str, Category], moderator: Any
) -> None:
    JobPosting.objects.update(category=catalog["maling"])
    exemplars_from_postings(per_category=10)
    answer(decided.pk, catalog["maling"].pk, moderator)
    assert Exemplar.objects.get(posting=decided).source == ExemplarSource.REVIEWED


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ("RETURN NULL", "A trigger of your project's database keeps"),
        ("RAISE EXCEPTION 'the host says no'", "refuses this category: the host says no"),
    ],
)
def test_a_category_that_the_projects_trigger_refuses(
    decided: JobPosting, moderator: Any, body: str, sentence: str
) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute(
            f"CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body}; END $$;"
            "CREATE TRIGGER refuse BEFORE UPDATE ON marketplace_ai_jobposting FOR EACH ROW "
            "EXECUTE FUNCTION refuse()"
        )
    category = Category.objects.get(slug="rorlegger")
    with pytest.raises(AnswerError, match=sentence):
        answer(decided.pk, category.pk, moderator)
    assert not Decision.objects.filter(decided_by=moderator).exists()


@pytest.mark.django_db(transaction=True)
def test_a_delete_of_the_earlier_category_waits_for_the_answer(
    decided: JobPosting, catalog: dict[str, Category]
) -> None:
    """It would wait for the exemplar that the answer replaces, and the answer for its number."""
    answer(decided.pk, catalog["maling"].pk, None)
    other = connections.create_connection("default")
    try:
        with transaction.atomic():
            answer(decided.pk, catalog["plen"].pk, None)
            with other.cursor() as cursor, pytest.raises(OperationalError, match="lock"):
                cursor.execute(
                    "SELECT FROM marketplace_ai_category WHERE id = %s FOR UPDATE NOWAIT",
                    [catalog["maling"].pk],
                )
    finally:
        other.close()
