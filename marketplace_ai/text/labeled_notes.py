"""What is told about labeled rows that contradict each other, or say the same again and again."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from marketplace_ai.text.category_cells import NONE
from marketplace_ai.text.contradictions import (
    contradiction_sentence,
    find_contradictions,
    shortened,
)
from marketplace_ai.text.normalize import same_text_key
from marketplace_ai.text.reading_notes import tell

#: Rows for each different text from which on the repeats are told.
_ROWS_A_TEXT = 2


def tell_notes(
    path: str,
    texts: Sequence[str],
    labels: Sequence[Collection[str]],
    places: Iterable[object],
) -> None:
    """Tell what is odd about the labeled rows of a file; ``labels`` are empty for "fits none"."""
    if found := find_contradictions(texts, labels, places):
        tell(contradiction_sentence(path, found, "Correct the wrong ones, or remove the text."))
    if len(texts) == 1:
        tell(f"{path}: there is only one row.")
        return
    distinct = len(set(map(same_text_key, texts)))
    if distinct == 1:
        tell(f"{path}: all {len(texts):,} rows have one text, {shortened(texts[0])!r}.")
    elif distinct * _ROWS_A_TEXT <= len(texts):
        tell(f"{path}: the {len(texts):,} rows have only {distinct:,} different texts.")
    if len(set(map(frozenset, labels))) == 1:
        label = "|".join(labels[0]) or NONE
        tell(
            f"{path}: all {len(labels):,} rows have one label, {label!r}: there is nothing to tell "
            "apart."
        )
