"""The partition of each encoder's posting vectors: which ones are missing, and how to make them.

A partition is made with its encoder's row, but data that was restored without the tables, or
loaded from a fixture, brings the row alone. Without it no vector can be stored.
"""

from __future__ import annotations

from django.db import connections, transaction

from marketplace_ai.db import vector_type
from marketplace_ai.db.alias import alias
from marketplace_ai.models import Encoder, EncoderState, PostingEmbedding

from . import foreign_keys

# Whether the table exists, and whether it is a partition.
FOUND = """
SELECT to_regclass(%(table)s) IS NOT NULL, EXISTS (
    SELECT FROM pg_inherits
    WHERE inhrelid = to_regclass(%(table)s) AND inhparent = to_regclass(%(parent)s)
      AND NOT inhdetachpending)
"""

UNCHECKED = """
SELECT NOT EXISTS (
    SELECT FROM pg_constraint WHERE conrelid = to_regclass(%(table)s) AND contype = 'c'
      AND pg_get_expr(conbin, conrelid) LIKE %(check)s)
"""

LOCK_ENCODER = """
SELECT id FROM marketplace_ai_encoder WHERE id = %s AND state <> 'retired' FOR UPDATE
"""


def name(encoder: Encoder) -> str:
    return f"{PostingEmbedding._meta.db_table}_{encoder.pk}"


def missing() -> list[Encoder]:
    """The encoders that have vectors but no partition for them, the active one first."""
    return [encoder for encoder in _stored() if not _found(encoder)[1]]


def unchecked() -> list[Encoder]:
    """The encoders whose partition takes vectors of any dimension."""
    return [encoder for encoder in _stored() if _found(encoder)[1] and not _is_checked(encoder)]


def check_dimension(encoder: Encoder) -> None:
    """Have the partition of an encoder check the dimension of new vectors.

    NOT VALID: otherwise all rows would be read while nobody can write. Raises OperationalError
    where the partition stays locked.
    """
    table = name(encoder)
    with transaction.atomic(using=alias()), connections[alias()].cursor() as cursor:
        cursor.execute(foreign_keys.LOCK_TIMEOUT)
        cursor.execute(
            f"ALTER TABLE {table} DROP CONSTRAINT IF EXISTS {table}_dimension, "
            f"ADD {_dimension_sql(encoder)} NOT VALID"
        )


def ensure(encoder: Encoder) -> bool:
    """Create or attach the partition of an encoder that lacks one; whether that was needed.

    Raises ProgrammingError where the role may not create tables, and OperationalError where the
    project's table stays locked.
    """
    is_there, is_attached = _found(encoder)
    if is_attached:
        return False
    table = name(encoder)
    with transaction.atomic(using=alias()), connections[alias()].cursor() as cursor:
        cursor.execute(foreign_keys.LOCK_TIMEOUT)
        # Several workers may start at the same time, and it may be retired meanwhile.
        cursor.execute(LOCK_ENCODER, [encoder.pk])
        is_retired = cursor.fetchone() is None
        is_there, is_attached = _found(encoder)
        if is_attached or is_retired:
            return False
        if is_there:
            cursor.execute(
                f"ALTER TABLE {PostingEmbedding._meta.db_table} ATTACH PARTITION {table} "
                f"FOR VALUES IN ({int(encoder.pk)})"
            )
            if not _is_checked(encoder):
                check_dimension(encoder)
        else:
            create(encoder)
    return True


def create(encoder: Encoder) -> None:
    """Create the partition with its dimension; inside the registering transaction."""
    table = name(encoder)
    dimension = int(encoder.dimension)
    with transaction.atomic(using=alias()), connections[alias()].cursor() as cursor:
        cursor.execute(
            f"CREATE TABLE {table} PARTITION OF {PostingEmbedding._meta.db_table} "
            f"FOR VALUES IN ({int(encoder.pk)})"
        )
        cursor.execute(f"ALTER TABLE {table} ADD {_dimension_sql(encoder)}")
        if dimension <= vector_type.MAX_PLAIN_DIMENSION:
            cursor.execute(f"ALTER TABLE {table} ALTER COLUMN vector SET STORAGE PLAIN")


def _dimension_sql(encoder: Encoder) -> str:
    dimension = int(encoder.dimension)
    return f"CONSTRAINT {name(encoder)}_dimension CHECK (vector_dims(vector) = {dimension})"


def _stored() -> list[Encoder]:
    stored = Encoder.objects.using(alias()).exclude(state=EncoderState.RETIRED)
    return sorted(stored, key=lambda encoder: (encoder.state != EncoderState.ACTIVE, encoder.pk))


def _is_checked(encoder: Encoder) -> bool:
    check = f"%vector_dims(vector) = {int(encoder.dimension)})"
    with connections[alias()].cursor() as cursor:
        cursor.execute(UNCHECKED, {"table": name(encoder), "check": check})
        return not cursor.fetchone()[0]


def _found(encoder: Encoder) -> tuple[bool, bool]:
    with connections[alias()].cursor() as cursor:
        cursor.execute(FOUND, {"table": name(encoder), "parent": PostingEmbedding._meta.db_table})
        is_there, is_attached = cursor.fetchone()
    return is_there, is_attached
