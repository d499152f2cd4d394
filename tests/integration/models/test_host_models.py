"""The app with a project's own models, in a separate process: Django chooses models at start."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.databases import url_of

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize(("file", "least"), [("posting_flow", 25), ("admin_screens", 10)])
def test_the_app_with_models_of_the_project(file: str, least: int) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider",
         f"tests/host/{file}.py"],
        cwd=ROOT,
        env={
            **os.environ,
            # pytest-django creates and drops test_<name>; this process uses another database.
            "DATABASE_URL": url_of(f"{file}_{os.getpid()}"),
            "MARKETPLACE_AI_TEST_SETTINGS": "tests.host_settings",
        },
        capture_output=True,
        text=True,
        timeout=180,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed is not None
    assert int(passed[1]) >= least
