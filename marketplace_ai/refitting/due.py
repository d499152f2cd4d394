"""When a refit is due: the rules, over counts that were read elsewhere."""

from __future__ import annotations

import datetime as dt
import math
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from marketplace_ai.guarantee.basis import BasisKind

if TYPE_CHECKING:
    from .drift import DriftReport

#: New labels that make a refit due, as a share of those that the last fit had, and within bounds:
#: what a label teaches goes down with their number, and what a fit costs goes up.
SHARE_OF_LABELS, FEWEST_LABELS, MOST_LABELS = 0.1, 20, 500
#: Twice as many as can be needed: then nothing seems to call ``refit --if-due``.
MOST_COUNTED = 2 * MOST_LABELS
#: Between two refits that nobody asked for.
PAUSE = dt.timedelta(hours=20)


class Trigger(StrEnum):
    """Why a refit is due; the values are those of ``models.RefitTrigger``."""

    FIRST = "first"
    ANSWERS = "answers"
    AUDIT = "audit"
    SCORES = "scores"
    CATEGORIES = "categories"


class Hindrance(StrEnum):
    """Why no refit begins by itself, though it may be due."""

    NO_EXEMPLARS = "no_exemplars"
    BASIS = "basis"
    PAUSE = "pause"
    NOTHING_NEW = "nothing_new"


@dataclass(frozen=True, slots=True)
class State:
    """What the rules are about.

    ``labels`` vote now. ``new_labels`` came since the active version was fitted or since the last
    refit that left it active (``was_tried``), counted up to ``MOST_COUNTED``. ``described``: there
    are categories with a description. ``basis`` is what the active version was calibrated on, None
    where there is none. ``audit_suffices``: enough answers of the random audit to calibrate on.
    ``has_file``: the refit is given a file of labeled postings. ``since_last`` is the time since
    the last refit began, None if there was none.
    """

    labels: int
    new_labels: int
    described: bool
    basis: BasisKind | None
    audit_suffices: bool
    was_tried: bool
    since_last: dt.timedelta | None
    drift: DriftReport | None
    has_file: bool = False


@dataclass(frozen=True, slots=True)
class Due:
    """Whether a refit is due: by which triggers, and what hinders it."""

    state: State
    needed: int
    triggers: tuple[Trigger, ...]
    hindrance: Hindrance | None

    @property
    def is_due(self) -> bool:
        return bool(self.triggers) and self.hindrance is None

    @property
    def is_overdue(self) -> bool:
        """Whether twice as many labels are new as needed: nothing seems to run ``refit --if-due``,
        or it cannot."""
        waits = self.hindrance is Hindrance.PAUSE
        return (
            Trigger.ANSWERS in self.triggers
            and not waits
            and self.state.new_labels >= 2 * self.needed
        )

    def figures(self) -> dict[str, Any]:
        """Plain values for the log and for ``--json``."""
        drift = self.state.drift
        return {
            "labels": self.state.labels,
            "new_labels": self.state.new_labels,
            "needed": self.needed,
            "audit_suffices": self.state.audit_suffices,
            "drift": drift.as_dict() if drift is not None else None,
        }


def labels_needed(labels: int) -> int:
    """New labels that make a refit due, when the last fit had ``labels``."""
    return min(max(FEWEST_LABELS, math.ceil(SHARE_OF_LABELS * labels)), MOST_LABELS)


def find_due(state: State) -> Due:
    """Apply the rules."""
    needed = labels_needed(state.labels - state.new_labels)
    return Due(state, needed, tuple(_triggers(state, needed)), _hindrance(state))


def _triggers(state: State, needed: int) -> list[Trigger]:
    if state.basis is None and not state.was_tried:
        return [Trigger.FIRST]
    found = [Trigger.ANSWERS] if state.new_labels >= needed else []
    # What a refit has tried in vain is tried again when enough labels have come.
    if state.was_tried:
        return found
    if state.audit_suffices and state.basis is not BasisKind.AUDIT:
        found.append(Trigger.AUDIT)
    if state.drift is not None:
        if state.drift.scores_drifted:
            found.append(Trigger.SCORES)
        if state.drift.categories_drifted:
            found.append(Trigger.CATEGORIES)
    return found


def _hindrance(state: State) -> Hindrance | None:
    if not state.labels and not state.described:
        return Hindrance.NO_EXEMPLARS
    # A guarantee on labeled postings is never replaced by one on exemplars, which are no sample.
    on_rows = state.basis in (BasisKind.FILE, BasisKind.AUDIT)
    if on_rows and not state.audit_suffices and not state.has_file:
        return Hindrance.BASIS
    if state.since_last is not None and state.since_last < PAUSE:
        return Hindrance.PAUSE
    # A fit on the same labels gives the same version, however the stream has drifted.
    was_fitted = state.basis is not None or state.was_tried
    has_new_audit = state.audit_suffices and state.basis is not BasisKind.AUDIT
    if was_fitted and not state.new_labels and (state.was_tried or not has_new_audit):
        return Hindrance.NOTHING_NEW
    return None
