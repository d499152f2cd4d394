"""Reading and writing of exemplars and their vectors in PostgreSQL."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from django.db import connections, transaction

from marketplace_ai.db import vector_type, vectors
from marketplace_ai.db.alias import alias

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

GENERATION = "SELECT value, removals FROM marketplace_ai_exemplargeneration"

# Exemplars that changed after a generation, or whose vector for this encoder did.
# Category keys come as text: to the classifier, a label is an opaque string.
CHANGED = """
WITH changed AS (
    SELECT id FROM marketplace_ai_exemplar WHERE generation > %(since)s
    UNION
    SELECT exemplar_id FROM marketplace_ai_exemplarembedding
    WHERE encoder_id = %(encoder)s AND generation > %(since)s
)
SELECT exemplar.id, exemplar.text, exemplar.category_id::text,
       exemplar.state = 'active' AND (exemplar.category_id IS NOT NULL OR exemplar.is_none),
       embedding.vector, exemplar.source = 'description'
FROM changed JOIN marketplace_ai_exemplar AS exemplar ON exemplar.id = changed.id
LEFT JOIN marketplace_ai_exemplarembedding AS embedding
       ON embedding.exemplar_id = exemplar.id AND embedding.encoder_id = %(encoder)s
ORDER BY exemplar.id
"""

IDS = "SELECT id FROM marketplace_ai_exemplar"

WITHOUT_VECTOR = """
SELECT exemplar.id, exemplar.text FROM marketplace_ai_exemplar AS exemplar
WHERE exemplar.state = 'active' AND NOT EXISTS (
    SELECT FROM marketplace_ai_exemplarembedding AS embedding
    WHERE embedding.exemplar_id = exemplar.id AND embedding.encoder_id = %(encoder)s)
ORDER BY exemplar.id LIMIT %(limit)s
"""

# Skips exemplars that were deleted while they were encoded.
STORE = f"""
INSERT INTO marketplace_ai_exemplarembedding (exemplar_id, encoder_id, vector)
SELECT new.exemplar, %(encoder)s, new.vector
FROM unnest(%(exemplars)s::bigint[], %(vectors)s::{vector_type.SQL_ARRAY}) AS new(exemplar, vector)
JOIN marketplace_ai_exemplar AS exemplar ON exemplar.id = new.exemplar
ORDER BY new.exemplar
ON CONFLICT (exemplar_id, encoder_id) DO NOTHING
"""  # noqa: S608 (a constant of ours)


@dataclass(frozen=True, slots=True)
class Changes:
    """The changes that bring an index in memory to ``generation``.

    Attributes:
        ids, texts, labels, vectors: n exemplars that vote from now on; a label of None means
            "fits no category"; vectors are float32 (n, dimension).
        described: bool (n,), whether each is its category's description.
        gone: ids of exemplars that no longer vote.
    """

    generation: int
    removals: int
    ids: list[int]
    texts: list[str]
    labels: list[str | None]
    vectors: NDArray[np.float32]
    described: NDArray[np.bool_]
    gone: list[int]


def generation() -> tuple[int, int]:
    """The counters of changes and removals; cheap, so each batch can ask whether to reload."""
    with connections[alias()].cursor() as cursor:
        cursor.execute(GENERATION)
        found = cursor.fetchone()
    # None after a flush, until an exemplar is stored.
    value, removals = found or (0, 0)
    return value, removals


def changes(
    encoder_id: int, dimension: int, *, since: int, removals: int, known: Sequence[int]
) -> Changes:
    """Read what changed after generation ``since``, for an index that holds the ``known`` ids.

    The generation is read first: a row that changes meanwhile is read twice, never missed.
    """
    current, removed = generation()
    with vectors.cursor(connections[alias()], binary=True) as cursor:
        cursor.execute(CHANGED, {"encoder": encoder_id, "since": since})
        rows = cursor.fetchall()
        present = set(known)
        if removed != removals and known:
            cursor.execute(IDS)
            present = {row[0] for row in cursor.fetchall()}
    votes = [row for row in rows if row[3] and row[4] is not None]
    silent = [row[0] for row in rows if not (row[3] and row[4] is not None)]
    return Changes(
        generation=current,
        removals=removed,
        ids=[row[0] for row in votes],
        texts=[row[1] for row in votes],
        labels=[row[2] for row in votes],
        vectors=vectors.from_database([row[4] for row in votes], dimension),
        described=np.array([row[5] for row in votes], dtype=np.bool_),
        gone=[*silent, *(i for i in known if i not in present)],
    )


def without_vector(encoder_id: int, limit: int) -> list[tuple[int, str]]:
    """(id, text) of active exemplars without a vector of this encoder."""
    with connections[alias()].cursor() as cursor:
        cursor.execute(WITHOUT_VECTOR, {"encoder": encoder_id, "limit": limit})
        return list(cursor.fetchall())


def store(encoder_id: int, exemplars: list[int], rows: NDArray[np.float32]) -> None:
    """Store vectors of exemplars: float32 rows (n, dimension), in the order of the ids."""
    wrapper = connections[alias()]
    with transaction.atomic(using=alias()), vectors.cursor(wrapper) as cursor:
        cursor.execute(
            STORE,
            {"encoder": encoder_id, "exemplars": exemplars, "vectors": vectors.to_database(rows)},
        )
