"""Classifier versions: compared and verified before they are activated, and the way back."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection, connections

from marketplace_ai.classifier import ArtifactError, Classifier
from marketplace_ai.db import advisory_locks
from marketplace_ai.models import (
    Category,
    ClassifierVersion,
    Decision,
    Encoder,
    EncoderState,
    Exemplar,
    ExemplarGeneration,
    JobPosting,
    Outcome,
    QueuedPosting,
)
from marketplace_ai.review.answers import answer
from marketplace_ai.serving.active_model import ModelLoader
from marketplace_ai.versions import activation, create
from tests.integration.command_calls import call, call_json, failed, refused
from tests.integration.versions.factories import WORDS, import_exemplars, mislabel, texts
from tests.integration.worker_runs import current, drain, fit

pytestmark = [pytest.mark.django_db, pytest.mark.slow]


class TestFitting:
    def test_the_first_one_has_nothing_to_be_compared_with(self, exemplars: None) -> None:
        result = call_json("fit_classifier")
        assert result["in_force"]
        assert result["comparison"] == {
            "version": None, "failed_checks": [], "not_compared": "first_version",
        }  # fmt: skip
        version = ClassifierVersion.objects.get()
        assert version.activated_at is not None and version.replaced_at is None

    def test_a_refit_is_compared_on_the_same_rows_and_activated(
        self, good: ClassifierVersion, calibration: str
    ) -> None:
        message = call("fit_classifier", calibration=calibration, target_precision=0.9)
        new = ClassifierVersion.objects.get(is_active=True)
        assert new.comparison["version"] == good.pk
        assert (new.comparison["rows"], new.comparison["left_out"]) == (150, 0)
        assert new.comparison["failed_checks"] == []
        assert f"Compared with version {good.pk} on 150 labeled rows:" in message
        good.refresh_from_db()
        assert not good.is_active
        assert good.activated_at < good.replaced_at <= new.activated_at

    def test_a_worse_one_is_stored_and_does_not_serve(
        self, good: ClassifierVersion, catalog: dict[str, Category], calibration: str
    ) -> None:
        mislabel(catalog)
        message = failed("fit_classifier", calibration=calibration, target_precision=0.9)
        worse = ClassifierVersion.objects.latest("pk")
        assert "accuracy_drop" in worse.comparison["failed_checks"]
        assert message.startswith("Its first choice is right less often (")
        assert f"use_classifier {worse.pk} activates it anyway" in message
        assert ClassifierVersion.objects.get(is_active=True) == good
        assert worse.activated_at is None
        assert call_json("use_classifier", worse.pk) == {
            "version": worse.pk, "instead_of": good.pk,
        }  # fmt: skip

    def test_force_activates_it_all_the_same(
        self, good: ClassifierVersion, catalog: dict[str, Category], calibration: str
    ) -> None:
        mislabel(catalog)
        options = {"calibration": calibration, "target_precision": 0.9}
        result = call_json("fit_classifier", force=True, **options)
        assert result["in_force"]
        assert "accuracy_drop" in result["comparison"]["failed_checks"]

    def test_a_dry_run_stores_nothing_and_ends_as_the_real_one_would(
        self, good: ClassifierVersion, catalog: dict[str, Category], calibration: str
    ) -> None:
        options = {"calibration": calibration, "target_precision": 0.9, "dry_run": True}
        result = call_json("fit_classifier", **options)
        assert (result["version"], result["in_force"]) == (None, False)
        assert result["comparison"]["version"] == good.pk
        mislabel(catalog)
        assert "it would be stored but not activated" in failed("fit_classifier", **options)
        assert [*ClassifierVersion.objects.all()] == [good]
        assert not QueuedPosting.objects.exists()

    def test_a_fit_without_labeled_postings_does_not_end_all_automation(
        self, good: ClassifierVersion, calibration: str
    ) -> None:
        fitted = call_json("fit_classifier", calibration=calibration)
        assert fitted["automatic"]["threshold"] is not None
        message = failed("fit_classifier")  # 60 exemplars cannot guarantee 0.97
        assert message.startswith("It would decide nothing without a person")
        assert ClassifierVersion.objects.get(is_active=True).pk == fitted["version"]

    def test_a_stricter_guarantee_is_not_refused_for_what_it_costs(
        self, good: ClassifierVersion, calibration: str
    ) -> None:
        result = call_json("fit_classifier", calibration=calibration, target_precision=0.999)
        assert result["automatic"]["threshold"] is None
        assert result["in_force"]

    def test_without_labeled_postings_only_newer_exemplars_are_compared(
        self, exemplars: None, catalog: dict[str, Category]
    ) -> None:
        fit()
        assert call_json("fit_classifier")["comparison"]["not_compared"] == "train_test_overlap"
        import_exemplars(catalog, {key: texts(key, 4, 9) for key in WORDS})
        found = call_json("fit_classifier")["comparison"]
        assert (found["rows"], found["left_out"]) == (12, 16 + 0)

    def test_a_damaged_active_version_is_replaced(self, exemplars: None) -> None:
        fit()
        ClassifierVersion.objects.update(artifact=b"damaged")
        result = call_json("fit_classifier")
        assert result["in_force"]
        assert result["comparison"]["not_compared"] == "unreadable"

    @pytest.mark.parametrize("how", ["cut", "other"])
    def test_bytes_that_do_not_decide_as_they_should_are_not_stored(
        self, good: ClassifierVersion, calibration: str, monkeypatch: Any, how: str
    ) -> None:
        """``other``: whole bytes with a valid digest, of a classifier that decides otherwise."""
        stored, to_bytes = bytes(good.artifact), Classifier.to_bytes
        monkeypatch.setattr(
            Classifier, "to_bytes", lambda self: stored if how == "other" else to_bytes(self)[:-9]
        )
        Exemplar.objects.filter(category_key="plen")[0].delete()
        message = failed("fit_classifier", calibration=calibration, target_precision=0.9)
        assert message.startswith("Nothing was stored, and the active version stays")
        assert [*ClassifierVersion.objects.all()] == [good]


class TestActivating:
    def test_the_way_back_and_forth(self, exemplars: None) -> None:
        fit()
        first = ClassifierVersion.objects.get().pk
        fit()
        second = ClassifierVersion.objects.get(is_active=True).pk
        assert call("use_classifier", str(first)) == (
            f"Classifier {first} is active instead of {second}. "
            f"The way back: use_classifier {second}.\n"
        )
        assert ClassifierVersion.objects.get(is_active=True).pk == first
        assert call("use_classifier", str(first)) == f"Classifier {first} is active already.\n"
        listed = call_json("use_classifier", list=True)["versions"]
        assert [(v["version"], v["in_force"]) for v in listed] == [(second, False), (first, True)]
        assert listed[0]["replaced"] and listed[1]["activated"] > listed[1]["created"]

    def test_what_waits_for_review_is_decided_again(
        self, exemplars: None, posting: JobPosting
    ) -> None:
        fit()
        drain()
        first = current(posting).classifier_id
        fit()
        drain()
        assert current(posting).classifier_id != first
        call("use_classifier", str(first))
        drain()
        assert current(posting).classifier_id == first
        call("use_classifier", str(first))
        assert not QueuedPosting.objects.exists()

    def test_what_cannot_be_activated(self, exemplars: None, settings: Any) -> None:
        fit()
        fit()
        old, now = ClassifierVersion.objects.order_by("pk")
        assert "There is no version 999999" in refused("use_classifier", "999999")
        ClassifierVersion.objects.filter(pk=old.pk).update(artifact=bytes(old.artifact)[:-1])
        assert "nothing was changed: the classifier's bytes" in failed("use_classifier", old.pk)
        ClassifierVersion.objects.filter(pk=old.pk).update(artifact=b"", is_discarded=True)
        assert "only the last 10 versions are kept" in failed("use_classifier", str(old.pk))
        settings.MARKETPLACE_AI_ENCODER = "dummy:32"
        Encoder.objects.update(state=EncoderState.READY)
        ModelLoader().refresh()
        assert "was fitted for the encoder dummy, and dummy-32" in refused(
            "use_classifier", str(now.pk)
        )
        assert ClassifierVersion.objects.get(is_active=True) == now

    def test_usage(self, exemplars: None) -> None:
        assert call("use_classifier", list=True).startswith("There is none yet")
        for arguments, options in (((), {}), (("1",), {"list": True})):
            message = refused("use_classifier", *arguments, **options)
            assert message == "Give either the number of a version or --list."

    def test_the_list_in_words(
        self, good: ClassifierVersion, catalog: dict[str, Category], calibration: str
    ) -> None:
        mislabel(catalog)
        failed("fit_classifier", calibration=calibration, target_precision=0.9)
        newest, oldest = call("use_classifier", list=True).splitlines()[1:]
        assert "never active: accuracy_drop" in newest
        assert oldest.split()[0] == str(good.pk) and oldest.endswith("active")

    def test_a_version_that_the_person_did_not_see_stays(self, exemplars: None) -> None:
        fit()
        fit()
        old, now = ClassifierVersion.objects.order_by("pk")
        with pytest.raises(
            activation.ActivationConflictError, match=f"Version {now.pk} was activated"
        ):
            activation.activate(old.pk, expected=old.pk)
        assert activation.active_version_id(now.encoder) == now.pk


def test_only_the_last_versions_keep_their_bytes(exemplars: None, monkeypatch: Any) -> None:
    monkeypatch.setattr(activation, "MAX_STORED_ARTIFACTS", 3)
    for _ in range(3):
        fit()
    first, second, third = ClassifierVersion.objects.order_by("pk")
    call("use_classifier", str(first.pk))
    fit()
    # The second was active longer ago than the first, which was activated again.
    assert [*ClassifierVersion.objects.filter(is_discarded=True)] == [second]
    second.refresh_from_db()
    assert bytes(second.artifact) == b""
    with pytest.raises(ArtifactError, match="only the last 3"):
        activation.activate(second.pk)
    activation.activate(third.pk)


class TestTagging:
    def test_a_damaged_version_does_not_stop_it(
        self, exemplars: None, posting: JobPosting, caplog: Any
    ) -> None:
        fit()
        first = ClassifierVersion.objects.get()
        models = ModelLoader()
        drain(models)
        fit()
        second = ClassifierVersion.objects.get(is_active=True)
        ClassifierVersion.objects.filter(pk=second.pk).update(artifact=bytes(second.artifact)[:-1])
        with caplog.at_level(logging.ERROR, "marketplace_ai"):
            drain(models)
            drain(models)
        errors = [r.getMessage() for r in caplog.records if r.levelno == logging.ERROR]
        beginning = (
            f"Classifier version {second.pk} cannot be used (version {first.pk} still decides)"
        )
        assert [text[: len(beginning)] for text in errors] == [beginning]
        job = JobPosting.objects.create(title="Klippe gress")
        drain(models)
        assert (current(job).classifier, current(job).category_key) == (first, "plen")
        fit()
        job = JobPosting.objects.create(title="Klippe gress snart")
        drain(models)
        assert current(job).classifier == ClassifierVersion.objects.get(is_active=True)

    def test_another_encoders_classifier_never_stays(
        self, exemplars: None, posting: JobPosting, settings: Any
    ) -> None:
        fit()
        models = ModelLoader()
        drain(models)
        settings.MARKETPLACE_AI_ENCODER = "dummy:32"
        Encoder.objects.update(state=EncoderState.READY)
        fit()
        ClassifierVersion.objects.filter(is_active=True, encoder__dimension=32).update(
            artifact=b"x"
        )
        job = JobPosting.objects.create(title="Klippe gress")
        drain(models)
        assert (current(job).outcome, current(job).classifier) == (Outcome.REVIEW, None)

    def test_the_first_exemplar_of_a_new_category_counts_in_the_next_batch(
        self, exemplars: None, catalog: dict[str, Category]
    ) -> None:
        fit()
        models = ModelLoader()
        first = JobPosting.objects.create(title="Fjerne vepsebol")
        drain(models)
        assert current(first).category_key != "veps"
        new = Category.objects.create(slug="veps", name="Vepsebol")
        answer(first.pk, new.pk, None)
        second = JobPosting.objects.create(title="Fjerne vepsebol på loftet")
        drain(models)
        assert current(second).category_key == "veps"
        assert current(second).classifier == ClassifierVersion.objects.get()

    def test_refits_leave_no_gap_in_a_stream(
        self, exemplars: None, catalog: dict[str, Category], monkeypatch: Any
    ) -> None:
        """A version is activated in the middle of each batch, while texts are encoded."""
        # Postings in review are not decided again here: each posting once.
        monkeypatch.setattr(activation, "requeue_reviews", lambda: 0)
        fit()
        in_force = [ClassifierVersion.objects.get().pk]
        models, begun = ModelLoader(), []
        models.refresh()
        encode = models.active.text_encoder.encode

        def refit_meanwhile(texts: Any) -> Any:
            if len(in_force) < 6:
                begun.append(in_force[-1])
                if len(in_force) % 2:
                    fit()
                else:
                    activation.activate(in_force[-2])
                in_force.append(ClassifierVersion.objects.get(is_active=True).pk)
                JobPosting.objects.bulk_create(
                    [JobPosting(title=f"Male rom {len(in_force)} {n}") for n in range(8)]
                )
            return encode(texts)

        JobPosting.objects.bulk_create([JobPosting(title=f"Male rom {n}") for n in range(8)])
        models.active.text_encoder.encode = refit_meanwhile
        drain(models)
        assert Decision.objects.count() == JobPosting.objects.count() == 48
        assert not Decision.objects.filter(probability=None).exists()
        decided = Decision.objects.order_by("pk").values_list("classifier_id", flat=True)
        # Each batch by the version that was active when it began.
        assert [*decided[::8]] == [*begun, in_force[-1]]
        assert all(len(set(decided[n : n + 8])) == 1 for n in range(0, 48, 8))


@pytest.mark.django_db(transaction=True)
class TestAtOnce:
    @pytest.fixture(autouse=True)
    def counter(self, transactional_db: None) -> None:
        ExemplarGeneration.objects.get_or_create(pk=1)

    def test_of_two_fits_one_wins_and_the_other_says_so(
        self, exemplars: None, monkeypatch: Any
    ) -> None:
        fit()
        both = threading.Barrier(2, timeout=60)
        save = activation.save

        def together(*args: Any) -> None:
            save(*args)
            both.wait()

        monkeypatch.setattr(activation, "save", together)
        outputs = at_once(lambda: call("fit_classifier"), lambda: call("fit_classifier"))
        won, lost = sorted(outputs, key=lambda answer: not isinstance(answer, str))
        assert "is active" in won
        one = ClassifierVersion.objects.get(is_active=True)
        assert f"Version {one.pk} was activated meanwhile" in str(lost)
        assert "It is stored" in str(lost) and lost.returncode == 1
        assert ClassifierVersion.objects.count() == 3

    def test_who_goes_back_while_a_fit_runs_is_not_overruled(
        self, exemplars: None, monkeypatch: Any
    ) -> None:
        fit()
        fit()
        old, _ = ClassifierVersion.objects.order_by("pk")
        parents = create.category_parents

        def back_meanwhile() -> Any:
            activation.activate(old.pk)
            return parents()

        monkeypatch.setattr(create, "category_parents", back_meanwhile)
        assert f"Version {old.pk} was activated meanwhile" in failed("fit_classifier", force=True)
        assert ClassifierVersion.objects.get(is_active=True) == old

    def test_several_who_go_back_leave_one_active(self, exemplars: None) -> None:
        for _ in range(4):
            fit()
        keys = [*ClassifierVersion.objects.values_list("pk", flat=True)]
        for _ in range(5):
            found = at_once(*(lambda key=key: call("use_classifier", str(key)) for key in keys))
            assert all(isinstance(answer, str) for answer in found), found
            now = ClassifierVersion.objects.get(is_active=True)
            assert any(f"Classifier {now.pk} is active" in answer for answer in found)

    def test_decisions_do_not_wait_for_a_switch(self, exemplars: None, posting: JobPosting) -> None:
        fit()
        fit()
        old, _ = ClassifierVersion.objects.order_by("pk")
        other = connections["default"].copy()
        try:
            with other.cursor() as cursor:
                cursor.execute("BEGIN")
                advisory_locks.lock(cursor, advisory_locks.ACTIVATION)
                for change in ("false WHERE is_active", "true WHERE id = %s"):
                    cursor.execute(
                        f"UPDATE marketplace_ai_classifierversion SET is_active = {change}",
                        [old.pk] if "%s" in change else [],
                    )
                with connection.cursor() as own:
                    own.execute("SET lock_timeout = '2s'")
                drain()
            assert current(posting).classifier_id is not None
        finally:
            other.close()


def at_once(*calls: Callable[[], str]) -> list[Any]:
    """What each returned or raised, each in a thread and on a connection of its own."""
    answers: list[Any] = [None] * len(calls)

    def run(number: int) -> None:
        try:
            answers[number] = calls[number]()
        except Exception as error:  # noqa: BLE001 (it is the answer)
            answers[number] = error
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=(n,)) for n in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    return answers
