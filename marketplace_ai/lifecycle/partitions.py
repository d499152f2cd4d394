"""The partition of each encoder's job vectors: made at registration, dropped at retirement."""

from __future__ import annotations

from django.db import connections, transaction

from marketplace_ai.encoding import EncoderError
from marketplace_ai.models import Encoder, JobEmbedding
from marketplace_ai.queue.sql import alias

#: A halfvec of this many values still fits a page, so it can be stored PLAIN: fetched in
#: line, an exact scan is about five times as fast as through TOAST.
MAX_PLAIN_DIMENSION = 3500
#: pgvector's halfvec has at most this many values.
MAX_DIMENSION = 16_000


def name(encoder: Encoder) -> str:
    return f"{JobEmbedding._meta.db_table}_{encoder.pk}"


def check_dimension(dimension: int) -> None:
    """EncoderError for vectors that the database cannot hold."""
    if dimension > MAX_DIMENSION:
        raise EncoderError(
            f"Its vectors have {dimension} values; a halfvec of pgvector has {MAX_DIMENSION} at "
            "most. Choose an encoder of a smaller dimension."
        )


def create(encoder: Encoder) -> None:
    """Make the partition with its dimension; inside the transaction that registers."""
    table = name(encoder)
    dimension = int(encoder.dimension)
    with transaction.atomic(using=alias()), connections[alias()].cursor() as cursor:
        cursor.execute(
            f"CREATE TABLE {table} PARTITION OF {JobEmbedding._meta.db_table} "
            f"FOR VALUES IN ({int(encoder.pk)})"
        )
        cursor.execute(
            f"ALTER TABLE {table} ADD CONSTRAINT {table}_dimension "
            f"CHECK (vector_dims(vector) = {dimension})"
        )
        if dimension <= MAX_PLAIN_DIMENSION:
            cursor.execute(f"ALTER TABLE {table} ALTER COLUMN vector SET STORAGE PLAIN")
