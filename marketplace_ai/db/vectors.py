"""Vectors to and from PostgreSQL in binary, through pgvector's psycopg adapter."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np
import psycopg
from pgvector import HalfVector
from pgvector.psycopg.halfvec import register_halfvec_info
from psycopg.pq import Format
from psycopg.types import TypeInfo

from . import arrays
from .vector_type import SQL_TYPE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from django.db.backends.base.base import BaseDatabaseWrapper
    from numpy.typing import NDArray
    from psycopg import Connection, Cursor

_registered: WeakKeyDictionary[Any, bool] = WeakKeyDictionary()


@contextmanager
def cursor(wrapper: BaseDatabaseWrapper, *, binary: bool = False) -> Iterator[Cursor[Any]]:
    """A psycopg cursor on a Django connection that can send and fetch vectors.

    It binds parameters on the server. Django's own cursor writes them into the statement as
    text, which for vectors costs more than storing them.

    wrapper: the Django connection, such as ``connections[alias()]``.
    binary: fetch results in binary as well.
    """
    wrapper.ensure_connection()
    with wrapper.wrap_database_errors:
        _register(wrapper.connection)
        with psycopg.Cursor(wrapper.connection) as result:
            result.format = Format.BINARY if binary else Format.TEXT
            yield result


def _register(connection: Connection[Any]) -> None:
    # A cursor copies the types of its connection when it is created, so they are registered first.
    if connection in _registered:
        return
    info = TypeInfo.fetch(connection, SQL_TYPE)
    if info is None:
        # What the server says of a type that it does not find: nobody's fault but the set-up's.
        raise psycopg.errors.UndefinedObject(f'type "{SQL_TYPE}" does not exist')
    register_halfvec_info(connection, info)
    arrays.register(connection)
    _registered[connection] = True


def to_database(vectors: Iterable[NDArray[np.float32]]) -> list[HalfVector]:
    """Float32 rows (d,), or a matrix of them, as values of an array parameter."""
    return [HalfVector(row) for row in vectors]


def from_database(rows: list[HalfVector], dimension: int) -> NDArray[np.float32]:
    """Fetched vectors as one (n, d) float32 matrix."""
    if not rows:
        return np.empty((0, dimension), dtype=np.float32)
    return np.stack([row.to_numpy() for row in rows]).astype(np.float32)
