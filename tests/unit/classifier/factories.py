"""A small invented marketplace whose right answers are known, for the tests of deciding."""

from __future__ import annotations

import numpy as np

from marketplace_ai.classifier import LabeledTexts

DIMENSION = 16
TRADES = {
    "maling": ["male", "maling", "sparkle", "tapet"],
    "rorlegger": ["kran", "avløp", "rør", "toalett"],
    "plen": ["gress", "plen", "klippe", "gjødsle"],
    "flytting": ["flytte", "bære", "pianoflytting", "eske"],
}
STRAY = ["selger", "hei", "klikk", "gratis"]
PARENTS = {"maling": "inne", "rorlegger": "inne", "plen": "ute", "flytting": None}
PLACES = ["Oslo", "Bergen", "Asker", "Bodø", "Voss", "Hamar", "Moss", "Narvik"]


def world(
    each: int, none: int, seed: int, *, noise: float = 0.5, wrong: float = 0.0
) -> LabeledTexts:
    """``each`` texts of every trade and ``none`` that fit none; a share is labeled wrong."""
    random = np.random.default_rng(seed)
    labels: list[str | None] = [trade for trade in TRADES for _ in range(each)]
    labels += [None] * none
    texts, vectors = [], []
    for number, label in enumerate(labels):
        words = random.choice(STRAY if label is None else TRADES[label], 2)
        place = random.choice(PLACES)
        texts.append(f"{words[0]} {words[1]} i {place} {seed}{number:04d}")
        direction = np.zeros(DIMENSION)
        direction[-1] = 2.0  # the large common part that encoders give every text
        direction[len(TRADES) if label is None else list(TRADES).index(label)] = 1.0
        vectors.append(direction + noise * random.standard_normal(DIMENSION))
    flipped = random.random(len(labels)) < wrong
    trades = [*TRADES]
    labels = [
        random.choice([t for t in trades if t != label]) if flip and label else label
        for label, flip in zip(labels, flipped, strict=True)
    ]
    rows = np.array(vectors, dtype=np.float32).reshape(-1, DIMENSION)
    return LabeledTexts(texts, rows, [None if x is None else str(x) for x in labels])
