"""What a candidate decides in the shadow, beside what was decided of the same texts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.db.models import Count, F, OuterRef, Q, Subquery
from django.utils.translation import gettext_lazy as _

from marketplace_ai.admin.base import LARGEST_COUNT
from marketplace_ai.models import Decision, Outcome, ShadowDecision
from marketplace_ai.models.decision import PERSONS

if TYPE_CHECKING:
    from django.db.models import QuerySet
    from django.utils.functional import Promise

    from marketplace_ai.models import Encoder

#: Outcomes of which only the category says whether the machine would have said the same.
OF_PEOPLE = (*PERSONS, Outcome.HUMAN_OVERRIDE)
NO_CATEGORY = _("no category")
#: The most frequent changes of category, offered to look at alone.
PAIRS = 12


@dataclass(frozen=True, slots=True)
class Agreement:
    """Of the last decisions in the shadow: how many are of texts that were decided too, and how
    many of those say the same."""

    decided: int
    compared: int
    agree: int

    @property
    def share(self) -> float | None:
        return self.agree / self.compared if self.compared else None


def last(encoder: Encoder) -> QuerySet[Any]:
    """The last ``LARGEST_COUNT`` of them, each with what is current of the same text: ``was_key``
    and so on, all None where the posting or its text is another by now."""
    rows: QuerySet[Any] = ShadowDecision.objects.filter(encoder=encoder)
    newest = rows.order_by("-decided_at").values("pk")[:LARGEST_COUNT]
    current = Decision.objects.current().filter(
        posting_id=OuterRef("posting_id"), text_digest=OuterRef("text_digest")
    )
    found: QuerySet[Any] = rows.filter(pk__in=newest).annotate(
        was_key=Subquery(current.values("category_key")[:1]),
        was_name=Subquery(current.values("category_name")[:1]),
        was_outcome=Subquery(current.values("outcome")[:1]),
        was_probability=Subquery(current.values("probability")[:1]),
    )
    return found


#: Another category; or the machine's own decision with another outcome.
DIFFERS = Q(was_outcome__isnull=False) & (
    ~Q(category_key=F("was_key")) | (~Q(outcome=F("was_outcome")) & ~Q(was_outcome__in=OF_PEOPLE))
)


def differing(rows: QuerySet[Any]) -> QuerySet[Any]:
    """Those of ``last`` that say something else than was decided, newest first."""
    return rows.filter(DIFFERS).order_by("-decided_at", "-pk")


def agreement(encoder: Encoder) -> Agreement:
    """In one query."""
    counts = last(encoder).aggregate(
        decided=Count("pk"),
        compared=Count("pk", filter=Q(was_outcome__isnull=False)),
        differ=Count("pk", filter=DIFFERS),
    )
    compared = counts["compared"]
    return Agreement(counts["decided"], compared, compared - counts["differ"])


@dataclass(frozen=True, slots=True)
class Pair:
    """A change from one category to another, and how often it is made."""

    old: str
    new: str
    old_name: str | Promise
    new_name: str | Promise
    number: int


def pairs(rows: QuerySet[Any]) -> list[Pair]:
    """The most frequent changes of ``differing`` rows; to the same category: by outcome."""
    found: Any = (
        rows.order_by()
        .values("was_key", "was_name", "category_key", "category_name")
        .annotate(number=Count("pk"))
        .order_by("-number", "was_key", "category_key")[:PAIRS]
    )
    return [
        Pair(
            row["was_key"], row["category_key"], row["was_name"] or NO_CATEGORY,
            row["category_name"] or NO_CATEGORY, row["number"],
        )
        for row in found
    ]  # fmt: skip
