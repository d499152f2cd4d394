"""Labeled rows from CSV files, checked before anything is encoded."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np

from marketplace_ai.scrub import scrub
from marketplace_ai.text.bad_rows import NOTHING_LEFT_OUT, BadRows, LeftOut
from marketplace_ai.text.category_cells import NONE, category_cells
from marketplace_ai.text.circles import Parents
from marketplace_ai.text.contradictions import Contradiction, find_contradictions
from marketplace_ai.text.csv_files import Row, TableError, read_csv
from marketplace_ai.text.date_cells import DATE, date_cells
from marketplace_ai.text.family_cells import FAMILY, family_cells
from marketplace_ai.text.labeled_notes import tell_notes
from marketplace_ai.text.normalize import normalize
from marketplace_ai.text.parents import check_categories, parent_column
from marketplace_ai.text.row_texts import text_to_decide, text_to_learn, written_text

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
    """n labeled rows of one file, or the project's own postings.

    ``true_labels``: the right categories of each, empty where the text fits none; ``kinds`` the
    column kind, None where there is none; ``parents`` what the column parent says of each
    category; ``lines`` where each row ends in the file, or the posting's key. ``families`` is the
    column family, "" where a row's is unknown, and empty where all are. ``dates`` say when each
    came in (None: unknown), and are empty where nobody asked for them or the file has none.
    ``left_out`` has the file's other rows.
    """

    path: str
    lines: Sequence[Any]
    texts: Sequence[str]
    true_labels: Sequence[tuple[str, ...]]
    kinds: Sequence[str] | None
    parents: Parents
    families: Sequence[str] = ()
    left_out: LeftOut = NOTHING_LEFT_OUT
    dates: Sequence[datetime | None] = ()

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
        places = (f"{self.left_out.unit} {line}" for line in self.lines)
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
            self.left_out,
            [self.dates[i] for i in kept] if self.dates else (),
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
    catalog: str | None = None,
    prepared: Callable[[str], str] = prepared,
    before: Sequence[LabeledRows] = (),
    skip_bad: bool = False,
    date_column: str | None = None,
) -> LabeledRows:
    """Rows of a CSV file with ``text`` (or ``title``, ``description``) and ``category``.

    Parameters:
        for_fitting: the rows will be fitted on, so a text must say something: one that is nothing
            after scrubbing is left out, and an empty one is a bad row.
        known: the keys of a catalog, categories whatever they look like.
        catalog: the file that must have every category; None: any category is taken.
        prepared: makes of a text what a worker would encode of it.
        before: files that were read before, whose parents this one must not contradict.
        skip_bad: leave bad rows out (``left_out`` has them) instead of refusing the file.
        date_column: the column with the dates, which the file must have unless it is ``date``;
            None: dates are not read.

    Raises TableError that names the file, all bad lines and the cure.
    """
    named = [where.column] if where else []
    named += [date_column] if date_column and date_column != DATE else []
    bad = BadRows(path, skip_bad)
    table = read_csv(
        path,
        tuple(dict.fromkeys(["category", *named])),
        ("text", "title", "description", "parent", "kind", FAMILY, DATE),
        bad,
    )
    if not table:
        bad.check()
        raise TableError(f"{path}: there is no row below the header.")
    columns = table[0].values
    if "text" not in columns and "title" not in columns:
        raise TableError(f"{path}: it needs a column text, or title and description.")
    kept = table if where is None else _matching(path, table, where)
    bad.total = len(kept) + len(bad.reasons)
    labeled = category_cells(bad, kept, known)
    if catalog is not None:
        check_categories(bad, labeled, known, catalog)
    parents = parent_column(bad, labeled, before) if "parent" in columns else {}
    read_text = text_to_learn if for_fitting else text_to_decide
    found = [
        (row, text, () if labels == (NONE,) else labels)
        for row, labels in labeled
        if row.line not in bad
        and (text := read_text(bad, row, lambda row: prepared(written_text(row)))) is not None
    ]
    families = family_cells(bad, [row for row, _, _ in found])
    dates: dict[int, datetime | None] = {}
    if date_column in columns:
        dates = date_cells(bad, [row for row, _, _ in found], date_column)
    left_out = bad.check()
    found = [each for each in found if each[0].line not in bad]
    if not found:
        raise TableError(f"{path}: no row is left that something could be learned from.")
    names = [families[row.line] for row, _, _ in found]
    rows = LabeledRows(
        path,
        [row.line for row, _, _ in found],
        [text for _, text, _ in found],
        [labels for _, _, labels in found],
        [row["kind"] for row, _, _ in found] if "kind" in columns else None,
        parents,
        names if any(names) else [],
        left_out,
        [dates[row.line] for row, _, _ in found] if dates else (),
    )
    tell_notes(path, rows.texts, rows.true_labels, (f"line {line}" for line in rows.lines))
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
