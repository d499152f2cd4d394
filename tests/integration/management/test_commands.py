"""Commands: all or nothing, one clear sentence for bad input, meaningful exit codes."""

from __future__ import annotations

import json
import re
import subprocess
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth import authenticate, get_user_model
from django.core.management import call_command
from django.db import IntegrityError, connection
from rich.console import Console

from demo.management.commands import demo
from marketplace_ai.encoding import EncoderError
from marketplace_ai.exemplars import descriptions
from marketplace_ai.models import (
    Category,
    ClassifierVersion,
    Decision,
    Exemplar,
    JobPosting,
    Outcome,
    PostingChange,
    Priority,
    QueuedPosting,
)
from marketplace_ai.queue import intake
from tests.acceptance.workers import publishing_to
from tests.integration.command_calls import call, call_json, failed, refused
from tests.integration.worker_runs import automatic, current, drain, idle_worker

pytestmark = pytest.mark.django_db


def older(*titles: str, category: Category | None = None) -> list[JobPosting]:
    """Postings from before the app was installed."""
    jobs = JobPosting.objects.bulk_create(
        [JobPosting(title=title, category=category) for title in titles]
    )
    PostingChange.objects.all().delete()
    return jobs


class TestBackfill:
    def test_a_dry_run_counts_and_queues_nothing(self, fitted: None) -> None:
        older("Male", "Kran")
        result = call_json("backfill_embeddings", dry_run=True)
        assert (result["missing"], result["queued"], result["pending"]) == (2, 0, 0)
        assert QueuedPosting.objects.count() == 0
        assert call("backfill_embeddings", dry_run=True).startswith("2 postings have no vector")

    def test_it_resumes_where_it_stopped(self, fitted: None) -> None:
        older(*"abcde")
        first = call_json("backfill_embeddings", limit=2)
        assert (first["missing"], first["queued"], first["pending"]) == (2, 2, 2)
        drain()
        second = call_json("backfill_embeddings")
        assert (second["missing"], second["queued"], second["pending"]) == (3, 3, 3)
        assert call_json("backfill_embeddings")["queued"] == 0
        drain()
        assert Decision.objects.filter(is_current=True).count() == 5
        assert call_json("backfill_embeddings")["missing"] == 0

    def test_fresh_postings_go_first(self, fitted: None) -> None:
        old = older("Male stue")
        call("backfill_embeddings")
        fresh = JobPosting.objects.create(title="Bytte kran")
        intake.collect()
        order = QueuedPosting.objects.order_by("-priority").values_list("posting_id", "priority")
        assert list(order) == [(fresh.pk, Priority.FRESH), (old[0].pk, Priority.BACKFILL)]
        from marketplace_ai.queue.claim import claim

        taken = claim(1)
        assert taken is not None
        assert [row.posting_id for row in taken.rows] == [fresh.pk, old[0].pk]

    def test_a_persons_category_is_kept(self, fitted: None, catalog: Any, monkeypatch: Any) -> None:
        automatic(monkeypatch, catalog["maling"], Outcome.AUTOMATIC)
        (labeled,) = older("Klippe gress", category=catalog["plen"])
        (bare,) = older("Male stue")
        call("backfill_embeddings")
        drain()
        labeled.refresh_from_db()
        bare.refresh_from_db()
        assert (labeled.category, current(labeled).outcome) == (
            catalog["plen"],
            Outcome.HUMAN_OVERRIDE,
        )
        assert (bare.category, current(bare).outcome) == (catalog["maling"], Outcome.AUTOMATIC)

    def test_vectors_only_decides_nothing(self, fitted: None) -> None:
        older("Male stue")
        call("backfill_embeddings", vectors_only=True)
        drain()
        assert not Decision.objects.exists()
        assert call_json("backfill_embeddings", vectors_only=True)["missing"] == 0
        # What nobody decided is for a backfill that decides.
        assert call_json("backfill_embeddings")["missing"] == 1

    def test_since(self, fitted: None) -> None:
        old, _new = older("Male", "Kran")
        JobPosting.objects.filter(pk=old.pk).update(created_at="2020-01-01T12:00Z")
        assert call_json("backfill_embeddings", since="2021-01-01")["queued"] == 1
        assert call_json("backfill_embeddings", since="2020-01-01")["queued"] == 1

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"since": "01.02.2026"}, "--since must be a date such as 2026-01-31"),
            ({"since": "2026-02-30"}, "--since must be a date"),
            ({"limit": 0}, "--limit must be 1 or more, not 0."),
            ({"limit": -3}, "--limit must be 1 or more"),
            ({"encoder": "other"}, "'other' is neither the active encoder"),
        ],
    )
    def test_bad_options(self, fitted: None, options: Any, message: str) -> None:
        older("Male")
        assert message in refused("backfill_embeddings", **options)
        assert QueuedPosting.objects.count() == 0

    def test_without_an_encoder(self) -> None:
        assert "There is no encoder yet" in refused("backfill_embeddings")

    def test_waiting_without_a_worker_ends_with_a_cure(self, fitted: None) -> None:
        older("Male")
        message = failed("backfill_embeddings", wait=True, json=True)
        assert "No worker is running; what is queued stays queued." in message
        assert QueuedPosting.objects.count() == 1


def doctor(capsys: Any) -> tuple[bool, dict[str, Any]]:
    """Run doctor; returns (healthy, findings by name). Exit code and JSON must agree."""
    out, code = StringIO(), 0
    try:
        call_command("doctor", json=True, stdout=out)
    except SystemExit as end:
        code = int(str(end.code))
    report = json.loads(out.getvalue())
    assert code == (0 if report["ok"] else 1)
    assert report["ok"] == all(finding["ok"] for finding in report["findings"])
    assert capsys.readouterr().out == ""
    return report["ok"], {finding["name"]: finding for finding in report["findings"]}


class TestDoctor:
    def test_an_empty_installation(self, capsys: Any) -> None:
        healthy, findings = doctor(capsys)
        assert not healthy
        assert "import_exemplars" in findings["exemplars"]["cure"]
        assert "process_pending" in findings["worker"]["cure"]
        assert findings["database"]["ok"]
        assert findings["broker"]["ok"]
        assert findings["trigger"]["ok"]

    def test_all_is_well(self, fitted: None, capsys: Any) -> None:
        with idle_worker():
            healthy, findings = doctor(capsys)
        assert healthy, [f for f in findings.values() if not f["ok"]]
        assert findings["worker"]["message"].startswith("1 running")

    def test_a_disabled_trigger(self, capsys: Any) -> None:
        with connection.cursor() as cursor:
            cursor.execute(
                "ALTER TABLE marketplace_ai_jobposting DISABLE TRIGGER marketplace_ai_edited"
            )
        finding = doctor(capsys)[1]["trigger"]
        assert not finding["ok"]
        assert finding["cure"] == (
            "ALTER TABLE marketplace_ai_jobposting ENABLE TRIGGER marketplace_ai_edited"
        )

    def test_failed_and_waiting_postings(self, posting: JobPosting, capsys: Any) -> None:
        intake.collect()
        QueuedPosting.objects.update(queued_at="2026-01-01T00:00Z")
        assert not doctor(capsys)[1]["queue"]["ok"]
        QueuedPosting.objects.update(failed_at="2026-01-01T00:00Z")
        findings = doctor(capsys)[1]
        assert findings["queue"]["ok"]
        assert findings["failed"]["message"].startswith("1 postings")

    def test_a_rescan_is_asked_for(self, capsys: Any) -> None:
        PostingChange.objects.create(kind="rescan", logged_at="2026-01-01T00:00Z")
        assert "backfill_embeddings" in doctor(capsys)[1]["rescan"]["cure"]

    def test_a_broker_that_is_gone(self, capsys: Any) -> None:
        with publishing_to("redis://127.0.0.1:1/0"):
            finding = doctor(capsys)[1]["broker"]
        assert not finding["ok"]
        assert "Start Redis" in finding["cure"]

    def test_a_classifier_that_is_not_fitted(self, exemplars: None, capsys: Any) -> None:
        assert "fit_classifier" in doctor(capsys)[1]["classifier"]["cure"]

    def test_output_for_people(self) -> None:
        out = StringIO()
        with pytest.raises(SystemExit):
            call_command("doctor", stdout=out, no_color=True)
        assert "FAIL exemplars: There are no exemplars." in out.getvalue()
        assert "→ Run manage.py import_exemplars FILE" in out.getvalue()


@pytest.mark.slow
class TestFitClassifier:
    def test_without_exemplars(self) -> None:
        said = refused("fit_classifier")
        assert "no category has a description" in said
        assert "import_exemplars FILE" in said

    @pytest.mark.parametrize(
        ("error", "message"),
        [
            (EncoderError("The weights are gone."), "The weights are gone."),
            (IntegrityError("duplicate key"), "Another fit_classifier"),
        ],
    )
    def test_errors_of_a_fit_are_one_sentence(
        self, exemplars: None, monkeypatch: Any, error: Exception, message: str
    ) -> None:
        from marketplace_ai.fitting import fit_classifier

        def fit_fails(*args: Any, **options: Any) -> None:
            raise error

        monkeypatch.setattr(fit_classifier, "fit", fit_fails)
        assert failed("fit_classifier").startswith(message)

    @pytest.mark.slow
    def test_its_figures(self, exemplars: None) -> None:
        result = call_json("fit_classifier")
        version = ClassifierVersion.objects.get(is_active=True)
        assert result["version"] == version.pk
        assert result["calibrated_on"] == "exemplars"
        assert (result["target_precision"], result["confidence"]) == (0.97, 0.95)
        assert {"automatic", "parent", "none", "categories"} <= result.keys()

    def test_too_few_exemplars_are_reported(self, exemplars: None, catalog: Any) -> None:
        lawns = Exemplar.objects.filter(category=catalog["plen"])
        lawns.filter(pk__in=list(lawns.values_list("pk", flat=True)[:2])).delete()
        lines = call("fit_classifier").splitlines()
        matching = [line for line in lines if "too few exemplars" in line]
        assert len(matching) == 1
        assert matching[0].startswith("plen")
        assert "too few exemplars (2 of 3), needs its own rows; " in matching[0]

    def test_doctor_counts_categories_with_nothing_but_a_description(
        self, fitted: None, capsys: Any
    ) -> None:
        Category.objects.create(slug="piano", name="Pianostemming")
        descriptions.sync()
        _, findings = doctor(capsys)
        message = "16 vote; categories with nothing but their description: 1"
        assert findings["exemplars"]["message"] == message

    def test_with_labeled_postings(self, exemplars: None, table: Any) -> None:
        rows = [f"Male rom {n},maling\nBytte kran {n},rorlegger\nHei {n},none" for n in range(12)]
        file = table("\n".join(["text,category", *rows]) + "\n")
        result = call_json("fit_classifier", calibration=file, target_precision=0.8)
        assert result["calibrated_on"] == "postings"
        assert result["target_precision"] == 0.8

    @pytest.mark.parametrize("value", [0, 1, -1, 1.5, 97, float("nan")])
    @pytest.mark.parametrize("name", ["target_precision", "confidence"])
    def test_target_and_confidence_must_be_shares(
        self, exemplars: None, name: str, value: float
    ) -> None:
        assert "must lie between 0 and 1" in refused("fit_classifier", **{name: value})

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            ("text,category\nMale,ukjent\n", "line 2: there is no category 'ukjent'"),
            ("text,category\n,maling\n", "line 2: the text is empty"),
            ("category\nmaling\n", "it needs a column text, or title and description"),
            ("text,category\n", "there is no row below the header"),
        ],
    )
    def test_a_calibration_file_that_cannot_be_used(
        self, exemplars: None, table: Any, content: str, message: str
    ) -> None:
        assert message in refused("fit_classifier", calibration=table(content))
        assert not ClassifierVersion.objects.exists()


class TestDemosAdministrator:
    def test_on_its_own_server_everyone_may_know_the_password(self) -> None:
        out = StringIO()
        assert demo.administrator(Console(file=out), own_server=True) == "demo"
        assert authenticate(username="demo", password="demo").is_superuser
        assert out.getvalue() == ""

    def test_on_somebodys_server_the_password_is_random_and_said_once(self) -> None:
        out = StringIO()
        demo.administrator(Console(file=out, width=110), own_server=False)
        assert "a server of yours" in out.getvalue()
        password = re.search(r"with the password (\S+)", out.getvalue())
        assert password and authenticate(username="demo", password=password[1]).is_superuser
        assert authenticate(username="demo", password="demo") is None
        again = StringIO()
        demo.administrator(Console(file=again, width=110), own_server=False)
        assert password[1] not in again.getvalue()
        assert get_user_model().objects.count() == 1


def test_the_tests_ask_for_chromium_before_anything_is_installed() -> None:
    root = Path(__file__).resolve().parents[3]
    done = subprocess.run(
        ["make", "-Bn", "test"], cwd=root, capture_output=True, text=True, check=True, timeout=30
    )
    assert done.stdout.index("command -v chromium") < done.stdout.index("pip install")
