"""Small training files of every kind."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.unit.encoding import fakes

#: Four categories of texts in the small model's ten words.
TEXTS = {
    "male": ["male stue", "male bad", "male", "stue male", "male tak"],
    "tak": ["legge tak", "nytt tak", "legge nytt tak", "tak", "tak nytt"],
    "flis": ["flis bad", "legge flis", "flis", "nytt flis bad", "bad flis"],
    "kran": ["kran bad", "nytt kran", "kran", "kran stue", "bad kran"],
}


EACH = 32


def rows() -> dict[str, list[dict[str, Any]]]:
    draw = np.random.default_rng(0)
    names = list(TEXTS)
    sets: dict[str, list[dict[str, Any]]] = {"triplets": [], "pairs": [], "scored": []}
    for number in range(EACH):
        name, other = names[number % 4], names[(number + 1) % 4]
        anchor, positive = draw.choice(TEXTS[name], 2, replace=False).tolist()
        negative = str(draw.choice(TEXTS[other]))
        sets["triplets"].append({"anchor": anchor, "positive": positive, "negative": negative})
        sets["pairs"].append({"anchor": anchor, "positive": positive, "category": name})
        score = 0.1 + number % 2 / 10
        sets["scored"].append({"sentence1": anchor, "sentence2": negative, "score": score})
    return sets


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the base ``model``, one with a prompt, and the three files."""
    folder = tmp_path_factory.mktemp("training")
    fakes.save(folder, normalize=True)
    fakes.save(
        folder / "prompted", normalize=True, prompts={"query": "spor : "},
        default_prompt_name="query",
    )  # fmt: skip
    for name, lines in rows().items():
        text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
        (folder / f"{name}.jsonl").write_text(text)
    test = {"anchor": "bad stue male", "positive": "male stue bad", "negative": "kran tak nytt"}
    (folder / "test.jsonl").write_text(json.dumps(test) + "\n")
    return folder
