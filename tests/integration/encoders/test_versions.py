"""Encoder versions: registered after a trial, their weights checked, their vectors apart."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import IntegrityError, transaction

from marketplace_ai.doctor.diagnose import examine
from marketplace_ai.encoders import active
from marketplace_ai.encoding import EncoderError
from marketplace_ai.models import Decision, Encoder, EncoderState, JobPosting, PostingEmbedding
from marketplace_ai.serving.pipeline import Pipeline
from tests.integration.worker_runs import current, drain

pytestmark = pytest.mark.django_db


def test_the_setting_is_registered_and_activated_where_none_is(db: Any) -> None:
    encoder, loaded = active.ensure_active()
    assert (encoder.source, encoder.state) == ("dummy:64", EncoderState.ACTIVE)
    assert encoder.dimension == loaded.dimension
    assert active.ensure_active()[0] == encoder
    assert Encoder.objects.count() == 1


def test_afterwards_the_active_one_decides_and_doctor_tells(settings: Any) -> None:
    active.ensure_active()
    settings.MARKETPLACE_AI_ENCODER = "dummy:32"
    assert active.ensure_active()[0].source == "dummy:64"
    assert "encoder setting" in {finding.name for finding in examine()}


def test_a_partition_holds_its_dimension_only(posting: JobPosting) -> None:
    encoder, _ = active.ensure_active()
    with pytest.raises(IntegrityError), transaction.atomic():
        PostingEmbedding.objects.create(
            posting=posting, encoder=encoder, vector=[1.0, 0.0], text_digest=b""
        )


def test_other_weights_than_registered_are_refused(db: Any) -> None:
    encoder, _ = active.ensure_active()
    Encoder.objects.update(weights_hash="0" * 64)
    encoder.refresh_from_db()
    with pytest.raises(EncoderError, match="not those that were registered"):
        active.load(encoder)


def test_two_encoders_vectors_live_side_by_side(posting: JobPosting, settings: Any) -> None:
    drain()
    settings.MARKETPLACE_AI_ENCODER = "dummy:32"
    Encoder.objects.update(state=EncoderState.READY)
    second, _ = active.ensure_active()
    JobPosting.objects.update(title="En ny tekst")
    drain()
    assert PostingEmbedding.objects.filter(posting=posting).count() == 2
    assert current(posting).encoder == second


def test_an_encoder_switched_while_encoding_is_not_written(
    posting: JobPosting, settings: Any
) -> None:
    pipeline = Pipeline()
    pipeline.refresh()
    encode, first = pipeline.texts.encode, pipeline.encoder

    def switch_meanwhile(texts: Any) -> Any:
        settings.MARKETPLACE_AI_ENCODER = "dummy:32"
        if Encoder.objects.count() == 1:
            Encoder.objects.update(state=EncoderState.READY)
            active.ensure_active()
        return encode(texts)

    pipeline.texts.encode = switch_meanwhile
    drain(pipeline)
    decision = current(posting)
    assert decision.encoder.source == "dummy:32"
    assert Decision.objects.count() == 1
    # The former one, which is ready now, is kept current by a row of its own.
    digests = PostingEmbedding.objects.values_list("encoder", "text_digest").order_by("encoder")
    assert [encoder for encoder, _ in digests] == [first.pk, decision.encoder.pk]
    assert {bytes(digest) for _, digest in digests} == {bytes(decision.text_digest)}
