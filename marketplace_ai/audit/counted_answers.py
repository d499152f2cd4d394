"""Which answers count toward a guarantee: those to a random sample that is answered in full."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from marketplace_ai.db.alias import alias
from marketplace_ai.guarantee.thinning import start_of_sample, thin
from marketplace_ai.models import AuditedPosting, Outcome

if TYPE_CHECKING:
    from django.db.models import QuerySet


class Answer(NamedTuple):
    """An answered audited posting: its draw, what was decided about it, and whether rightly."""

    drawn_at: dt.datetime
    pk: int
    posting: Any
    draw_probability: float | None
    outcome: str
    classifier: int | None
    is_correct: bool | None


@dataclass(frozen=True, slots=True)
class CountedAnswers:
    """``kept`` are the answers that count, in the order of the draw.

    ``answered`` have an answer and their posting. Of these, ``too_early`` were drawn after
    a posting that still waits: people answer what is easy, or what a customer complained about,
    first, so only what was drawn before is a random sample. ``older`` were drawn at a lower share,
    before the time that the sample is about, ``thinned`` at a higher one than others
    (``guarantee.thinning``), and ``unknown`` with no recorded probability.
    """

    kept: tuple[Answer, ...]
    answered: int
    too_early: int
    older: int
    thinned: int
    unknown: int

    @property
    def automatic(self) -> list[Answer]:
        """Those about postings that were given a category without a person, and judged."""
        return [
            row
            for row in self.kept
            if row.outcome == Outcome.AUTOMATIC and row.is_correct is not None
        ]


def answered_rows() -> QuerySet[AuditedPosting]:
    """The answered audited postings that still exist and whose answer does, as they were drawn.

    An answer counts by the draw, not by the door through which it came: a drawn posting may be
    answered in the review queue, and what was not drawn has no row here.
    """
    return (
        AuditedPosting.objects.using(alias())
        .filter(answered_at__isnull=False, posting__isnull=False)
        .exclude(answer__isnull=True, answer_key__gt="")  # its category was deleted
        .order_by("drawn_at", "pk")
    )


def counted_answers() -> CountedAnswers:
    """Choose the answers that count; two queries, and no text is read."""
    waiting = AuditedPosting.objects.using(alias()).unanswered().order_by("drawn_at", "pk")
    first = waiting.values_list("drawn_at", "pk").first()
    columns = answered_rows().values_list(
        "drawn_at", "pk", "posting_id", "draw_probability", "outcome", "classifier_id", "is_correct"
    )
    rows = [Answer(*row) for row in columns]
    in_time = [row for row in rows if first is None or (row.drawn_at, row.pk) < first]
    known = [row for row in in_time if row.draw_probability is not None]
    shares = [row.draw_probability or 0.0 for row in known]
    start = start_of_sample(shares)
    sample = known[start:]
    kept = thin([str(row.posting) for row in sample], shares[start:])
    return CountedAnswers(
        kept=tuple(row for row, keep in zip(sample, kept, strict=True) if keep),
        answered=len(rows),
        too_early=len(rows) - len(in_time),
        older=start,
        thinned=len(sample) - sum(kept),
        unknown=len(in_time) - len(known),
    )
