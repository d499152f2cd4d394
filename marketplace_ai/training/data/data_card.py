"""The data card of a mined dataset: what it has, how it was made, and samples, as Markdown."""

from __future__ import annotations

import html
from collections import Counter
from collections.abc import Iterator, Sequence

from marketplace_ai.text.normalize import one_line
from marketplace_ai.training.model.model_card import public_name

from .mining import MinedDataset
from .row_files import (
    PAIRS_FILE,
    SCORED_FILE,
    TEST_TRIPLETS_FILE,
    TRIPLETS_FILE,
    Pair,
    ScoredPair,
    Triplet,
)
from .triplet_miner import FAR, NEAR, SAME

_NUM_SAMPLES = 3
_NUM_CONFUSIONS = 20
_MAX_SHOWN = 100

Rows = Sequence[Triplet] | Sequence[Pair] | Sequence[ScoredPair]


def render_data_card(
    dataset: MinedDataset, *, seed: int, test_share: float, num_compared: int
) -> str:
    """The card as Markdown, with the texts escaped.

    ``num_compared`` is the number of texts that the leak check compared, without finding a leak.
    """
    parts = [
        *_summary(dataset, seed, test_share),
        *_file(
            TRIPLETS_FILE,
            ("anchor", "positive", "negative"),
            dataset.triplets,
            "Anchor and positive are two texts of one category, never of one family (of one "
            "origin, or near-duplicates). Every second negative of a category is of a category "
            "that it is confused with, sampled by how often (below); the others are sampled evenly "
            "from all other categories. `category` is that of anchor and positive.",
        ),
        *_file(
            PAIRS_FILE,
            ("anchor", "positive"),
            dataset.pairs,
            "Two texts of one category, each pair once, of the categories in turn. Pairs of the "
            "same `category` are not negatives of each other.",
        ),
        *_file(
            SCORED_FILE,
            ("sentence1", "sentence2", "score"),
            dataset.scored,
            f"The score comes from the category tree: {SAME} for the same category, {NEAR} for "
            f"two under one parent, {FAR} for others, the same number of each. CoSENT learns "
            "only their order, not their size.",
        ),
        *_file(
            TEST_TRIPLETS_FILE,
            ("anchor", "positive", "negative"),
            dataset.test_triplets,
            "All three texts are held out; negatives are sampled evenly from the other "
            "categories. Never train on these.",
        ),
        *_split(dataset, test_share, num_compared),
        *_confusions(dataset),
        *_unpaired(dataset),
    ]
    return "\n".join(parts) + "\n"


def _summary(dataset: MinedDataset, seed: int, test_share: float) -> Iterator[str]:
    corpus = dataset.corpus
    categories = set(corpus.labels) - {None}
    source = _escape(public_name(corpus.source))
    yield "# Training data for an encoder"
    yield ""
    yield (
        f"Mined by `mine_training_data` from {source}: {len(corpus):,} texts labeled by people, "
        f"of {len(categories):,} categories. {corpus.labels.count(None):,} of the texts fit no "
        "category: they are only negatives."
    )
    yield ""
    yield f"- seed: {seed}, held-out share: {test_share}"
    yield f"- SHA-256 of the texts and their labels: `{corpus.sha256}`"
    if corpus.ambiguous:
        yield f"- left out: {len(corpus.ambiguous):,} texts with several labels"
    for note in dataset.notes:
        yield f"- {note}"
    yield ""
    yield "| file | rows |"
    yield "|---|---|"
    for name, rows in (
        (TRIPLETS_FILE, dataset.triplets),
        (PAIRS_FILE, dataset.pairs),
        (SCORED_FILE, dataset.scored),
        (TEST_TRIPLETS_FILE, dataset.test_triplets),
    ):
        yield f"| `{name}` | {len(rows):,} |"
    yield ""


def _file(name: str, columns: Sequence[str], rows: Rows, explanation: str) -> Iterator[str]:
    yield f"## {name}"
    yield ""
    yield explanation
    yield ""
    if not rows:
        return
    yield f"|  | {' | '.join(columns)} |"
    yield "|---" * (len(columns) + 1) + "|"
    statistics = []
    for index, column in enumerate(columns):
        if column == "score":
            scores = Counter(str(row[index]) for row in rows)
            statistics.append(", ".join(f"{score}: {scores[score]:,}" for score in sorted(scores)))
        else:
            sizes = [len(str(row[index])) for row in rows]
            statistics.append(f"{min(sizes)} / {sum(sizes) / len(sizes):.1f} / {max(sizes)}")
    yield f"| characters (min / mean / max) | {' | '.join(statistics)} |"
    for row in rows[:_NUM_SAMPLES]:
        yield f"| sample | {' | '.join(_escape(row[i]) for i in range(len(columns)))} |"
    yield ""


def _split(dataset: MinedDataset, test_share: float, num_compared: int) -> Iterator[str]:
    num_held_out = int(dataset.held_out.sum())
    yield "## Split"
    yield ""
    yield (
        f"{len(dataset.corpus) - num_held_out:,} texts are for training (`train_rows.csv`), "
        f"{num_held_out:,} are held out (`test_rows.csv`): {test_share:.0%} of each category with "
        "four or more families, in whole families (texts of one origin, and near-duplicates), so "
        "that no text has another of its family on the other side."
    )
    yield ""
    yield (
        f"Leak check: {num_compared:,} texts of the written files were compared; no held-out text "
        "and no other text of its family is in a training file."
    )
    yield ""


def _confusions(dataset: MinedDataset) -> Iterator[str]:
    corrections = dataset.corpus.confusions
    yield "## Confusions"
    yield ""
    if corrections:
        yield (
            f"{sum(corrections.values()):,} corrections by people, and the similarity of texts, "
            "which counts as much as five corrections for each category. The most frequent "
            "corrections:"
        )
        yield ""
        yield "| right | was proposed | times |"
        yield "|---|---|---|"
        for (right, proposed), count in sorted(
            corrections.items(), key=lambda item: (-item[1], item[0][0] or "", item[0][1] or "")
        )[:_NUM_CONFUSIONS]:
            yield f"| {_escape(right or 'none')} | {_escape(proposed or 'none')} | {count:,} |"
    else:
        yield (
            "There are no corrections by people, so categories count as confusable as far as "
            "their texts are similar by character n-grams (each text and its five nearest texts "
            "of other categories). The nearest:"
        )
        yield ""
        yield "| category | most confused with | share of its confusions |"
        yield "|---|---|---|"
        nearest = sorted(
            (
                (label, others.labels[0], others.shares[0])
                for label, others in dataset.confusable.items()
                if label
            ),
            key=lambda row: (-row[2], row[0]),
        )
        for label, other, share in nearest[:_NUM_CONFUSIONS]:
            yield f"| {_escape(label)} | {_escape(other or 'none')} | {share:.0%} |"
    yield ""


def _unpaired(dataset: MinedDataset) -> Iterator[str]:
    """Categories that have no pair."""
    paired = {pair.category for pair in dataset.pairs}
    unpaired = sorted({label for label in dataset.corpus.labels if label is not None} - paired)
    if unpaired:
        yield "## Categories without a pair"
        yield ""
        yield (
            "They have one text, or texts of only one family, and are negatives only: "
            f"{', '.join(map(_escape, unpaired))}."
        )
        yield ""


def _escape(value: object) -> str:
    """A text for a table cell: one line, without Markdown or HTML."""
    line = one_line(str(value))
    line = line if len(line) <= _MAX_SHOWN else line[: _MAX_SHOWN - 1] + "…"
    return "".join(f"\\{c}" if c in "\\`*_[]|~" else c for c in html.escape(line, quote=False))
