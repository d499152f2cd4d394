"""The switch from one encoder to another, and the way back."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from marketplace_ai.fitting import compare_encoders
from marketplace_ai.models import (
    ClassifierVersion,
    Encoder,
    EncoderState,
    ExemplarGeneration,
    JobPosting,
    PostingEmbedding,
    Promotion,
    PromotionKind,
)
from marketplace_ai.promotion import promote as promotion
from marketplace_ai.queue import backfill
from marketplace_ai.versions import activation, create
from tests.integration.command_calls import call, call_json, failed
from tests.integration.encoders.factories import state
from tests.integration.versions.test_versions import at_once
from tests.integration.worker_runs import current, drain, fit

from .factories import candidate

pytestmark = [pytest.mark.django_db, pytest.mark.slow]


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

    def test_the_texts_of_the_comparison_are_deleted(
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
        waiting = JobPosting.objects.create(title="Xyzzy")
        drain()
        active_version = activation.active_version_id(big)
        Encoder.objects.filter(pk=small.pk).update(is_shadowing=True)
        call("activate_encoder", "small", **asked)
        drain()
        assert current(waiting).encoder == small
        assert not Encoder.objects.filter(is_shadowing=True).exists()
        message = call("rollback_encoder")
        assert message == (
            f"dummy is active again instead of small: classifier {active_version} decides. "
            "The way forward: activate_encoder small.\n"
        )
        assert (state(big), state(small)) == (EncoderState.ACTIVE, EncoderState.READY)
        made = Promotion.objects.latest("pk")
        assert (made.kind, made.encoder, made.previous_encoder) == (
            PromotionKind.ROLLED_BACK,
            big,
            small,
        )
        drain()
        assert (current(waiting).encoder, current(waiting).classifier_id) == (big, active_version)
        assert PostingEmbedding.objects.filter(posting=waiting).count() == 2

    def test_twice_is_two_steps_back_and_never_forth_again(
        self, big: Encoder, small: Encoder, third: Encoder, asked: dict[str, Any]
    ) -> None:
        assert call_json("rollback_encoder")["encoder"] == "small"
        assert call_json("rollback_encoder")["encoder"] == "dummy"
        message = failed("rollback_encoder")
        assert message == "No encoder was active before dummy: there is nothing to go back to."
        assert state(big) == EncoderState.ACTIVE
        call("activate_encoder", "tiny", **asked)
        assert call_json("rollback_encoder")["encoder"] == "dummy"

    def test_a_dry_run_says_which_and_changes_nothing(self, third: Encoder) -> None:
        before = activation.active_state()
        assert call("rollback_encoder", dry_run=True).startswith("small would be active again")
        assert call_json("rollback_encoder", dry_run=True) == {
            "encoder": "small", "instead_of": "tiny", "active": False,
            "classifier": activation.active_version_id(Encoder.objects.get(name="small")),
        }  # fmt: skip
        assert activation.active_state() == before
        assert Promotion.objects.count() == 2

    def test_there_is_no_way_back_to_one_that_is_retired(
        self, small: Encoder, third: Encoder
    ) -> None:
        Encoder.objects.filter(pk=small.pk).update(state=EncoderState.RETIRED)
        for options in ({}, {"dry_run": True}):
            message = failed("rollback_encoder", **options)
            assert message.startswith("The encoder small, which was active before tiny, is retired")
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
        """Do something while the two are compared."""
        parents = create.category_parents
        once: list[int] = []

        def acting() -> Any:
            if not once:
                once.append(1)
                act()
            return parents()

        monkeypatch.setattr(create, "category_parents", acting)

    def test_another_encoder_became_active(
        self, small: Encoder, asked: dict[str, Any], monkeypatch: Any
    ) -> None:
        other = candidate("tiny", "dummy:48")
        self.meanwhile(
            monkeypatch,
            lambda: promotion.switch_encoder(
                other,
                expected=Encoder.objects.active(),
                record=promotion.PromotionRecord(PromotionKind.PROMOTED),
            ),
        )
        message = failed("activate_encoder", "small", force=True, reason="Haster", **asked)
        assert message.startswith("The encoder tiny became active meanwhile, so small did not.")
        assert state(other) == EncoderState.ACTIVE
        assert Promotion.objects.count() == 1

    def test_it_was_retired(self, small: Encoder, asked: dict[str, Any], monkeypatch: Any) -> None:
        rows = Encoder.objects.filter(pk=small.pk)
        self.meanwhile(monkeypatch, lambda: rows.update(state=EncoderState.RETIRED))
        message = failed("activate_encoder", "small", **asked)
        assert message.startswith("The encoder small is not ready, but retired.")
        assert not Promotion.objects.exists()

    def test_another_classifier_was_activated_for_it(
        self, small: Encoder, big: Encoder, asked: dict[str, Any], monkeypatch: Any
    ) -> None:
        self.meanwhile(monkeypatch, lambda: call("fit_classifier", encoder="small", **asked))
        message = failed("activate_encoder", "small", **asked)
        assert "was activated meanwhile" in message
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
        promote = compare_encoders.promote

        def together(*args: Any, **options: Any) -> Any:
            both.wait()
            return promote(*args, **options)

        monkeypatch.setattr(compare_encoders, "promote", together)
        options = {"force": True, "reason": "Samtidig"}
        outputs = at_once(
            lambda: call("activate_encoder", "small", **options),
            lambda: call("activate_encoder", "tiny", **options),
        )
        won, lost = sorted(outputs, key=lambda answer: not isinstance(answer, str))
        now = Encoder.objects.active()
        assert now is not None and f"{now} is active." in won
        assert f"The encoder {now} became active meanwhile" in str(lost)
        assert lost.returncode == 1
        made = Promotion.objects.get()
        assert (made.encoder, made.previous_encoder) == (now, before)
        assert activation.active_version_id(now) == now.comparison["version"]
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
                made = promotion.switch_encoder(
                    other, expected=active, record=promotion.PromotionRecord(PromotionKind.PROMOTED)
                )
                return str(made)

            answers = at_once(forth, lambda: call("rollback_encoder"))
            assert Encoder.objects.filter(state=EncoderState.ACTIVE).count() == 1
            assert any(isinstance(answer, str) for answer in answers), answers
