"""Starts the real servers before Django reads its settings, and stops them with the run."""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import ExitStack
from pathlib import Path

import pytest

# Before the demo project is imported, whose Celery app would name its own.
os.environ["DJANGO_SETTINGS_MODULE"] = os.environ.get(
    "MARKETPLACE_AI_TEST_SETTINGS", "tests.settings"
)

from demo.services import locks, remove, running

ROOTS = Path(__file__).resolve().parent.parent / ".services-test"
_servers = ExitStack()


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """Embedded servers of this run's own stand in for what the environment does not give.

    Each process of pytest-xdist has servers of its own: roles, publications and Celery's queues
    belong to a whole server. The process that only hands out the tests has none.
    """
    if "PYTEST_XDIST_WORKER" not in os.environ and _hands_out(early_config):
        return
    wanted = [name for name in ("DATABASE_URL", "REDIS_URL") if not os.environ.get(name)]
    if wanted:
        _remove_left_overs()
        root = ROOTS / str(os.getpid())
        _servers.callback(shutil.rmtree, root, ignore_errors=True)
        urls = _servers.enter_context(
            running(
                root,
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


def _hands_out(config: pytest.Config) -> bool:
    options = config.known_args_namespace
    return bool(getattr(options, "numprocesses", None)) and not options.collectonly


#: A test that uses one of these is slow: a real commit empties all tables afterwards, and a
#: classifier takes half a second to fit.
SLOW_FIXTURES = {"transactional_db", "live_server", "fitted"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        database = item.get_closest_marker("django_db")
        commits = database is not None and database.kwargs.get("transaction")
        if commits or not SLOW_FIXTURES.isdisjoint(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.slow)


def pytest_unconfigure() -> None:
    _servers.close()


def _remove_left_overs() -> None:
    """Servers of a run that was killed: nobody holds their lock any more."""
    for root in ROOTS.glob("*/users.lock"):
        handle = locks.open_file(root)
        try:
            if locks.try_exclusive(handle):
                remove(root.parent)
                shutil.rmtree(root.parent, ignore_errors=True)
        finally:
            os.close(handle)
