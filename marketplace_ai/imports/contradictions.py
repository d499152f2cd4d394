"""Texts that an import gives another label than a row beside them, or an exemplar there is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from marketplace_ai.imports.common import categories_by_key
from marketplace_ai.models import Exemplar, ExemplarSource, ExemplarState
from marketplace_ai.text.contradictions import (
    Contradiction,
    contradiction_sentence,
    find_contradictions,
)
from marketplace_ai.text.normalize import same_text_key
from marketplace_ai.text.reading_notes import tell

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

#: What it means that exemplars contradict each other, and what to do.
CURE = "Each row votes for its own label: quarantine or correct the wrong ones."

#: Text, the key of its category (None: fits no category), and where it stands.
ImportedText = tuple[str, str | None, str]


def tell_contradictions(source: str, rows: Iterable[ImportedText]) -> None:
    """Tell of imported texts with several labels, counting those that exemplars have already."""
    rows = list(rows)
    keys = {same_text_key(text) for text, _, _ in rows}
    both = [*rows, *(row for row in _stored() if same_text_key(row[0]) in keys)]
    found = find_contradictions(*_columns(both))
    if found:
        tell(contradiction_sentence(source, found, CURE))


def stored_contradictions(newest: int | None = None) -> list[Contradiction]:
    """The texts of active exemplars that have several labels; of the ``newest`` only, if given."""
    return find_contradictions(*_columns(list(_stored(newest))))


def _stored(newest: int | None = None) -> Iterator[ImportedText]:
    keys = {category.pk: key for key, category in categories_by_key().items()}
    exemplars = Exemplar.objects.filter(state=ExemplarState.ACTIVE)
    rows = exemplars.exclude(source=ExemplarSource.DESCRIPTION).order_by("-pk")
    for pk, text, category in rows.values_list("pk", "text", "category_id")[:newest].iterator():
        yield text, keys.get(category), f"exemplar {pk}"


def _columns(
    rows: Sequence[ImportedText],
) -> tuple[list[str], list[tuple[str, ...]], list[str]]:
    return (
        [text for text, _, _ in rows],
        [() if key is None else (key,) for _, key, _ in rows],
        [place for _, _, place in rows],
    )
