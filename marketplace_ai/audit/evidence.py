"""What the answers of the random audit say about what is automatic, and how many are missing."""

from __future__ import annotations

from dataclasses import dataclass

from marketplace_ai.guarantee.basis import BasisKind
from marketplace_ai.guarantee.rows_needed import AuditEvidence, rows_needed
from marketplace_ai.guarantee.target import Target
from marketplace_ai.models import ClassifierVersion, Outcome

from .counted_answers import CountedAnswers, counted_answers
from .stops import load_stops


@dataclass(frozen=True, slots=True)
class AuditState:
    """The counted answers, and what the next fit does with them.

    ``automatic`` of them are about postings that some version decided without a person. ``needed``
    is the smallest number that could prove the target, without a single error. ``suffices``: a fit
    without a file calibrates on them. Fewer answers about automatic postings would prove nothing,
    and all automation would end. Where the active version makes nothing automatic, or rests on
    the audit itself, all answers serve.
    """

    counted: CountedAnswers
    automatic: int
    needed: int
    suffices: bool


def audit_state(target: Target, version: ClassifierVersion | None) -> AuditState:
    """Count the answers. ``version`` is the active one, None where there is none."""
    counted = counted_answers()
    automatic = len(counted.automatic)
    needed = rows_needed(target)
    deciding = automatic if _is_at_stake(version) else len(counted.kept)
    return AuditState(counted, automatic, needed, deciding >= needed)


def _is_at_stake(version: ClassifierVersion | None) -> bool:
    """Whether postings are decided without a person now, by a guarantee on something else."""
    if version is None or version.calibrated_on == BasisKind.AUDIT:
        return False
    if version.figures.get("automatic", {}).get("threshold") is None:
        return False
    return Outcome.AUTOMATIC not in load_stops(version.pk).rules


def audit_evidence(counted: CountedAnswers, version: ClassifierVersion) -> AuditEvidence:
    """What the counted answers say about the postings that ``version`` decided by itself."""
    if version.pk is None:  # it is not stored, and has decided nothing
        return AuditEvidence(0, 0)
    own = [row.is_correct for row in counted.automatic if row.classifier == version.pk]
    return AuditEvidence(len(own), own.count(False))
