"""NumPy arrays as binary array parameters, so that a whole batch is one parameter.

A statement takes the part of each row as a slice, because ``unnest`` would flatten an array of
arrays. psycopg's own lists need a Python object for each element, which costs more than storing
them.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

import numpy as np
from psycopg.adapt import Dumper
from psycopg.pq import Format

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from psycopg.abc import AdaptContext

#: Element type by dtype: (oid of the element, oid of its array), which PostgreSQL never changes.
_OIDS = {np.dtype(np.int64): (20, 1016), np.dtype(np.float32): (700, 1021)}
#: One dimension, no NULL in it, the element's oid, its length, and the first index.
_HEADER = struct.Struct(">iiIii")


def integers(values: Sequence[int]) -> NDArray[np.int64]:
    """The values as a ``bigint[]`` parameter, (n,)."""
    return np.array(values, dtype=np.int64)


def reals(values: Sequence[float]) -> NDArray[np.float32]:
    """The values as a ``real[]`` parameter, (n,). Values too small for four bytes become zero."""
    return np.array(values, dtype=np.float32)


def register(context: AdaptContext) -> None:
    """Let a connection or cursor send these arrays."""
    context.adapters.register_dumper(np.ndarray, _NumbersDumper)


class _NumbersDumper(Dumper):
    format = Format.BINARY

    def get_key(self, obj: Any, format: Any) -> Any:
        return (self.cls, obj.dtype)

    def upgrade(self, obj: Any, format: Any) -> Dumper:
        dumper = type(self)(self.cls)
        dumper.oid = _OIDS[obj.dtype][1]
        return dumper

    def dump(self, obj: NDArray[Any]) -> bytes:
        element, _ = _OIDS[obj.dtype]
        big_endian = obj.dtype.newbyteorder(">")
        cells = np.empty(len(obj), dtype=[("bytes", ">i4"), ("value", big_endian)])
        cells["bytes"], cells["value"] = obj.itemsize, obj
        return _HEADER.pack(1, 0, element, len(obj), 1) + cells.tobytes()
