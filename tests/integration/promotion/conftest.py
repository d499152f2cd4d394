"""An active encoder and a candidate, and labeled rows under which either is better."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from marketplace_ai.models import (
    Category,
    Encoder,
)
from tests.integration.command_calls import call
from tests.integration.versions.factories import WORDS, import_exemplars, texts

from .factories import candidate, in_other_words, labeled, understands_synonyms


@pytest.fixture
def calibration(catalog: dict[str, Category], tmp_path: Path) -> str:
    return labeled(tmp_path)


@pytest.fixture
def asked(calibration: str) -> dict[str, Any]:
    """Options under which the good encoders of this module prove a threshold."""
    return {"calibration": calibration, "target_precision": 0.9}


@pytest.fixture
def big(catalog: dict[str, Category], asked: dict[str, Any]) -> Encoder:
    """Active, with an active classifier that has a threshold."""
    import_exemplars(catalog, {key: texts(key, 20, 1) for key in WORDS})
    call("fit_classifier", **asked)
    active = Encoder.objects.active()
    assert active is not None
    return active


@pytest.fixture
def small(big: Encoder) -> Encoder:
    """Ready."""
    return candidate()


@pytest.fixture
def understood(catalog: dict[str, Category], tmp_path: Path, monkeypatch: Any) -> str:
    """A file in words that the active encoder understands, and the candidate does not."""
    understands_synonyms(monkeypatch, 64)
    return in_other_words(tmp_path)


@pytest.fixture
def worse(understood: str, catalog: dict[str, Category]) -> dict[str, Any]:
    """Options under which the candidate is worse."""
    return {"calibration": understood, "target_precision": 0.9}
