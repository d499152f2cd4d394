"""A process of a project that has settings, and perhaps models, in a folder of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]


def run_python(
    folder: Path, settings: str, url: str, *arguments: str, fails: bool = False, **variables: str
) -> tuple[str, str]:
    """What Python prints on stdout and stderr, with the project's database at ``url``."""
    done = subprocess.run(
        [sys.executable, "-B", *arguments],
        cwd=ROOT,
        env={
            **os.environ,
            "DATABASE_URL": url,
            "DJANGO_SETTINGS_MODULE": settings,
            "PYTHONPATH": f"{folder}:{ROOT}",
            **variables,
        },
        capture_output=True,
        text=True,
        timeout=180,
    )
    assert (done.returncode != 0) == fails, done.stdout[-2000:] + done.stderr[-4000:]
    return done.stdout, done.stderr
