"""Who must not carry the encoder's libraries along: web processes, and workers that fork."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow

HEAVY = {"torch", "transformers", "sentence_transformers", "onnxruntime", "sklearn", "scipy"}


@pytest.mark.parametrize(
    "code",
    [
        "import config.wsgi, marketplace_ai.admin; import config.urls",
        "from config.celery import app; app.loader.import_default_modules()",
    ],
    ids=["web", "celery worker"],
)
def test_no_heavy_library_is_imported(code: str) -> None:
    script = f"{code}\nimport sys; print(*({HEAVY!r} & set(sys.modules)))"
    result = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "config.settings"},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert result.stdout.strip() == ""
