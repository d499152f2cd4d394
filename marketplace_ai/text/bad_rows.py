"""Rows of a file that cannot be used: all are found before one is told, and they can be skipped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from marketplace_ai.text.reading_notes import tell
from marketplace_ai.text.table_error import TableError

#: Reasons that a message names, and places for each.
MAX_NAMED = 20
#: The same for programs (``--json``).
MAX_LISTED = 1000
#: A reason may quote a cell, and a cell may be a megabyte.
MAX_REASON = 300


class _Numbered(Protocol):
    @property
    def line(self) -> int: ...


AnyRow = TypeVar("AnyRow", bound=_Numbered)


class BadRowsError(TableError):
    """Rows that cannot be used; the message names them. ``leaves_rows``: there are good ones, which
    are left if these are skipped."""

    def __init__(self, message: str, *, leaves_rows: bool = True) -> None:
        super().__init__(message)
        self.leaves_rows = leaves_rows


@dataclass(frozen=True, slots=True)
class LeftOut:
    """The rows of one source that were not taken, and why.

    Attributes:
        source: the file, as the user named it.
        total: how many rows it has.
        bad: place and reason of each row that was skipped because it cannot be used.
        blank: places of texts that are nothing after scrubbing, so that nothing can be learned.
        unit: what a place is: a line, or the key of a posting.
    """

    source: str = ""
    total: int = 0
    bad: Sequence[tuple[Any, str]] = ()
    blank: Sequence[Any] = ()
    unit: str = "line"

    def as_json(self) -> dict[str, Any]:
        """For ``--json``: the counts, and at most ``MAX_LISTED`` rows of each kind."""
        return {
            "rows": self.total,
            "bad": {
                "n": len(self.bad),
                f"{self.unit}s": [
                    {self.unit: place, "reason": reason} for place, reason in self.bad[:MAX_LISTED]
                ],
            },
            "blank": {"n": len(self.blank), f"{self.unit}s": list(self.blank[:MAX_LISTED])},
        }

    def tell(self) -> None:
        """Say how many were left out, where the first of them stand, and why."""
        if self.bad:
            tell(
                f"{self.source}: {len(self.bad):,} of {self.total:,} rows are skipped:\n"
                f"{_sentences(self.source, self.unit, self.bad, self.total)}"
            )
        if self.blank:
            tell(
                f"{self.source}: {len(self.blank):,} of {self.total:,} texts are left out: they "
                "are nothing to go by, without a letter or digit after scrubbing "
                f"({places(self.unit, self.blank)})."
            )


NOTHING_LEFT_OUT = LeftOut()


@dataclass(slots=True)
class BadRows:
    """Collects what is wrong with the rows of one source, one reason for each row.

    Attributes:
        skip: leave the bad rows out instead of refusing the file.
        total: how many rows the source has, good and bad.
        blank: places of texts that are nothing after scrubbing; they are always left out.
    """

    source: str
    skip: bool = False
    unit: str = "line"
    total: int = 0
    reasons: dict[Any, str] = field(default_factory=dict)
    blank: list[Any] = field(default_factory=list)

    def add(self, place: Any, reason: str) -> None:
        """Note what is wrong with a row, with its cure; the first reason of a row stays."""
        short = reason if len(reason) <= MAX_REASON else f"{reason[: MAX_REASON - 1]}…"
        self.reasons.setdefault(place, short)

    def __contains__(self, place: object) -> bool:
        return place in self.reasons

    def good(self, rows: Iterable[AnyRow]) -> list[AnyRow]:
        """The rows that nothing is wrong with so far."""
        return [row for row in rows if row.line not in self.reasons]

    def check(self) -> LeftOut:
        """What is left out, which is told too.

        Raises BadRowsError that names all bad rows at once, unless they are skipped and a good
        one is left.
        """
        bad = sorted(self.reasons.items(), key=lambda item: _order(item[0]))
        if bad and (not self.skip or len(bad) >= self.total):
            raise BadRowsError(
                _sentences(self.source, self.unit, bad, self.total),
                leaves_rows=len(bad) < self.total,
            )
        found = LeftOut(self.source, self.total, bad, self.blank, self.unit)
        found.tell()
        return found


def places(unit: str, numbers: Sequence[Any]) -> str:
    """The first places, and how many more there are.

    >>> places("line", [3]), places("line", [3, 8])
    ('line 3', 'lines 3, 8')
    """
    more = f" and {len(numbers) - MAX_NAMED:,} more" if len(numbers) > MAX_NAMED else ""
    plural = "" if len(numbers) == 1 else "s"
    return f"{unit}{plural} {', '.join(map(str, numbers[:MAX_NAMED]))}{more}"


def _sentences(source: str, unit: str, bad: Sequence[tuple[Any, str]], total: int) -> str:
    """One line for each reason, with the place of its first row and those of the others."""
    by_reason: dict[str, list[Any]] = {}
    for place, reason in bad:
        by_reason.setdefault(reason, []).append(place)
    lines = []
    for reason, at in list(by_reason.items())[:MAX_NAMED]:
        rows = f" So in {len(at):,} of {total:,} rows: {places(unit, at)}." if len(at) > 1 else ""
        lines.append(f"{source}, {unit} {at[0]}: {reason}{rows}")
    if len(by_reason) > 1:
        named = sum(map(len, list(by_reason.values())[:MAX_NAMED]))
        more = f", {len(bad) - named:,} more than named here" if named < len(bad) else ""
        lines.append(f"{source}: {len(bad):,} of {total:,} rows cannot be used{more}.")
    return "\n".join(lines)


def _order(place: Any) -> tuple[bool, Any]:
    """Lines by number; keys of postings, which may be anything, by their text."""
    return (True, place) if isinstance(place, int) else (False, str(place))
