"""Texts that are labeled in several ways: no classifier can get all of these labels right."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from marketplace_ai.text.category_cells import NONE
from marketplace_ai.text.normalize import one_line, same_text_key

_MAX_SHOWN = 60
_MAX_LABELS = 3

#: Where a row stands, and the labels that it takes for right (none: it fits no category).
Labeled = tuple[str, Collection[str]]


@dataclass(frozen=True, slots=True)
class Contradiction:
    """A text, and the rows that have no label in common."""

    text: str
    rows: Sequence[Labeled]

    def __str__(self) -> str:
        by_label: dict[str, str] = {}
        for place, labels in self.rows:
            by_label.setdefault("|".join(labels) or NONE, place)
        rows = [f"{label} ({place})" for label, place in by_label.items()]
        more = f" and {len(rows) - _MAX_LABELS} more" if len(rows) > _MAX_LABELS else ""
        return f"{shortened(self.text)!r} is {', '.join(rows[:_MAX_LABELS])}{more}"


def find_contradictions(
    texts: Iterable[str], labels: Iterable[Collection[str]], places: Iterable[object]
) -> list[Contradiction]:
    """The texts whose rows have no label in common, in the order of their first rows.

    Texts that differ only in case, blanks and punctuation are one.
    """
    groups: dict[Hashable, list[tuple[str, Labeled]]] = {}
    for text, right, place in zip(texts, labels, places, strict=True):
        groups.setdefault(same_text_key(text), []).append((text, (str(place), right)))
    return [
        Contradiction(rows[0][0], [row for _, row in rows])
        for rows in groups.values()
        if len(rows) > 1 and not _common(right for _, (_, right) in rows)
    ]


def contradiction_sentence(path: str, found: Sequence[Contradiction], consequence: str) -> str:
    """How many there are, the first of them, and what it means."""
    many = "1 text has" if len(found) == 1 else f"{len(found):,} texts have"
    first = "" if len(found) == 1 else "the first: "
    return f"{path}: {many} several labels; {first}{found[0]}. {consequence}"


def shortened(text: str) -> str:
    """A text on one line, for a message."""
    line = one_line(text)
    return line if len(line) <= _MAX_SHOWN else f"{line[: _MAX_SHOWN - 1]}…"


def _common(rows: Iterator[Collection[str]]) -> set[str]:
    """The labels that all rows have; a row that fits no category has the label ``none``."""
    return set.intersection(*(set(labels) or {NONE} for labels in rows))
