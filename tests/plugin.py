"""Starts the real servers before Django reads its settings, and stops them with the run."""

from __future__ import annotations

import os
import tempfile
from contextlib import ExitStack
from pathlib import Path

import pytest

# Before the demo project is imported, whose Celery app would name its own.
os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"

from config.services import running  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent / ".services-test"
_servers = ExitStack()


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests() -> None:
    """Embedded servers stand in for what the environment does not give."""
    wanted = [name for name in ("DATABASE_URL", "REDIS_URL") if not os.environ.get(name)]
    if wanted:
        urls = _servers.enter_context(
            running(
                ROOT,
                postgres="DATABASE_URL" in wanted,
                redis="REDIS_URL" in wanted,
                durable=False,
            )
        )
        given = {"DATABASE_URL": urls.database_url, "REDIS_URL": urls.redis_url}
        os.environ.update({name: given[name] for name in wanted})
    # One build of the embedded encoder for all tests of a run.
    if "MARKETPLACE_AI_CACHE_DIR" not in os.environ:
        folder = _servers.enter_context(tempfile.TemporaryDirectory(prefix="marketplace-ai-"))
        os.environ["MARKETPLACE_AI_CACHE_DIR"] = folder


def pytest_unconfigure() -> None:
    _servers.close()
