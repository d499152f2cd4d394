"""Run a refit: fit, compare, activate or propose; and the way back, in one step."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from django.db.models.functions import Now
from django.utils.translation import gettext

from marketplace_ai.conf import conf
from marketplace_ai.db.alias import alias
from marketplace_ai.fitting import fit_classifier, labeled_postings
from marketplace_ai.models import (
    Encoder,
    ExemplarGeneration,
    Refit,
    RefitOutcome,
    RefitTrigger,
)
from marketplace_ai.versions import activation

from . import log
from .read_state import active_version, read_due, target_of
from .wording import drift_lines, due_sentence

if TYPE_CHECKING:
    from collections.abc import Callable

    from marketplace_ai.models import ClassifierVersion

    from .due import Due

logger = logging.getLogger(__name__)


class NothingToUndoError(ValueError):
    """There is no refit to go back from, with the reason."""


def refit(
    *,
    if_due: bool = False,
    calibration: str | None = None,
    progress: Callable[[int], None] = lambda n: None,
) -> tuple[Due, Refit | None]:
    """Fit the classifier again and log it; with ``if_due`` only where that is due.

    Args:
        if_due: whether to ask ``read_due`` first.
        calibration: the path of a file of labeled postings; else the random audit, where it
            suffices, or the exemplars.
        progress: is told how many texts were encoded.

    Returns what was due, and the row of the log, None where nothing was done. A fit that fails is
    logged with its error, and raises nothing.

    Raises:
        AlreadyRunningError: another process is running a refit.
        TableError: the file cannot be read; nothing is logged.

    Example::

        due, done = refit(if_due=True)
    """
    with log.exclusive():
        due = read_due(has_file=calibration is not None)
        if if_due and not due.is_due:
            _warn(due)
            return due, None
        version = active_version()
        target = target_of(version)
        if calibration is not None:
            postings = labeled_postings.read_file(calibration)
        else:
            postings = labeled_postings.read_audits(target).postings
        row = _begin(due, version, by_person=not if_due)
        try:
            fitted = fit_classifier.fit(
                postings, target=target, progress=progress, activate=conf.refit_activates
            )
        except Exception as error:
            logger.exception("The refit has failed; version %s stays active", version)
            return due, _end(row, RefitOutcome.FAILED, error=_described(error))
        except BaseException:
            _end(row, RefitOutcome.INTERRUPTED, error=gettext("It was stopped."))
            raise
        return due, _end(row, _outcome(fitted), version=fitted)


def _begin(due: Due, version: ClassifierVersion | None, *, by_person: bool) -> Refit:
    triggers = [RefitTrigger(trigger) for trigger in due.triggers]
    row = Refit(
        encoder=Encoder.objects.active(),
        triggers=[RefitTrigger.PERSON, *triggers] if by_person else triggers,
        figures=due.figures(),
        exemplar_generation=_generation(),
        previous_version=version,
        started_at=Now(),
    )
    row.save(using=alias())
    row.refresh_from_db(using=alias())
    return row


def _end(row: Refit, outcome: RefitOutcome, **values: object) -> Refit:
    values |= {"outcome": outcome, "finished_at": Now()}
    for name, value in values.items():
        setattr(row, name, value)
    if row.version is not None:
        row.encoder = row.version.encoder
        row.exemplar_generation = row.version.exemplar_generation
    row.save(using=alias())
    row.refresh_from_db(using=alias())
    logger.info("Refit %s: %s", row.pk, row.outcome)
    return row


def _warn(due: Due) -> None:
    """An alarm in the log where the stream has drifted and no refit follows."""
    drift = due.state.drift
    if drift is not None and drift.drifted and due.hindrance is not None:
        logger.warning("%s %s", due_sentence(due), " ".join(drift_lines(drift.as_dict())))


def _outcome(version: ClassifierVersion) -> RefitOutcome:
    if version.is_active:
        return RefitOutcome.ACTIVATED
    return RefitOutcome.REFUSED if version.comparison["failed_checks"] else RefitOutcome.PROPOSED


def _described(error: Exception) -> str:
    return str(error) or type(error).__name__


def _generation() -> int:
    """That of the exemplars now."""
    rows = ExemplarGeneration.objects.using(alias()).order_by("-value")
    return rows.values_list("value", flat=True).first() or 0


def undo() -> Refit:
    """Activate the version that the last refit replaced, and log it.

    Raises:
        NothingToUndoError: the active version does not come from a refit that replaced another.
        ActivationConflictError: another version was activated meanwhile.
        VersionError, ArtifactError: the version before cannot be activated.
        AlreadyRunningError: a refit is running.
    """
    with log.exclusive():
        encoder = Encoder.objects.active()
        version = active_version()
        if version is None:
            raise NothingToUndoError(gettext("No version is active."))
        made = Refit.objects.using(alias()).filter(
            outcome=RefitOutcome.ACTIVATED, version=version, encoder=encoder
        )
        done = made.order_by("-pk").first()
        if done is None:
            raise NothingToUndoError(
                gettext(
                    "The active version %(n)s was not activated by a refit; use_classifier "
                    "activates any other."
                )
                % {"n": version.pk}
            )
        if done.previous_version_id is None:
            raise NothingToUndoError(
                gettext("Version %(n)s was the first one: there is none to go back to.")
                % {"n": version.pk}
            )
        activation.activate(done.previous_version_id, expected=version.pk)
        row = Refit.objects.using(alias()).create(
            encoder=encoder, triggers=[RefitTrigger.PERSON], figures={"undoes": done.pk},
            exemplar_generation=_generation(), outcome=RefitOutcome.UNDONE,
            version_id=done.previous_version_id, previous_version=version,
            started_at=Now(), finished_at=Now(),
        )  # fmt: skip
        row.refresh_from_db(using=alias())
        return row
