"""The summary of ``fit_classifier`` for a category that no labeled row has."""

from __future__ import annotations

from typing import Any

import pytest

from marketplace_ai.classifier import Classifier
from marketplace_ai.management.commands.fit_classifier import summary
from tests.unit.classifier.factories import world

pytestmark = pytest.mark.slow


def figures(without: str | None) -> dict[str, Any]:
    rows = world(20, 10, seed=2)
    labels = [None if label == without else label for label in rows.labels]
    found = Classifier.fit(world(24, 24, seed=1), type(rows)(rows.texts, rows.vectors, labels))
    shown = found.guarantee.as_dict()
    for row in shown["categories"]:
        row["key"] = row["label"]
    return {**shown, "family_sizes": {"rows": len(rows), "families": len(rows), "largest": 1}}


@pytest.mark.parametrize("without", [None, "plen"])
def test_a_category_without_labeled_rows_is_named_with_the_cure(without: str | None) -> None:
    lines = list(summary(figures(without)))
    hints = [line for line in lines if line.startswith("No labeled row has")]
    assert len(hints) == (without is not None)
    if without:
        assert without in hints[0]
        assert "labeled none" in hints[0]
