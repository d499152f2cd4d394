"""Categorized postings for tests of ``assess``: short, told apart by their words."""

from __future__ import annotations

import random

WORDS = {
    "maling": ["male", "sparkle", "tapetsere", "lakkere", "beise", "grunne", "pusse", "vegg"],
    "rorlegger": ["kran", "avløp", "sluk", "toalett", "vask", "dusj", "bereder", "lekkasje"],
    "plen": ["gress", "klippe", "gjødsle", "lufte", "mose", "kantklippe", "så", "vertikalskjære"],
}
PLACES = [
    "stue", "gang", "kjeller", "loft", "bod", "hytte", "garasje", "leilighet", "hage", "terrasse",
    "kontor", "lager", "barnehage", "skole", "butikk",
]  # fmt: skip
ATTACK = "<script>alert(1)</script> <b onmouseover=x>male vegg"


def postings(each: int = 60) -> list[tuple[str, str]]:
    """Texts with their categories, ``each`` of a category, in a fixed order."""
    drawn = random.Random(0)
    found = []
    for number in range(each * len(WORDS)):
        label = list(WORDS)[number % len(WORDS)]
        words = drawn.sample(WORDS[label], 3) + drawn.sample(PLACES, 2)
        found.append((" ".join(words), label))
    return found


def csv_file(each: int = 60) -> str:
    """A file with dates, an attack, two blank texts, a repeated one and one with two labels."""
    rows = ["text,category,date"]
    for number, (text, label) in enumerate(postings(each)):
        rows.append(f"{text},{label},2026-{1 + number // 28:02}-{1 + number % 28:02}")
    rows += [
        f"{ATTACK},plen,", "post@example.com,maling,", "!!!,maling,01.02.2026",
        f"{postings()[0][0].upper()}!,maling,", "kjøre bort,maling,", "kjøre bort,plen,",
    ]  # fmt: skip
    return "\n".join(rows) + "\n"
