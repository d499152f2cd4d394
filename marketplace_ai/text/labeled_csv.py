"""Labeled rows from CSV files, checked before anything is encoded."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from marketplace_ai.scrub import scrub
from marketplace_ai.text.csv_files import Row, TableError, read_csv
from marketplace_ai.text.normalize import is_blank, normalize

#: The category of a text that fits no category, in files.
NONE = "none"
#: Separates several labels of one row.
LABEL_SEPARATOR = "|"
_MAX_VALUES_NAMED = 12

Parents = Mapping[str, str | None]


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
    category; ``lines`` where each row ends in the file.
    """

    path: str
    lines: Sequence[int]
    texts: Sequence[str]
    true_labels: Sequence[tuple[str, ...]]
    kinds: Sequence[str] | None
    parents: Parents

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
        )


def prepared(text: str) -> str:
    """A text as the adapter that is shipped would have it encoded."""
    return normalize(scrub(normalize(text)))


def read_rows(
    path: str,
    where: Filter | None = None,
    *,
    for_fitting: bool = False,
    prepared: Callable[[str], str] = prepared,
) -> LabeledRows:
    """Rows of a CSV file with ``text`` (or ``title``, ``description``) and ``category``.

    ``for_fitting``: the rows will be fitted on, so a text of a category must say something.
    ``prepared`` makes of a text what a worker would encode of it.
    Raises TableError that names file and line, and the cure.
    """
    wanted = ("category",) if where is None else ("category", where.column)
    table = read_csv(
        path, tuple(dict.fromkeys(wanted)), ("text", "title", "description", "parent", "kind")
    )
    if not table:
        raise TableError(f"{path}: there is no row below the header.")
    columns = table[0].values
    if "text" not in columns and "title" not in columns:
        raise TableError(f"{path}: it needs a column text, or title and description.")
    kept = table if where is None else _matching(path, table, where)
    texts = [prepared(_text(row)) for row in kept]
    answers = [_labels(path, row) for row in kept]
    for row, text, right in zip(kept, texts, answers, strict=True):
        if for_fitting and (not text or (right and is_blank(text))):
            raise TableError(
                f"{path}, line {row.line}: the text has no letter and no digit, so nothing can be "
                "learnt from it. Correct or remove the row."
            )
    return LabeledRows(
        path,
        [row.line for row in kept],
        texts,
        answers,
        [row["kind"] for row in kept] if "kind" in columns else None,
        _parent_column(path, kept, answers) if "parent" in columns else {},
    )


def sample_shots(rows: LabeledRows, shots: int, seed: int) -> LabeledRows:
    """``shots`` rows of each category (and of ``none``), drawn at random, in the file's order.

    A category with fewer keeps all. The draw hangs on the rows, ``shots`` and ``seed`` alone.
    """
    random = np.random.default_rng(seed)
    members: dict[str, list[int]] = {}
    for number, label in enumerate(rows.labels):
        members.setdefault(label or "", []).append(number)
    drawn: list[int] = []
    for label in sorted(members):
        numbers = members[label]
        size = min(shots, len(numbers))
        drawn += random.choice(numbers, size=size, replace=False).tolist()
    return rows.take(sorted(drawn))


def read_catalog(path: str) -> dict[str, str | None]:
    """Each category's parent (None: at the top), from CSV ``slug,parent``."""
    parents: dict[str, str | None] = {}
    rows = read_csv(path, ("slug", "parent"))
    for row in rows:
        slug = row["slug"]
        if not slug or slug == NONE:
            raise TableError(
                f"{path}, line {row.line}: the slug is {slug or 'empty'!r}; 'none' is kept for "
                "texts that fit no category. Name the category."
            )
        if slug in parents:
            raise TableError(f"{path}, line {row.line}: the slug {slug!r} stands there twice.")
        parents[slug] = row["parent"] or None
    for row in rows:
        if row["parent"] and row["parent"] not in parents:
            raise TableError(
                f"{path}, line {row.line}: the parent {row['parent']!r} has no row of its own. "
                "Add one, or correct the name."
            )
    return parents


def check_categories(catalog: Parents, rows: LabeledRows, catalog_path: str) -> None:
    """Raise TableError for the first row whose category the catalogue does not have."""
    for line, answers in zip(rows.lines, rows.true_labels, strict=True):
        for label in answers:
            if label not in catalog:
                raise TableError(
                    f"{rows.path}, line {line}: the category {label!r} is not in "
                    f"{catalog_path}. Correct the row, or add the category there."
                )


def merge_parents(*files: LabeledRows) -> dict[str, str | None]:
    """What the files' parent columns say together; TableError where two of them disagree."""
    joined: dict[str, str | None] = {}
    said_by: dict[str, str] = {}
    for rows in files:
        for label, parent in rows.parents.items():
            if joined.setdefault(label, parent) != parent:
                raise TableError(
                    f"{rows.path}: the category {label!r} is under {parent!r} here and under "
                    f"{joined[label]!r} in {said_by[label]}. Make both agree, or give --catalog."
                )
            said_by.setdefault(label, rows.path)
    return joined


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


def _labels(path: str, row: Row) -> tuple[str, ...]:
    named = tuple(dict.fromkeys(part.strip() for part in row["category"].split(LABEL_SEPARATOR)))
    if "" in named:
        raise TableError(
            f"{path}, line {row.line}: the category is empty or has an empty part; write 'none' "
            f"for a text that fits no category, and '{LABEL_SEPARATOR}' only between two "
            "categories."
        )
    if NONE in named and len(named) > 1:
        raise TableError(
            f"{path}, line {row.line}: 'none' stands beside a category; a text fits none or it "
            "fits some. Keep one of both."
        )
    return () if named == (NONE,) else named


def _parent_column(path: str, kept: list[Row], answers: list[tuple[str, ...]]) -> Parents:
    parents: dict[str, str | None] = {}
    first_line: dict[str, int] = {}
    for row, labels in zip(kept, answers, strict=True):
        if not labels:
            continue
        cells = [part.strip() or None for part in row["parent"].split(LABEL_SEPARATOR)]
        if len(cells) == 1:  # one parent for all answers of the row
            cells *= len(labels)
        if len(cells) != len(labels):
            raise TableError(
                f"{path}, line {row.line}: {len(labels)} categories and {len(cells)} parents. "
                "Name one parent for all, or one for each."
            )
        for label, parent in zip(labels, cells, strict=True):
            if parents.setdefault(label, parent) != parent:
                raise TableError(
                    f"{path}, line {row.line}: the category {label!r} is under {parent!r} here "
                    f"and under {parents[label]!r} in line {first_line[label]}. Correct one."
                )
            first_line.setdefault(label, row.line)
    return parents
