"""Backfills of small tables."""

from __future__ import annotations

from typing import Any

import pytest

from marketplace_ai.encoders import active
from marketplace_ai.queue import backfill


@pytest.fixture
def encoder(db: Any) -> Any:
    return active.ensure_active()[0]


@pytest.fixture
def small(settings: Any, monkeypatch: Any) -> None:
    """Steps of 5 postings while fewer than 10 wait."""
    settings.MARKETPLACE_AI_CLAIM_SIZE = 10
    settings.MARKETPLACE_AI_BACKFILL_MAX_QUEUED_BATCHES = 1
    monkeypatch.setattr(backfill, "SCAN_STEP", 5)
