"""Vectors for the exemplars: of the active encoder, or of one that is being built."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import numpy as np
from django.db import transaction

from marketplace_ai.db.alias import alias
from marketplace_ai.encoding import EncoderError, encode_each
from marketplace_ai.exemplars import vector_store
from marketplace_ai.models import EncoderState, Exemplar, ExemplarState
from marketplace_ai.queue import encoder_locks
from marketplace_ai.text.normalize import one_line

if TYPE_CHECKING:
    from collections.abc import Callable

    from marketplace_ai.encoding import TextEncoder
    from marketplace_ai.models import Encoder

logger = logging.getLogger(__name__)

#: Exemplars encoded at once when they are new.
BATCH = 256


def encode_exemplars(
    encoder: Encoder,
    text_encoder: TextEncoder,
    progress: Callable[[int], None] = lambda encoded: None,
) -> int:
    """Give every active exemplar a vector of ``encoder``, which ``texts`` is; how many were
    encoded. For what cannot be encoded see ``encode_some``."""
    total = 0
    while encoded := encode_some(encoder, text_encoder):
        total += encoded
        progress(encoded)
    return total


def encode_some(encoder: Encoder, text_encoder: TextEncoder) -> int:
    """Encode the next exemplars that have no vector; how many, 0 where none is left or the
    encoder was retired meanwhile.

    One whose text the active encoder cannot encode is quarantined, and a person can put it back.
    One that only a candidate cannot encode goes on voting, and EncoderError names it.

    Always by ``text_encoder.reference_encoder``: every worker compares with them, and what int8 rounds off a
    posting costs little as long as they are not rounded as well.
    """
    rows = vector_store.without_vector(encoder.pk, BATCH)
    vectors = encode_each(text_encoder.reference_encoder, [text for _, text in rows])
    good, bad = [], []
    for (exemplar, _), vector in zip(rows, vectors, strict=True):
        if isinstance(vector, Exception):
            bad.append((exemplar, vector))
        else:
            good.append((exemplar, vector))
    with transaction.atomic(using=alias()):
        if (
            not rows
            or encoder_locks.lock_shared(encoder.pk, *encoder_locks.STATES_WITH_VECTORS) is None
        ):
            return 0
        if good:
            vector_store.store(encoder.pk, [i for i, _ in good], np.stack([v for _, v in good]))
    for exemplar, error in bad:
        if encoder.state != EncoderState.ACTIVE:
            raise EncoderError(
                f"It cannot encode exemplar {exemplar} ({one_line(str(error))}): quarantine that "
                f"one, or retire the encoder {encoder.name!r}."
            )
        Exemplar.objects.filter(pk=exemplar).update(state=ExemplarState.QUARANTINED)
        logger.error(
            "Exemplar %s cannot be encoded and is quarantined: %s", exemplar, one_line(str(error))
        )
    return len(rows)
