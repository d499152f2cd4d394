"""Fit a classifier: encode exemplars and labeled postings, fit, compare, save and activate."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from django.db.models import Exists, OuterRef

from marketplace_ai.classifier import LabeledTexts
from marketplace_ai.encoders import active as encoders
from marketplace_ai.encoding import encode_each
from marketplace_ai.exemplars.encode import encode_exemplars
from marketplace_ai.guarantee.target import DEFAULT_TARGET, Target
from marketplace_ai.models import Encoder, Exemplar, ExemplarEmbedding, ExemplarState
from marketplace_ai.serving.active_model import ModelLoader
from marketplace_ai.text.csv_files import TableError
from marketplace_ai.versions import activation, create

from .labeled_postings import LabeledPostings

if TYPE_CHECKING:
    from collections.abc import Callable

    from marketplace_ai.encoding import TextEncoder
    from marketplace_ai.models import ClassifierVersion

#: Texts encoded between two steps of a progress bar.
TEXTS_PER_STEP = 128


def exemplars_without_vector(encoder: Encoder | None = None) -> int:
    """How many exemplars a fit will have to encode first; for the active encoder, if None."""
    has_vector = ExemplarEmbedding.objects.filter(
        exemplar=OuterRef("pk"), encoder=encoder or Encoder.objects.active()
    )
    active = Exemplar.objects.filter(state=ExemplarState.ACTIVE)
    return active.exclude(Exists(has_vector)).count()


def fit(
    postings: LabeledPostings | None = None,
    *,
    encoder: Encoder | None = None,
    target: Target = DEFAULT_TARGET,
    progress: Callable[[int], None],
    force: bool = False,
    dry_run: bool = False,
    activate: bool = True,
    condensed: create.CondensedIds | None = None,
) -> ClassifierVersion:
    """Fit a classifier version, and activate it unless it fails a check of the comparison.

    Without ``postings`` it is cross-validated on the exemplars; those that lack a vector are
    encoded first. Without ``encoder``, or with the active one, postings in review are queued to be
    decided again. For another encoder only its own classifier changes, which decides nothing. For
    the rest see ``versions.create.fit_version``.
    """
    postings = postings or LabeledPostings()
    is_active = encoder is None or encoder == Encoder.objects.active()
    if encoder is None or is_active:
        encoder, text_encoder = _load_active(progress)
    else:
        text_encoder = encoders.load(encoder)
        encode_exemplars(encoder, text_encoder, progress)
    version = create.fit_version(
        encoder,
        encode(text_encoder, postings, progress),
        audited=postings.audited,
        target=target,
        force=force,
        dry_run=dry_run,
        activate=activate,
        condensed=condensed,
    )
    if version.is_active and is_active:
        activation.requeue_reviews()
    return version


def _load_active(progress: Callable[[int], None]) -> tuple[Encoder, TextEncoder]:
    """The active encoder, loaded and with its exemplars encoded as a worker would do it."""
    active = ModelLoader().refresh(progress)
    return active.encoder, active.text_encoder


def encode(
    text_encoder: TextEncoder, postings: LabeledPostings, progress: Callable[[int], None]
) -> LabeledTexts | None:
    """Labeled postings with their vectors; None if there are none.

    Raises TableError for a text that cannot be encoded.
    """
    if not postings.rows:
        return None
    texts = [text for text, _ in postings.rows]
    vectors = []
    for start in range(0, len(texts), TEXTS_PER_STEP):
        step = texts[start : start + TEXTS_PER_STEP]
        for text, vector in zip(step, encode_each(text_encoder, step), strict=True):
            if isinstance(vector, Exception):
                raise TableError(f"This text cannot be encoded ({vector}): {text[:80]!r}")
            vectors.append(vector)
        progress(len(step))
    labels = [label for _, label in postings.rows]
    return LabeledTexts(texts, np.stack(vectors), labels, postings.families)
