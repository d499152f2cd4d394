"""Commands and the audit: a fit calibrates on it, and doctor reports on it."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.utils import timezone

from marketplace_ai.audit import audited_postings, stops
from marketplace_ai.audit.counted_answers import counted_answers
from marketplace_ai.doctor.diagnose import examine
from marketplace_ai.doctor.finding import Finding
from marketplace_ai.fitting import fit_classifier, labeled_postings
from marketplace_ai.guarantee.target import Target
from marketplace_ai.models import (
    AuditedPosting,
    Category,
    ClassifierVersion,
    Decision,
    JobPosting,
    Outcome,
)
from marketplace_ai.review.answers import answer
from tests.integration.command_calls import call, call_json

from .factories import audited, text_digest, version

pytestmark = pytest.mark.django_db


@pytest.mark.slow
class TestFittingOnAudits:
    def answered(self, catalog: dict[str, Category], number: int) -> None:
        texts = ("Male rom", "Bytte kran", "Hei")
        keys = ("maling", "rorlegger", None)
        for n in range(number):
            job = JobPosting.objects.create(title=f"{texts[n % 3]} {n}")
            AuditedPosting.objects.create(
                posting=job, outcome=Outcome.REVIEW, text_digest=b"", draw_probability=0.01,
                drawn_at=timezone.now() - dt.timedelta(minutes=number - n),
            )  # fmt: skip
            AuditedPosting.objects.filter(posting=job).update(text_digest=text_digest(job))
            key = keys[n % 3]
            answer(job.pk, catalog[key].pk if key else None, None)

    def test_labeled_texts(self, exemplars: None, catalog: dict[str, Category]) -> None:
        self.answered(catalog, 6)
        changed, gone, homeless = AuditedPosting.objects.order_by("drawn_at")[:3]
        JobPosting.objects.filter(pk=changed.posting_id).update(title="Noe annet")
        JobPosting.objects.filter(pk=gone.posting_id).delete()
        AuditedPosting.objects.filter(pk=homeless.pk).update(answer=None, answer_key="slettet")
        found = labeled_postings.read_audits(Target())
        assert (found.rows, found.answered, found.needed) == ([], 3, 99)
        assert audited_postings.labeled_texts(counted_answers()) == [
            ("Male rom 3", str(catalog["maling"].pk), ""),
            ("Bytte kran 4", str(catalog["rorlegger"].pk), ""),
            ("Hei 5", None, ""),
        ]

    def test_a_fit_calibrates_on_enough_of_them(
        self, exemplars: None, catalog: dict[str, Category]
    ) -> None:
        self.answered(catalog, 12)
        found = labeled_postings.read_audits(Target(0.8, 0.8))
        assert len(found.rows) == 12
        classifier_version = fit_classifier.fit(
            found.postings, target=Target(0.8, 0.8),
            progress=lambda n: None,
        )  # fmt: skip
        assert classifier_version.calibrated_on == ClassifierVersion.Calibration.AUDITS
        assert classifier_version.figures["calibrated_on"] == "audits"
        assert classifier_version.figures["rows"] == 12

    def test_the_command_reports_how_many_there_are_and_how_many_are_needed(
        self, exemplars: None, catalog: dict[str, Category]
    ) -> None:
        self.answered(catalog, 3)
        output = call("fit_classifier")
        assert "3 answers about audited postings count, 99 are needed" in output
        assert "calibrated on cross-validation on exemplars" in output
        assert call_json("fit_classifier")["calibrated_on"] == "exemplars"

    @pytest.mark.slow
    def test_the_command_uses_them_and_warns_of_those_that_wait(
        self, exemplars: None, catalog: dict[str, Category]
    ) -> None:
        self.answered(catalog, 12)
        AuditedPosting.objects.create(
            posting=JobPosting.objects.create(title="Venter"), outcome=Outcome.REVIEW,
            text_digest=b"", drawn_at=timezone.now(),
        )  # fmt: skip
        target = {"target_precision": 0.8, "confidence": 0.8}
        output = call("fit_classifier", **target)
        assert "1 audited postings still wait for an answer" in output
        assert "calibrated on audited postings." in output
        result = call_json("fit_classifier", **target)
        assert (result["calibrated_on"], result["rows"]) == ("audits", 12)

    def test_a_file_takes_precedence(
        self, exemplars: None, catalog: dict[str, Category], tmp_path: Any
    ) -> None:
        self.answered(catalog, 12)
        file = tmp_path / "labeled.csv"
        file.write_text("text,category\nMale stue,maling\nHei,none\n", encoding="utf-8")
        found = call_json(
            "fit_classifier", calibration=str(file), target_precision=0.8, confidence=0.8
        )
        assert (found["calibrated_on"], found["rows"]) == ("postings", 2)


class TestTheDoctor:
    def findings(self) -> dict[str, Finding]:
        return {finding.name: finding for finding in examine()}

    def test_it_reports_the_share_and_how_many_wait(
        self, catalog: dict[str, Category], settings: Any
    ) -> None:
        settings.MARKETPLACE_AI_AUDIT_SAMPLE_RATE = 1
        audited(version(catalog["maling"]), catalog["maling"])
        found = self.findings()["audit"]
        assert found.ok
        assert found.message == "100.00% of all postings are drawn, 1 wait"
        assert found.cure == ""
        AuditedPosting.objects.update(drawn_at=timezone.now() - dt.timedelta(days=8))
        assert "Have somebody answer them" in self.findings()["audit"].cure

    def test_it_reports_that_nothing_is_monitored_without_a_share(
        self, settings: Any, db: Any
    ) -> None:
        settings.MARKETPLACE_AI_AUDIT_SAMPLE_RATE = 0
        assert "MARKETPLACE_AI_AUDIT_SAMPLE_RATE" in self.findings()["audit"].cure

    def test_it_fails_if_automation_has_stopped(
        self, exemplars: None, catalog: dict[str, Category]
    ) -> None:
        classifier_version = version(catalog["maling"])
        assert "automation" not in self.findings()
        stop = stops.stop(classifier_version, "automatic", catalog["maling"].pk, key="maling")
        assert stop is not None
        stops.stop(classifier_version, "none")
        found = self.findings()["automation"]
        assert not found.ok
        assert "Automation has stopped: maling, rule none." in found.message
        assert "Automation" in found.cure

    def test_it_reports_what_the_classifier_was_calibrated_on(
        self, exemplars: None, catalog: dict[str, Category]
    ) -> None:
        version(catalog["maling"], calibrated_on="audits")
        assert self.findings()["classifier"].message.endswith("calibrated on audited postings")
        version(catalog["maling"])
        assert self.findings()["classifier"].message.endswith("calibrated on labeled postings")

    def test_it_fails_if_workers_decide_with_a_version_that_is_not_active(
        self, exemplars: None, catalog: dict[str, Category]
    ) -> None:
        older = version(catalog["maling"])
        damaged = version(catalog["maling"])
        stored = ClassifierVersion.objects.filter(pk=damaged.pk)
        audited(older, catalog["maling"], age=1)
        assert "deciding" not in self.findings()  # a worker may not have followed yet
        stored.update(activated_at=timezone.now() - dt.timedelta(hours=1))
        found = self.findings()["deciding"]
        assert not found.ok
        assert f"decided by version {older.pk} in the last 10 minutes" in found.message
        Decision.objects.update(classifier=None)
        assert "decided without a classifier" in self.findings()["deciding"].message
        Decision.objects.update(outcome=Outcome.CORRECTED)
        assert "deciding" not in self.findings()
        Decision.objects.update(outcome=Outcome.AUTOMATIC, classifier=damaged)
        assert "deciding" not in self.findings()
        Decision.objects.update(
            classifier=older, decided_at=timezone.now() - dt.timedelta(minutes=11)
        )
        assert "deciding" not in self.findings()
