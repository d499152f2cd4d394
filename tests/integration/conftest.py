from __future__ import annotations

from pathlib import Path

import pytest

from marketplace_ai.models import Category, ClassifierVersion
from tests.integration.command_calls import call
from tests.integration.versions.factories import WORDS, import_exemplars, texts


@pytest.fixture
def calibration(catalog: dict[str, Category], tmp_path: Path) -> str:
    """A file of 150 labeled postings that no exemplar repeats."""
    file = tmp_path / "labeled.csv"
    rows = [f"{text},{key}" for key in WORDS for text in texts(key, 50, 7)]
    file.write_text("\n".join(["text,category", *rows]) + "\n", encoding="utf-8")
    return str(file)


@pytest.fixture
def good(catalog: dict[str, Category], calibration: str) -> ClassifierVersion:
    """Active: fitted on 60 exemplars with the right labels."""
    import_exemplars(catalog, {key: texts(key, 20, 1) for key in WORDS})
    call("fit_classifier", calibration=calibration, target_precision=0.9)
    return ClassifierVersion.objects.get(is_active=True)
