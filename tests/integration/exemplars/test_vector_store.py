"""The index in memory finds the same neighbors as an exact search by PostgreSQL."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from django.db import connections

from marketplace_ai.classifier.index import ExemplarIndex
from marketplace_ai.classifier.ngrams import NgramFeatures
from marketplace_ai.db import vectors
from marketplace_ai.db.alias import alias
from marketplace_ai.exemplars import vector_store
from marketplace_ai.models import Encoder, Exemplar
from marketplace_ai.text.normalize import digest

pytestmark = pytest.mark.django_db

COUNT, NEAREST = 400, 20
#: Two of 11 bits of a halfvec's mantissa: closer similarities may come in either order.
TIE = 1e-3

# No index serves this, and with 400 rows none would be asked: exact.
SQL = """
SELECT exemplar_id, 1 - (vector <=> %(query)s) FROM marketplace_ai_exemplarembedding
WHERE encoder_id = %(encoder)s ORDER BY vector <=> %(query)s LIMIT %(limit)s
"""


@pytest.fixture
def encoder(db: Any) -> Encoder:
    from marketplace_ai.encoders import active

    return active.ensure_active(lambda line: None)[0]


def test_by_plain_cosine_the_neighbors_are_those_of_sql(encoder: Encoder) -> None:
    random = np.random.default_rng(7)
    rows = random.standard_normal((COUNT, encoder.dimension)).astype(np.float32)
    rows[1::2] = rows[::2] + 0.3 * rows[1::2]  # pairs, so that the nearest are near indeed
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    texts = [f"tekst {number}" for number in range(COUNT)]
    stored = Exemplar.objects.bulk_create(
        Exemplar(text=text, text_digest=digest(text), is_none=True) for text in texts
    )
    vector_store.store(encoder.pk, [exemplar.pk for exemplar in stored], rows)

    changed = vector_store.changes(encoder.pk, encoder.dimension)
    index = ExemplarIndex(encoder.dimension, NgramFeatures.fit(texts))
    index.update(changed.ids, changed.texts, changed.labels, changed.vectors)
    assert len(index) == COUNT

    queries = rows[:40] + 0.05 * random.standard_normal((40, encoder.dimension)).astype(np.float32)
    cosine, _ = index.compare(queries, index.features.transform(texts[:40]))
    with vectors.cursor(connections[alias()], binary=True) as cursor:
        for query, ours in zip(queries, cosine, strict=True):
            [value] = vectors.to_database([query])
            cursor.execute(SQL, {"query": value, "encoder": encoder.pk, "limit": NEAREST})
            theirs = cursor.fetchall()
            place = {key: column for column, key in enumerate(index.ids.tolist())}
            for key, similarity in theirs:
                assert ours[place[key]] == pytest.approx(similarity, abs=TIE)
            # What SQL leaves out is nowhere nearer than the last that it names.
            left_out = np.delete(ours, [place[key] for key, _ in theirs])
            assert left_out.max() <= theirs[-1][1] + TIE
