"""The screens over a host's own models, in a process of its own: models are chosen when
Django starts."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from .databases import url_of

ROOT = Path(__file__).resolve().parents[2]


def test_the_screens_over_a_hosts_models() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider",
         "tests/host/admin_screens.py"],
        cwd=ROOT,
        env={
            **os.environ,
            "DATABASE_URL": url_of(f"screens_{os.getpid()}"),
            "MARKETPLACE_AI_TEST_SETTINGS": "tests.host_settings",
        },
        capture_output=True,
        text=True,
        timeout=180,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed is not None
    assert int(passed[1]) >= 10
