"""The text of a row, as a worker would encode it, where there is something to learn from it."""

from __future__ import annotations

from collections.abc import Callable

from marketplace_ai.text.bad_rows import BadRows
from marketplace_ai.text.csv_files import Row
from marketplace_ai.text.normalize import is_blank, normalize


def written_text(row: Row) -> str:
    """What the row has in text, or in title and description."""
    if "text" in row.values:
        return row["text"]
    return f"{row['title']}\n{row.values.get('description', '')}"


def text_to_decide(bad: BadRows, row: Row, prepared: Callable[[Row], str]) -> str | None:
    """The prepared text, blank or not; None where preparing it fails, which is noted in ``bad``."""
    try:
        return prepared(row)
    except Exception as error:  # noqa: BLE001 (the project's own code)
        bad.add(
            row.line,
            f"the adapter's clean() fails on this text: {type(error).__name__}: {error}. Correct "
            "one of the two.",
        )
        return None


def text_to_learn(bad: BadRows, row: Row, prepared: Callable[[Row], str]) -> str | None:
    """The prepared text; None where nothing can be learned from it.

    A row without a text is bad; one whose text is nothing after scrubbing (an e-mail address
    alone, a web address, punctuation) is counted as blank, since no one made a mistake.
    """
    text = text_to_decide(bad, row, prepared)
    if text is None or not is_blank(text):
        return text
    if normalize(written_text(row)):
        bad.blank.append(row.line)
    else:
        bad.add(row.line, "the text is empty. Fill it in, or remove the row.")
    return None
