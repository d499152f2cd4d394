"""The labeled corpus in the database: active exemplars, and the corrections people made."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

from django.db import connections

from marketplace_ai.adapter import get_adapter
from marketplace_ai.db.alias import alias
from marketplace_ai.imports.common import categories_by_key
from marketplace_ai.models import Exemplar, ExemplarSource, ExemplarState, get_category_model
from marketplace_ai.models.decision import PERSONS
from marketplace_ai.text.bad_rows import BadRows
from marketplace_ai.text.normalize import is_blank
from marketplace_ai.training.data.category_tree import CategoryTree
from marketplace_ai.training.data.corpus import ConfusionCounts, CorpusBuilder, LabeledCorpus

SOURCE = "the database"

# Corrections: the last answer about a posting against the last proposal before it for the same
# text. Of several answers the last one counts. A decision without a probability is no proposal of
# a classifier, and a deleted category is no label.
COUNT_CORRECTIONS = """
SELECT answer.category_id, proposal.category_id, count(*)
FROM (
    SELECT DISTINCT ON (posting_id) posting_id, id, category_id, category_key, text_digest
    FROM marketplace_ai_decision
    WHERE outcome = ANY(%(persons)s)
    ORDER BY posting_id, id DESC
) AS answer
CROSS JOIN LATERAL (
    SELECT category_id, category_key, text_digest, probability
    FROM marketplace_ai_decision
    WHERE posting_id = answer.posting_id AND id < answer.id AND NOT outcome = ANY(%(persons)s)
    ORDER BY id DESC
    LIMIT 1
) AS proposal
WHERE proposal.text_digest = answer.text_digest
  AND proposal.probability IS NOT NULL
  AND proposal.category_id IS DISTINCT FROM answer.category_id
  AND (answer.category_id IS NOT NULL OR answer.category_key = '')
  AND (proposal.category_id IS NOT NULL OR proposal.category_key = '')
GROUP BY 1, 2
"""


def read_exemplars() -> LabeledCorpus:
    """The active exemplars with people's labels, and the confusions they corrected.

    Labels are the categories' keys. Raises MiningError if fewer than two categories have a text.
    """
    keys = {category.pk: key for key, category in categories_by_key().items()}
    exemplars = (
        Exemplar.objects.using(alias())
        .filter(state=ExemplarState.ACTIVE)
        .exclude(source=ExemplarSource.DESCRIPTION)  # not labeled by a person
        .values_list("pk", "text", "category_id", "is_none", "family")
    )
    builder = CorpusBuilder(SOURCE)
    bad = BadRows(SOURCE, unit="exemplar")
    for pk, text, category, is_none, family in exemplars.iterator():
        bad.total += 1
        if is_blank(text):
            bad.blank.append(pk)
        elif is_none:
            builder.add(text, family=family)
        elif category in keys:
            builder.add(text, keys[category], family=family)
    parents = _parents(keys)
    left_out = bad.check()
    corpus = builder.build(parents, _confusions(keys, CategoryTree(parents)))
    return replace(corpus, left_out=left_out)


def category_parents() -> dict[str, str | None]:
    """The parent of each category, by keys; empty if the project's categories have no tree."""
    return _parents({category.pk: key for key, category in categories_by_key().items()})


def _parents(keys: dict[Any, str]) -> dict[str, str | None]:
    field = get_adapter().category_parent_field
    if field is None:
        return {}
    rows: Any = get_category_model()._base_manager.using(alias()).values_list("pk", field)
    return {keys[pk]: keys.get(parent) for pk, parent in rows if pk in keys}


def _confusions(keys: dict[Any, str], tree: CategoryTree) -> ConfusionCounts:
    pk = get_category_model()._meta.pk
    assert pk is not None  # noqa: S101 (every model has one)
    known: dict[Any, str | None] = {None: None, **keys}
    confusions: Counter[tuple[str | None, str | None]] = Counter()
    with connections[alias()].cursor() as cursor:
        cursor.execute(COUNT_CORRECTIONS, {"persons": list(PERSONS)})
        for *pair, count in cursor.fetchall():
            right, proposed = (None if value is None else pk.to_python(value) for value in pair)
            if right not in known or proposed not in known:
                continue
            # Naming a leaf where the machine named its parent is no correction.
            if not tree.on_one_path(known[right], known[proposed]):
                confusions[known[right], known[proposed]] += count
    return confusions
