"""The comparison that an encoder must pass before it becomes active."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from marketplace_ai.fitting import labeled_postings
from marketplace_ai.models import (
    Category,
    ClassifierVersion,
    Encoder,
    EncoderState,
    Exemplar,
    ExemplarEmbedding,
    JobPosting,
    Promotion,
    PromotionKind,
    QueuedPosting,
)
from marketplace_ai.serving.active_model import ModelLoader
from marketplace_ai.versions import activation, create, exemplar_set
from tests.integration.command_calls import call, call_json, failed, refused
from tests.integration.encoders.factories import state
from tests.integration.versions.factories import WORDS
from tests.integration.worker_runs import current, drain, fit

from .factories import candidate, in_other_words, labeled, understands_synonyms

pytestmark = [pytest.mark.django_db, pytest.mark.slow]


class TestFittingForACandidate:
    def test_it_is_activated_for_that_encoder_alone(
        self, small: Encoder, big: Encoder, asked: dict[str, Any]
    ) -> None:
        JobPosting.objects.create(title="Hei på deg")
        drain()
        before = activation.active_state()
        result = call_json("fit_classifier", encoder="small", **asked)
        assert result["in_force"] and result["comparison"]["not_compared"] == "first_version"
        made = ClassifierVersion.objects.get(pk=result["version"])
        assert (made.encoder, activation.active_version_id(small)) == (small, made.pk)
        assert activation.active_state() == before
        assert not QueuedPosting.objects.exists()
        message = call("fit_classifier", encoder="small", **asked)
        assert "is active for small, which is not the active encoder" in message
        assert f"Compared with version {made.pk} on 150 labeled rows:" in message

    def test_exemplars_without_its_vectors_are_reported_and_encoded(
        self, small: Encoder, asked: dict[str, Any]
    ) -> None:
        Encoder.objects.filter(pk=small.pk).update(state=EncoderState.BUILDING)
        ExemplarEmbedding.objects.filter(encoder=small).delete()
        message = call("fit_classifier", encoder="small", **asked)
        assert "60 exemplars have no vector of small yet" in message
        assert ExemplarEmbedding.objects.filter(encoder=small).count() == 60

    def test_a_worse_one_is_not_activated(
        self, small: Encoder, catalog: dict[str, Category], asked: dict[str, Any]
    ) -> None:
        from tests.integration.versions.factories import mislabel

        first = call_json("fit_classifier", encoder="small", **asked)["version"]
        mislabel(catalog)
        message = failed("fit_classifier", encoder="small", **asked)
        assert message.endswith("is stored but not activated for small.")
        assert activation.active_version_id(small) == first

    def test_what_cannot_be_fitted(self, small: Encoder) -> None:
        message = refused("fit_classifier", encoder="smal")
        assert message == "There is no encoder smal. Registered are: dummy, small."
        Encoder.objects.filter(pk=small.pk).update(state=EncoderState.RETIRED)
        assert "is retired and its vectors are gone" in refused("fit_classifier", encoder="small")


class TestTheComparison:
    def test_one_that_is_as_good_becomes_active(
        self, small: Encoder, big: Encoder, asked: dict[str, Any], posting: JobPosting
    ) -> None:
        models = ModelLoader()
        drain(models)
        assert current(posting).encoder == big
        waiting = JobPosting.objects.create(title="Hei på deg")
        drain(models)
        message = call("activate_encoder", "small", **asked)
        assert (state(small), state(big)) == (EncoderState.ACTIVE, EncoderState.READY)
        assert big.replaced_at is not None and small.activated_at is not None
        assert big.replaced_at <= small.activated_at
        made = Promotion.objects.get()
        assert (made.kind, made.encoder, made.previous_encoder) == (
            PromotionKind.PROMOTED,
            small,
            big,
        )
        assert (made.reason, made.switched_by) == ("", None)
        assert small.activated_at <= made.switched_at
        assert made.comparison["failed_checks"] == [] and "changes" not in made.comparison
        version = ClassifierVersion.objects.get(pk=small.comparison["version"])
        assert version.is_active and version.encoder == small
        assert message.splitlines()[-1].startswith("small is active. Workers follow")
        # The same worker follows, and what waited is decided again.
        drain(models)
        assert current(waiting).classifier == version
        fresh = JobPosting.objects.create(title="Sparkle og male")
        drain(models)
        assert (current(fresh).encoder, current(fresh).category_key) == (small, "maling")

    def test_the_table(self, small: Encoder, big: Encoder, asked: dict[str, Any]) -> None:
        message = call("activate_encoder", "small", dry_run=True, **asked)
        assert "small compared with dummy, which is active, on 150 labeled postings:" in message
        for beginning in ("first choice correct", "automatic ", "maling", "title only", "held out"):
            assert any(line.startswith(beginning) for line in message.splitlines()), beginning
        assert message.splitlines()[-1] == "small would become active; nothing was changed."

    def test_a_dry_run_keeps_the_comparison_and_switches_nothing(
        self, small: Encoder, big: Encoder, asked: dict[str, Any]
    ) -> None:
        active_version = activation.active_version_id(big)
        result = call_json("activate_encoder", "small", dry_run=True, **asked)
        assert (result["active"], result["promotion"]) == (False, None)
        assert (state(small), state(big)) == (EncoderState.READY, EncoderState.ACTIVE)
        assert small.comparison == result["comparison"]
        compared_with = {"id": big.pk, "name": "dummy", "version": active_version}
        assert small.comparison["active_encoder"] == compared_with
        stored = ClassifierVersion.objects.get(pk=small.comparison["version"])
        assert (stored.encoder, stored.is_active) == (small, False)
        assert activation.active_version_id(big) == active_version
        assert not Promotion.objects.exists() and not QueuedPosting.objects.exists()

    def test_both_are_fitted_on_the_same_texts_and_labels(
        self, small: Encoder, big: Encoder, asked: dict[str, Any], monkeypatch: Any
    ) -> None:
        seen: list[Any] = []
        train = create.train_classifier

        def seeing(*args: Any) -> Any:
            seen.append(args[:2])
            return train(*args)

        monkeypatch.setattr(create, "train_classifier", seeing)
        call("activate_encoder", "small", dry_run=True, **asked)
        (new, new_rows), (old, old_rows) = seen
        assert [*new.train.texts] == [*old.train.texts]
        assert [*new.train.labels] == [*old.train.labels]
        assert new.train_ids.tolist() == old.train_ids.tolist()
        assert (new.train.vectors.shape[1], old.train.vectors.shape[1]) == (32, 64)
        assert [*new_rows.texts] == [*old_rows.texts]

    def test_exemplars_that_one_does_not_know_are_left_out_for_both(
        self, small: Encoder, big: Encoder
    ) -> None:
        gone = ExemplarEmbedding.objects.filter(encoder=big).order_by("pk")[3]
        gone.delete()
        relabeled = Exemplar.objects.order_by("pk")[10]
        its = exemplar_set.load_exemplars(small)
        Exemplar.objects.filter(pk=relabeled.pk).update(
            category=Category.objects.get(slug="plen"), category_key="plen"
        )
        one, other = exemplar_set.intersect(its, exemplar_set.load_exemplars(big))
        assert one.train_ids.tolist() == other.train_ids.tolist()
        assert len(one.train_ids) == 59 and gone.exemplar_id not in one.train_ids
        assert [*one.train.labels] == [*other.train.labels]

    def test_a_worse_one_is_refused_with_the_table(
        self, small: Encoder, big: Encoder, worse: dict[str, Any]
    ) -> None:
        before = activation.active_state()
        message = failed("activate_encoder", "small", **worse)
        assert message.startswith(
            "small does not become active: its first choice is right less often ("
        )
        assert "it decides " in message or "it would decide nothing" in message
        assert message.endswith("--force --reason TEXT activates it all the same.")
        assert activation.active_state() == before
        assert state(small) == EncoderState.READY
        assert not Promotion.objects.exists()
        assert small.comparison["failed_checks"][0] == "accuracy_drop"

    def test_one_that_is_worse_on_texts_unlike_the_exemplars_is_refused(
        self, small: Encoder, asked: dict[str, Any], tmp_path: Path, monkeypatch: Any
    ) -> None:
        understands_synonyms(monkeypatch, 64)
        (tmp_path / "unlike").mkdir()
        unlike = in_other_words(tmp_path / "unlike")
        call("activate_encoder", "small", dry_run=True, **asked)
        message = failed("activate_encoder", "small", unlike=unlike, **asked)
        assert "less often on texts unlike the exemplars (" in message
        assert "of 150 labeled rows instead of" in message
        small.refresh_from_db()
        assert small.comparison["failed_checks"][0] == "unlike_accuracy_drop"
        assert small.comparison["unlike"]["rows"] == 150
        table = call_json(
            "activate_encoder", "small", unlike=unlike, force=True, reason="x", **asked
        )
        assert table["active"]

    def test_its_changes_are_stored_with_both_predictions(
        self, small: Encoder, worse: dict[str, Any]
    ) -> None:
        failed("activate_encoder", "small", **worse)
        small.refresh_from_db()
        found = small.comparison
        assert 0 < len(found["changes"]) <= found["changed"]
        first = found["changes"][0]
        assert first["old"]["label"] == first["label"] != first["new"]["label"]
        assert first["label_name"] in {"Painting", "Plumbing", "Lawns"}
        assert first["old"]["name"] == first["label_name"] != first["new"]["name"]
        assert 0 <= first["new"]["probability"] <= 1
        assert {row["key"] for row in found["categories"]} == set(WORDS)
        assert any(row["guarantee_lost"] for row in found["categories"])

    def test_force_with_a_reason_is_recorded(
        self, small: Encoder, big: Encoder, worse: dict[str, Any]
    ) -> None:
        assert "--force needs --reason" in refused("activate_encoder", "small", force=True)
        result = call_json(
            "activate_encoder", "small", force=True, reason="Lisensen gikk ut", **worse
        )
        assert (result["active"], result["promotion"]) == (True, "forced")
        made = Promotion.objects.get()
        assert (made.kind, made.reason) == (PromotionKind.FORCED, "Lisensen gikk ut")
        assert "accuracy_drop" in made.comparison["failed_checks"]
        assert state(small) == EncoderState.ACTIVE

    def test_force_without_a_failed_check_is_a_promotion(
        self, small: Encoder, asked: dict[str, Any]
    ) -> None:
        call("activate_encoder", "small", force=True, reason="Haster", **asked)
        assert Promotion.objects.get().kind == PromotionKind.PROMOTED

    def test_a_comparison_without_labeled_postings_does_not_end_all_automation(
        self, small: Encoder, big: Encoder, calibration: str
    ) -> None:
        """60 exemplars prove no threshold with either; that of today still counts."""
        call("fit_classifier", calibration=calibration)
        message = failed("activate_encoder", "small")
        assert "it would decide nothing without a person" in message and "target 97.0%" in message
        assert state(big) == EncoderState.ACTIVE

    def test_the_default_target_is_that_of_the_active_version(
        self, small: Encoder, calibration: str
    ) -> None:
        result = call_json("activate_encoder", "small", calibration=calibration, dry_run=True)
        found = result["comparison"]
        assert (found["target_precision"], found["confidence"]) == (0.9, 0.95)

    def test_kinds_of_the_file(self, small: Encoder, tmp_path: Path) -> None:
        file = labeled(tmp_path, kind=lambda n: "app" if n % 3 else "web")
        result = call_json(
            "activate_encoder", "small", calibration=file, target_precision=0.9, dry_run=True
        )
        kinds = {row["name"]: row["rows"] for row in result["comparison"]["kinds"]}
        assert result["comparison"]["kinds_given"]
        assert kinds == {"app": 100, "web": 50}

    def test_without_a_file_the_answered_audits_serve(
        self, small: Encoder, calibration: str, monkeypatch: Any
    ) -> None:
        answered = labeled_postings.read_file(calibration).rows
        audits = labeled_postings.AuditSample(answered, len(answered), 30, waiting=2)
        monkeypatch.setattr(labeled_postings, "read_audits", lambda *target: audits)
        message = call("activate_encoder", "small", target_precision=0.9)
        assert "2 audited postings still wait for an answer." in message
        assert "on 150 audited postings:" in message
        small.refresh_from_db()
        version = ClassifierVersion.objects.get(pk=small.comparison["version"])
        assert version.calibrated_on == ClassifierVersion.Calibration.AUDITS

    def test_without_a_file_the_exemplars_are_cross_validated(
        self, catalog: dict[str, Category], exemplars: None
    ) -> None:
        fit()
        small = candidate()
        message = call("activate_encoder", "small")
        assert "on 16 exemplars, cross-validated" in message
        assert state(small) == EncoderState.ACTIVE

    def test_the_first_one_has_nothing_to_be_compared_with(self, exemplars: None) -> None:
        small = candidate()
        message = call("activate_encoder", "small")
        assert message.splitlines()[-2] == (
            "It is the first one: there is none to compare it with."
        )
        assert state(small) == EncoderState.ACTIVE
        assert Promotion.objects.get().previous_encoder is None


class TestOneThatWasFineTuned:
    """It may have been trained on the exemplars, and on what repeats them."""

    @pytest.fixture
    def tuned(self, small: Encoder) -> Encoder:
        Encoder.objects.filter(pk=small.pk).update(metrics={"training": {"figures": {}}})
        return small

    def test_rows_that_are_exemplars_are_left_out_for_both(
        self, tuned: Encoder, asked: dict[str, Any]
    ) -> None:
        known = Exemplar.objects.values_list("text", "category__slug").order_by("pk")[:10]
        with Path(asked["calibration"]).open("a", encoding="utf-8") as file:
            file.writelines(f"{text.upper()},{key}\n" for text, key in known)
        found = call_json("activate_encoder", "small", dry_run=True, **asked)["comparison"]
        assert (found["rows"], found["left_out"], found["failed_checks"]) == (150, 10, [])
        Encoder.objects.filter(pk=tuned.pk).update(metrics={})
        found = call_json("activate_encoder", "small", dry_run=True, **asked)["comparison"]
        assert (found["rows"], found["left_out"]) == (160, 0)
        Encoder.objects.filter(state=EncoderState.ACTIVE).update(metrics={"training": {"f": 1}})
        found = call_json("activate_encoder", "small", dry_run=True, **asked)["comparison"]
        assert (found["rows"], found["left_out"], found["failed_checks"]) == (150, 10, [])

    def test_exemplars_alone_prove_nothing(self, tuned: Encoder, big: Encoder) -> None:
        message = failed("activate_encoder", "small", target_precision=0.9)
        assert "was fine-tuned" in message and "--calibration" in message
        assert state(big) == EncoderState.ACTIVE


class TestWhatCannotBecomeActive:
    def test_one_that_workers_cannot_load(
        self, small: Encoder, big: Encoder, asked: dict[str, Any]
    ) -> None:
        Encoder.objects.filter(pk=small.pk).update(last_error="here: its files are gone")
        assert "its files are gone" in failed("activate_encoder", "small", **asked)
        Encoder.objects.filter(pk=small.pk).update(last_error="")
        call("activate_encoder", "small", **asked)
        Encoder.objects.filter(pk=big.pk).update(last_error="here: its files are gone")
        assert "fix that first" in failed("rollback_encoder")
        assert state(small) == EncoderState.ACTIVE

    def test_the_active_one_is_so_already(self, big: Encoder) -> None:
        assert call("activate_encoder", "dummy") == "dummy is the active encoder already.\n"
        assert call_json("activate_encoder", "dummy")["active"]
        assert not Promotion.objects.exists()

    def test_one_that_is_being_built(self, small: Encoder) -> None:
        Encoder.objects.filter(pk=small.pk).update(state=EncoderState.BUILDING)
        ExemplarEmbedding.objects.filter(encoder=small)[0].delete()
        for options in ({}, {"force": True, "reason": "Haster"}):
            message = failed("activate_encoder", "small", **options)
            assert message.startswith("The encoder small is still being built (1 exemplars without")
            assert "becomes ready by itself while workers run" in message

    def test_one_that_is_retired_or_unknown(self, small: Encoder) -> None:
        Encoder.objects.filter(pk=small.pk).update(state=EncoderState.RETIRED)
        assert "register its files again under another name" in refused("activate_encoder", "small")
        assert "Registered are: dummy." in refused("activate_encoder", "smal")

    def test_one_whose_weights_have_changed(self, small: Encoder, asked: dict[str, Any]) -> None:
        Encoder.objects.filter(pk=small.pk).update(weights_hash="0" * 64)
        assert "not those that were registered" in failed("activate_encoder", "small", **asked)
        assert state(small) == EncoderState.READY

    def test_usage(self, small: Encoder, tmp_path: Path) -> None:
        empty = tmp_path / "empty.csv"
        empty.write_text("text,category\n", encoding="utf-8")
        assert "between 0 and 1" in refused("activate_encoder", "small", target_precision=1.5)
        assert "no row below the header" in refused(
            "activate_encoder", "small", calibration=str(empty)
        )
