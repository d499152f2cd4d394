"""What is said of what a guarantee rests on: by the fit, the doctor and the admin."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import translation

from marketplace_ai.audit.basis_wording import basis_report, out_of_scope_sentence
from marketplace_ai.doctor.audit import guarantee
from marketplace_ai.guarantee.basis import Basis, BasisKind
from marketplace_ai.guarantee.out_of_scope import Decided, out_of_scope
from marketplace_ai.guarantee.target import Target
from marketplace_ai.models import (
    AuditedPosting,
    Category,
    ClassifierVersion,
    Encoder,
    JobPosting,
    Outcome,
)
from marketplace_ai.review.answers import answer
from tests.integration.command_calls import call, call_json

from .factories import judged, version

pytestmark = pytest.mark.django_db

SCOPE = out_of_scope(Decided(900, 600, 2), Decided(100, 1, 1), Target())


def resting_on(source: BasisKind, *categories: Category, proves: bool = True) -> ClassifierVersion:
    made = version(*categories, calibrated_on=source.value)
    made.figures["basis"] = Basis(source, 1730, 1730, 0, proves, SCOPE).as_dict()
    made.save()
    return made


def said(made: ClassifierVersion) -> tuple[str, int | None]:
    report = basis_report(made)
    assert report is not None
    return report["sentence"], report["answers_missing"]


def answered(made: ClassifierVersion, category: Category, right: int, wrong: int) -> None:
    """Counted answers; the test needs no posting behind them, only that it exists."""
    before = AuditedPosting.objects.count()
    judged(made, category, right, wrong, draw_probability=0.01, answer=category)
    for row in AuditedPosting.objects.order_by("pk")[before:]:
        job = JobPosting.objects.create(title="Male stue")
        AuditedPosting.objects.filter(pk=row.pk).update(posting=job)


class TestTheSentence:
    def test_exemplars_are_no_sample(self, catalog: dict[str, Category]) -> None:
        sentence, missing = said(resting_on(BasisKind.EXEMPLARS, catalog["maling"]))
        assert sentence == (
            "The guarantee rests on 1,730 exemplars, each decided by a fit without its family: it "
            "holds for texts like them, and they are no sample of what comes in; 99 more answers "
            "of the random audit about automatic postings, none of them wrong, make it one that "
            "holds in production."
        )
        assert missing == 99

    def test_a_file_is_taken_to_be_a_random_sample(self, catalog: dict[str, Category]) -> None:
        made = resting_on(BasisKind.FILE, catalog["maling"])
        answered(made, catalog["maling"], 40, 0)
        sentence, missing = said(made)
        assert "rests on 1,730 labeled rows of a file" in sentence
        assert "if they were drawn at random" in sentence
        assert "59 more answers" in sentence
        assert missing == 59

    def test_the_audit_is_a_sample(self, catalog: dict[str, Category]) -> None:
        sentence, missing = said(resting_on(BasisKind.AUDIT, catalog["maling"]))
        assert sentence.endswith("answers of the random audit, a sample of what came in.")
        assert missing == 0

    def test_the_error_rate_seen_so_far_is_taken_into_account(
        self, catalog: dict[str, Category]
    ) -> None:
        made = resting_on(BasisKind.EXEMPLARS, catalog["maling"])
        answered(made, catalog["maling"], 59, 1)
        sentence, missing = said(made)
        assert "as seldom wrong as so far" in sentence
        assert missing == 418
        answered(made, catalog["maling"], 0, 4)
        sentence, missing = said(made)
        assert "of 64 counted answers of the random audit 5 say that it was wrong" in sentence
        assert missing is None

    def test_enough_answers_only_need_a_fit(self, catalog: dict[str, Category]) -> None:
        made = resting_on(BasisKind.EXEMPLARS, catalog["maling"])
        answered(made, catalog["maling"], 99, 0)
        sentence, missing = said(made)
        assert sentence.endswith("in production: run fit_classifier.")
        assert missing == 0

    def test_nothing_is_proven(self, catalog: dict[str, Category]) -> None:
        made = resting_on(BasisKind.EXEMPLARS, catalog["maling"], proves=False)
        sentence, missing = said(made)
        assert sentence.startswith("Nothing is guaranteed or automatic, because 1,730 rows")
        assert "99 more answers" in sentence
        assert missing == 99

    def test_a_version_without_a_basis_says_nothing(self, catalog: dict[str, Category]) -> None:
        assert basis_report(version(catalog["maling"])) is None

    def test_postings_that_fit_nothing(self) -> None:
        assert out_of_scope_sentence(SCOPE) == (
            "100 rows without a category were seen, 1 of them given one; if a tenth of the "
            "postings are like them, the precision is 99.5%, in the worst case 97.7%."
        )
        unseen = out_of_scope(Decided(900, 600, 2), Decided(0, 0, 0), Target())
        assert out_of_scope_sentence(unseen) == (
            "If a tenth of the postings fit no category, the precision is unknown, in the worst "
            "case 83.9%: no row without a category was seen, and 99 would be needed."
        )


class TestWhereItIsSaid:
    @pytest.mark.slow
    def test_by_the_fit(self, exemplars: None) -> None:
        output = call("fit_classifier", target_precision=0.8, confidence=0.8)
        assert "answers of the random audit about automatic postings" in output
        found = call_json("fit_classifier", target_precision=0.8, confidence=0.8)["basis"]
        assert found["source"] == "exemplars"
        assert found["answers_missing"] == 8
        assert found["out_of_scope"]["rows"] >= 0
        assert found["sentence"] in output

    @pytest.mark.slow
    def test_exemplars_that_are_answers_only_teach(
        self, exemplars: None, catalog: dict[str, Category]
    ) -> None:
        before = call_json("fit_classifier", dry_run=True)
        for n in range(5):
            job = JobPosting.objects.create(title=f"Male gjerde {n}")
            answer(job.pk, catalog["maling"].pk, None)
        found = call_json("fit_classifier", dry_run=True)
        assert found["rows"] == found["basis"]["rows"] == before["rows"]
        assert found["basis"]["only_teach"] == 5
        assert "5 exemplars are people's answers: they teach" in call("fit_classifier")

    @pytest.mark.slow
    def test_exemplars_that_the_encoder_was_trained_on_prove_nothing(self, exemplars: None) -> None:
        easy: dict[str, Any] = {"target_precision": 0.5, "confidence": 0.5}
        before = call_json("fit_classifier", **easy)
        assert before["basis"]["kind"] == "exemplars"
        Encoder.objects.update(metrics={"training": {"figures": {}}})
        # It decides nothing any more, so it is refused unless it is forced.
        easy |= {"dry_run": True, "force": True}
        assert call_json("fit_classifier", **easy)["basis"]["kind"] == "nothing"
        output = call("fit_classifier", **easy)
        assert "fine-tuned, most likely on the exemplars, which therefore prove nothing" in output
        assert "people's answers" not in output

    def test_by_the_doctor(self, catalog: dict[str, Category]) -> None:
        assert list(guarantee()) == []
        resting_on(BasisKind.EXEMPLARS, catalog["maling"])
        (finding,) = guarantee()
        assert finding.ok
        assert "no sample of what comes in" in finding.message
        assert finding.as_dict()["details"]["answers_missing"] == 99

    def test_in_the_admin_in_both_languages(
        self, admin_client: Client, catalog: dict[str, Category]
    ) -> None:
        made = resting_on(BasisKind.FILE, catalog["maling"])
        overview = reverse("admin:marketplace_ai_automationstop_changelist")
        page = reverse("admin:marketplace_ai_classifierversion_change", args=[made.pk])
        for url in (overview, page):
            assert "labeled rows of a file" in admin_client.get(url).content.decode()
            with translation.override("nb"):
                response = admin_client.get(url, headers={"accept-language": "nb"})
            assert "merkede rader fra en fil" in response.content.decode()


def test_a_person_who_answers_many_at_once_counts_for_nothing(
    catalog: dict[str, Category],
) -> None:
    """Rows without a draw are not there, and those in review say nothing of what is automatic."""
    made = resting_on(BasisKind.EXEMPLARS, catalog["maling"])
    judged(
        made, catalog["maling"], 50, 0, outcome=Outcome.REVIEW, draw_probability=0.01,
        answer=catalog["maling"],
    )  # fmt: skip
    sentence: Any = said(made)[0]
    assert "99 more answers" in sentence
