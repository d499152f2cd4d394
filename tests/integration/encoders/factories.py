"""Helpers for tests of candidate encoders."""

from __future__ import annotations

from typing import Any

from marketplace_ai.encoders import register
from marketplace_ai.encoding import DummyEncoder, load_encoder
from marketplace_ai.models import Encoder, EncoderState, PostingEmbedding, QueuedPosting
from marketplace_ai.serving.active_model import ModelLoader
from marketplace_ai.worker.loop import Worker
from tests.inline import Inline


def candidate(name: str = "next", dimension: int = 32) -> Encoder:
    """Register a new candidate."""
    return register.register(name, load_encoder(f"dummy:{dimension}", cache_dir=Any))


def switch(encoder: Encoder) -> None:
    """Activate another encoder, as a promotion does."""
    Encoder.objects.filter(state=EncoderState.ACTIVE).update(state=EncoderState.READY)
    now = Encoder.objects.filter(pk=encoder.pk)
    now.update(state=EncoderState.ACTIVE, activated_at=database_now())
    encoder.refresh_from_db()


def database_now() -> Any:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        return cursor.fetchone()[0]


def state(encoder: Encoder) -> str:
    encoder.refresh_from_db()
    return encoder.state


def vectors(encoder: Encoder) -> set[Any]:
    """Postings that have a vector of it."""
    return set(
        PostingEmbedding.objects.filter(encoder=encoder).values_list("posting_id", flat=True)
    )


def rows(encoder: Encoder | None) -> dict[Any, QueuedPosting]:
    """Queue rows of an encoder (None: of the active one), by posting."""
    return {row.posting_id: row for row in QueuedPosting.objects.filter(encoder=encoder)}


def queue_worker(models: ModelLoader | None = None, **options: Any) -> Worker:
    """A worker that encodes and loads in this thread."""
    return Worker(models or ModelLoader(), executor=Inline(), **options)


class Recorder:
    """Records the calls of this process's encoders, in order: (dimension, texts)."""

    def __init__(self, monkeypatch: Any) -> None:
        self.calls: list[tuple[int, list[str]]] = []
        self.meanwhile: Any = lambda dimension, texts: None
        encode = DummyEncoder.encode

        def recorded(encoder: DummyEncoder, texts: Any) -> Any:
            self.calls.append((encoder.dimension, list(texts)))
            self.meanwhile(encoder.dimension, list(texts))
            return encode(encoder, texts)

        monkeypatch.setattr(DummyEncoder, "encode", recorded)

    def of(self, *texts: str) -> list[int]:
        """Dimensions of the encoders that were given one of these texts, in order."""
        return [dimension for dimension, given in self.calls if set(texts) & set(given)]
