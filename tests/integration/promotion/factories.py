"""A candidate with all its vectors, and labeled rows for it and the active encoder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from marketplace_ai.encoders import active
from marketplace_ai.encoding.dummy import DummyEncoder
from marketplace_ai.exemplars.encode import encode_exemplars
from marketplace_ai.models import Encoder, EncoderState
from tests.integration.versions.factories import PLACES, WORDS, texts

#: Words of the same trades that no exemplar has, in the order of ``WORDS``.
SYNONYMS = {
    "maling": ["kost", "grunning", "oppussing", "farge", "strøk", "panel"],
    "rorlegger": ["blandebatteri", "lekk", "sluk", "bidé", "servant", "badekar"],
    "plen": ["hage", "torv", "robot", "kompost", "busk", "løvetann"],
}


def candidate(name: str = "small", source: str = "dummy:32") -> Encoder:
    """A registered encoder that is ready: its exemplars have their vectors."""
    loaded = active.load_source(source)
    encoder = active.create_encoder(name, loaded)
    encode_exemplars(encoder, loaded)
    Encoder.objects.filter(pk=encoder.pk).update(state=EncoderState.READY)
    encoder.refresh_from_db()
    return encoder


def labeled(directory: Path, **columns: Callable[[int], str]) -> str:
    """A file of 150 labeled postings that no exemplar repeats; ``columns`` say more of each."""
    return _written(directory, [(t, key) for key in WORDS for t in texts(key, 50, 7)], columns)


def in_other_words(directory: Path) -> str:
    """A file of 150 labeled postings that share no word with the exemplars of their trade."""
    random = np.random.default_rng(8)
    rows = [
        (f"{' '.join(random.choice(SYNONYMS[key], 2))} i {random.choice(PLACES)} 8{n:03d}", key)
        for key in WORDS
        for n in range(50)
    ]
    return _written(directory, rows, {})


def understands_synonyms(monkeypatch: Any, dimension: int) -> None:
    """Dummy encoders of this dimension alone know what other words mean."""
    encode = DummyEncoder.encode
    meant = {
        word: known
        for key, others in SYNONYMS.items()
        for word, known in zip(others, WORDS[key], strict=True)
    }

    def understanding(self: DummyEncoder, texts: Sequence[str]) -> Any:
        if self.dimension == dimension:
            texts = [" ".join(meant.get(w, w) for w in text.split()) for text in texts]
        return encode(self, texts)

    monkeypatch.setattr(DummyEncoder, "encode", understanding)


def _written(
    directory: Path, rows: list[tuple[str, str]], columns: dict[str, Callable[[int], str]]
) -> str:
    lines = [",".join(["text", "category", *columns])]
    for number, row in enumerate(rows):
        lines.append(",".join([*row, *(value(number) for value in columns.values())]))
    file = directory / "labeled.csv"
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return str(file)
