"""From labelled texts to what an encoder learns from: triplets, pairs and scored pairs.

Two texts of one category stand for two ways to say the same. What they are told from is drawn
half from the categories that theirs is confused with, half evenly from all others. Texts that
fit no category are negatives and nothing else: two of them have nothing in common.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from marketplace_ai.deciding.groups import near_duplicate_groups
from marketplace_ai.evaluation.progress import Progress, silent

from . import confusions
from .confusions import Label, Rivals
from .datasets import Pair, Scored, Triplet
from .rows import MiningError, TrainingRows
from .sampling import Decks, Stock, in_turn
from .split import held_out
from .tree import Tree

#: The scores of two texts of the same category, of categories that are near in the tree, and of
#: others. Only their order is learnt (CoSENT compares pairs of pairs), so what counts is that
#: there are three steps, clear of each other. The model card gives a paraphrase 0.95; two texts
#: of one category are seldom as much, and of two neighbors its samples say 0.35 to 0.55.
SAME, NEAR, FAR = 0.9, 0.5, 0.1
#: Held-out triplets at most: more would say nothing new about the same texts.
MOST_TEST_TRIPLETS = 4000
#: Each text is compared with each other one, so of very many some are drawn, evenly over the
#: categories: 8,000 rows of each kind would not show more of them.
MOST_TEXTS = 20_000
#: Draws in vain after which there is taken to be nothing new.
_IN_VAIN = 1000

Numbers = npt.NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Mined:
    """What came of ``rows``: bool ``held_out`` (n,) says which are learnt from and which not,
    and ``groups`` (n,) which say nearly the same. ``notes``: why there is less than was asked.
    """

    rows: TrainingRows
    groups: Numbers
    held_out: npt.NDArray[np.bool_]
    rivals: Mapping[Label, Rivals]
    triplets: Sequence[Triplet]
    pairs: Sequence[Pair]
    scored: Sequence[Scored]
    test_triplets: Sequence[Triplet]
    notes: Sequence[str] = field(default_factory=list)


def mine(
    rows: TrainingRows,
    *,
    each: int = 8000,
    test_share: float = 0.2,
    seed: int = 0,
    progress: Progress = silent,
) -> Mined:
    """Up to ``each`` triplets, pairs and scored pairs; the same for the same rows and seed.

    ``test_share`` of each category's texts is held out for the test triplets. Raises
    MiningError where no category has two texts that differ.
    """
    notes = []
    if len(rows) > MOST_TEXTS:
        notes.append(f"{MOST_TEXTS:,} of {len(rows):,} texts were drawn to be mined from.")
        rows = _some(rows, seed)
    with progress("Comparing texts", None) as advance:
        groups = near_duplicate_groups(rows.texts)
        out = held_out(groups, rows.labels, test_share, seed)
        stock = Stock(np.flatnonzero(~out), rows.labels, groups)
        tree = Tree(rows.parents)
        likeness = _likeness(rows, groups, np.flatnonzero(~out))
        rivals = confusions.rivals(rows.confusions, likeness, stock.members, tree)
        advance(len(rows))
    test = Stock(np.flatnonzero(out), rows.labels, groups)
    draw = _Draw(rows, tree)
    with progress("Mining", 3 * each) as advance:
        triplets = list(draw.triplets(stock, rivals, each, _random(seed, 1)))
        advance(each)
        pairs = list(draw.pairs(stock, each, _random(seed, 2)))
        advance(each)
        scored = draw.scored(stock, each, _random(seed, 3))
        advance(each)
    if not pairs:
        raise MiningError(
            f"{rows.source}: no category has two texts that differ, so there is no pair of texts "
            "that say the same. Label more texts of each category."
        )
    test_triplets = list(draw.triplets(test, {}, MOST_TEST_TRIPLETS, _random(seed, 4)))
    notes += list(_shortfalls(each, triplets, pairs, scored, test_triplets))
    return Mined(rows, groups, out, rivals, triplets, pairs, scored, test_triplets, notes)


class _Draw:
    def __init__(self, rows: TrainingRows, tree: Tree) -> None:
        self._rows = rows
        self._tree = tree

    def triplets(
        self,
        stock: Stock,
        rivals: Mapping[Label, Rivals],
        count: int,
        random: np.random.Generator,
    ) -> Iterator[Triplet]:
        """Every second negative of a category is one of its rivals', where it has any; the
        others are of any category that is not in line with it. Without ``rivals`` no text that
        fits no category is drawn."""
        decks = Decks(stock, random)
        labels = list(stock.members) if rivals else list(stock.categories)
        others = {
            label: [other for other in labels if not self._tree.in_line(label, other)]
            for label in stock.categories
        }
        turns: Counter[str] = Counter()
        streams = {label: stock.both_ways(label, random) for label in others if others[label]}
        for label, (anchor, positive) in in_turn(streams, count, random):
            turns[label] += 1
            negative = None
            if turns[label] % 2 and label in rivals:
                negative = decks.draw(rivals[label].draw(random), anchor, positive)
            if negative is None:
                other = others[label][int(random.integers(len(others[label])))]
                negative = decks.draw(other, anchor, positive)
            if negative is not None:
                texts = self._rows.texts
                yield Triplet(texts[anchor], texts[positive], texts[negative], label)

    def pairs(self, stock: Stock, count: int, random: np.random.Generator) -> Iterator[Pair]:
        streams = {label: stock.pairs(label, random) for label in stock.categories}
        for label, (anchor, positive) in in_turn(streams, count, random):
            yield Pair(self._rows.texts[anchor], self._rows.texts[positive], label)

    def scored(self, stock: Stock, count: int, random: np.random.Generator) -> list[Scored]:
        """As many of each score, as far as the scarcest goes; a score that no two texts have,
        as where categories have no parents, is left out."""
        labels = stock.categories
        near = {
            label: [o for o in labels if o != label and self._tree.near(label, o)]
            for label in labels
        }
        far = {label: [o for o in labels if not self._tree.near(label, o)] for label in labels}
        streams = {label: stock.pairs(label, random) for label in labels}
        most = -(-count // 2)  # there are two scores at least: of the same category, and of others
        found = {
            SAME: [pair for _, pair in in_turn(streams, most, random)],
            NEAR: list(_across(stock, near, most, random)),
            FAR: list(_across(stock, far, most, random)),
        }
        found = {score: pairs for score, pairs in found.items() if pairs}
        if not found:
            return []
        share, more = divmod(count, len(found))
        fewest = min(map(len, found.values()))
        texts, rows = self._rows.texts, []
        for place, (score, pairs) in enumerate(found.items()):
            wanted = min(share + (place < more), fewest)
            rows += [Scored(texts[one], texts[other], score) for one, other in pairs[:wanted]]
        return [rows[i] for i in random.permutation(len(rows))]


def _across(
    stock: Stock,
    others: Mapping[str, Sequence[str]],
    count: int,
    random: np.random.Generator,
) -> Iterator[tuple[int, int]]:
    """Up to ``count`` different pairs of a text of a category and one of its ``others``."""
    labels = [label for label, of in others.items() if of]
    seen: set[tuple[int, int]] = set()
    vain = 0
    while labels and len(seen) < count and vain < _IN_VAIN:
        label = labels[int(random.integers(len(labels)))]
        other = others[label][int(random.integers(len(others[label])))]
        one, two = (int(random.choice(stock.members[name])) for name in (label, other))
        pair = min(one, two), max(one, two)
        if pair in seen or not stock.differ(one, two):
            vain += 1
            continue
        vain = 0
        seen.add(pair)
        yield one, two


def _likeness(
    rows: TrainingRows, groups: Numbers, learnt: Numbers
) -> dict[tuple[Label, Label], float]:
    """Of the texts that are learnt from alone: what is held out has no say in what is mined."""
    return confusions.by_text(
        [rows.texts[i] for i in learnt], [rows.labels[i] for i in learnt], groups[learnt]
    )


def _some(rows: TrainingRows, seed: int) -> TrainingRows:
    random = _random(seed, 0)
    members: dict[str, list[int]] = {}
    for number, label in enumerate(rows.labels):
        members.setdefault(label or "", []).append(number)
    streams = {label: iter(random.permutation(of).tolist()) for label, of in members.items()}
    return rows.take(sorted(number for _, number in in_turn(streams, MOST_TEXTS, random)))


def _random(seed: int, part: int) -> np.random.Generator:
    """Of its own for each part, so that none hangs on how much another drew."""
    return np.random.default_rng([seed, part])


def _shortfalls(
    each: int,
    triplets: Sequence[Triplet],
    pairs: Sequence[Pair],
    scored: Sequence[Scored],
    test_triplets: Sequence[Triplet],
) -> Iterator[str]:
    for name, found, makes in (
        ("triplets", triplets, "n(n-1) of anchor and positive"),
        ("pairs", pairs, "n(n-1)/2 pairs"),
    ):
        if len(found) < each:
            yield (
                f"{len(found):,} {name} instead of {each:,}: n texts of a category make {makes}, "
                "and none is taken twice. Label more texts."
            )
    if len(scored) < each:
        counts = Counter(row.score for row in scored)
        of_each = f"{min(counts.values()):,} of each score" if counts else "none"
        yield (
            f"{len(scored):,} scored pairs instead of {each:,}: {of_each}, so that they are "
            "balanced, and one of the scores has no more."
        )
    if not test_triplets:
        yield (
            "No test triplet: no category has four texts that differ, two to hold out and two to "
            "learn from."
        )
