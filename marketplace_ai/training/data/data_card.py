"""What was mined, in words and figures, for whoever trains with it or asks what a model learnt."""

from __future__ import annotations

import html
from collections import Counter
from collections.abc import Iterator, Sequence

from marketplace_ai.text.normalize import one_line
from marketplace_ai.training.model.model_card import public_name

from .datasets import (
    PAIRS_FILE,
    SCORED_FILE,
    TEST_TRIPLETS_FILE,
    TRIPLETS_FILE,
    Pair,
    Scored,
    Triplet,
)
from .drawing import FAR, NEAR, SAME
from .mining import Mined

_SAMPLES = 3
_MOST_CONFUSED = 20
_SHOWN = 100

Rows = Sequence[Triplet] | Sequence[Pair] | Sequence[Scored]


def text(mined: Mined, *, seed: int, test_share: float, compared: int) -> str:
    """The card as Markdown; texts of other people stand in it as text, whatever they hold.

    ``compared`` texts were looked at for leaks, and none was found.
    """
    parts = [
        *_summary(mined, seed, test_share),
        *_file(
            TRIPLETS_FILE,
            ("anchor", "positive", "negative"),
            mined.triplets,
            "Anchor and positive are two texts of one category, never near-duplicates of each "
            "other. Of each category every second negative is of a category that it is confused "
            "with, drawn by how often (below); the others are of any other category alike. "
            "`category` is that of anchor and positive.",
        ),
        *_file(
            PAIRS_FILE,
            ("anchor", "positive"),
            mined.pairs,
            "Two texts of one category, each pair once, of the categories in turn. Pairs of the "
            "same `category` are no negatives of each other.",
        ),
        *_file(
            SCORED_FILE,
            ("sentence1", "sentence2", "score"),
            mined.scored,
            f"The score comes from the category tree: {SAME} for the same category, {NEAR} for "
            f"two under one parent, {FAR} for others; of each the same number. CoSENT learns "
            "their order alone, not their size.",
        ),
        *_file(
            TEST_TRIPLETS_FILE,
            ("anchor", "positive", "negative"),
            mined.test_triplets,
            "All three texts are held out; the negatives are drawn evenly over the other "
            "categories. Never learn from these.",
        ),
        *_split(mined, test_share, compared),
        *_confused(mined),
        *_small(mined),
    ]
    return "\n".join(parts) + "\n"


def _summary(mined: Mined, seed: int, test_share: float) -> Iterator[str]:
    rows = mined.rows
    categories = set(rows.labels) - {None}
    source = _shown(public_name(rows.source))
    yield "# Training data for an encoder"
    yield ""
    yield (
        f"Mined by `mine_training_data` from {source}: {len(rows):,} texts that "
        f"people labelled, of {len(categories):,} categories. {rows.labels.count(None):,} of the "
        "texts fit no category: they are negatives only."
    )
    yield ""
    yield f"- seed: {seed}, held-out share: {test_share}"
    yield f"- SHA-256 of the texts and their labels: `{rows.sha256}`"
    if rows.left_out:
        yield f"- left out: {rows.left_out:,} texts with several answers"
    for note in mined.notes:
        yield f"- {note}"
    yield ""
    yield "| file | rows |"
    yield "|---|---|"
    for name, found in (
        (TRIPLETS_FILE, mined.triplets),
        (PAIRS_FILE, mined.pairs),
        (SCORED_FILE, mined.scored),
        (TEST_TRIPLETS_FILE, mined.test_triplets),
    ):
        yield f"| `{name}` | {len(found):,} |"
    yield ""


def _file(name: str, columns: Sequence[str], rows: Rows, how: str) -> Iterator[str]:
    yield f"## {name}"
    yield ""
    yield how
    yield ""
    if not rows:
        return
    yield f"|  | {' | '.join(columns)} |"
    yield "|---" * (len(columns) + 1) + "|"
    lengths = []
    for place in range(len(columns)):
        if columns[place] == "score":
            scores = Counter(str(row[place]) for row in rows)
            lengths.append(", ".join(f"{score}: {scores[score]:,}" for score in sorted(scores)))
        else:
            sizes = [len(str(row[place])) for row in rows]
            lengths.append(f"{min(sizes)} / {sum(sizes) / len(sizes):.1f} / {max(sizes)}")
    yield f"| characters (min / mean / max) | {' | '.join(lengths)} |"
    for row in rows[:_SAMPLES]:
        yield f"| sample | {' | '.join(_shown(row[i]) for i in range(len(columns)))} |"
    yield ""


def _split(mined: Mined, test_share: float, compared: int) -> Iterator[str]:
    held_out = int(mined.held_out.sum())
    yield "## Split"
    yield ""
    yield (
        f"{len(mined.rows) - held_out:,} texts are learnt from (`train_rows.csv`), {held_out:,} "
        f"are held out (`test_rows.csv`): {test_share:.0%} of each category with four or more "
        "different texts, by whole groups of near-duplicates, so that no text has its twin on the "
        "other side."
    )
    yield ""
    yield (
        f"Leak check: {compared:,} texts of the files as written were compared; no held-out text, "
        "and none that says nearly the same, is in a training file."
    )
    yield ""


def _confused(mined: Mined) -> Iterator[str]:
    people = mined.rows.confusions
    yield "## What is confused"
    yield ""
    if people:
        yield (
            f"{sum(people.values()):,} corrections by people, and the likeness of texts, which "
            "counts as much as five of them for each category. Most often people corrected:"
        )
        yield ""
        yield "| right | was proposed | times |"
        yield "|---|---|---|"
        for (right, proposed), count in sorted(
            people.items(), key=lambda item: (-item[1], item[0][0] or "", item[0][1] or "")
        )[:_MOST_CONFUSED]:
            yield f"| {_shown(right or 'none')} | {_shown(proposed or 'none')} | {count:,} |"
    else:
        yield (
            "No corrections by people: categories count as confused as far as their texts are "
            "alike by character n-grams (each text with the five most like it of other "
            "categories). The nearest:"
        )
        yield ""
        yield "| category | most confused with | share of its confusions |"
        yield "|---|---|---|"
        nearest = sorted(
            ((label, of.labels[0], of.shares[0]) for label, of in mined.rivals.items() if label),
            key=lambda row: (-row[2], row[0]),
        )
        for label, other, share in nearest[:_MOST_CONFUSED]:
            yield f"| {_shown(label)} | {_shown(other or 'none')} | {share:.0%} |"
    yield ""


def _small(mined: Mined) -> Iterator[str]:
    """Categories that no pair can be made of."""
    paired = {pair.category for pair in mined.pairs}
    alone = sorted({label for label in mined.rows.labels if label is not None} - paired)
    if alone:
        yield "## Categories without a pair"
        yield ""
        yield (
            "They have one text, or only near-duplicates of one, and are negatives only: "
            f"{', '.join(map(_shown, alone))}."
        )
        yield ""


def _shown(value: object) -> str:
    """A text in a cell: one line, without meaning for Markdown or HTML."""
    line = one_line(str(value))
    line = line if len(line) <= _SHOWN else line[: _SHOWN - 1] + "…"
    return "".join(f"\\{c}" if c in "\\`*_[]|~" else c for c in html.escape(line, quote=False))
