"""From exemplars and labelled postings to a classifier in force."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from django.core.exceptions import ImproperlyConfigured
from django.db.models import Exists, OuterRef

from marketplace_ai import classifier
from marketplace_ai.adapter import get_adapter
from marketplace_ai.audit import audited_postings
from marketplace_ai.encoders import active as encoders
from marketplace_ai.encoding import encode_each
from marketplace_ai.exemplars.encode import encode_exemplars
from marketplace_ai.guarantee.bounds import rows_needed
from marketplace_ai.imports.common import NONE, categories_by_key, prepare_text
from marketplace_ai.models import (
    AuditedPosting,
    Encoder,
    Exemplar,
    ExemplarEmbedding,
    ExemplarState,
)
from marketplace_ai.serving.pipeline import Pipeline
from marketplace_ai.text.csv_files import Row, TableError, read_csv
from marketplace_ai.text.normalize import is_blank
from marketplace_ai.versions import activation, create

if TYPE_CHECKING:
    from collections.abc import Callable

    from marketplace_ai.encoding import TextEncoder
    from marketplace_ai.models import ClassifierVersion

#: Texts encoded between two steps of a progress bar.
STEP = 128

Labelled = list[tuple[str, str | None]]


def read_labelled(path: str | None) -> Labelled:
    """(text, label) of each row; labels are the classifier's, None for "fits none"."""
    return [] if path is None else read_kinds(path)[0]


def read_kinds(path: str) -> tuple[Labelled, list[str] | None]:
    """The same, and what the column ``kind`` says of each row; None for a file without one."""
    rows = read_csv(path, ("category",), ("text", "title", "description", "kind"))
    if rows and "text" not in rows[0].values and "title" not in rows[0].values:
        raise TableError(f"{path}: it needs a column text, or title and description.")
    known = categories_by_key()
    result: Labelled = []
    for row in rows:
        key = row["category"]
        if key != NONE and key not in known:
            raise TableError(
                f"{path}, line {row.line}: there is no category {key!r}. "
                "Import the catalogue that has it first, or correct the row."
            )
        text = posting_text(row)
        if is_blank(text):
            raise TableError(f"{path}, line {row.line}: the text is empty.")
        result.append((text, None if key == NONE else str(known[key].pk)))
    if not rows:
        raise TableError(f"{path}: there is no row below the header.")
    return result, [row["kind"] for row in rows] if "kind" in rows[0].values else None


@dataclass(frozen=True, slots=True)
class Audits:
    """The audit sample as labelled postings, where they are enough: else ``labelled`` is empty.

    ``usable`` have an answer about the text that they still have, ``needed`` are the fewest
    that could prove the promise, without a single error; ``waiting`` have no answer yet.
    """

    labelled: Labelled
    usable: int
    needed: int
    waiting: int


def read_audits(target_precision: float, confidence: float) -> Audits:
    """What people said about audited postings, to calibrate on when no file is given."""
    found = [row for row in audited_postings.labeled_texts() if not is_blank(row[0])]
    needed = rows_needed(target_precision, confidence)
    waiting = AuditedPosting.objects.unanswered().count()
    return Audits(found if len(found) >= needed else [], len(found), needed, waiting)


def exemplars_without_vector(encoder: Encoder | None = None) -> int:
    """How many exemplars a fit will have to encode first; for the active encoder, if None."""
    has_vector = ExemplarEmbedding.objects.filter(
        exemplar=OuterRef("pk"), encoder=encoder or Encoder.objects.active()
    )
    active = Exemplar.objects.filter(state=ExemplarState.ACTIVE)
    return active.exclude(Exists(has_vector)).count()


def posting_text(row: Row) -> str:
    """The text of a row as the same posting would have it in the database."""
    adapter = get_adapter()
    text = row.values.get("text")
    if text is None:
        title, description = row["title"], row.values.get("description", "")
        try:
            text = adapter.text(adapter.make_job(title, description))
        except ImproperlyConfigured:  # a host's own model, which such a row cannot fill
            text = f"{title}\n{description}"
    return prepare_text(text)


def fit(
    labelled: Labelled,
    *,
    encoder: Encoder | None = None,
    audited: bool = False,
    target_precision: float,
    confidence: float,
    progress: Callable[[int], None],
    force: bool = False,
    dry_run: bool = False,
) -> ClassifierVersion:
    """Encode what has no vector yet, fit, compare, and put in force what is not worse; for the
    rest see ``classifiers.fit``.

    Without ``encoder``, or with the active one, what waits for review is decided anew. Of
    another one only its own classifier changes, which decides nothing.
    """
    active = encoder is None or encoder == Encoder.objects.active()
    if encoder is None or active:
        encoder, texts = _resident(progress)
    else:
        texts = encoders.load(encoder)
        encode_exemplars(encoder, texts, progress)
    version = create.fit(
        encoder,
        encode(texts, labelled, progress),
        audited=audited,
        target_precision=target_precision,
        confidence=confidence,
        force=force,
        dry_run=dry_run,
    )
    if version.is_active and active:
        activation.queue_review()
    return version


def _resident(progress: Callable[[int], None]) -> tuple[Encoder, TextEncoder]:
    """The active encoder, once it has all that a worker would give it."""
    pipeline = Pipeline()
    pipeline.refresh(progress)
    assert pipeline.encoder is not None and pipeline.texts is not None  # noqa: S101
    return pipeline.encoder, pipeline.texts


def encode(
    encoder: TextEncoder, labelled: Labelled, progress: Callable[[int], None]
) -> classifier.Labelled | None:
    """Labelled texts with their vectors; None for no text. TableError for one that cannot be
    encoded."""
    if not labelled:
        return None
    texts = [text for text, _ in labelled]
    parts = []
    for start in range(0, len(texts), STEP):
        step = texts[start : start + STEP]
        for text, vector in zip(step, encode_each(encoder, step), strict=True):
            if isinstance(vector, Exception):
                raise TableError(f"This text cannot be encoded ({vector}): {text[:80]!r}")
            parts.append(vector)
        progress(len(step))
    return classifier.Labelled(texts, np.stack(parts), [label for _, label in labelled])
