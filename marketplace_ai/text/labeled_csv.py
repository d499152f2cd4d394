"""Labeled rows from CSV files, checked before anything is encoded."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from marketplace_ai.scrub import scrub
from marketplace_ai.text.category_cells import NONE, category_cells
from marketplace_ai.text.contradictions import Contradiction, find_contradictions
from marketplace_ai.text.csv_files import Row, TableError, read_csv
from marketplace_ai.text.family_cells import FAMILY, family_cells
from marketplace_ai.text.labeled_notes import tell_notes
from marketplace_ai.text.normalize import is_blank, normalize
from marketplace_ai.text.parents import Parents, parent_column

_MAX_VALUES_NAMED = 12


@dataclass(frozen=True, slots=True)
class Filter:
    """Keep the rows whose ``column`` holds exactly ``value``."""

    column: str
    value: str

    @classmethod
    def parse(cls, text: str) -> Filter:
        """From ``COLUMN=VALUE``; ValueError for anything else."""
        column, sign, value = text.partition("=")
        if not column.strip() or not sign:
            raise ValueError(f"{text!r} is no filter: write COLUMN=VALUE, as split=test.")
        return cls(column.strip(), value.strip())


@dataclass(frozen=True, eq=False)
class LabeledRows:
    """n labeled rows of one file.

    ``answers``: the right categories of each, empty where the text fits none; ``kinds`` the
    column kind, None where there is none; ``parents`` what the column parent says of each
    category; ``lines`` where each row ends in the file. ``families`` is the column family, "" where
    a row's is unknown, and empty where all are.
    """

    path: str
    lines: Sequence[int]
    texts: Sequence[str]
    true_labels: Sequence[tuple[str, ...]]
    kinds: Sequence[str] | None
    parents: Parents
    families: Sequence[str] = ()

    def __len__(self) -> int:
        return len(self.texts)

    @property
    def labels(self) -> list[str | None]:
        """The first label of each row; None: fits no category."""
        return [answers[0] if answers else None for answers in self.true_labels]

    @property
    def num_multi_label(self) -> int:
        """How many rows have more than one label."""
        return sum(len(answers) > 1 for answers in self.true_labels)

    def contradictions(self) -> list[Contradiction]:
        """The texts that are labeled in several ways."""
        places = (f"line {line}" for line in self.lines)
        return find_contradictions(self.texts, self.true_labels, places)

    def take(self, numbers: Iterable[int]) -> LabeledRows:
        """The rows with these numbers, in this order."""
        kept = list(numbers)
        return LabeledRows(
            self.path,
            [self.lines[i] for i in kept],
            [self.texts[i] for i in kept],
            [self.true_labels[i] for i in kept],
            None if self.kinds is None else [self.kinds[i] for i in kept],
            self.parents,
            [self.families[i] for i in kept] if self.families else (),
        )


def prepared(text: str) -> str:
    """A text as the adapter that is shipped would have it encoded."""
    return normalize(scrub(normalize(text)))


def read_rows(
    path: str,
    where: Filter | None = None,
    *,
    for_fitting: bool = False,
    known: Collection[str] = (),
    prepared: Callable[[str], str] = prepared,
) -> LabeledRows:
    """Rows of a CSV file with ``text`` (or ``title``, ``description``) and ``category``.

    ``for_fitting``: the rows will be fitted on, so a text of a category must say something.
    ``known`` are the keys of a catalog, categories whatever they look like. ``prepared`` makes of a
    text what a worker would encode of it. Raises TableError that names file and line, and the cure.
    """
    wanted = ("category",) if where is None else ("category", where.column)
    table = read_csv(
        path,
        tuple(dict.fromkeys(wanted)),
        ("text", "title", "description", "parent", "kind", FAMILY),
    )
    if not table:
        raise TableError(f"{path}: there is no row below the header.")
    columns = table[0].values
    if "text" not in columns and "title" not in columns:
        raise TableError(f"{path}: it needs a column text, or title and description.")
    kept = table if where is None else _matching(path, table, where)
    texts = [prepared(_text(row)) for row in kept]
    answers = [() if named == (NONE,) else named for named in category_cells(path, kept, known)]
    for row, text, right in zip(kept, texts, answers, strict=True):
        if for_fitting and (not text or (right and is_blank(text))):
            raise TableError(
                f"{path}, line {row.line}: the text has no letter and no digit, so nothing can be "
                "learnt from it. Correct or remove the row."
            )
    rows = LabeledRows(
        path,
        [row.line for row in kept],
        texts,
        answers,
        [row["kind"] for row in kept] if "kind" in columns else None,
        parent_column(path, kept, answers) if "parent" in columns else {},
        family_cells(path, kept),
    )
    tell_notes(path, texts, answers, (f"line {line}" for line in rows.lines))
    return rows


def sample_shots(rows: LabeledRows, shots: int, seed: int) -> LabeledRows:
    """``shots`` rows of each category (and of ``none``), drawn at random, in the file's order.

    Families are drawn first, each with the same probability, and then a row of each; a second row
    of a family only where a category has no more families. A category with fewer rows keeps all.
    The draw hangs on the rows, ``shots`` and ``seed`` alone.
    """
    random = np.random.default_rng(seed)
    members: dict[str, list[int]] = {}
    for number, label in enumerate(rows.labels):
        members.setdefault(label or "", []).append(number)
    drawn: list[int] = []
    for label in sorted(members):
        numbers = members[label]
        size = min(shots, len(numbers))
        if rows.families:
            drawn += _families_first(numbers, rows.families, random)[:size]
        else:
            drawn += random.choice(numbers, size=size, replace=False).tolist()
    return rows.take(sorted(drawn))


def _families_first(
    numbers: Sequence[int], families: Sequence[str], random: np.random.Generator
) -> list[int]:
    """The row numbers in random order: a row of each family, then a second one of each, ..."""
    by_family: dict[str | int, list[int]] = {}
    for number in numbers:
        by_family.setdefault(families[number] or number, []).append(number)
    shuffled = [random.permutation(rows).tolist() for rows in by_family.values()]
    turns = [
        (turn, number)
        for place in random.permutation(len(shuffled))
        for turn, number in enumerate(shuffled[place])
    ]
    return [number for _, number in sorted(turns, key=lambda each: each[0])]


def _matching(path: str, table: list[Row], where: Filter) -> list[Row]:
    kept = [row for row in table if row[where.column] == where.value]
    if not kept:
        values = sorted({row[where.column] for row in table})
        more = (
            f" and {len(values) - _MAX_VALUES_NAMED} more"
            if len(values) > _MAX_VALUES_NAMED
            else ""
        )
        raise TableError(
            f"{path}: no row has {where.column}={where.value}. The values of {where.column} are "
            f"{', '.join(value or '(empty)' for value in values[:_MAX_VALUES_NAMED])}{more}."
        )
    return kept


def _text(row: Row) -> str:
    if "text" in row.values:
        return row["text"]
    return f"{row['title']}\n{row.values.get('description', '')}"
