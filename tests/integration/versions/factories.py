"""Texts of three trades, whose words no other has, and exemplars of them."""

from __future__ import annotations

import numpy as np

from marketplace_ai.models import Category
from tests.integration.admin.factories import exemplar

WORDS = {
    "maling": ["male", "maling", "tapet", "sparkle", "beis", "lakk"],
    "rorlegger": ["kran", "avløp", "rør", "toalett", "vask", "dusj"],
    "plen": ["gress", "plen", "klippe", "gjødsle", "hekk", "ugress"],
}
PLACES = ["Oslo", "Bergen", "Asker", "Bodø", "Voss", "Hamar", "Moss", "Narvik", "Molde", "Skien"]


def texts(key: str, count: int, seed: int) -> list[str]:
    random = np.random.default_rng(seed)
    return [
        f"{' '.join(random.choice(WORDS[key], 2))} i {random.choice(PLACES)} {seed}{n:03d}"
        for n in range(count)
    ]


def import_exemplars(catalog: dict[str, Category], by_key: dict[str, list[str]]) -> None:
    for key, category_texts in by_key.items():
        for text in category_texts:
            exemplar(text, catalog[key])


def mislabel(catalog: dict[str, Category]) -> None:
    """What a careless import does: many exemplars of one trade under another's name."""
    wrong = {"maling": "plen", "plen": "rorlegger", "rorlegger": "maling"}
    import_exemplars(catalog, {wrong[key]: texts(key, 25, 3) for key in WORDS})
