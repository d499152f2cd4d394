"""Exemplars that no longer vote: chosen, stored with a version, followed by workers, undone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from marketplace_ai.exemplars.condensed import revive_categories
from marketplace_ai.fitting import condense_exemplars
from marketplace_ai.models import (
    Category,
    ClassifierVersion,
    Exemplar,
    ExemplarState,
    JobPosting,
)
from marketplace_ai.review.answers import answer
from marketplace_ai.serving.active_model import ModelLoader
from tests.integration.admin.factories import exemplar
from tests.integration.command_calls import call, call_json, failed, refused
from tests.integration.versions.factories import PLACES, WORDS
from tests.integration.worker_runs import drain, fit

pytestmark = [pytest.mark.django_db, pytest.mark.slow]

EACH = 24


@pytest.fixture
def answers(catalog: dict[str, Category], monkeypatch: pytest.MonkeyPatch) -> None:
    """24 texts of each category, every fourth twice, and a version that all vote in."""
    monkeypatch.setattr(condense_exemplars, "MAX_LOSS", 0.6)  # so few prove no smaller loss
    random = np.random.default_rng(0)
    for key, words in WORDS.items():
        for n in range(EACH):
            text = f"{' '.join(random.choice(words, 2))} i {random.choice(PLACES)} {n:03d}"
            exemplar(text, catalog[key])
            if n % 4 == 0:
                exemplar(f"{text.capitalize()}!!", catalog[key])
    fit()


def votes(models: ModelLoader | None = None) -> set[int]:
    """The exemplars in a worker's memory."""
    fitted = (models or ModelLoader()).refresh().fitted
    assert fitted is not None
    return set(fitted.index.ids.tolist())


def condensed() -> set[int]:
    return set(Exemplar.objects.condensed().values_list("pk", flat=True))


def everyone() -> set[int]:
    return set(Exemplar.objects.values_list("pk", flat=True))


def active() -> ClassifierVersion:
    return ClassifierVersion.objects.get(is_active=True)


def test_the_rest_stays_stored_and_a_running_worker_follows(answers: None) -> None:
    worker = ModelLoader()
    assert votes(worker) == everyone()
    found = call_json("condense_exemplars")
    assert found["votes_before"] == len(everyone())
    assert found["votes_after"] == len(everyone()) - len(condensed()) <= 3 * EACH
    assert found["in_force"]
    assert found["version"] == active().pk
    assert found["loss"]["high"] <= 0.6
    assert found["bytes_after"] < found["bytes_before"]
    by_key = {row["key"]: row["after"] for row in found["categories"]}
    assert set(by_key) == set(WORDS)
    assert min(by_key.values()) >= 1
    assert votes(worker) == everyone() - condensed()
    assert votes() == votes(worker)


def test_a_dry_run_stores_nothing_and_a_second_time_changes_nothing(answers: None) -> None:
    version = active()
    assert "are enough" in call("condense_exemplars", dry_run=True)
    assert (condensed(), active()) == (set(), version)
    assert ClassifierVersion.objects.count() == 1
    call("condense_exemplars")
    before, version = condensed(), active()
    assert before
    assert "nothing changes" in call("condense_exemplars")
    assert (condensed(), active()) == (before, version)


def test_undo_lets_exactly_all_vote_again(answers: None) -> None:
    rows = list(Exemplar.objects.order_by("pk").values_list("pk", "text", "state", "condensed_by"))
    worker = ModelLoader()
    call("condense_exemplars")
    assert condensed()
    found = call_json("condense_exemplars", undo=True)
    assert found["undone"]
    again = list(Exemplar.objects.order_by("pk").values_list("pk", "text", "state", "condensed_by"))
    assert again == rows
    assert votes(worker) == everyone()
    assert "nothing changes" in call("condense_exemplars", undo=True)


def test_an_older_version_decides_with_the_votes_that_it_was_fitted_with(answers: None) -> None:
    older = active()
    worker = ModelLoader()
    call("condense_exemplars")
    newer, fewer = active(), votes(worker)
    assert fewer == everyone() - condensed() != everyone()
    call("use_classifier", older.pk)
    assert votes(worker) == everyone()
    call("use_classifier", newer.pk)
    assert votes(worker) == fewer


def test_a_refit_keeps_the_votes_that_are_left(answers: None) -> None:
    call("condense_exemplars")
    left = condensed()
    fit()
    assert condensed() == left
    assert votes() == everyone() - left


def test_exemplars_that_lost_or_got_back_a_vote_are_no_new_ones_for_a_refit(answers: None) -> None:
    from marketplace_ai.refitting.read_state import _count_new

    for undo in (False, True):
        call("condense_exemplars", undo=undo)
        assert _count_new(Exemplar.objects.labeled(), active(), None) == 0


def test_an_answer_after_condensing_votes(answers: None, catalog: dict[str, Category]) -> None:
    call("condense_exemplars")
    posting = JobPosting.objects.create(title="Beise terrassen i Lillestrøm")
    worker = ModelLoader()
    drain(worker)
    answer(posting.pk, catalog["maling"].pk, None)
    new = Exemplar.objects.get(posting=posting)
    assert new.pk in votes(worker)


def test_a_comparison_that_refuses_leaves_all_votes(
    answers: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    from marketplace_ai.comparison import version_comparison
    from marketplace_ai.comparison.report import FailedCheck

    monkeypatch.setattr(
        version_comparison, "failed_checks", lambda *args: iter([FailedCheck.NO_THRESHOLD])
    )
    version = active()
    assert "not activated" in failed("condense_exemplars")
    assert (condensed(), active()) == (set(), version)
    call("condense_exemplars", force=True)
    assert condensed()


def test_too_few_families_are_left_alone(answers: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(condense_exemplars, "MAX_LOSS", 0.002)
    said = call("condense_exemplars")
    assert "Nothing leaves" in said
    assert "too few" in said
    assert not condensed()


def test_undo_and_dry_run_exclude_each_other(db: Any) -> None:
    assert "either" in refused("condense_exemplars", undo=True, dry_run=True)


# -- what makes one vote again -------------------------------------------------------------


@pytest.fixture
def teaching(answers: None) -> Exemplar:
    """A condensed exemplar of "maling"."""
    call("condense_exemplars")
    row = Exemplar.objects.condensed().filter(category_key="maling").first()
    assert row is not None
    return row


def test_another_label_and_the_way_back_from_quarantine_give_the_vote_back(
    teaching: Exemplar, catalog: dict[str, Category]
) -> None:
    other = Exemplar.objects.condensed().exclude(pk=teaching.pk).first()
    assert other is not None
    Exemplar.objects.filter(pk=teaching.pk).update(category=catalog["plen"], category_key="plen")
    for state in (ExemplarState.QUARANTINED, ExemplarState.ACTIVE):
        assert other.pk not in votes()
        Exemplar.objects.filter(pk=other.pk).update(state=state)
    assert {teaching.pk, other.pk} <= votes()


def test_a_category_without_its_last_vote_gets_all_back(teaching: Exemplar) -> None:
    own = Exemplar.objects.labeled().filter(category=teaching.category_id)
    waiting = own.exclude(condensed_by=None).count()
    others = condensed() - set(own.values_list("pk", flat=True))
    own.filter(condensed_by=None).delete()
    assert revive_categories() == waiting
    assert condensed() == others
    assert revive_categories() == 0
    own.filter(pk=teaching.pk).update(condensed_by=active())
    own.exclude(pk=teaching.pk).delete()
    assert teaching.pk in votes()  # a worker does it by itself


# -- what doctor says ----------------------------------------------------------------------


def findings(name: str) -> list[dict[str, Any]]:
    return [row for row in call_json_doctor() if row["name"] == name]


def call_json_doctor() -> list[dict[str, Any]]:
    from marketplace_ai.doctor import classifier, condensing

    checks = (*classifier.CHECKS, *condensing.CHECKS)
    return [finding.as_dict() for check in checks for finding in check()]


def test_doctor_says_when_it_is_worth_it(answers: None, monkeypatch: pytest.MonkeyPatch) -> None:
    from marketplace_ai.doctor import condensing

    assert not findings("condensing")
    monkeypatch.setattr(condensing, "MANY_VOTES", 50)
    (found,) = findings("condensing")
    assert found["ok"]
    assert "condense_exemplars" in found["cure"]
    monkeypatch.setattr(condensing, "MANY_VOTES", 10)
    call("condense_exemplars")
    assert not findings("condensing")  # nothing has come since
    (exemplars,) = findings("exemplars")
    assert f"{len(everyone() - condensed())} vote" in exemplars["message"]
    assert f"{len(condensed())} more teach" in exemplars["message"]
