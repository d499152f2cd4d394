"""Automation stops: when they happen, which versions they apply to, and how they end."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from marketplace_ai.audit import monitor, stops
from marketplace_ai.classifier import Prediction
from marketplace_ai.guarantee.sequential_test import NO_EVIDENCE, largest_e_value, log_threshold
from marketplace_ai.models import (
    AuditedPosting,
    AutomationStop,
    Category,
    ClassifierVersion,
    JobPosting,
    Outcome,
)
from marketplace_ai.queue import sql
from marketplace_ai.review.answers import answer
from marketplace_ai.serving.active_model import ModelLoader
from marketplace_ai.signals import automation_stopped
from tests.integration.worker_runs import current, drain, fit

from .factories import audited, judged, version

pytestmark = pytest.mark.django_db

Rule = AutomationStop.Rule


@pytest.fixture(autouse=True)
def everything_drawn(settings: Any) -> None:
    settings.MARKETPLACE_AI_AUDIT_SAMPLE_RATE = 1


def wrong_answers(
    classifier_version: ClassifierVersion, category: Category, other: Category, n: int
) -> None:
    for _ in range(n):
        answer(audited(classifier_version, category).pk, other.pk, None)


def errors_to_stop(right: int, tests: int = 1) -> int:
    """How many wrong answers in a row, after ``right`` right ones, refute 0.97."""
    return next(
        n
        for n in range(1, 100)
        if largest_e_value(range(right + 1, right + n + 1), 1 - 0.97).log_e
        >= log_threshold(0.95, tests)
    )


def waits_for_a_lock() -> bool:
    """Whether another session waits for a lock, so has done everything before it."""
    with connection.cursor() as cursor:
        # pg_stat_activity would be read once a transaction; this is always as it is.
        cursor.execute("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)")
        return bool(cursor.fetchone()[0])


class TestWhenItStops:
    def test_all_categories_stop_exactly_when_their_guarantee_is_refuted(
        self, catalog: dict[str, Category]
    ) -> None:
        """The errors are in several categories, none of which is refuted by itself."""
        leaves = [catalog[key] for key in ("maling", "rorlegger", "plen")]
        classifier_version = version(*leaves)
        judged(classifier_version, leaves[0], right=40, wrong=0)
        needed = errors_to_stop(40)
        for n in range(needed):
            assert not AutomationStop.objects.exists()
            wrong_answers(classifier_version, leaves[n % 3], catalog["hage"], 1)
        stop = AutomationStop.objects.get()
        assert (stop.rule, stop.category_key, stop.classifier) == (
            Rule.LEAF,
            "",
            classifier_version,
        )
        assert (stop.rows, stop.errors) == (40 + needed, needed)
        assert stop.e_value is not None and stop.e_value >= 20

    def test_one_category_needs_more_errors_and_leaves_the_others_automatic(
        self, catalog: dict[str, Category]
    ) -> None:
        classifier_version = version(catalog["maling"], catalog["plen"])
        judged(classifier_version, catalog["plen"], right=400, wrong=0)
        # Where the union bound costs one error more.
        right = next(n for n in range(99) if errors_to_stop(n, 2) > errors_to_stop(n))
        judged(classifier_version, catalog["maling"], right=right, wrong=0)
        needed = errors_to_stop(right, tests=2)
        assert needed < errors_to_stop(400)
        wrong_answers(classifier_version, catalog["maling"], catalog["plen"], needed - 1)
        assert not AutomationStop.objects.exists()
        wrong_answers(classifier_version, catalog["maling"], catalog["plen"], 1)
        stop = AutomationStop.objects.get()
        assert (stop.category, stop.category_key) == (catalog["maling"], "maling")
        # What it got wrong does not count against the others from then on.
        wrong_answers(classifier_version, catalog["plen"], catalog["maling"], 1)
        assert AutomationStop.objects.count() == 1
        leaf = monitor.monitoring_report(classifier_version).rules[0]
        assert leaf.evidence == NO_EVIDENCE  # one error in 401 is no case

    def test_a_category_that_stops_at_the_same_answer_spares_the_others(
        self, catalog: dict[str, Category]
    ) -> None:
        classifier_version = version(catalog["maling"], catalog["plen"])
        judged(classifier_version, catalog["maling"], right=0, wrong=9)
        judged(classifier_version, catalog["plen"], right=5, wrong=0)
        wrong_answers(classifier_version, catalog["maling"], catalog["plen"], 1)
        assert [stop.category_key for stop in AutomationStop.objects.all()] == ["maling"]

    @pytest.mark.parametrize("rule", [Rule.PARENT, Rule.NONE])
    def test_parents_and_none_are_monitored_separately(
        self, catalog: dict[str, Category], rule: Rule
    ) -> None:
        classifier_version = version(catalog["maling"])
        category = None if rule == Rule.NONE else catalog["bygg"]
        judged(classifier_version, category, right=0, wrong=8, outcome=rule.value)
        answer(audited(classifier_version, category, rule.value).pk, catalog["plen"].pk, None)
        stop = AutomationStop.objects.get()
        assert (stop.rule, stop.category_key) == (rule, "")
        found = stops.load_stops(classifier_version.pk)
        assert found.rules == {rule}

    def test_reviews_human_overrides_and_blank_texts_do_not_count(
        self, catalog: dict[str, Category]
    ) -> None:
        classifier_version = version(catalog["maling"])
        judged(classifier_version, catalog["maling"], right=0, wrong=50, outcome=Outcome.REVIEW)
        judged(classifier_version, None, right=0, wrong=50, outcome=Outcome.NONE)
        AuditedPosting.objects.filter(outcome=Outcome.NONE).update(probability=None)
        stops.stop_refuted(classifier_version.pk)
        assert not AutomationStop.objects.exists()

    def test_unanswered_postings_count_as_right(self, catalog: dict[str, Category]) -> None:
        """So nobody can refute the guarantee by answering only what is wrong."""
        classifier_version = version(catalog["maling"])
        judged(classifier_version, catalog["maling"], right=300, wrong=0)
        AuditedPosting.objects.update(answered_at=None, is_correct=None)
        wrong_answers(classifier_version, catalog["maling"], catalog["plen"], errors_to_stop(0))
        assert not AutomationStop.objects.exists()

    def test_a_version_that_is_not_active_stops_nothing(self, catalog: dict[str, Category]) -> None:
        old = version(catalog["maling"])
        judged(old, catalog["maling"], right=0, wrong=50)
        classifier_version = version(catalog["maling"])
        wrong_answers(old, catalog["maling"], catalog["plen"], 1)
        wrong_answers(classifier_version, catalog["maling"], catalog["plen"], 1)
        assert not AutomationStop.objects.exists()

    def test_a_right_answer_runs_no_test(self, catalog: dict[str, Category]) -> None:
        classifier_version = version(catalog["maling"])
        job = audited(classifier_version, catalog["maling"])
        with CaptureQueriesContext(connection) as captured:
            answer(job.pk, catalog["maling"].pk, None)
        assert not any("row_number" in query["sql"] for query in captured)

    def test_the_signal_is_sent_after_the_commit(
        self,
        catalog: dict[str, Category],
        caplog: Any,
        django_capture_on_commit_callbacks: Any,
    ) -> None:
        received: list[AutomationStop] = []

        def listener(sender: Any, stop: AutomationStop, **kwargs: Any) -> None:
            received.append(stop)

        automation_stopped.connect(listener)
        classifier_version = version(catalog["maling"])
        judged(classifier_version, catalog["maling"], right=0, wrong=9)
        with caplog.at_level(logging.ERROR), django_capture_on_commit_callbacks(execute=True):
            wrong_answers(classifier_version, catalog["maling"], catalog["plen"], 1)
            assert not received
        assert [stop.category_key for stop in received] == ["maling"]
        assert "Automation of category 'maling' has stopped" in caplog.text
        assert "10 of 10 audited postings were wrong" in caplog.text

    @pytest.mark.django_db(transaction=True)
    def test_no_simultaneous_answer_is_lost(self) -> None:
        """The second comes before the first is committed. To a transaction that does not see the
        other one, each is the last error but one."""
        painting = Category.objects.create(slug="maling", name="Maling")
        other = Category.objects.create(slug="plen", name="Plen")
        classifier_version = version(painting, other)
        judged(classifier_version, painting, right=30, wrong=errors_to_stop(30) - 2)
        jobs = [audited(classifier_version, painting).pk, audited(classifier_version, painting).pk]

        def second() -> None:
            try:
                answer(jobs[1], other.pk, None)
            finally:
                connection.close()

        thread = threading.Thread(target=second)
        with transaction.atomic():
            answer(jobs[0], other.pk, None)
            thread.start()
            until = time.monotonic() + 20
            while not waits_for_a_lock() and time.monotonic() < until:
                time.sleep(0.01)
        thread.join(20)
        assert AuditedPosting.objects.filter(is_correct=False, posting__in=jobs).count() == 2
        assert AutomationStop.objects.filter(category_key="").count() == 1


class TestWhatAStopDoes:
    PREDICTION = Prediction(
        label="7", probability=0.99, threshold=0.9, outcome="automatic", best_category="7",
        parent=None, choices=(("7", 0.99),), matches=(), score=0.9, head_share=0.1, other_share=0.0,
        second_categories=(("9", 2.5),),
    )  # fmt: skip

    def test_only_stopped_categories_go_to_review(self) -> None:
        nothing = stops.Stops(frozenset(), frozenset())
        assert nothing.apply_to(self.PREDICTION) is self.PREDICTION
        of_category = stops.Stops(frozenset(), frozenset({"7"}))
        stopped = of_category.apply_to(self.PREDICTION)
        assert (stopped.outcome, stopped.threshold, stopped.label) == ("review", None, "7")
        other = replace(self.PREDICTION, label="8")
        assert of_category.apply_to(other) is other
        parent = replace(self.PREDICTION, outcome="automatic_parent", parent="3")
        assert of_category.apply_to(parent) is parent
        assert (
            stops.Stops(frozenset({"automatic_parent"}), frozenset()).apply_to(parent).parent
            is None
        )
        second = stops.Stops(frozenset(), frozenset({"9"})).apply_to(self.PREDICTION)
        assert (second.outcome, second.second_categories) == ("automatic", ())
        none = replace(self.PREDICTION, outcome="none", label=None)
        assert stops.Stops(frozenset({"none"}), frozenset()).apply_to(none).outcome == "review"
        review = replace(self.PREDICTION, outcome="review")
        assert stops.Stops(frozenset(Rule.values), frozenset({"7"})).apply_to(review) is review

    @pytest.mark.slow
    def test_the_next_batch_goes_to_review_until_a_person_resumes_automation(
        self, exemplars: None, catalog: dict[str, Category], monkeypatch: Any
    ) -> None:
        """The same worker all the time, never notified."""
        fit()
        classifier_version = ClassifierVersion.objects.get(is_active=True)
        models = ModelLoader()
        models.refresh()
        label = str(catalog["maling"].pk)
        says = replace(self.PREDICTION, label=label, choices=((label, 0.99),))
        monkeypatch.setattr(
            type(models.active.fitted.classifier), "predict", lambda *args: [says] * len(args[-1])
        )

        def next_outcome() -> str:
            job = JobPosting.objects.create(title="Male stue")
            drain(models)
            job.refresh_from_db()
            decision = current(job)
            applied = job.category == catalog["maling"]
            assert applied == (decision.outcome == Outcome.AUTOMATIC)
            assert decision.category == catalog["maling"]
            return str(decision.outcome)

        assert next_outcome() == Outcome.AUTOMATIC
        stop = stops.stop(
            classifier_version, Rule.LEAF, catalog["maling"].pk, key="maling", name="Maling"
        )
        assert stop is not None
        assert next_outcome() == Outcome.REVIEW
        assert stops.resume(stop.pk, None, "Looked at it")
        assert next_outcome() == Outcome.AUTOMATIC
        assert not stops.resume(stop.pk, None, "Twice")

    def test_a_batch_costs_one_query(self, exemplars: None) -> None:
        fit()
        models = ModelLoader()
        models.refresh()
        vector = np.ones(models.active.encoder.dimension, dtype=np.float32)
        with CaptureQueriesContext(connection) as captured:
            models.active.propose(["Male stue"] * 64, [vector] * 64)
        assert len([q for q in captured if "automationstop" in q["sql"]]) == 1
        assert len(captured) == 1

    def test_a_deleted_category_does_not_read_as_everything(
        self, catalog: dict[str, Category]
    ) -> None:
        classifier_version = version(catalog["maling"])
        stops.stop(classifier_version, Rule.LEAF, catalog["maling"].pk, key="maling")
        catalog["maling"].delete()
        found = stops.load_stops(classifier_version.pk)
        assert (found.rules, found.labels) == (frozenset(), frozenset())


class TestHowItGoesOn:
    def stopped(self, category: Category) -> tuple[ClassifierVersion, AutomationStop]:
        classifier_version = version(category)
        judged(classifier_version, category, right=0, wrong=20)
        stops.stop_refuted(classifier_version.pk)
        return classifier_version, AutomationStop.objects.get(category_key=category.slug)

    def test_the_count_starts_at_zero_after_a_resumption(
        self, catalog: dict[str, Category]
    ) -> None:
        classifier_version, _ = self.stopped(catalog["maling"])
        for one in AutomationStop.objects.all():
            stops.resume(one.pk, None, "More exemplars")
        before = AutomationStop.objects.count()
        # Drawn before it stopped, answered only now.
        wrong_answers(classifier_version, catalog["maling"], catalog["plen"], 3)
        assert AutomationStop.objects.count() == before
        # Drawn since.
        for _ in range(errors_to_stop(0)):
            answer(
                audited(classifier_version, catalog["maling"], age=-1).pk, catalog["plen"].pk, None
            )
        assert AutomationStop.objects.filter(resumed_at=None).exists()

    def test_it_outlives_a_refit_but_not_one_that_saw_the_errors(
        self, catalog: dict[str, Category]
    ) -> None:
        old, _ = self.stopped(catalog["maling"])
        label = {str(catalog["maling"].pk)}
        again = version(catalog["maling"])
        assert stops.load_stops(again.pk).labels == label
        learnt = version(catalog["maling"], calibrated_on="audits")
        assert stops.load_stops(learnt.pk).labels == frozenset()
        later = version(catalog["maling"])
        assert stops.load_stops(later.pk).labels == frozenset()
        # Back to a version that has not seen them.
        assert stops.load_stops(again.pk).labels == label
        assert stops.load_stops(old.pk).labels == label

    def test_going_back_to_an_older_version_keeps_what_was_stopped_on_the_newer_one(
        self, catalog: dict[str, Category]
    ) -> None:
        older = version(catalog["maling"], calibrated_on="audits")
        newer, _ = self.stopped(catalog["maling"])
        assert newer.pk > older.pk
        assert stops.load_stops(older.pk).labels == {str(catalog["maling"].pk)}

    def test_a_version_fitted_before_the_stop_has_not_seen_the_errors(
        self, catalog: dict[str, Category]
    ) -> None:
        old = version(catalog["maling"])
        stored = version(catalog["maling"], calibrated_on="audits")
        stops.stop(old, Rule.LEAF, catalog["maling"].pk, key="maling")
        assert stops.load_stops(stored.pk).labels == {str(catalog["maling"].pk)}

    def test_a_version_that_was_never_active_ends_no_stop_for_the_next(
        self, catalog: dict[str, Category]
    ) -> None:
        self.stopped(catalog["maling"])
        refused = version(catalog["maling"], calibrated_on="audits")
        ClassifierVersion.objects.filter(pk=refused.pk).update(is_active=False, activated_at=None)
        later = version(catalog["maling"])
        assert stops.load_stops(later.pk).labels == {str(catalog["maling"].pk)}
        assert stops.load_stops(refused.pk).labels == frozenset()

    def test_audits_of_another_encoder_do_not_end_a_stop(
        self, catalog: dict[str, Category]
    ) -> None:
        old, _ = self.stopped(catalog["maling"])
        encoder = old.encoder
        encoder.pk, encoder.name, encoder.state = None, "other", "ready"
        encoder.save()
        learnt = version(catalog["maling"], calibrated_on="audits")
        ClassifierVersion.objects.filter(pk=learnt.pk).update(encoder=encoder)
        assert stops.load_stops(version(catalog["maling"]).pk).labels
        assert stops.load_stops(learnt.pk).labels == frozenset()

    def test_a_person_may_stop_it_too_and_only_once(self, catalog: dict[str, Category]) -> None:
        classifier_version = version(catalog["maling"])
        assert (
            stops.stop(classifier_version, Rule.LEAF, reason="A campaign with odd texts")
            is not None
        )
        assert stops.stop(classifier_version, Rule.LEAF) is None
        assert stops.load_stops(classifier_version.pk).rules == {Rule.LEAF}


def test_every_statement_is_planned_and_uses_an_index(
    catalog: dict[str, Category],
) -> None:
    classifier_version = version(catalog["maling"])
    with connection.cursor() as cursor:
        for statement in (monitor.WRONG, monitor.COUNTS):
            cursor.execute("EXPLAIN " + statement, {"version": classifier_version.pk})
            assert cursor.fetchall()
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute("EXPLAIN " + monitor.WRONG, {"version": classifier_version.pk})
        plan = "\n".join(row[0] for row in cursor.fetchall())
    assert "marketplace_ai_audit_test" in plan
    assert sql.UPSERT_AUDITED.count("%(jobs)s") == 1
