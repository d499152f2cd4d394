"""Triplets, pairs and scored pairs, drawn from labelled texts.

Two texts of one category stand for two ways to say the same. What they are told from is drawn
half from the categories that theirs is confused with, half evenly from all others. Texts that
fit no category are negatives and nothing else: two of them have nothing in common.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from .category_tree import Tree
from .confusions import Label, Rivals
from .datasets import Pair, Scored, Triplet
from .sampling import Decks, Stock, in_turn

#: The scores of two texts of the same category, of categories that are near in the tree, and of
#: others. Only their order is learnt (CoSENT compares pairs of pairs), so what counts is that
#: there are three steps, clear of each other. The model card gives a paraphrase 0.95; two texts
#: of one category are seldom as much, and of two neighbors its samples say 0.35 to 0.55.
SAME, NEAR, FAR = 0.9, 0.5, 0.1
#: Draws in vain after which there is taken to be nothing new.
_IN_VAIN = 1000


class Draw:
    """Rows of ``texts``, of the texts that a stock numbers."""

    def __init__(self, texts: Sequence[str], tree: Tree) -> None:
        self._texts = texts
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
                texts = self._texts
                yield Triplet(texts[anchor], texts[positive], texts[negative], label)

    def pairs(self, stock: Stock, count: int, random: np.random.Generator) -> Iterator[Pair]:
        streams = {label: stock.pairs(label, random) for label in stock.categories}
        for label, (anchor, positive) in in_turn(streams, count, random):
            yield Pair(self._texts[anchor], self._texts[positive], label)

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
        texts, rows = self._texts, []
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
