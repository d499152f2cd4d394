"""Encoder sources and their former names."""

from pathlib import Path

import pytest

from marketplace_ai.encoding import canonical_source, find_directory, is_source, spellings
from marketplace_ai.encoding.sources import ALIASES, BUNDLED


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setattr(
        "marketplace_ai.encoding.sources.bundled_directory", lambda cache_dir, progress: tmp_path
    )
    return tmp_path


@pytest.mark.parametrize("source", [BUNDLED, *ALIASES])
def test_every_name_of_the_bundled_encoder_is_the_same_source(source: str, built: Path) -> None:
    assert is_source(source)
    model = find_directory(source, cache_dir=built)
    assert (model.path, model.source) == (built, "bundled")


def test_embedded_stays_an_alias_of_bundled() -> None:
    assert canonical_source("embedded") == canonical_source("bundled") == "bundled"
    assert spellings("embedded") == ["embedded", "bundled"]
    assert spellings("bundled") == ["bundled", "embedded"]


@pytest.mark.parametrize("source", ["dummy:64", "BAAI/bge-m3", "/models/v2", "v2", ""])
def test_other_sources_have_one_spelling(source: str) -> None:
    assert canonical_source(source) == source
    assert spellings(source) == [source]
