"""A candidate decides what comes in as well, and nothing happens by it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from marketplace_ai.classifier import Classifier, LabeledTexts
from marketplace_ai.encoding import load_encoder
from marketplace_ai.exemplars import encode as exemplar_vectors
from marketplace_ai.exemplars import vector_store
from marketplace_ai.models import (
    AuditedPosting,
    Category,
    ClassifierVersion,
    Decision,
    Encoder,
    EncoderState,
    Exemplar,
    JobPosting,
    Outcome,
    PostingEmbedding,
    ShadowDecision,
)
from marketplace_ai.versions import activation
from tests.integration.command_calls import call_json, refused
from tests.integration.encoders.factories import (
    Recorder,
    candidate,
    queue_worker,
    rows,
    state,
    switch,
)
from tests.integration.queue.scan_helpers import older
from tests.integration.worker_runs import drain, fit

pytestmark = [pytest.mark.django_db, pytest.mark.slow]


@pytest.fixture
def encoder(exemplars: None) -> Encoder:
    """A candidate and an active encoder, each with its active classifier."""
    fit()
    made = candidate()
    fit_and_activate(made)
    drain()
    assert state(made) == EncoderState.READY
    return made


def fit_and_activate(encoder: Encoder) -> ClassifierVersion:
    """A classifier fitted for it on the exemplars that vote."""
    texts = load_encoder(encoder.source, cache_dir=Any)
    exemplar_vectors.encode_exemplars(encoder, texts)
    stored = vector_store.changes(encoder.pk, encoder.dimension)
    train = np.flatnonzero(~stored.described)
    labeled = LabeledTexts(stored.texts, stored.vectors, stored.labels).take(train)
    classifier = Classifier.fit(labeled, None, parents={})
    version = ClassifierVersion(
        encoder=encoder, artifact=classifier.to_bytes(),
        target_precision=0.97,
        confidence_level=0.95, calibrated_on="exemplars", exemplar_generation=stored.generation,
    )  # fmt: skip
    activation.save(version, classifier, labeled)
    activation.set_active(version)
    return version


def shadow_answers() -> dict[str, str]:
    """The candidate's answers by title."""
    return dict(ShadowDecision.objects.values_list("posting__title", "category_key"))


def test_what_comes_in_is_decided_by_both_and_only_one_counts(
    encoder: Encoder, settings: Any
) -> None:
    settings.MARKETPLACE_AI_AUDIT_SAMPLE_RATE = 1.0
    assert call_json("encoders", shadow="next") == {"encoder": "next", "shadow": True}
    job = JobPosting.objects.create(title="Klippe gress hver uke")
    drain()
    shadow = ShadowDecision.objects.get()
    assert (shadow.posting, shadow.encoder, shadow.category_key) == (job, encoder, "plen")
    assert shadow.classifier.encoder == encoder
    assert shadow.category_name == str(Category.objects.get(slug="plen"))
    assert shadow.probability > 0
    decision = Decision.objects.get()
    assert decision.encoder != encoder
    assert decision.classifier.encoder == decision.encoder
    assert AuditedPosting.objects.get().encoder == decision.encoder
    vectors = PostingEmbedding.objects.get(encoder=encoder)
    assert bytes(shadow.text_digest) == bytes(vectors.text_digest)


def test_an_edit_replaces_the_answer(encoder: Encoder) -> None:
    call_json("encoders", shadow="next")
    JobPosting.objects.create(title="Klippe gress")
    drain()
    assert shadow_answers() == {"Klippe gress": "plen"}
    JobPosting.objects.update(title="Male stue")
    drain()
    assert shadow_answers() == {"Male stue": "maling"}


def test_exemplars_of_a_moment_ago_answer(
    encoder: Encoder, catalog: dict[str, Category], monkeypatch: Any
) -> None:
    from marketplace_ai.serving.candidate_model import CandidateModel

    indexed: list[set[int]] = []
    propose = CandidateModel.propose

    def noted(self: CandidateModel, texts: Any, vectors: Any) -> Any:
        assert self.fitted is not None
        indexed.append(set(self.fitted.index.ids.tolist()))
        return propose(self, texts, vectors)

    monkeypatch.setattr(CandidateModel, "propose", noted)
    call_json("encoders", shadow="next")
    working = queue_worker()
    try:
        for number in range(2):
            added = Exemplar.objects.create(
                text=f"Fikse trapp {number}", category=catalog["rorlegger"], source="imported",
                text_digest=bytes([number]),
            )  # fmt: skip
            JobPosting.objects.create(title=f"Trapp på hytta {number}")
            while working.run_once():
                pass
            assert added.pk in indexed[-1]
    finally:
        working.close()
    assert len(indexed) == ShadowDecision.objects.count() == 2


def test_a_host_is_not_touched(encoder: Encoder, monkeypatch: Any) -> None:
    from marketplace_ai.queue.proposal import Proposal
    from marketplace_ai.serving.candidate_model import CandidateModel

    category = Category.objects.get(slug="maling")
    sure = Proposal(Outcome.AUTOMATIC, category.pk, 0.999, 0.9)
    monkeypatch.setattr(CandidateModel, "propose", lambda self, texts, vectors: [sure] * len(texts))
    call_json("encoders", shadow="next")
    job = JobPosting.objects.create(title="Hei")
    drain()
    job.refresh_from_db()
    assert job.category is None
    assert ShadowDecision.objects.get().outcome == Outcome.AUTOMATIC


def test_a_backfill_is_not_decided(encoder: Encoder) -> None:
    call_json("encoders", shadow="next")
    older(3)
    call_json("backfill_embeddings", encoder="next", limit=3)
    drain()
    assert PostingEmbedding.objects.filter(encoder=encoder).count() == 3
    assert not ShadowDecision.objects.exists()


def test_what_was_queued_before_is_not_decided(encoder: Encoder) -> None:
    from marketplace_ai.queue import intake

    JobPosting.objects.create(title="Klippe gress")
    intake.collect()
    assert all(row.is_vector_only for row in rows(encoder).values())
    call_json("encoders", shadow="next")
    drain()
    assert not shadow_answers()


def test_without_text_it_fits_none(encoder: Encoder) -> None:
    call_json("encoders", shadow="next")
    JobPosting.objects.create(title="...")
    drain()
    assert ShadowDecision.objects.get().outcome == Outcome.NONE


def test_a_category_that_went_meanwhile_is_named_by_nothing(
    encoder: Encoder, monkeypatch: Any
) -> None:
    call_json("encoders", shadow="next")
    seen = Recorder(monkeypatch)

    def delete(dimension: int, texts: list[str]) -> None:
        if dimension == 32 and "Klippe gress" in texts:
            Category.objects.filter(slug="plen").delete()

    seen.meanwhile = delete
    JobPosting.objects.create(title="Klippe gress")
    drain()
    shadow = ShadowDecision.objects.get()
    assert (shadow.category_id, shadow.category_key) == (None, "")


def test_a_deleted_posting_takes_its_answer_along(encoder: Encoder) -> None:
    call_json("encoders", shadow="next")
    JobPosting.objects.create(title="Klippe gress")
    drain()
    JobPosting.objects.all().delete()
    assert not ShadowDecision.objects.exists()


def test_it_is_for_candidates_with_a_classifier(encoder: Encoder) -> None:
    bare = candidate("bare", 48)
    assert "fit_classifier --encoder bare" in refused("encoders", shadow="bare")
    assert "'dummy' is active" in refused("encoders", shadow="dummy")
    assert "There is no encoder 'none'" in refused("encoders", shadow="none")
    Encoder.objects.filter(pk=bare.pk).update(state=EncoderState.RETIRED)
    assert "'bare' is retired" in refused("encoders", shadow="bare")
    assert "'dummy' is active" in refused("encoders", no_shadow="dummy")


def test_switched_off_it_gives_vectors_only(encoder: Encoder) -> None:
    call_json("encoders", shadow="next")
    assert call_json("encoders", no_shadow="next")["shadow"] is False
    JobPosting.objects.create(title="Klippe gress")
    drain()
    assert not shadow_answers()
    assert PostingEmbedding.objects.filter(encoder=encoder).count() == 1


def test_once_it_is_active_it_decides_with_effect(encoder: Encoder) -> None:
    """And what it answered in the shadow stays as it was."""
    call_json("encoders", shadow="next")
    JobPosting.objects.create(title="Klippe gress")
    drain()
    switch(encoder)
    JobPosting.objects.update(title="Male stue")
    drain()
    decision = Decision.objects.get(is_current=True)
    assert (decision.encoder, decision.classifier.encoder) == (encoder, encoder)
    assert shadow_answers() == {"Male stue": "plen"}
