"""Terminal output about the labeled postings of a fit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from marketplace_ai.fitting.labeled_postings import AuditSample


def lines(audits: AuditSample) -> Iterator[str]:
    """Whether the answered audits can serve as labeled postings where no file is given."""
    if not audits.rows:
        yield (
            f"{audits.answered} answers about audited postings count, {audits.needed} are needed "
            "to calibrate on them: cross-validation on the exemplars is used instead."
        )
    elif audits.waiting:
        yield f"{audits.waiting} audited postings still wait for an answer."
    if audits.state is None:
        return
    counted = audits.state.counted
    if not audits.rows and audits.answered >= audits.needed > audits.state.automatic:
        yield (
            f"Only {audits.state.automatic} of them are about automatic postings, and so few "
            "cannot prove the target."
        )
    if counted.too_early:
        yield (
            f"{counted.too_early} answers do not count yet: they are about postings drawn after "
            "one that still waits. Answer the oldest first, then fit again."
        )
    if counted.older:
        yield (
            f"{counted.older} older answers are left out: a smaller share was audited then, and "
            "the larger sample is about the time since."
        )
    if counted.thinned:
        yield (
            f"{counted.thinned} answers are left out at random, because the audited share was "
            "higher when their postings were drawn: so each time counts by its postings."
        )
    if counted.unknown:
        yield f"{counted.unknown} answers do not count: the share they were drawn at is unknown."
