"""Reading and writing of exemplars and their vectors in PostgreSQL."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
from django.db import connections, transaction

from marketplace_ai.db import vector_type, vectors
from marketplace_ai.db.alias import alias

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

GENERATION = "SELECT value, previous FROM marketplace_ai_exemplargeneration"

# The number of an exemplar is that of its last change, or of its vector's. It is never given
# again (``schema.generations``), so two exemplars with the same id and number are the same.
VOTES = """
exemplar.state = 'active' AND (exemplar.category_id IS NOT NULL OR exemplar.is_none)
AND (exemplar.condensed_by_id IS NULL OR exemplar.condensed_by_id > %(version)s)
"""
NUMBERS = f"""
SELECT exemplar.id, greatest(exemplar.generation, embedding.generation)
FROM marketplace_ai_exemplar AS exemplar
JOIN marketplace_ai_exemplarembedding AS embedding
    ON embedding.exemplar_id = exemplar.id AND embedding.encoder_id = %(encoder)s
WHERE {VOTES}
"""  # noqa: S608 (a constant of ours)

# Those that changed after a generation, or whose vector did; no number where it does not vote.
NUMBERS_SINCE = f"""
WITH changed AS (
    SELECT id FROM marketplace_ai_exemplar WHERE generation > %(since)s
    UNION
    SELECT exemplar_id FROM marketplace_ai_exemplarembedding
    WHERE encoder_id = %(encoder)s AND generation > %(since)s
)
SELECT exemplar.id, CASE WHEN embedding.exemplar_id IS NOT NULL AND {VOTES}
                         THEN greatest(exemplar.generation, embedding.generation) END
FROM changed JOIN marketplace_ai_exemplar AS exemplar ON exemplar.id = changed.id
LEFT JOIN marketplace_ai_exemplarembedding AS embedding
       ON embedding.exemplar_id = exemplar.id AND embedding.encoder_id = %(encoder)s
"""  # noqa: S608 (a constant of ours)

# Category keys come as text: to the classifier, a label is an opaque string.
ROWS = f"""
SELECT exemplar.id, exemplar.text, exemplar.category_id::text, embedding.vector,
       exemplar.source = 'description', greatest(exemplar.generation, embedding.generation),
       exemplar.family
FROM marketplace_ai_exemplar AS exemplar
JOIN marketplace_ai_exemplarembedding AS embedding
    ON embedding.exemplar_id = exemplar.id AND embedding.encoder_id = %(encoder)s
WHERE exemplar.id = ANY(%(ids)s) AND {VOTES}
ORDER BY exemplar.id
"""  # noqa: S608 (a constant of ours)

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


#: No version has a key as low, so none has condensed anything for it.
ANY_VERSION = 0


@dataclass(frozen=True, slots=True)
class Changes:
    """The changes that bring an index in memory to ``generation``, or closer to it.

    Attributes:
        generation: what the index has then taken in; None where more is left to be read.
        ids, texts, labels, vectors: n exemplars that vote from now on; a label of None means
            "fits no category"; vectors are float32 (n, dimension).
        families: of each, "" where it is unknown.
        described: bool (n,), whether each is its category's description.
        numbers: by which each is recognized, n.
        gone: ids of exemplars that no longer vote.
    """

    generation: int | None
    ids: list[int]
    texts: list[str]
    labels: list[str | None]
    vectors: NDArray[np.float32]
    families: list[str]
    described: NDArray[np.bool_]
    numbers: list[int]
    gone: list[int]


def generation() -> int:
    """The number of the last change; cheap, so each batch can ask whether anything is new."""
    return _history()[0]


def _history() -> tuple[int, list[int]]:
    with connections[alias()].cursor() as cursor:
        cursor.execute(GENERATION)
        found: tuple[int, list[int]] | None = cursor.fetchone()
    return found or (0, [])  # after a flush, until an exemplar is stored


def changes(
    encoder_id: int,
    dimension: int,
    *,
    version: int = ANY_VERSION,
    since: int | None = None,
    known: Mapping[int, int] = MappingProxyType({}),
    limit: int | None = None,
) -> Changes:
    """Read how the voting exemplars differ from those ``known``: their numbers, by id.

    Parameters:
        version: the classifier version that they vote in; by default all that teach are read,
            condensed or not.
        since: the generation at which the known ones were all there were. What changed after it
            is compared, or everything, where the database knows of no such generation or it
            is None.
        limit: rows to read at most; the others are left for the next call.

    The generation is read first: a row that changes meanwhile is read twice, never missed.
    """
    current, previous = _history()
    voters = {"encoder": encoder_id, "version": version}
    follows = since is not None and since in (current, *previous)
    with vectors.cursor(connections[alias()], binary=True) as cursor:
        if follows:
            cursor.execute(NUMBERS_SINCE, {**voters, "since": since})
        else:
            cursor.execute(NUMBERS, voters)
        numbers: dict[int, int | None] = dict(cursor.fetchall())
        differing = sorted(i for i, number in numbers.items() if known.get(i) != number)
        read = differing[:limit]
        cursor.execute(ROWS, {**voters, "ids": read})
        rows = cursor.fetchall()
    gone = {i for i in read if i in known}.difference(row[0] for row in rows)
    if not follows:
        gone |= known.keys() - numbers.keys()
    return Changes(
        generation=current if len(read) == len(differing) else None,
        ids=[row[0] for row in rows],
        texts=[row[1] for row in rows],
        labels=[row[2] for row in rows],
        vectors=vectors.from_database([row[3] for row in rows], dimension),
        families=[row[6] for row in rows],
        described=np.array([row[4] for row in rows], dtype=np.bool_),
        numbers=[row[5] for row in rows],
        gone=sorted(gone),
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
