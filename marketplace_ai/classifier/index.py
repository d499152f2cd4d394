"""The exemplars kept in memory: every similarity of a batch in one matrix product."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from threadpoolctl import ThreadpoolController

from .learned_metric import Metric
from .ngrams import BUCKETS, NgramFeatures

Floats = npt.NDArray[np.float32]

#: Exemplars whose texts are compared by one thread at a time.
_BLOCK = 4096


@cache
def _threads() -> ThreadpoolController:
    """Found once: to look for the libraries takes longer than a comparison."""
    return ThreadpoolController()


class ExemplarIndex:
    """All exemplars of one encoder, brought up to date by the changed rows alone.

    They are compared by ``features`` and ``metric`` (None: plain cosine). ``threads``: how many
    compare at the same time; as many as there are cores, unless something else works on these.
    A removed row leaves an empty slot until a quarter of the slots are empty, and vectors
    grow by half at a time, so an update costs by the rows that change.
    """

    def __init__(
        self, dimension: int, features: NgramFeatures, metric: Metric | None = None
    ) -> None:
        self.features = features
        self.metric = metric or Metric.identity(dimension)
        self.dimension = dimension
        self.threads = os.cpu_count() or 1
        self._used = 0
        self._slot: dict[int, int] = {}
        self._ids = np.zeros(0, dtype=np.int64)
        self._codes = np.zeros(0, dtype=np.int32)
        self._described = np.zeros(0, dtype=np.bool_)
        self._vectors: Floats = np.zeros((0, dimension), dtype=np.float32)
        self._lengths: Floats = np.zeros(0, dtype=np.float32)
        self._grams = sp.csr_matrix((0, BUCKETS), dtype=np.float32)
        self._code: dict[str | None, int] = {}
        self._live: npt.NDArray[np.intp] | slice = slice(0, 0)

    def __len__(self) -> int:
        return len(self._slot)

    @property
    def ids(self) -> npt.NDArray[np.int64]:
        """Primary keys of the exemplars, int64 (n,), in the order of every other column."""
        return self._ids[self._live]

    @property
    def label_names(self) -> tuple[str | None, ...]:
        """Every label ever seen here; ``codes`` point into it."""
        return tuple(self._code)

    @property
    def codes(self) -> npt.NDArray[np.int32]:
        """Labels as positions in ``label_names``, int32 (n,)."""
        return self._codes[self._live]

    @property
    def labels(self) -> list[str | None]:
        names = self.label_names
        return [names[code] for code in self.codes]

    @property
    def described(self) -> npt.NDArray[np.bool_]:
        """Which of the exemplars are their category's description, bool (n,)."""
        return self._described[self._live]

    @property
    def vectors(self) -> Floats:
        """Unit vectors, float32 (n, d)."""
        return self._vectors[self._live]

    @property
    def grams(self) -> sp.csr_matrix:
        """Text features, csr float32 (n, BUCKETS)."""
        return self._grams[self._live]

    def update(
        self,
        ids: Sequence[int],
        texts: Sequence[str],
        labels: Sequence[str | None],
        vectors: Floats,
        removed_ids: Iterable[int] = (),
        described: Sequence[bool] | None = None,
    ) -> None:
        """Add or replace n exemplars, and forget those removed.

        ``labels``: None for one that fits no category; ``vectors`` float (n, d);
        ``described``: which are descriptions (None: none of them). Unknown ids to remove are
        ignored; an id that is both removed and given stays. Raises ValueError, before anything
        changes, for columns that do not belong together, for vectors of another dimension and
        for such as are zero or not finite.
        """
        keys = [int(key) for key in ids]
        marks = [False] * len(keys) if described is None else described
        if not len(keys) == len(texts) == len(labels) == len(vectors) == len(marks):
            raise ValueError(
                f"columns of exemplars differ in length: {len(keys)} ids, {len(texts)} texts, "
                f"{len(labels)} labels, {len(vectors)} vectors"
            )
        if len(set(keys)) < len(keys):
            raise ValueError("an exemplar id comes twice in one update")
        if keys:
            # Both may raise, so both come before the first change.
            unit, grams = self._unit(vectors), self.features.transform(texts)
        for key in {*keys, *map(int, removed_ids)} & self._slot.keys():
            del self._slot[key]
        if keys:
            self._append(keys, labels, marks, unit, grams)
        self._settle()

    def compare(self, vectors: Floats, grams: sp.csr_matrix) -> tuple[Floats, Floats]:
        """Compare b postings with all n exemplars, exactly.

        ``grams`` are their text features, csr (b, BUCKETS). Returns the cosine of the vectors in
        the metric and the cosine of the text features, both float32 (b, n), columns in the order
        of ``ids``.
        """
        if len(vectors) != grams.shape[0]:
            raise ValueError(f"{len(vectors)} vectors for {grams.shape[0]} texts")
        queries, offsets = self.metric.queries(self._unit(vectors))
        batch, place = _dense(grams)
        cosine, text = (np.empty((len(vectors), self._used), np.float32) for _ in range(2))

        def compare(start: int) -> None:
            block = slice(start, min(start + _BLOCK, self._used))
            found = cosine[:, block]
            np.matmul(queries, self._vectors[block].T, out=found)
            found -= offsets[:, None]
            found /= np.maximum(self._lengths[block], 1e-12)
            first, last = self._grams.indptr[[block.start, block.stop]]
            rows = sp.csr_matrix(
                (
                    self._grams.data[first:last],
                    place[self._grams.indices[first:last]],
                    self._grams.indptr[block.start : block.stop + 1] - first,
                ),
                shape=(block.stop - block.start, len(batch)),
            )
            text[:, block] = (rows @ batch).T

        starts = range(0, self._used, _BLOCK)
        # A thread a block, for numpy and scipy work outside the interpreter's lock. Threads of one
        # product wait for each other instead, tenfold where other work has a core.
        with _threads().limit(limits=1, user_api="blas"):
            if self.threads == 1 or len(starts) < 2:
                for start in starts:
                    compare(start)
            else:
                with ThreadPoolExecutor(self.threads) as pool:
                    list(pool.map(compare, starts))
        return cosine[:, self._live], text[:, self._live]

    def _unit(self, vectors: Floats) -> Floats:
        vectors = np.asarray(vectors, dtype=np.float32)
        if vectors.ndim != 2 or vectors.shape[1] != self.dimension:
            raise ValueError(
                f"vectors have shape {vectors.shape}, expected (n, {self.dimension}): "
                "they come from another encoder"
            )
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
        if not np.isfinite(norms).all() or (norms == 0).any():
            raise ValueError("a vector is zero or not finite: it has no direction to compare")
        return np.asarray(vectors / norms, dtype=np.float32)

    def _append(
        self,
        keys: list[int],
        labels: Sequence[str | None],
        described: Sequence[bool],
        unit: Floats,
        grams: sp.csr_matrix,
    ) -> None:
        start, end = self._used, self._used + len(keys)
        if end > len(self._vectors):
            room = max(end, len(self._vectors) * 3 // 2)
            self._ids = np.resize(self._ids, room)
            self._codes = np.resize(self._codes, room)
            self._described = np.resize(self._described, room)
            self._lengths = np.resize(self._lengths, room)
            grown = np.zeros((room, self.dimension), dtype=np.float32)
            grown[:start] = self._vectors[:start]
            self._vectors = grown
        self._vectors[start:end] = unit
        self._lengths[start:end] = self.metric.lengths(unit)
        self._ids[start:end] = keys
        self._codes[start:end] = [self._code.setdefault(x, len(self._code)) for x in labels]
        self._described[start:end] = described
        self._slot.update(zip(keys, range(start, end), strict=True))
        self._grams = sp.vstack([self._grams, grams], format="csr") if start else grams
        self._used = end

    def _settle(self) -> None:
        slots = np.sort(np.fromiter(self._slot.values(), dtype=np.intp, count=len(self._slot)))
        if len(slots) * 4 < self._used * 3:
            self._ids, self._codes = self._ids[slots], self._codes[slots]
            self._vectors, self._grams = self._vectors[slots], self._grams[slots]
            self._lengths, self._described = self._lengths[slots], self._described[slots]
            self._used = len(slots)
            self._slot = {int(key): slot for slot, key in enumerate(self._ids)}
            slots = np.arange(self._used)
        # A plain slice copies nothing; most of the time no slot is empty.
        self._live = slice(0, self._used) if len(slots) == self._used else slots


def _dense(grams: sp.csr_matrix) -> tuple[Floats, npt.NDArray[np.int32]]:
    """The few rows of a batch as the dense side of a product with many, whose rows then stay as
    they lie in memory: float32 (p + 1, b), a row for each of its p n-grams and one of zeros for
    all others; and the row of each n-gram, (BUCKETS,), whose look-up costs less than to leave the
    others out."""
    columns = np.unique(grams.indices)
    batch = np.zeros((len(columns) + 1, grams.shape[0]), dtype=np.float32)
    batch[:-1] = grams[:, columns].T.toarray()
    place = np.full(BUCKETS, len(columns), dtype=np.int32)
    place[columns] = np.arange(len(columns), dtype=np.int32)
    return batch, place
