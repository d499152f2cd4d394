"""Checks of refits: whether one is overdue or has failed, and whether the stream has drifted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.utils.text import capfirst

from marketplace_ai.doctor.finding import Finding
from marketplace_ai.models import Encoder, RefitOutcome
from marketplace_ai.refitting import log, wording
from marketplace_ai.refitting.due import Hindrance
from marketplace_ai.refitting.read_state import active_version, read_due

if TYPE_CHECKING:
    from collections.abc import Iterator

    from marketplace_ai.refitting.due import Due

SCHEDULE = (
    "Have Celery beat or cron run manage.py refit --if-due every hour (docs/versions.md); once: "
    "manage.py refit."
)


def last_refit() -> Iterator[Finding]:
    """What came of the last refit, where that needs a person."""
    row = log.latest(Encoder.objects.active())
    if row is None:
        return
    is_running = row.outcome == RefitOutcome.RUNNING and log.is_running()
    sentence = wording.outcome_sentence(row, is_running=is_running)
    broken = (RefitOutcome.RUNNING, RefitOutcome.FAILED, RefitOutcome.INTERRUPTED)
    if row.outcome in broken and not is_running:
        yield Finding(
            "refit", False, f"The last refit came to no end. {sentence}",
            "Run manage.py refit to see why.",
        )  # fmt: skip
    elif row.outcome != RefitOutcome.UNDONE and log.left_active(row, active_version()):
        yield Finding(
            "refit", True, sentence,
            f"See it in admin under Refits; use_classifier {row.version_id} activates it.",
        )  # fmt: skip


def due_refit() -> Iterator[Finding]:
    """Whether a refit is overdue, and whether what comes in has drifted."""
    if active_version() is None:
        return  # the check of the classifier says that none is fitted
    due = read_due()
    if due.is_overdue:
        sentences = wording.due_sentence(due), wording.labels_line(due.figures())
        yield Finding("refit", True, " ".join(sentences), SCHEDULE if due.is_due else "")
    yield from _drift(due)


def _drift(due: Due) -> Iterator[Finding]:
    """Whether what comes in is still what the active version began with."""
    drift = due.state.drift
    if drift is None or not drift.drifted:
        return
    message = " ".join(wording.drift_lines(drift.as_dict()))
    cure = SCHEDULE
    if due.hindrance in (Hindrance.BASIS, Hindrance.NOTHING_NEW):
        cure = f"Not fitted again, because {wording.hindrance(due.hindrance)}"
    elif due.state.was_tried:
        cure = "A refit did not help: answer the audit, and see its log in admin under Refits."
    yield Finding(
        "drift", False, f"What comes in is no longer what the version began with. {message}",
        capfirst(cure), details=drift.as_dict(),
    )  # fmt: skip


CHECKS = [last_refit, due_refit]
