"""Texts that an import gives another label than a row beside them, or an exemplar there is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from marketplace_ai.imports.common import categories_by_key
from marketplace_ai.models import Exemplar, ExemplarSource, ExemplarState
from marketplace_ai.text.contradictions import (
    Contradiction,
    contradiction_sentence,
    find_contradictions,
)
from marketplace_ai.text.normalize import NAME_SEPARATOR, same_text_key
from marketplace_ai.text.reading_notes import tell

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

#: What it means that exemplars contradict each other, and what to do.
CURE = "Each row votes for its own label: quarantine or correct the wrong ones."

#: Text, the key of its category (None: fits no category), and where it stands.
ImportedText = tuple[str, str | None, str]


def tell_contradictions(source: str, rows: Iterable[ImportedText]) -> int:
    """Tell of imported texts with several labels, counting those that exemplars have already.

    Returns the number of such texts.
    """
    rows = list(rows)
    keys = {same_text_key(text) for text, _, _ in rows}
    both = [*rows, *(row for row in _stored() if same_text_key(row[0]) in keys)]
    found = find_contradictions(*_columns([*both, *_described(keys)]))
    if found:
        tell(contradiction_sentence(source, found, CURE))
    return len(found)


def tell_other_labels(path: str, rows: Sequence[ImportedText]) -> None:
    """Tell of the labeled postings of a file that exemplars give another label.

    What the file itself contradicts was told when it was read.
    """
    alone = {same_text_key(each.text) for each in find_contradictions(*_columns(rows))}
    keys = {same_text_key(text) for text, _, _ in rows} - alone
    votes = [row for row in _stored() if same_text_key(row[0]) in keys]
    found = find_contradictions(
        *_columns([*(row for row in rows if same_text_key(row[0]) in keys), *votes])
    )
    among = {same_text_key(each.text) for each in find_contradictions(*_columns(votes))}
    if found := [each for each in found if same_text_key(each.text) not in among]:
        tell(contradiction_sentence(path, found, "Exemplars vote otherwise: correct one of them."))


def stored_contradictions(newest: int | None = None) -> list[Contradiction]:
    """The texts of active exemplars that have several labels; of the ``newest`` only, if given.

    A category's description, and each of its names, has the label of that category.
    """
    rows = list(_stored(newest))
    keys = {same_text_key(text) for text, _, _ in rows}
    return find_contradictions(*_columns([*rows, *_described(keys)]))


def _stored(newest: int | None = None) -> Iterator[ImportedText]:
    keys = {category.pk: key for key, category in categories_by_key().items()}
    exemplars = Exemplar.objects.filter(state=ExemplarState.ACTIVE)
    rows = exemplars.exclude(source=ExemplarSource.DESCRIPTION).order_by("-pk")
    for pk, text, category in rows.values_list("pk", "text", "category_id")[:newest].iterator():
        yield text, keys.get(category), f"exemplar {pk}"


def _described(keys: Collection[str]) -> Iterator[ImportedText]:
    """What descriptions say of texts with these keys: of the whole, and of each name in it."""
    categories = {category.pk: key for key, category in categories_by_key().items()}
    rows = Exemplar.objects.filter(
        state=ExemplarState.ACTIVE, source=ExemplarSource.DESCRIPTION, category__isnull=False
    )
    whole: dict[Any, str] = {}  # a description's other texts are parts of it
    for text, category in rows.values_list("text", "category_id").iterator():
        whole[category] = max(whole.get(category, ""), text, key=len)
    for category, text in whole.items():
        key = categories.get(category)
        names = text.partition("\n")[0].split(NAME_SEPARATOR)
        for said in dict.fromkeys((text, *names)):
            if key is not None and same_text_key(said) in keys:
                yield said, key, f"the description of {key}"


def _columns(
    rows: Sequence[ImportedText],
) -> tuple[list[str], list[tuple[str, ...]], list[str]]:
    return (
        [text for text, _, _ in rows],
        [() if key is None else (key,) for _, key, _ in rows],
        [place for _, _, place in rows],
    )
