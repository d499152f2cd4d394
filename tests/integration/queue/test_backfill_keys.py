"""Backfills of postings with text primary keys."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from tests.integration.databases import fresh_database
from tests.integration.models.test_migrations import ROOT, shop

pytestmark = [pytest.mark.django_db, pytest.mark.slow]


TEXT_KEYS = """
class Job(models.Model):
    ref = models.CharField(primary_key=True, max_length=40)
    title = models.CharField(max_length=80)
    description = models.TextField(blank=True, default="")
    category = models.ForeignKey("marketplace_ai.Category", null=True, on_delete=models.SET_NULL)
"""


def test_text_keys(tmp_path: Path) -> None:
    shop(
        tmp_path,
        TEXT_KEYS,
        """
        MARKETPLACE_AI_JOB_MODEL = "shop.Job"
        MARKETPLACE_AI_ADAPTER = "shop_adapter.Adapter"
        MARKETPLACE_AI_CLAIM_SIZE = 3
        MARKETPLACE_AI_BACKFILL_MAX_QUEUED_BATCHES = 1
        """,
    )
    (tmp_path / "shop_adapter.py").write_text(
        "from marketplace_ai.adapter import JobAdapter\n"
        "class Adapter(JobAdapter):\n    set_by_field = created_field = None\n"
    )
    (tmp_path / "run.py").write_text(
        textwrap.dedent(
            """
            import django
            django.setup()
            from django.core.management import call_command
            call_command("makemigrations", "shop", verbosity=0)
            call_command("migrate", verbosity=0)
            from shop.models import Job
            from marketplace_ai.encoders import active as encoders
            from marketplace_ai.models import Decision, PostingChange, TableScan
            from marketplace_ai.queue import backfill
            keys = ["", " ", "a", "B", "ab", "å", "Æ", "%s", "O'Neil", "10", "9", "{x}", "NULL",
                    '"', "\\\\", "a,b"]
            Job.objects.bulk_create([Job(ref=key, title="Male " + key) for key in keys])
            PostingChange.objects.all().delete()
            encoders.ensure_active()
            backfill.SCAN_STEP = 2
            call_command("backfill_embeddings")
            call_command("process_pending", drain=True)
            scan = TableScan.objects.get(purpose="backfill")
            assert set(Decision.objects.values_list("posting_id", flat=True)) == set(keys)
            counts = (scan.scanned_count, scan.queued_count, bool(scan.finished_at))
            assert counts == (16, 16, True), vars(scan)
            print("all decided")
            """
        )
    )
    with fresh_database("text_keys") as url:
        done = subprocess.run(
            [sys.executable, str(tmp_path / "run.py")],
            cwd=ROOT,
            env={
                **os.environ,
                "DATABASE_URL": url,
                "DJANGO_SETTINGS_MODULE": "shop_settings",
                "PYTHONPATH": f"{tmp_path}:{ROOT}",
            },
            capture_output=True,
            text=True,
            timeout=120,
        )
    assert "all decided" in done.stdout, done.stderr
