"""Which answers count toward a guarantee: those to a random sample that is answered in full."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from marketplace_ai.db.alias import alias
from marketplace_ai.guarantee.thinning import thin
from marketplace_ai.models import AuditedPosting

if TYPE_CHECKING:
    from django.db.models import QuerySet


@dataclass(frozen=True, slots=True)
class CountedAnswers:
    """``kept`` are the keys of the audited postings whose answers count, in the order of the draw.

    ``answered`` have an answer and their posting. Of these, ``too_early`` were drawn after
    a posting that still waits: people answer what is easy, or what a customer complained about,
    first, so only what was drawn before is a random sample. ``thinned`` were drawn at a time of a
    higher share than others (``guarantee.thinning``), and ``unknown`` with no recorded probability.
    """

    kept: tuple[int, ...]
    answered: int
    too_early: int
    thinned: int
    unknown: int


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
    rows = list(answered_rows().values_list("drawn_at", "pk", "posting_id", "draw_probability"))
    in_time = [row for row in rows if first is None or row[:2] < first]
    known = [row for row in in_time if row[3] is not None]
    kept = thin([str(row[2]) for row in known], [row[3] or 0.0 for row in known])
    return CountedAnswers(
        kept=tuple(row[1] for row, keep in zip(known, kept, strict=True) if keep),
        answered=len(rows),
        too_early=len(rows) - len(in_time),
        thinned=len(known) - sum(kept),
        unknown=len(in_time) - len(known),
    )
