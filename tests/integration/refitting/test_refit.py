"""Refits: when one is due, what it does, what it logs, and the way back."""

from __future__ import annotations

import logging
import re
from typing import Any

import pytest

from marketplace_ai.doctor import refits as doctor
from marketplace_ai.doctor.finding import Finding
from marketplace_ai.fitting import fit_classifier
from marketplace_ai.models import Category, ClassifierVersion, Refit, RefitOutcome
from marketplace_ai.refitting.due import FEWEST_LABELS
from tests.integration.admin.factories import exemplar
from tests.integration.command_calls import call, call_json, failed, refused
from tests.integration.versions.factories import mislabel

from .factories import aged, drifted

pytestmark = [pytest.mark.django_db, pytest.mark.slow]


def label(catalog: dict[str, Category], count: int, start: int = 0) -> None:
    for number in range(start, start + count):
        exemplar(f"Male hytte nummer {number}", catalog["maling"])


def active() -> int:
    return ClassifierVersion.objects.get(is_active=True).pk


def findings() -> list[Finding]:
    return [finding for check in doctor.CHECKS for finding in check()]


class TestDue:
    def test_the_first_fit_is_due_as_soon_as_there_are_exemplars(
        self, catalog: dict[str, Category], request: Any
    ) -> None:
        found = call_json("refit", dry_run=True)
        assert (found["due"], found["hindrance"]) == (False, "no_exemplars")
        request.getfixturevalue("exemplars")
        assert call_json("refit", dry_run=True)["triggers"] == ["first"]
        done = call_json("refit", if_due=True)["refit"]
        assert (done["outcome"], done["version"]) == ("activated", active())
        assert not findings()

    def test_new_labels(self, fitted: None, catalog: dict[str, Category]) -> None:
        first = active()
        label(catalog, FEWEST_LABELS - 1)
        assert "No refit is due.\n19 new labels of 20 needed" in call("refit", if_due=True)
        assert not Refit.objects.exists()
        label(catalog, 1, 100)
        found = call_json("refit", dry_run=True)
        assert (found["due"], found["triggers"]) == (True, ["answers"])
        assert (found["new_labels"], found["needed"], found["labels"]) == (20, 20, 36)
        assert not Refit.objects.exists()
        said = call("refit", if_due=True)
        assert "A refit is due: new labels." in said
        assert f"Version {active()} is active instead of {first}." in said
        row = Refit.objects.get()
        assert (row.outcome, row.version_id, row.previous_version_id) == (
            "activated", active(), first,
        )  # fmt: skip
        assert row.triggers == ["answers"] and row.figures["new_labels"] == 20
        assert row.started_at < row.finished_at
        label(catalog, 100, 200)
        # Not twice a day.
        found = call_json("refit", if_due=True)
        assert (found["refit"], found["hindrance"]) == (None, "pause")

    def test_a_drift_is_an_alarm_until_something_new_is_labeled(
        self, fitted: None, catalog: dict[str, Category], caplog: Any
    ) -> None:
        version = aged(40)
        assert not findings()
        drifted(version)
        with caplog.at_level(logging.WARNING, "marketplace_ai"):
            found = call_json("refit", if_due=True)
        assert (found["due"], found["hindrance"]) == (False, "nothing_new")
        assert found["triggers"] == ["categories"]
        assert "A refit would be due (categories have drifted), but nothing new" in caplog.text
        [finding] = findings()
        assert (finding.name, finding.ok) == ("drift", False)
        assert re.search(r"rorlegger 0\.\d% → (4|5)", finding.message)
        assert re.search(r"plen 4.\.\d% → [01]\.", finding.message)
        assert finding.cure.startswith("Not fitted again, because nothing new was labeled")
        label(catalog, 1)
        found = call_json("refit", if_due=True)
        assert (found["due"], found["refit"]["outcome"]) == (True, "activated")
        assert Refit.objects.get().figures["drift"]["categories_p_value"] < 1e-9
        assert not findings()

    def test_a_guarantee_on_a_file_is_not_replaced_by_one_on_exemplars(
        self,
        good: ClassifierVersion,
        calibration: str,
        catalog: dict[str, Category],
    ) -> None:
        label(catalog, 40)
        found = call_json("refit", if_due=True)
        assert (found["triggers"], found["hindrance"]) == (["answers"], "basis")
        [finding] = findings()
        assert finding.ok and "give a file (--calibration FILE)" in finding.message
        done = call_json("refit", if_due=True, calibration=calibration)["refit"]
        new = ClassifierVersion.objects.get(pk=done["version"])
        assert new.is_active
        assert (new.calibrated_on, new.target_precision) == ("postings", 0.9)


class TestOutcomes:
    def test_a_project_may_have_it_propose_only(
        self, fitted: None, catalog: dict[str, Category], settings: Any
    ) -> None:
        settings.MARKETPLACE_AI_REFIT_ACTIVATES = False
        first = active()
        label(catalog, 20)
        done = call_json("refit", if_due=True)["refit"]
        assert (done["outcome"], active()) == ("proposed", first)
        assert done["version"] > first
        [finding] = findings()
        assert finding.ok and f"use_classifier {done['version']} activates it" in finding.cure
        Refit.objects.update(started_at="2020-01-01T00:00Z")
        assert call_json("refit", dry_run=True)["new_labels"] == 0
        call("use_classifier", done["version"])
        assert not findings()

    def test_a_first_version_that_is_only_proposed_is_proposed_once(
        self, exemplars: None, settings: Any
    ) -> None:
        settings.MARKETPLACE_AI_REFIT_ACTIVATES = False
        assert call_json("refit", if_due=True)["refit"]["outcome"] == "proposed"
        Refit.objects.update(started_at="2020-01-01T00:00Z")
        assert call_json("refit", if_due=True)["refit"] is None

    def test_a_worse_one_is_refused_and_not_tried_again(
        self,
        good: ClassifierVersion,
        catalog: dict[str, Category],
        calibration: str,
    ) -> None:
        mislabel(catalog)
        said = failed("refit", if_due=True, calibration=calibration)
        row = Refit.objects.get()
        assert said.startswith(f"Version {row.version_id} was refused: its first choice is right")
        assert (row.outcome, active()) == ("refused", good.pk)
        [finding] = findings()
        assert finding.ok and finding.message == said
        Refit.objects.update(started_at="2020-01-01T00:00Z")
        assert call_json("refit", if_due=True, calibration=calibration)["refit"] is None

    def test_one_that_fails_is_logged_and_tried_again_the_next_day(
        self, exemplars: None, monkeypatch: Any
    ) -> None:
        def broken(*args: Any, **options: Any) -> None:
            raise ValueError("the disk is full")

        monkeypatch.setattr(fit_classifier, "fit", broken)
        assert failed("refit", if_due=True) == "The disk is full"
        assert Refit.objects.get().outcome == RefitOutcome.FAILED
        [finding] = findings()
        assert not finding.ok and "The disk is full" in finding.message
        monkeypatch.undo()
        assert call_json("refit", if_due=True)["hindrance"] == "pause"
        Refit.objects.update(started_at="2020-01-01T00:00Z")
        assert call_json("refit", if_due=True)["refit"]["outcome"] == "activated"
        assert not findings()

    def test_one_that_is_stopped_says_so(self, exemplars: None, monkeypatch: Any) -> None:
        def stopped(*args: Any, **options: Any) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(fit_classifier, "fit", stopped)
        with pytest.raises(KeyboardInterrupt):
            call("refit")
        row = Refit.objects.get()
        assert (row.outcome, row.error) == ("interrupted", "It was stopped.")


class TestUndo:
    def test_back_in_one_step_and_not_forward_again_by_itself(
        self, fitted: None, catalog: dict[str, Category]
    ) -> None:
        first = active()
        label(catalog, 20)
        second = call_json("refit")["refit"]["version"]
        assert active() == second
        assert call("refit", undo=True) == (
            f"Version {first} is active again instead of {second}. "
            f"The way forward: use_classifier {second}.\n"
        )
        assert active() == first
        row = Refit.objects.latest("pk")
        assert (row.outcome, row.version_id, row.previous_version_id) == ("undone", first, second)
        Refit.objects.update(started_at="2020-01-01T00:00Z")
        assert call_json("refit", if_due=True)["refit"] is None
        assert "was not activated by a refit" in failed("refit", undo=True)

    def test_what_cannot_be_undone(self, exemplars: None) -> None:
        assert failed("refit", undo=True) == "No version is active."
        call("refit")
        assert "was the first one" in failed("refit", undo=True)
        call("refit")
        ClassifierVersion.objects.filter(is_active=False).update(artifact=b"damaged")
        now = active()
        assert "nothing was changed" in failed("refit", undo=True)
        assert active() == now


def test_usage(exemplars: None, table: Any) -> None:
    assert "takes no --calibration" in refused("refit", undo=True, calibration="x.csv")
    message = refused("refit", calibration=table("text,category\nHei,ukjent\n"))
    assert "there is no category 'ukjent'" in message
    assert not Refit.objects.exists()
