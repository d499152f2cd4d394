"""Which labelled postings a fit has, in words for a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from marketplace_ai.fitting.fit_classifier import Audits


def lines(audits: Audits) -> Iterator[str]:
    """What the answered audited postings, which serve without a file, are good for."""
    if not audits.labelled:
        yield (
            f"{audits.usable} audited postings are answered, {audits.needed} are needed to "
            "calibrate on them: cross-validation on the exemplars stands in."
        )
    elif audits.waiting:
        yield (
            f"{audits.waiting} audited postings still wait for an answer. What is answered "
            "is a fair sample only when all are: answer them and fit again."
        )
