"""Training rows that teach nothing or contradict each other: left out, or told."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterator, Sequence
from typing import TypeVar

from marketplace_ai.text.contradictions import shortened
from marketplace_ai.text.normalize import same_text_key
from marketplace_ai.text.reading_notes import tell
from marketplace_ai.text.table_error import TableError

from .row_files import Pair, ScoredPair, Triplet

AnyRow = Triplet | Pair | ScoredPair
Row = TypeVar("Row", bound=AnyRow)


def usable_rows(path: str, rows: Sequence[Row]) -> list[Row]:
    """The rows whose texts differ, apart from case, blanks and punctuation.

    Tells how many were left out, how many rows contradict others, and which text is in all rows.
    Raises TableError where no row is left, or where all scored pairs have one score: only the
    order of scores is learned.
    """
    found = [row for row in rows if _all_differ(row)]
    left_out = [row for row in rows if not _all_differ(row)]
    if not found:
        raise TableError(
            f"{path}: every row has one text twice, as {_first(left_out)}, so nothing can be "
            "learned or measured. Give rows of texts that differ."
        )
    if left_out:
        tell(
            f"{path}: {len(left_out):,} of {len(rows):,} rows are left out, since they have one "
            f"text twice; the first is {_first(left_out)}."
        )
    scores = {row.score for row in found if isinstance(row, ScoredPair)}
    if len(scores) == 1:
        raise TableError(
            f"{path}: all rows have the score {scores.pop():g}, and only the order of scores is "
            "learned. Add pairs of other scores, or leave the file out."
        )
    _tell_contradictions(path, found)
    _tell_text_in_all(path, found)
    return found


def row_texts(row: AnyRow) -> tuple[str, ...]:
    """The two or three texts of a row."""
    return tuple(str(text) for text in row[: _num_texts(row)])


def _all_differ(row: AnyRow) -> bool:
    return len(set(map(same_text_key, row_texts(row)))) == _num_texts(row)


def _num_texts(row: AnyRow) -> int:
    return 3 if isinstance(row, Triplet) else 2


def _first(rows: Sequence[Row]) -> str:
    counts = Counter(map(same_text_key, row_texts(rows[0])))
    twice = next(text for text in row_texts(rows[0]) if counts[same_text_key(text)] > 1)
    return repr(shortened(twice))


def _claims(row: AnyRow) -> Iterator[tuple[tuple[str, str], Hashable]]:
    """What a row says of two texts each."""
    if isinstance(row, Triplet):
        yield (row.anchor, row.positive), "positive"
        yield (row.anchor, row.negative), "negative"
    elif isinstance(row, Pair):
        yield (row.anchor, row.positive), row.category
    else:
        yield (row.sentence1, row.sentence2), row.score


def _tell_contradictions(path: str, rows: Sequence[Row]) -> None:
    said: dict[frozenset[str], set[Hashable]] = defaultdict(set)
    texts: dict[frozenset[str], tuple[str, str]] = {}
    for row in rows:
        for both, claim in _claims(row):
            key = frozenset(map(same_text_key, both))
            said[key].add(claim)
            texts.setdefault(key, both)
    against = [key for key, claims in said.items() if len(claims) > 1]
    if against:
        one, other = map(shortened, texts[against[0]])
        claims = ", ".join(sorted(map(str, said[against[0]])))
        tell(
            f"{path}: {len(against):,} times rows contradict each other about two texts; the first "
            f"are {one!r} and {other!r}: {claims}. Correct the wrong ones."
        )


def _tell_text_in_all(path: str, rows: Sequence[Row]) -> None:
    if len(rows) == 1:
        tell(f"{path}: there is only one row.")
        return
    counts = Counter(text for row in rows for text in set(map(same_text_key, row_texts(row))))
    [(key, count)] = counts.most_common(1)
    if count == len(rows):
        text = next(text for text in row_texts(rows[0]) if same_text_key(text) == key)
        tell(f"{path}: {shortened(text)!r} is in all {count:,} rows, which teach little.")
