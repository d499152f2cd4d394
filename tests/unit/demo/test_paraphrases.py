"""The held-out paraphrases of the demo's catalogue: of every category, and seen by no training."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from marketplace_ai.classifier.near_duplicates import near_duplicate_groups
from marketplace_ai.text.csv_files import read_csv
from marketplace_ai.training.data.row_files import Triplet, read_triplets

DATA = Path(__file__).resolve().parents[3] / "demo/data"


def triplets() -> list[Triplet]:
    return read_triplets(DATA / "paraphrases_nb.csv")


def test_every_leaf_has_some() -> None:
    rows = read_csv(DATA / "home_services.csv", ("slug", "parent"))
    leaves = {row["slug"] for row in rows if row["parent"]}
    counts = Counter(row.category for row in triplets())
    assert set(counts) == leaves
    assert min(counts.values()) >= 5


@pytest.mark.slow
def test_none_says_nearly_what_another_file_or_row_says() -> None:
    texts = [text for row in triplets() for text in row[:3]]
    held_out = len(texts)
    for name in ("exemplars_nb.csv", "calibration_nb.csv", "postings_nb.csv"):
        for row in read_csv(DATA / name, (), ("text", "title", "description")):
            title = row.values.get("text") or row["title"]
            texts += [title, f"{title}\n{row.values.get('description', '')}"]
    groups = near_duplicate_groups(texts).tolist()
    assert len(set(groups[:held_out])) == held_out
    assert not set(groups[:held_out]) & set(groups[held_out:])


def test_words_alone_do_not_tell_the_paraphrase() -> None:
    rows = triplets()
    positive = sum(_shared(row.anchor, row.positive) for row in rows)
    negative = sum(_shared(row.anchor, row.negative) for row in rows)
    assert 0.5 < positive / len(rows) < 0.8
    assert 0.3 < negative / len(rows) < 0.6


def _shared(one: str, other: str) -> bool:
    """Whether two texts have a word in common, told by its first five letters."""
    stems = [{word[:5] for word in re.findall(r"\w{4,}", text.lower())} for text in (one, other)]
    return bool(stems[0] & stems[1])
