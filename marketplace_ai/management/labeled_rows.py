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
            f"{audits.answered} audited postings are answered, {audits.needed} are needed to "
            "calibrate on them: cross-validation on the exemplars is used instead."
        )
    elif audits.waiting:
        yield (
            f"{audits.waiting} audited postings still wait for an answer. The answered ones "
            "are a fair sample only when all are answered: answer them and fit again."
        )
