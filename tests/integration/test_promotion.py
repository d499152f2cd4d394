"""The gate before an encoder becomes active, the switch, and the way back."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from marketplace_ai.lifecycle import classifiers, fitting, gate, promotion, versions
from marketplace_ai.models import (
    Category,
    ClassifierVersion,
    Encoder,
    EncoderState,
    Exemplar,
    ExemplarEmbedding,
    ExemplarGeneration,
    JobEmbedding,
    JobPosting,
    PendingJob,
    Promotion,
    PromotionKind,
)
from marketplace_ai.pipeline import Pipeline
from marketplace_ai.queue import backfill

from .promotion_world import candidate, in_other_words, labelled, understands_synonyms
from .test_commands import call, call_json, failed, refused
from .test_pipeline import current, drain, fit
from .test_versions import WORDS, at_once, import_some, texts

pytestmark = pytest.mark.django_db


@pytest.fixture
def calibration(catalog: dict[str, Category], tmp_path: Path) -> str:
    return labelled(tmp_path)


@pytest.fixture
def asked(calibration: str) -> dict[str, Any]:
    """Options under which the good encoders of this module promise something."""
    return {"calibration": calibration, "target_precision": 0.9}


@pytest.fixture
def big(catalog: dict[str, Category], asked: dict[str, Any]) -> Encoder:
    """Active, with a classifier in force that promises."""
    import_some(catalog, {key: texts(key, 20, 1) for key in WORDS})
    call("fit_classifier", **asked)
    active = Encoder.objects.active()
    assert active is not None
    return active


@pytest.fixture
def small(big: Encoder) -> Encoder:
    """Ready."""
    return candidate()


@pytest.fixture
def understood(catalog: dict[str, Category], tmp_path: Path, monkeypatch: Any) -> str:
    """A file in words that the active encoder understands, and the candidate does not."""
    understands_synonyms(monkeypatch, 64)
    return in_other_words(tmp_path)


@pytest.fixture
def worse(understood: str, catalog: dict[str, Category]) -> dict[str, Any]:
    """Options under which the candidate, that they are for, is worse."""
    return {"calibration": understood, "target_precision": 0.9}


def state(encoder: Encoder) -> str:
    encoder.refresh_from_db()
    return encoder.state


class TestFittingForACandidate:
    def test_it_is_put_in_force_for_that_encoder_alone(
        self, small: Encoder, big: Encoder, asked: dict[str, Any]
    ) -> None:
        JobPosting.objects.create(title="Hei på deg")
        drain()
        before = versions.standing()
        result = call_json("fit_classifier", encoder="small", **asked)
        assert result["in_force"] and result["comparison"]["not_compared"] == "first"
        made = ClassifierVersion.objects.get(pk=result["version"])
        assert (made.encoder, versions.in_force(small)) == (small, made.pk)
        assert versions.standing() == before
        assert not PendingJob.objects.exists()
        said = call("fit_classifier", encoder="small", **asked)
        assert "is in force for small, which does not decide yet" in said
        assert f"Compared with version {made.pk} on 150 labelled rows:" in said

    def test_exemplars_without_its_vectors_are_told_and_encoded(
        self, small: Encoder, asked: dict[str, Any]
    ) -> None:
        Encoder.objects.filter(pk=small.pk).update(state=EncoderState.BUILDING)
        ExemplarEmbedding.objects.filter(encoder=small).delete()
        said = call("fit_classifier", encoder="small", **asked)
        assert "60 exemplars have no vector of small yet" in said
        assert ExemplarEmbedding.objects.filter(encoder=small).count() == 60

    def test_a_worse_one_stays_out_of_force(
        self, small: Encoder, catalog: dict[str, Category], asked: dict[str, Any]
    ) -> None:
        from .test_versions import mislabel

        first = call_json("fit_classifier", encoder="small", **asked)["version"]
        mislabel(catalog)
        said = failed("fit_classifier", encoder="small", **asked)
        assert said.endswith("is stored and not put in force for small.")
        assert versions.in_force(small) == first

    def test_what_cannot_be_fitted(self, small: Encoder) -> None:
        said = refused("fit_classifier", encoder="smal")
        assert said == "There is no encoder smal. Registered are: dummy, small."
        Encoder.objects.filter(pk=small.pk).update(state=EncoderState.RETIRED)
        assert "is retired and its vectors are gone" in refused("fit_classifier", encoder="small")


class TestTheGate:
    def test_one_that_is_as_good_becomes_active(
        self, small: Encoder, big: Encoder, asked: dict[str, Any], posting: JobPosting
    ) -> None:
        pipeline = Pipeline()
        drain(pipeline)
        assert current(posting).encoder == big
        waiting = JobPosting.objects.create(title="Hei på deg")
        drain(pipeline)
        said = call("activate_encoder", "small", **asked)
        assert (state(small), state(big)) == (EncoderState.ACTIVE, EncoderState.READY)
        assert big.replaced is not None and small.activated is not None
        assert big.replaced <= small.activated
        made = Promotion.objects.get()
        assert (made.kind, made.encoder, made.before) == (PromotionKind.PROMOTED, small, big)
        assert (made.reason, made.switched_by) == ("", None)
        assert small.activated <= made.switched
        assert made.comparison["objections"] == [] and "changes" not in made.comparison
        version = ClassifierVersion.objects.get(pk=small.comparison["version"])
        assert version.in_force and version.encoder == small
        assert said.splitlines()[-1].startswith("small is active. Workers follow")
        # The same worker follows, and what waited is decided anew.
        drain(pipeline)
        assert current(waiting).classifier == version
        fresh = JobPosting.objects.create(title="Sparkle og male")
        drain(pipeline)
        assert (current(fresh).encoder, current(fresh).category_key) == (small, "maling")

    def test_the_table(self, small: Encoder, big: Encoder, asked: dict[str, Any]) -> None:
        said = call("activate_encoder", "small", dry_run=True, **asked)
        assert "small compared with dummy, which is active, on 150 labelled postings:" in said
        for beginning in ("first choice right", "automatic ", "maling", "title only", "held out"):
            assert any(line.startswith(beginning) for line in said.splitlines()), beginning
        assert said.splitlines()[-1] == "small would become active; nothing was changed."

    def test_a_dry_run_keeps_the_comparison_and_switches_nothing(
        self, small: Encoder, big: Encoder, asked: dict[str, Any]
    ) -> None:
        in_force = versions.in_force(big)
        result = call_json("activate_encoder", "small", dry_run=True, **asked)
        assert (result["active"], result["promotion"]) == (False, None)
        assert (state(small), state(big)) == (EncoderState.READY, EncoderState.ACTIVE)
        assert small.comparison == result["comparison"]
        against = {"id": big.pk, "name": "dummy", "version": in_force}
        assert small.comparison["against"] == against
        stored = ClassifierVersion.objects.get(pk=small.comparison["version"])
        assert (stored.encoder, stored.in_force) == (small, False)
        assert versions.in_force(big) == in_force
        assert not Promotion.objects.exists() and not PendingJob.objects.exists()

    def test_both_are_fitted_on_the_same_texts_and_labels(
        self, small: Encoder, big: Encoder, asked: dict[str, Any], monkeypatch: Any
    ) -> None:
        seen: list[Any] = []
        train = classifiers.train

        def seeing(*args: Any) -> Any:
            seen.append(args[:2])
            return train(*args)

        monkeypatch.setattr(classifiers, "train", seeing)
        call("activate_encoder", "small", dry_run=True, **asked)
        (new, new_rows), (old, old_rows) = seen
        assert [*new.taught.texts] == [*old.taught.texts]
        assert [*new.taught.labels] == [*old.taught.labels]
        assert new.ids.tolist() == old.ids.tolist()
        assert (new.taught.vectors.shape[1], old.taught.vectors.shape[1]) == (32, 64)
        assert [*new_rows.texts] == [*old_rows.texts]

    def test_exemplars_that_one_does_not_know_are_left_out_for_both(
        self, small: Encoder, big: Encoder
    ) -> None:
        gone = ExemplarEmbedding.objects.filter(encoder=big).order_by("pk")[3]
        gone.delete()
        relabelled = Exemplar.objects.order_by("pk")[10]
        its = classifiers.voting(small)
        Exemplar.objects.filter(pk=relabelled.pk).update(
            category=Category.objects.get(slug="plen"), category_key="plen"
        )
        one, other = classifiers.in_common(its, classifiers.voting(big))
        assert one.ids.tolist() == other.ids.tolist()
        assert len(one.ids) == 59 and gone.exemplar_id not in one.ids
        assert [*one.taught.labels] == [*other.taught.labels]

    def test_a_worse_one_is_refused_with_the_table(
        self, small: Encoder, big: Encoder, worse: dict[str, Any]
    ) -> None:
        before = versions.standing()
        said = failed("activate_encoder", "small", **worse)
        assert said.startswith("small does not become active: its first choice is right on ")
        assert "it decides " in said or "nothing can be promised" in said
        assert said.endswith("--force --reason TEXT activates it all the same.")
        assert versions.standing() == before
        assert state(small) == EncoderState.READY
        assert not Promotion.objects.exists()
        assert small.comparison["objections"][0] == "worse"

    def test_its_changes_are_kept_with_both_answers(
        self, small: Encoder, worse: dict[str, Any]
    ) -> None:
        failed("activate_encoder", "small", **worse)
        small.refresh_from_db()
        found = small.comparison
        assert 0 < len(found["changes"]) <= found["changed"]
        first = found["changes"][0]
        assert first["old"]["label"] == first["right"] != first["new"]["label"]
        assert first["right_name"] in {"Painting", "Plumbing", "Lawns"}
        assert first["old"]["name"] == first["right_name"] != first["new"]["name"]
        assert 0 <= first["new"]["probability"] <= 1
        assert {row["key"] for row in found["categories"]} == set(WORDS)
        assert any(row["promise_lost"] for row in found["categories"])

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
        assert "worse" in made.comparison["objections"]
        assert state(small) == EncoderState.ACTIVE

    def test_force_where_nothing_speaks_against_it_is_a_promotion(
        self, small: Encoder, asked: dict[str, Any]
    ) -> None:
        call("activate_encoder", "small", force=True, reason="Haster", **asked)
        assert Promotion.objects.get().kind == PromotionKind.PROMOTED

    def test_forgetting_the_labelled_postings_does_not_end_all_automation(
        self, small: Encoder, big: Encoder, calibration: str
    ) -> None:
        """60 exemplars prove nothing with either; what is promised today still counts."""
        call("fit_classifier", calibration=calibration)
        said = failed("activate_encoder", "small")
        assert "nothing can be promised with it at 97.0%" in said
        assert state(big) == EncoderState.ACTIVE

    def test_the_promise_asked_for_is_the_one_in_force(
        self, small: Encoder, calibration: str
    ) -> None:
        result = call_json("activate_encoder", "small", calibration=calibration, dry_run=True)
        found = result["comparison"]
        assert (found["target_precision"], found["confidence"]) == (0.9, 0.95)

    def test_kinds_of_the_file(self, small: Encoder, tmp_path: Path) -> None:
        file = labelled(tmp_path, kind=lambda n: "app" if n % 3 else "web")
        result = call_json(
            "activate_encoder", "small", calibration=file, target_precision=0.9, dry_run=True
        )
        kinds = {row["name"]: row["rows"] for row in result["comparison"]["kinds"]}
        assert result["comparison"]["kinds_given"]
        assert kinds == {"app": 100, "web": 50}

    def test_without_a_file_the_answered_audits_serve(
        self, small: Encoder, calibration: str, monkeypatch: Any
    ) -> None:
        answered = fitting.read_labelled(calibration)
        audits = fitting.Audits(answered, len(answered), 30, waiting=2)
        monkeypatch.setattr(fitting, "read_audits", lambda *promise: audits)
        said = call("activate_encoder", "small", target_precision=0.9)
        assert "2 audited postings still wait for an answer." in said
        assert "on 150 audited postings:" in said
        small.refresh_from_db()
        version = ClassifierVersion.objects.get(pk=small.comparison["version"])
        assert version.calibrated_on == ClassifierVersion.Calibration.AUDITS

    def test_without_a_file_the_exemplars_are_cross_validated(
        self, catalog: dict[str, Category], exemplars: None
    ) -> None:
        fit()
        small = candidate()
        said = call("activate_encoder", "small")
        assert "on 16 exemplars, cross-validated" in said
        assert state(small) == EncoderState.ACTIVE

    def test_the_first_one_has_nothing_to_be_compared_with(self, exemplars: None) -> None:
        small = candidate()
        said = call("activate_encoder", "small")
        assert said.splitlines()[-2] == ("It is the first one: there is none to compare it with.")
        assert state(small) == EncoderState.ACTIVE
        assert Promotion.objects.get().before is None


class TestOneThatWasFineTuned:
    """It may know the exemplars by heart, and what repeats them."""

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
        assert (found["rows"], found["left_out"], found["objections"]) == (150, 10, [])
        Encoder.objects.filter(pk=tuned.pk).update(metrics={})
        found = call_json("activate_encoder", "small", dry_run=True, **asked)["comparison"]
        assert (found["rows"], found["left_out"]) == (160, 0)
        Encoder.objects.filter(state=EncoderState.ACTIVE).update(metrics={"training": {"f": 1}})
        found = call_json("activate_encoder", "small", dry_run=True, **asked)["comparison"]
        assert (found["rows"], found["left_out"], found["objections"]) == (150, 10, [])

    def test_exemplars_alone_prove_nothing(self, tuned: Encoder, big: Encoder) -> None:
        said = failed("activate_encoder", "small", target_precision=0.9)
        assert "was fine-tuned" in said and "--calibration" in said
        assert state(big) == EncoderState.ACTIVE


class TestWhatCannotBecomeActive:
    def test_one_that_workers_cannot_load(
        self, small: Encoder, big: Encoder, asked: dict[str, Any]
    ) -> None:
        Encoder.objects.filter(pk=small.pk).update(trouble="here: its files are gone")
        assert "its files are gone" in failed("activate_encoder", "small", **asked)
        Encoder.objects.filter(pk=small.pk).update(trouble="")
        call("activate_encoder", "small", **asked)
        Encoder.objects.filter(pk=big.pk).update(trouble="here: its files are gone")
        assert "mend that first" in failed("rollback_encoder")
        assert state(small) == EncoderState.ACTIVE

    def test_the_active_one_is_so_already(self, big: Encoder) -> None:
        assert call("activate_encoder", "dummy") == "dummy is the active encoder already.\n"
        assert call_json("activate_encoder", "dummy")["active"]
        assert not Promotion.objects.exists()

    def test_one_that_is_being_built(self, small: Encoder) -> None:
        Encoder.objects.filter(pk=small.pk).update(state=EncoderState.BUILDING)
        ExemplarEmbedding.objects.filter(encoder=small)[0].delete()
        for options in ({}, {"force": True, "reason": "Haster"}):
            said = failed("activate_encoder", "small", **options)
            assert said.startswith("The encoder small is still being built (1 exemplars without")
            assert "becomes ready by itself while workers run" in said

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


class TestTheSwitch:
    def test_what_was_to_be_decided_is_decided_by_the_new_one(
        self, small: Encoder, big: Encoder, asked: dict[str, Any]
    ) -> None:
        deciding, _ = backfill.request(big)
        vectors, _ = backfill.request(big, vectors_only=True)
        call("activate_encoder", "small", **asked)
        deciding.refresh_from_db()
        vectors.refresh_from_db()
        assert (deciding.encoder, vectors.encoder) == (small, big)

    def test_the_texts_of_the_comparison_are_not_kept(
        self, small: Encoder, worse: dict[str, Any]
    ) -> None:
        failed("activate_encoder", "small", **worse)
        small.refresh_from_db()
        assert small.comparison["changes"]
        call("activate_encoder", "small", force=True, reason="Haster", **worse)
        small.refresh_from_db()
        assert small.comparison["changed"] and "changes" not in small.comparison


class TestTheWayBack:
    @pytest.fixture
    def third(self, small: Encoder, asked: dict[str, Any]) -> Encoder:
        """Active after two promotions: dummy, small, tiny."""
        call("activate_encoder", "small", **asked)
        tiny = candidate("tiny", "dummy:48")
        call("activate_encoder", "tiny", **asked)
        return tiny

    def test_one_step_loses_nothing(
        self, big: Encoder, small: Encoder, asked: dict[str, Any]
    ) -> None:
        waiting = JobPosting.objects.create(title="Hei på deg")
        drain()
        in_force = versions.in_force(big)
        Encoder.objects.filter(pk=small.pk).update(shadow=True)
        call("activate_encoder", "small", **asked)
        drain()
        assert current(waiting).encoder == small
        assert not Encoder.objects.filter(shadow=True).exists()
        said = call("rollback_encoder")
        assert said == (
            f"dummy is active again instead of small: classifier {in_force} decides. "
            "The way forth: activate_encoder small.\n"
        )
        assert (state(big), state(small)) == (EncoderState.ACTIVE, EncoderState.READY)
        made = Promotion.objects.latest("pk")
        assert (made.kind, made.encoder, made.before) == (PromotionKind.ROLLED_BACK, big, small)
        drain()
        assert (current(waiting).encoder, current(waiting).classifier_id) == (big, in_force)
        assert JobEmbedding.objects.filter(job=waiting).count() == 2

    def test_twice_is_two_steps_back_and_never_forth_again(
        self, big: Encoder, small: Encoder, third: Encoder, asked: dict[str, Any]
    ) -> None:
        assert call_json("rollback_encoder")["encoder"] == "small"
        assert call_json("rollback_encoder")["encoder"] == "dummy"
        said = failed("rollback_encoder")
        assert said == "No encoder was active before dummy: there is nothing to go back to."
        assert state(big) == EncoderState.ACTIVE
        call("activate_encoder", "tiny", **asked)
        assert call_json("rollback_encoder")["encoder"] == "dummy"

    def test_a_dry_run_says_which_and_changes_nothing(self, third: Encoder) -> None:
        before = versions.standing()
        assert call("rollback_encoder", dry_run=True).startswith("small would be active again")
        assert call_json("rollback_encoder", dry_run=True) == {
            "encoder": "small", "instead_of": "tiny", "active": False,
            "classifier": versions.in_force(Encoder.objects.get(name="small")),
        }  # fmt: skip
        assert versions.standing() == before
        assert Promotion.objects.count() == 2

    def test_there_is_no_way_back_to_one_that_is_retired(
        self, small: Encoder, third: Encoder
    ) -> None:
        Encoder.objects.filter(pk=small.pk).update(state=EncoderState.RETIRED)
        for options in ({}, {"dry_run": True}):
            said = failed("rollback_encoder", **options)
            assert said.startswith("The encoder small, which was active before tiny, is retired")
        assert state(third) == EncoderState.ACTIVE

    def test_a_damaged_classifier_is_not_gone_back_to(self, small: Encoder, third: Encoder) -> None:
        ClassifierVersion.objects.filter(encoder=small).update(artifact=b"damaged")
        assert "The classifier of small cannot be used" in failed("rollback_encoder")
        assert state(third) == EncoderState.ACTIVE

    def test_before_any_promotion(self, big: Encoder) -> None:
        assert "No encoder was active before dummy" in failed("rollback_encoder")


class TestMeanwhile:
    @staticmethod
    def meanwhile(monkeypatch: Any, act: Any) -> None:
        """Do something while the two are held against each other."""
        parents = classifiers.parents
        once: list[int] = []

        def acting() -> Any:
            if not once:
                once.append(1)
                act()
            return parents()

        monkeypatch.setattr(classifiers, "parents", acting)

    def test_another_encoder_became_active(
        self, small: Encoder, asked: dict[str, Any], monkeypatch: Any
    ) -> None:
        other = candidate("tiny", "dummy:48")
        self.meanwhile(
            monkeypatch,
            lambda: promotion.switch(
                other, instead_of=Encoder.objects.active(), kind=PromotionKind.PROMOTED
            ),
        )
        said = failed("activate_encoder", "small", force=True, reason="Haster", **asked)
        assert said.startswith("The encoder tiny became active meanwhile, so small did not.")
        assert state(other) == EncoderState.ACTIVE
        assert Promotion.objects.count() == 1

    def test_it_was_retired(self, small: Encoder, asked: dict[str, Any], monkeypatch: Any) -> None:
        rows = Encoder.objects.filter(pk=small.pk)
        self.meanwhile(monkeypatch, lambda: rows.update(state=EncoderState.RETIRED))
        said = failed("activate_encoder", "small", **asked)
        assert said.startswith("The encoder small is not ready, but retired.")
        assert not Promotion.objects.exists()

    def test_another_classifier_was_put_in_force_for_it(
        self, small: Encoder, big: Encoder, asked: dict[str, Any], monkeypatch: Any
    ) -> None:
        self.meanwhile(monkeypatch, lambda: call("fit_classifier", encoder="small", **asked))
        said = failed("activate_encoder", "small", **asked)
        assert "was put in force meanwhile" in said
        assert (state(small), state(big)) == (EncoderState.READY, EncoderState.ACTIVE)
        assert not Promotion.objects.exists()


@pytest.mark.django_db(transaction=True)
class TestAtOnce:
    @pytest.fixture(autouse=True)
    def counter(self, transactional_db: None) -> None:
        ExemplarGeneration.objects.get_or_create(pk=1)

    def test_of_two_activations_one_wins_and_the_other_is_overtaken(
        self, exemplars: None, monkeypatch: Any
    ) -> None:
        fit()
        before = Encoder.objects.active()
        candidate("small", "dummy:32")
        candidate("tiny", "dummy:48")
        both = threading.Barrier(2, timeout=60)
        promote = gate.promote

        def together(*args: Any, **options: Any) -> Any:
            both.wait()
            return promote(*args, **options)

        monkeypatch.setattr(gate, "promote", together)
        options = {"force": True, "reason": "Samtidig"}
        said = at_once(
            lambda: call("activate_encoder", "small", **options),
            lambda: call("activate_encoder", "tiny", **options),
        )
        won, lost = sorted(said, key=lambda answer: not isinstance(answer, str))
        now = Encoder.objects.active()
        assert now is not None and f"{now} is active." in won
        assert f"The encoder {now} became active meanwhile" in str(lost)
        assert lost.returncode == 1
        made = Promotion.objects.get()
        assert (made.encoder, made.before) == (now, before)
        assert versions.in_force(now) == now.comparison["version"]
        ready = Encoder.objects.filter(state=EncoderState.READY)
        assert ready.count() == 2

    def test_going_back_and_forth_at_once_leaves_one_active(self, exemplars: None) -> None:
        fit()
        big = Encoder.objects.active()
        assert big is not None
        small = candidate()
        call("activate_encoder", "small", force=True, reason="Prøve")
        for _ in range(5):
            active = Encoder.objects.active()
            other = big if active == small else small

            def forth(other: Encoder = other, active: Any = active) -> str:
                made = promotion.switch(other, instead_of=active, kind=PromotionKind.PROMOTED)
                return str(made)

            answers = at_once(forth, lambda: call("rollback_encoder"))
            assert Encoder.objects.filter(state=EncoderState.ACTIVE).count() == 1
            assert any(isinstance(answer, str) for answer in answers), answers
