"""What commands make of the audit: a fit that calibrates on it, a doctor that tells of it."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.utils import timezone

from marketplace_ai.audit import audited_postings, stops
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


class TestFittingOnAudits:
    def answered(self, catalog: dict[str, Category], number: int) -> None:
        texts = ("Male rom", "Bytte kran", "Hei")
        keys = ("maling", "rorlegger", None)
        for n in range(number):
            job = JobPosting.objects.create(title=f"{texts[n % 3]} {n}")
            AuditedPosting.objects.create(
                posting=job, outcome=Outcome.REVIEW, text_digest=b"",
                drawn_at=timezone.now() - dt.timedelta(minutes=number - n),
            )  # fmt: skip
            AuditedPosting.objects.filter(posting=job).update(text_digest=text_digest(job))
            key = keys[n % 3]
            answer(job.pk, catalog[key].pk if key else None, None)

    def test_what_they_say(self, exemplars: None, catalog: dict[str, Category]) -> None:
        self.answered(catalog, 6)
        changed, gone, homeless = AuditedPosting.objects.order_by("drawn_at")[:3]
        JobPosting.objects.filter(pk=changed.posting_id).update(title="Noe annet")
        JobPosting.objects.filter(pk=gone.posting_id).delete()
        AuditedPosting.objects.filter(pk=homeless.pk).update(answer=None, answer_key="slettet")
        found = labeled_postings.read_audits(Target())
        assert (found.rows, found.answered, found.needed) == ([], 3, 99)
        assert audited_postings.labeled_texts() == [
            ("Male rom 3", str(catalog["maling"].pk)),
            ("Bytte kran 4", str(catalog["rorlegger"].pk)),
            ("Hei 5", None),
        ]

    def test_enough_of_them_calibrate(self, exemplars: None, catalog: dict[str, Category]) -> None:
        self.answered(catalog, 12)
        found = labeled_postings.read_audits(Target(0.8, 0.8))
        assert len(found.rows) == 12
        made = fit_classifier.fit(
            found.postings, target=Target(0.8, 0.8),
            progress=lambda n: None,
        )  # fmt: skip
        assert made.calibrated_on == ClassifierVersion.Calibration.AUDITS
        assert made.figures["calibrated_on"] == "audits"
        assert made.figures["rows"] == 12

    def test_the_command_says_how_many_there_are_and_how_many_are_needed(
        self, exemplars: None, catalog: dict[str, Category]
    ) -> None:
        self.answered(catalog, 3)
        said = call("fit_classifier")
        assert "3 audited postings are answered, 99 are needed" in said
        assert "calibrated on cross-validation on exemplars" in said
        assert call_json("fit_classifier")["calibrated_on"] == "exemplars"

    def test_the_command_uses_them_and_warns_of_those_that_wait(
        self, exemplars: None, catalog: dict[str, Category]
    ) -> None:
        self.answered(catalog, 12)
        AuditedPosting.objects.create(
            posting=JobPosting.objects.create(title="Venter"), outcome=Outcome.REVIEW,
            text_digest=b"", drawn_at=timezone.now(),
        )  # fmt: skip
        promise = {"target_precision": 0.8, "confidence": 0.8}
        said = call("fit_classifier", **promise)
        assert "1 audited postings still wait for an answer" in said
        assert "calibrated on audited postings." in said
        result = call_json("fit_classifier", **promise)
        assert (result["calibrated_on"], result["rows"]) == ("audits", 12)

    def test_a_file_goes_before_them(
        self, exemplars: None, catalog: dict[str, Category], tmp_path: Any
    ) -> None:
        self.answered(catalog, 12)
        file = tmp_path / "labelled.csv"
        file.write_text("text,category\nMale stue,maling\nHei,none\n", encoding="utf-8")
        found = call_json(
            "fit_classifier", calibration=str(file), target_precision=0.8, confidence=0.8
        )
        assert (found["calibrated_on"], found["rows"]) == ("postings", 2)


class TestTheDoctor:
    def findings(self) -> dict[str, Finding]:
        return {finding.name: finding for finding in examine()}

    def test_it_tells_the_share_and_how_many_wait(
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

    def test_it_says_that_nothing_watches_without_a_share(self, settings: Any, db: Any) -> None:
        settings.MARKETPLACE_AI_AUDIT_SAMPLE_RATE = 0
        assert "MARKETPLACE_AI_AUDIT_SAMPLE_RATE" in self.findings()["audit"].cure

    def test_it_fails_where_automation_has_stopped(
        self, exemplars: None, catalog: dict[str, Category]
    ) -> None:
        made = version(catalog["maling"])
        assert "automation" not in self.findings()
        stop = stops.stop(made, "automatic", catalog["maling"].pk, key="maling")
        assert stop is not None
        stops.stop(made, "none")
        found = self.findings()["automation"]
        assert not found.ok
        assert "Automation has stopped: maling, rule none." in found.message
        assert "Automation" in found.cure

    def test_it_says_what_the_classifier_was_calibrated_on(
        self, exemplars: None, catalog: dict[str, Category]
    ) -> None:
        version(catalog["maling"], calibrated_on="audits")
        assert self.findings()["classifier"].message.endswith("calibrated on audited postings")
        version(catalog["maling"])
        assert self.findings()["classifier"].message.endswith("calibrated on labeled postings")

    def test_it_fails_where_workers_decide_by_another_version_than_the_one_in_force(
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
