"""The rules by which a refit is due, and what hinders it."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketplace_ai.guarantee.basis import BasisKind
from marketplace_ai.models import RefitTrigger
from marketplace_ai.refitting.drift import DriftReport
from marketplace_ai.refitting.due import (
    FEWEST_LABELS,
    MOST_LABELS,
    Hindrance,
    State,
    Trigger,
    find_due,
    labels_needed,
)

QUIET = State(
    labels=300, new_labels=5, described=True, basis=BasisKind.AUDIT, audit_suffices=True,
    was_tried=False, since_last=dt.timedelta(days=9), drift=None,
)  # fmt: skip
DRIFTED = DriftReport(1, 0.005, 500, 500, 0.2, 1e-9, 9.0, 0.4)
MOVED = DriftReport(1, 0.005, 500, 500, 0.02, 0.7, 99.0, 1e-9)


def test_every_trigger_has_its_word() -> None:
    assert {*map(str, Trigger)} == {*RefitTrigger.values} - {RefitTrigger.PERSON}


@pytest.mark.parametrize(
    ("change", "triggers"),
    [
        ({}, []),
        ({"new_labels": 30}, [Trigger.ANSWERS]),
        ({"new_labels": 27}, []),
        ({"basis": None}, [Trigger.FIRST]),
        ({"basis": BasisKind.EXEMPLARS}, [Trigger.AUDIT]),
        ({"drift": DRIFTED}, [Trigger.SCORES]),
        ({"drift": MOVED}, [Trigger.CATEGORIES]),
        ({"new_labels": 30, "drift": DRIFTED}, [Trigger.ANSWERS, Trigger.SCORES]),
        # What a refit has tried in vain, only new labels make worth another.
        ({"drift": DRIFTED, "was_tried": True}, []),
        ({"basis": BasisKind.FILE, "was_tried": True}, []),
        ({"basis": None, "was_tried": True}, []),
        ({"new_labels": 30, "was_tried": True}, [Trigger.ANSWERS]),
    ],
)
def test_what_makes_a_refit_due(change: dict[str, object], triggers: list[Trigger]) -> None:
    due = find_due(replace(QUIET, **change))
    assert list(due.triggers) == triggers
    assert due.is_due is bool(triggers)


@pytest.mark.parametrize(
    ("change", "hindrance"),
    [
        ({"since_last": dt.timedelta(hours=19)}, Hindrance.PAUSE),
        ({"since_last": None}, None),
        ({"audit_suffices": False}, Hindrance.BASIS),
        ({"audit_suffices": False, "basis": BasisKind.FILE}, Hindrance.BASIS),
        ({"audit_suffices": False, "basis": BasisKind.FILE, "has_file": True}, None),
        ({"audit_suffices": False, "basis": BasisKind.EXEMPLARS}, None),
        ({"new_labels": 0}, Hindrance.NOTHING_NEW),
        ({"new_labels": 0, "basis": BasisKind.EXEMPLARS}, None),  # the audit is new
        ({"labels": 0, "described": False, "basis": None}, Hindrance.NO_EXEMPLARS),
        ({"labels": 0, "new_labels": 0, "basis": None}, None),  # descriptions suffice
    ],
)
def test_what_hinders_it(change: dict[str, object], hindrance: Hindrance | None) -> None:
    due = find_due(replace(QUIET, drift=DRIFTED, **change))
    assert due.hindrance is hindrance
    assert due.triggers
    assert due.is_due is (hindrance is None)


@given(st.integers(0, 10**7))
def test_the_labels_needed_grow_with_those_there_are(labels: int) -> None:
    needed = labels_needed(labels)
    assert FEWEST_LABELS <= needed <= MOST_LABELS
    assert needed <= labels_needed(labels + 1)


def test_twice_what_is_needed_means_that_nothing_asks() -> None:
    assert not find_due(replace(QUIET, new_labels=49)).is_overdue
    late = replace(QUIET, new_labels=60)
    assert find_due(late).is_overdue
    assert find_due(replace(late, audit_suffices=False)).is_overdue  # nor can it
    assert not find_due(replace(late, since_last=dt.timedelta(hours=1))).is_overdue
