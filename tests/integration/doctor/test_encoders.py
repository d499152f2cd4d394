"""Findings of `doctor` about candidates and what a retirement left behind."""

from __future__ import annotations

import pytest

from marketplace_ai.encoders import active as encoders
from marketplace_ai.models import (
    Encoder,
    EncoderState,
    JobPosting,
)
from marketplace_ai.queue import backfill
from tests.integration.encoders.factories import candidate, switch
from tests.integration.queue.scan_helpers import older
from tests.integration.worker_runs import drain

pytestmark = pytest.mark.django_db


@pytest.fixture
def active(db: None) -> Encoder:
    return encoders.ensure_active()[0]


class TestDoctor:
    def findings(self) -> list[tuple[bool, str, str]]:
        from marketplace_ai.doctor.diagnose import examine

        names = ("candidate", "retired encoder")
        return [(f.ok, f.message, f.cure) for f in examine() if f.name in names]

    def test_progress_and_next_step(self, active: Encoder) -> None:
        assert self.findings() == []
        older(7)
        encoder = candidate()
        ((ok, message, cure),) = self.findings()
        assert (ok, cure) == (True, "")
        assert "next is being built: 0 of 7 postings" in message
        backfill.stop(encoder)
        ((_, message, cure),) = self.findings()
        assert "where it was stopped" in message
        assert "backfill_embeddings --encoder next" in cure
        backfill.request(encoder, vectors_only=True)
        drain()
        ((ok, message, cure),) = self.findings()
        assert (ok, "next is ready" in message) == (True, True)
        assert "activate_encoder next" in cure

    def test_a_candidate_that_workers_cannot_load(self, active: Encoder) -> None:
        encoder = candidate()
        Encoder.objects.filter(pk=encoder.pk).update(last_error="here: its files are gone")
        _, (ok, message, cure) = self.findings()
        assert (ok, "its files are gone" in message) == (False, True)
        assert "retire_encoder next" in cure

    def test_the_previous_encoder_and_its_cost(self, active: Encoder) -> None:
        encoder = candidate()
        JobPosting.objects.create(title="Male stue")
        drain()
        switch(encoder)
        Encoder.objects.filter(pk=active.pk).update(replaced_at="2026-01-01T00:00Z")
        ((ok, message, cure),) = self.findings()
        assert ok
        assert "dummy was active before" in message
        assert "1 have its vector" in message
        assert "retire_encoder dummy" in cure

    def test_vectors_left_by_a_retirement(self, active: Encoder) -> None:
        encoder = candidate()
        Encoder.objects.filter(pk=encoder.pk).update(state=EncoderState.RETIRED)
        ((ok, message, cure),) = self.findings()
        assert (ok, "not dropped yet" in message) == (False, True)
        assert "retire_encoder next again" in cure
