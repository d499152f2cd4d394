"""The way of a posting with a host's own models, in a process of its own: models are chosen
when Django starts."""

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


@pytest.mark.parametrize(("file", "least"), [("way_of_a_posting", 25), ("admin_screens", 10)])
def test_the_app_with_a_hosts_models(file: str, least: int) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider",
         f"tests/host/{file}.py"],
        cwd=ROOT,
        env={
            **os.environ,
            # pytest-django makes and drops test_<name>, beside the one of this process.
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
