"""The column type of vectors: pgvector's ``halfvec``, two bytes a value.

It takes half the space of float32; the loss (about 1e-3) is far below what decides. Everything
that depends on the type is here: for another one change this module, ``db.vectors`` (how values
travel) and the migration's column.
"""

from __future__ import annotations

from typing import Final

from pgvector.django import HalfVectorField

#: The model field. Its column has no dimension; each encoder's partition checks its own.
VectorField = HalfVectorField

SQL_TYPE: Final = "halfvec"
#: Of a parameter that holds the vectors of a whole batch.
SQL_ARRAY: Final = "halfvec[]"
#: For an index on cosine distance.
COSINE_OPERATOR_CLASS: Final = "halfvec_cosine_ops"

#: Most values a vector can have.
MAX_DIMENSION: Final = 16_000
#: Most values a vector can have to be indexed.
MAX_INDEXED_DIMENSION: Final = 4000
#: A vector of so many values still fits a page, so it can be stored PLAIN: read in line, an exact
#: scan is about five times as fast as through TOAST.
MAX_PLAIN_DIMENSION: Final = 3500


def cast(column: str, dimension: int) -> str:
    """The column with its dimension, as an index needs it: the column itself has none."""
    return f"({column}::{SQL_TYPE}({int(dimension)}))"
