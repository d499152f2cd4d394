"""Encoding of exemplars, for the active encoder or a candidate."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import numpy as np
from django.db import transaction

from marketplace_ai.db.alias import alias
from marketplace_ai.encoding import EncoderError, encode_each
from marketplace_ai.encoding.token_batches import estimate_tokens, plan_batches
from marketplace_ai.exemplars import vector_store
from marketplace_ai.models import EncoderState, Exemplar, ExemplarState
from marketplace_ai.queue import encoder_locks
from marketplace_ai.text.normalize import one_line

if TYPE_CHECKING:
    from collections.abc import Callable

    from marketplace_ai.encoding import TextEncoder
    from marketplace_ai.models import Encoder

logger = logging.getLogger(__name__)

#: Exemplars of which a device batch is made, and so the most that one has.
MOST = 256


def encode_exemplars(
    encoder: Encoder,
    text_encoder: TextEncoder,
    progress: Callable[[int], None] = lambda encoded: None,
) -> int:
    """Give every active exemplar a vector of ``encoder``, loaded as ``text_encoder``.

    Returns how many were encoded. For exemplars that cannot be encoded see ``encode_next``.
    """
    total = 0
    while encoded := encode_next(encoder, text_encoder):
        total += encoded
        progress(encoded)
    return total


def encode_next(encoder: Encoder, text_encoder: TextEncoder) -> int:
    """Encode the next device batch of exemplars that have no vector yet.

    Returns how many; 0 if none is left or the encoder was retired meanwhile. It is one batch and
    no more, because new postings may wait for it.

    An exemplar that the active encoder cannot encode is quarantined; a person can reactivate it.
    If only a candidate cannot encode it, it keeps its vote and ``EncoderError`` names it.

    Uses ``text_encoder.reference_encoder``: all postings are compared with exemplars, and what
    int8 rounds off a posting costs little while the exemplars' vectors are exact.
    """
    reference = text_encoder.reference_encoder
    rows = _device_batch(reference, vector_store.without_vector(encoder.pk, MOST))
    vectors = encode_each(reference, [text for _, text in rows])
    encoded, failed = [], []
    for (exemplar, _), vector in zip(rows, vectors, strict=True):
        if isinstance(vector, Exception):
            failed.append((exemplar, vector))
        else:
            encoded.append((exemplar, vector))
    with transaction.atomic(using=alias()):
        if (
            not rows
            or encoder_locks.lock_shared(encoder.pk, *encoder_locks.STATES_WITH_VECTORS) is None
        ):
            return 0
        if encoded:
            vector_store.store(
                encoder.pk, [pk for pk, _ in encoded], np.stack([v for _, v in encoded])
            )
    for exemplar, error in failed:
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


def _device_batch(text_encoder: TextEncoder, rows: list[tuple[int, str]]) -> list[tuple[int, str]]:
    """Those of the rows, (id, text), that the device takes at once, of similar length."""
    lengths = estimate_tokens([text for _, text in rows], text_encoder.max_tokens)
    planned = plan_batches(lengths, text_encoder.device_batch_tokens, MOST)
    return [rows[position] for position in planned[0]] if planned else []
