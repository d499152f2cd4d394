"""Vectors for the exemplars: of the active encoder, or of one that is being built."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import numpy as np

from marketplace_ai.encoding import encode_each
from marketplace_ai.models import Exemplar, ExemplarState
from marketplace_ai.neighbors import store
from marketplace_ai.text import one_line

if TYPE_CHECKING:
    from collections.abc import Callable

    from marketplace_ai.encoding import TextEncoder
    from marketplace_ai.models import Encoder

logger = logging.getLogger(__name__)

#: Exemplars encoded at once when they are new.
BATCH = 256


def encode_exemplars(
    encoder: Encoder,
    texts: TextEncoder,
    progress: Callable[[int], None] = lambda encoded: None,
) -> int:
    """Give every active exemplar a vector of ``encoder``, which ``texts`` is; how many were
    encoded. One whose text cannot be encoded is quarantined, and a person can put it back.

    Always by ``texts.exact``: every worker compares with them, and what int8 rounds off a
    posting costs little as long as they are not rounded as well.
    """
    total = 0
    while rows := store.without_vector(encoder.pk, BATCH):
        vectors = encode_each(texts.exact, [text for _, text in rows])
        good, bad = [], []
        for (exemplar, _), vector in zip(rows, vectors, strict=True):
            if isinstance(vector, Exception):
                bad.append((exemplar, vector))
            else:
                good.append((exemplar, vector))
        if good:
            store.store(encoder.pk, [i for i, _ in good], np.stack([v for _, v in good]))
        for exemplar, error in bad:
            Exemplar.objects.filter(pk=exemplar).update(state=ExemplarState.QUARANTINED)
            logger.error(
                "Exemplar %s cannot be encoded and is quarantined: %s",
                exemplar,
                one_line(str(error)),
            )
        total += len(rows)
        progress(len(rows))
    return total
