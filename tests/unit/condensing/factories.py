"""Texts of a few categories, many of them said several times, for the tests of condensing."""

from __future__ import annotations

import numpy as np

from marketplace_ai.classifier import LabeledTexts
from tests.unit.classifier.factories import world


def repeated(each: int, times: int, seed: int = 0, noise: float = 0.3) -> LabeledTexts:
    """``each`` texts of every category, and further ones near to them: ``times`` as many in all."""
    rows = world(each, each, seed, noise=noise)
    random = np.random.default_rng(seed)
    texts, vectors, labels = [], [], []
    for turn in range(times):
        for number, text in enumerate(rows.texts):
            texts.append(text if not turn else f"{text} {random.integers(10**6)} gang{turn}")
            nudge = 0.0 if not turn else 0.02 * random.standard_normal(rows.vectors.shape[1])
            vectors.append(rows.vectors[number] + nudge)
            labels.append(rows.labels[number])
    return LabeledTexts(texts, np.array(vectors, dtype=np.float32), labels)
