"""What a worker does for exemplars, it does in pieces: a posting waits for one of them at most."""

from __future__ import annotations

from typing import Any

import pytest

from marketplace_ai.encoding import DummyEncoder
from marketplace_ai.encoding.token_batches import estimate_tokens
from marketplace_ai.exemplars import descriptions
from marketplace_ai.models import (
    Category,
    ClassifierVersion,
    Decision,
    Encoder,
    Exemplar,
    ExemplarEmbedding,
    ExemplarSource,
    JobPosting,
    Outcome,
    QueuedPosting,
)
from marketplace_ai.serving import active_model
from marketplace_ai.serving.active_model import ModelLoader
from marketplace_ai.text.normalize import digest
from tests.integration.encoders.factories import Recorder, candidate, queue_worker
from tests.integration.worker_runs import automatic, drain, fit

pytestmark = pytest.mark.django_db

#: Padded tokens that the device takes at once.
TOKENS = 200
POSTING = "Male bod nummer"


@pytest.fixture
def models(fitted: None, monkeypatch: pytest.MonkeyPatch) -> ModelLoader:
    """Those of a worker that has worked before, with an encoder that takes few texts at once."""
    monkeypatch.setattr(DummyEncoder, "device_batch_tokens", TOKENS)
    loader = ModelLoader()
    drain(loader)
    return loader


@pytest.fixture
def seen(models: ModelLoader, monkeypatch: pytest.MonkeyPatch) -> Recorder:
    """A new posting comes in whenever the encoder works for exemplars, so one always waits."""
    recorder = Recorder(monkeypatch)

    def arrive(dimension: int, texts: list[str]) -> None:
        if not any(text.startswith(POSTING) for text in texts):
            JobPosting.objects.create(title=f"{POSTING} {len(recorder.calls)}")

    recorder.meanwhile = arrive
    return recorder


def run(models: ModelLoader) -> None:
    working = queue_worker(models)
    try:
        for _ in range(3000):
            if not working.run_once():
                return
        raise AssertionError("it does not come to an end")
    finally:
        working.close()


def assert_postings_waited_for_one_piece(seen: Recorder, postings_of: int = 64) -> None:
    def is_postings(call: tuple[int, list[str]]) -> bool:
        return call[0] == postings_of and any(text.startswith(POSTING) for text in call[1])

    pieces = [call for call in seen.calls if not is_postings(call)]
    assert len(pieces) > 5
    for _, texts in pieces:
        lengths = estimate_tokens(texts, DummyEncoder.max_tokens)
        assert max(lengths) * len(texts) <= TOKENS or len(texts) == 1
    for first, second in zip(seen.calls, seen.calls[1:], strict=False):
        assert is_postings(first) or is_postings(second), (first, second)
    # All is done in the end.
    assert not QueuedPosting.objects.exists()
    voting = Exemplar.objects.filter(state="active")
    for encoder in Encoder.objects.all():
        encoded = ExemplarEmbedding.objects.filter(exemplar__in=voting, encoder=encoder)
        assert encoded.count() == voting.count()


def new_categories(count: int) -> None:
    Category.objects.bulk_create(
        Category(slug=f"ny-{number}", name=f"Fag {number}", scope=f"alt om fag {number} " * 3)
        for number in range(count)
    )


def new_exemplars(count: int) -> None:
    category = Category.objects.get(slug="maling")
    texts = [f"Male rom nummer {number} i huset" for number in range(count)]
    Exemplar.objects.bulk_create(
        Exemplar(
            text=text, text_digest=digest(text), category=category, category_key="maling",
            source=ExemplarSource.IMPORTED,
        )
        for text in texts
    )  # fmt: skip


def test_new_categories(models: ModelLoader, seen: Recorder) -> None:
    new_categories(200)
    models._next_look = 0.0
    run(models)
    assert_postings_waited_for_one_piece(seen)
    described = Exemplar.objects.filter(source="description", category__slug__startswith="ny-")
    assert described.values("category").distinct().count() == 200
    assert models.active is not None
    assert models.active.fitted is not None
    in_memory = set(models.active.fitted.index.ids.tolist())
    assert in_memory >= set(described.values_list("pk", flat=True))


def test_new_exemplars(models: ModelLoader, seen: Recorder) -> None:
    new_exemplars(150)
    run(models)
    assert_postings_waited_for_one_piece(seen)


def test_new_exemplars_at_the_start_of_a_worker(models: ModelLoader, seen: Recorder) -> None:
    new_exemplars(150)
    run(ModelLoader())
    assert_postings_waited_for_one_piece(seen)


def test_exemplars_of_a_candidate(models: ModelLoader, seen: Recorder) -> None:
    new_exemplars(100)
    models.refresh()
    encoder = candidate(dimension=32)
    seen.calls.clear()
    run(models)
    # A posting's vector of the candidate is a piece, too.
    assert_postings_waited_for_one_piece(seen, postings_of=64)
    assert Encoder.objects.get(pk=encoder.pk).state == "ready"


def test_a_new_version_decides_once_it_is_loaded_and_nothing_stays_with_the_other(
    models: ModelLoader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other version decides meanwhile; what it sends to review is decided again."""
    monkeypatch.setattr(active_model, "EXEMPLARS_AT_A_TIME", 4)
    automatic(monkeypatch, None, Outcome.REVIEW)
    before = ClassifierVersion.objects.get(is_active=True)
    fit()
    after = ClassifierVersion.objects.get(is_active=True)
    assert after != before
    jobs = []
    working = queue_worker(models)
    try:
        while working.run_once():
            if models.is_behind:
                jobs.append(JobPosting.objects.create(title=f"Male rom {len(jobs)}"))
    finally:
        working.close()
    assert len(jobs) > 3
    assert Decision.objects.filter(posting__in=jobs, classifier=before).exists()
    current = Decision.objects.filter(posting__in=jobs, is_current=True)
    assert set(current.values_list("classifier", flat=True)) == {after.pk}
    assert current.count() == len(jobs)


def test_a_sync_in_steps_does_what_one_in_a_single_step_does(
    models: ModelLoader, monkeypatch: pytest.MonkeyPatch
) -> None:
    def state() -> set[Any]:
        rows = Exemplar.objects.filter(source="description")
        return set(rows.values_list("category__slug", "text", "state"))

    def change() -> None:
        new_categories(9)
        parent = Category.objects.get(slug="ny-3")
        Category.objects.filter(slug__in=["ny-0", "ny-8"]).update(parent=parent)
        Category.objects.filter(slug="ny-5").update(name="Annet fag")
        Category.objects.filter(slug="plen").update(scope="Noe annet")
        Category.objects.filter(slug="rorlegger").delete()

    change()
    descriptions.sync()
    at_once = state()
    Exemplar.objects.filter(source="description").delete()
    for size, new in ((1, 1), (2, 3), (3, 2), (11, 4), (11, 1)):
        monkeypatch.setattr(descriptions, "STEP", size)
        monkeypatch.setattr(descriptions, "NEW_AT_A_TIME", new)
        descriptions.sync()
        assert state() == at_once
        Category.objects.filter(slug="ny-5").delete()
        assert descriptions.sync()
        assert not Exemplar.objects.filter(source="description", category=None).exists()
        Category.objects.create(slug="ny-5", name="Annet fag", scope="alt om fag 5 " * 3)
        descriptions.sync()
        assert state() == at_once
        if size % 2:
            Exemplar.objects.filter(source="description").delete()
