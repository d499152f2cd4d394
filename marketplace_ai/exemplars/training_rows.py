"""What people taught, as rows that training data is mined from: exemplars and corrections."""

from __future__ import annotations

from collections import Counter
from typing import Any

from django.db import connections

from marketplace_ai.adapter import get_adapter
from marketplace_ai.imports.common import categories_by_key
from marketplace_ai.models import Exemplar, ExemplarSource, ExemplarState, get_category_model
from marketplace_ai.models.decision import PERSONS
from marketplace_ai.queue.sql import alias
from marketplace_ai.training.data.category_tree import Tree
from marketplace_ai.training.data.labeled_texts import Confusions, Gathered, TrainingRows

SOURCE = "the database"

# What people put right: their last answer about a posting, beside the machine's last proposal
# about the same text before it. An answer that changed its mind counts as it stands now; a
# proposal without a probability was made by nothing, and a category that is gone is no label.
CORRECTIONS = """
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


def read() -> TrainingRows:
    """The active exemplars with people's labels, and the confusions that people corrected.

    Labels are the categories' keys. Raises MiningError where fewer than two categories have a
    text.
    """
    keys = {category.pk: key for key, category in categories_by_key().items()}
    exemplars = (
        Exemplar.objects.using(alias())
        .filter(state=ExemplarState.ACTIVE)
        .exclude(source=ExemplarSource.DESCRIPTION)  # nobody's label
        .values_list("text", "category_id", "is_none")
    )
    gathered = Gathered(SOURCE)
    for text, category, is_none in exemplars.iterator():
        if is_none:
            gathered.add(text)
        elif category in keys:
            gathered.add(text, keys[category])
    parents = _parents(keys)
    return gathered.rows(parents, _confusions(keys, Tree(parents)))


def parents() -> dict[str, str | None]:
    """Each category's parent, by keys; empty where the host's categories have no parents."""
    return _parents({category.pk: key for key, category in categories_by_key().items()})


def _parents(keys: dict[Any, str]) -> dict[str, str | None]:
    field = get_adapter().category_parent_field
    if field is None:
        return {}
    rows: Any = get_category_model()._base_manager.using(alias()).values_list("pk", field)
    return {keys[pk]: keys.get(parent) for pk, parent in rows if pk in keys}


def _confusions(keys: dict[Any, str], tree: Tree) -> Confusions:
    pk = get_category_model()._meta.pk
    assert pk is not None  # noqa: S101 (every model has one)
    known: dict[Any, str | None] = {None: None, **keys}
    confusions: Counter[tuple[str | None, str | None]] = Counter()
    with connections[alias()].cursor() as cursor:
        cursor.execute(CORRECTIONS, {"persons": list(PERSONS)})
        for *pair, count in cursor.fetchall():
            right, proposed = (None if value is None else pk.to_python(value) for value in pair)
            if right not in known or proposed not in known:
                continue
            # Whoever named the leaf where the machine named its parent has not put it right.
            if not tree.in_line(known[right], known[proposed]):
                confusions[known[right], known[proposed]] += count
    return confusions
