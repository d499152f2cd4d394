"""Refits in sentences, for the terminal, ``doctor`` and admin."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from django.utils.formats import number_format
from django.utils.text import capfirst
from django.utils.translation import gettext as _

from marketplace_ai.comparison.report import VersionReport
from marketplace_ai.models import RefitOutcome, RefitTrigger
from marketplace_ai.promotion import wording

from .due import Due, Hindrance

if TYPE_CHECKING:
    from marketplace_ai.models import Refit

#: Categories without a key: postings that fit none.
NONE = "none"


def due_lines(due: Due) -> Iterator[str]:
    """Whether a refit is due, why or why not, and the figures."""
    yield due_sentence(due)
    figures = due.figures()
    yield labels_line(figures)
    yield from drift_lines(figures["drift"])


def labels_line(figures: Mapping[str, Any]) -> str:
    """How many labels are new, how many make a refit due, and how many vote."""
    return _("%(new)s new labels of %(needed)s needed; %(labels)s labels vote.") % {
        "new": number_format(figures["new_labels"], force_grouping=True),
        "needed": number_format(figures["needed"], force_grouping=True),
        "labels": number_format(figures["labels"], force_grouping=True),
    }


def due_sentence(due: Due) -> str:
    """In one sentence."""
    why = ", ".join(str(RefitTrigger(trigger).label) for trigger in due.triggers)
    if due.is_due:
        return _("A refit is due: %(why)s.") % {"why": why}
    if due.hindrance is not None and due.triggers:
        return _("A refit would be due (%(why)s), but %(hindrance)s") % {
            "why": why, "hindrance": hindrance(due.hindrance),
        }  # fmt: skip
    return _("No refit is due.")


def hindrance(found: Hindrance) -> str:
    """What keeps a refit from running by itself, with the cure; the end of a sentence."""
    return {
        Hindrance.NO_EXEMPLARS: _("there is nothing to fit on: import_exemplars adds labels."),
        Hindrance.BASIS: _(
            "the guarantee rests on labeled postings, and without them it would rest on less: "
            "answer the random audit, or give a file (--calibration FILE)."
        ),
        Hindrance.PAUSE: _("the last one was less than a day ago."),
        Hindrance.NOTHING_NEW: _(
            "nothing new was labeled since the last fit: answer the random audit, then it runs by "
            "itself."
        ),
    }[found]


def drift_lines(drift: Mapping[str, Any] | None) -> Iterator[str]:
    """What both tests found in the stream, from ``DriftReport.as_dict``."""
    if drift is None:
        yield _("The stream is tested from two weeks after the activation on.")
        return
    counts = {"before": drift["before"], "now": drift["now"]}
    if not drift["is_tested"]:
        yield (
            _("Too few postings to test the stream: %(before)d at the beginning, %(now)d lately.")
            % counts
        )
        return
    yield _(
        "Stream (%(before)d postings at the beginning, %(now)d lately): scores differ by at most "
        "%(distance)s (p = %(scores)s), first choices p = %(categories)s; each is tested at "
        "%(level)s."
    ) % {
        **counts,
        "distance": f"{drift['distance']:.3f}",
        "scores": f"{drift['scores_p_value']:.2g}",
        "categories": f"{drift['categories_p_value']:.2g}",
        "level": f"{drift['level']:.2g}",
    }
    if drift["categories_p_value"] < drift["level"]:
        yield _("Moved most: %(moved)s.") % {"moved": moved_text(drift["moved"])}


def moved_text(moved: Sequence[Mapping[str, Any]]) -> str:
    """The categories whose share of the postings has changed most, such as ``a 3.0% → 9.1%``."""
    return ", ".join(
        f"{category['key'] or NONE} {category['before']:.1%} → {category['now']:.1%}"
        for category in moved
    )


def outcome_sentence(row: Refit, *, is_running: bool) -> str:
    """What came of a refit. ``is_running``: some process holds the lock of refits."""
    names: dict[str, Any] = {"version": row.version_id, "previous": row.previous_version_id}
    if row.outcome == RefitOutcome.RUNNING:
        return _("It is running.") if is_running else _("Its process ended before the fit did.")
    if row.outcome == RefitOutcome.ACTIVATED and row.previous_version_id is None:
        return _("Version %(version)s is active; it was the first one.") % names
    if row.outcome == RefitOutcome.ACTIVATED:
        return _("Version %(version)s is active instead of %(previous)s.") % names
    if row.outcome == RefitOutcome.UNDONE:
        return _("Version %(version)s is active again instead of %(previous)s.") % names
    if row.outcome == RefitOutcome.PROPOSED:
        return _("Version %(version)s was not worse and is proposed.") % names
    if row.outcome == RefitOutcome.REFUSED and row.version is not None:
        checks = wording.failed_checks(VersionReport.from_dict(row.version.comparison))
        names["why"] = "; ".join(checks)
        return _("Version %(version)s was refused: %(why)s.") % names
    return capfirst(row.error)
