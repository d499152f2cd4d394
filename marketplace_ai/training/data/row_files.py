"""Triplets, pairs and scored pairs: the rows that an encoder is trained on, and their files.

Files have one JSON object per line; triplets and pairs may also be CSV. Other programs may write
them too, so each row is checked, and an error names file and line. Unknown keys are ignored.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from marketplace_ai.text.bad_rows import BadRows
from marketplace_ai.text.category_cells import says_nothing
from marketplace_ai.text.csv_files import TableError, read_csv, read_text
from marketplace_ai.text.decoding import broken_byte
from marketplace_ai.text.normalize import is_blank, normalize

#: The files that ``mine_training_data`` writes.
TRIPLETS_FILE, PAIRS_FILE, SCORED_FILE = "triplets.jsonl", "pairs.jsonl", "scored.jsonl"
TEST_TRIPLETS_FILE = "test_triplets.jsonl"

#: Files that are tables, as ``read_csv`` reads them; others have JSON lines.
_TABLES = (".csv", ".tsv", ".xlsx")
_MAX_SHOWN = 40

AnyRow = TypeVar("AnyRow")


class Triplet(NamedTuple):
    """``positive`` means the same as ``anchor``, ``negative`` does not."""

    anchor: str
    positive: str
    negative: str
    #: Of anchor and positive, if the file has it.
    category: str | None = None


class Pair(NamedTuple):
    """Two texts that mean the same.

    Pairs of the same ``category`` (None: not in the file) are not negatives of each other.
    """

    anchor: str
    positive: str
    category: str | None = None


class ScoredPair(NamedTuple):
    """The similarity of two texts: a ``score`` from 0 (nothing in common) to 1 (the same)."""

    sentence1: str
    sentence2: str
    score: float


def read_triplets(path: str | Path, *, skip_bad: bool = False) -> list[Triplet]:
    """Read rows of ``{"anchor", "positive", "negative"}``.

    Rows with a text that is nothing to go by are left out and told; with ``skip_bad`` so are those
    that cannot be used, else TableError names all of them. As by the other readers here.
    """
    return _read(
        BadRows(str(path), skip_bad),
        lambda bad: _lines(path, ("anchor", "positive", "negative"), bad),
        lambda line: Triplet(
            line.text("anchor"), line.text("positive"), line.text("negative"), line.category()
        ),
    )


def read_pairs(path: str | Path, *, skip_bad: bool = False) -> list[Pair]:
    """Read rows of ``{"anchor", "positive"}``."""
    return _read(
        BadRows(str(path), skip_bad),
        lambda bad: _lines(path, ("anchor", "positive"), bad),
        lambda line: Pair(line.text("anchor"), line.text("positive"), line.category()),
    )


def read_scored(path: str | Path, *, skip_bad: bool = False) -> list[ScoredPair]:
    """Read rows of ``{"sentence1", "sentence2", "score"}``."""
    return _read(
        BadRows(str(path), skip_bad),
        lambda bad: _json_lines(path, bad),
        lambda line: ScoredPair(line.text("sentence1"), line.text("sentence2"), line.score()),
    )


def write(path: Path, rows: Iterable[Triplet | Pair | ScoredPair]) -> None:
    """Write one JSON object per line, as the functions above read them, without None."""
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for row in rows:
            values = {key: value for key, value in row._asdict().items() if value is not None}
            file.write(json.dumps(values, ensure_ascii=False) + "\n")


class _BadLineError(ValueError):
    """What is wrong with a line, and the cure."""


class _NothingToGoBy(Exception):  # noqa: N818 (no error: the row is left out)
    """A text of a row is nothing to go by."""


def _read(
    bad: BadRows, read: Callable[[BadRows], list[_Line]], make: Callable[[_Line], AnyRow]
) -> list[AnyRow]:
    lines = read(bad)
    bad.total = len(lines) + len(bad.reasons)
    rows = []
    for line in lines:
        try:
            rows.append(make(line))
        except _BadLineError as error:
            bad.add(line.number, str(error))
        except _NothingToGoBy:
            bad.blank.append(line.number)
    bad.check()
    if not rows:
        raise TableError(f"{bad.source}: no row is left that something could be learned from.")
    return rows


@dataclass(frozen=True, slots=True)
class _Line:
    number: int
    values: dict[str, Any]

    def text(self, key: str) -> str:
        value = self._value(key)
        if not isinstance(value, str):
            raise self._error(f"{key!r} must be a text in quotes, not {_short(value)}")
        try:
            value.encode()
        except UnicodeEncodeError:
            raise self._error(f"the text of {key!r} has half a character (\\ud800)") from None
        if not normalize(value):
            raise self._error(f"the text of {key!r} is empty")
        if is_blank(value):
            raise _NothingToGoBy
        return value

    def score(self) -> float:
        value = self._value("score")
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self._error(f"'score' must be a number from 0 to 1, not {_short(value)}")
        if not 0 <= value <= 1:
            raise self._error(f"'score' must lie between 0 and 1, not at {value}")
        return float(value)

    def category(self) -> str | None:
        value = self.values.get("category")
        if value is not None and not isinstance(value, str):
            raise self._error(f"'category' must be a text in quotes, not {_short(value)}")
        return value or None

    def _value(self, key: str) -> Any:
        if key not in self.values:
            keys = ", ".join(map(repr, self.values)) or "nothing"
            raise self._error(f"the key {key!r} is missing; the line has {keys}")
        return self.values[key]

    def _error(self, problem: str) -> _BadLineError:
        return _BadLineError(f"{problem}. Correct or remove it.")


def _lines(path: str | Path, columns: tuple[str, ...], bad: BadRows) -> list[_Line]:
    if Path(path).suffix.lower() not in _TABLES:
        return _json_lines(path, bad)
    rows = read_csv(path, columns, ("category",), bad)
    if not rows and not bad.reasons:
        raise TableError(f"{path}: there is no row below the header.")
    return [_Line(row.line, _with_null(row.values)) for row in rows]


def _with_null(values: dict[str, str]) -> dict[str, Any]:
    """The cells of a table, which has no other way to say null than a placeholder."""
    return {
        name: None if name == "category" and says_nothing(cell) else cell
        for name, cell in values.items()
    }


def _json_lines(path: str | Path, bad: BadRows) -> list[_Line]:
    lines = []
    # Not splitlines(): a text may contain a line separator that is none in JSON.
    for number, line in enumerate(read_text(Path(path)).split("\n"), start=1):
        if not line.strip():
            continue
        if problem := broken_byte(line):
            bad.add(number, problem)
            continue
        try:
            values = json.loads(line)
        except (ValueError, RecursionError):
            values = None
        if not isinstance(values, dict):
            bad.add(number, f"not a JSON object, which every line must be: {_short(line)}.")
        else:
            lines.append(_Line(number, values))
    if not lines and not bad.reasons:
        raise TableError(f"{path}: the file is empty. It must have one JSON object per line.")
    return lines


def _short(value: Any) -> str:
    text = value.strip() if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _MAX_SHOWN else text[: _MAX_SHOWN - 1] + "…"
