"""The decisions of a candidate in shadow mode, compared with the decisions for the same texts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.db.models import Count, F, Min, OuterRef, Q, Subquery
from django.utils.translation import gettext_lazy as _

from marketplace_ai.admin.base import LARGEST_COUNT
from marketplace_ai.admin.category_names import category_names
from marketplace_ai.models import Decision, Outcome, ShadowDecision
from marketplace_ai.models.decision import PERSONS

if TYPE_CHECKING:
    from django.db.models import QuerySet
    from django.utils.functional import Promise

    from marketplace_ai.models import Encoder

#: Outcomes by people: a shadow decision agrees with them if its category is the same.
HUMAN_OUTCOMES = (*PERSONS, Outcome.HUMAN_OVERRIDE)
NO_CATEGORY = _("no category")
#: Number of the most frequent changes of category that are offered as filters.
PAIRS = 12


@dataclass(frozen=True, slots=True)
class Agreement:
    """The number of the last shadow decisions, of those whose text has a decision, and of those
    that agree with it."""

    decided: int
    compared: int
    agree: int

    @property
    def share(self) -> float | None:
        return self.agree / self.compared if self.compared else None


def last(encoder: Encoder) -> QuerySet[Any]:
    """The last ``LARGEST_COUNT`` shadow decisions, each with the current decision for the same
    text as ``was_key`` etc.; these are None where the posting is gone or its text has changed."""
    rows: QuerySet[Any] = ShadowDecision.objects.filter(encoder=encoder)
    newest = rows.order_by("-decided_at").values("pk")[:LARGEST_COUNT]
    current = Decision.objects.current().filter(
        posting_id=OuterRef("posting_id"), text_digest=OuterRef("text_digest")
    )
    newest_rows: QuerySet[Any] = rows.filter(pk__in=newest).annotate(
        was_key=Subquery(current.values("category_key")[:1]),
        was_category=Subquery(current.values("category_id")[:1]),
        was_name=Subquery(current.values("category_name")[:1]),
        was_outcome=Subquery(current.values("outcome")[:1]),
        was_probability=Subquery(current.values("probability")[:1]),
    )
    return newest_rows


#: Another category, or another outcome of the machine.
DIFFERS = Q(was_outcome__isnull=False) & (
    ~Q(category_key=F("was_key"))
    | (~Q(outcome=F("was_outcome")) & ~Q(was_outcome__in=HUMAN_OUTCOMES))
)


def differing(rows: QuerySet[Any]) -> QuerySet[Any]:
    """Those of ``last`` that differ from the decision, newest first."""
    return rows.filter(DIFFERS).order_by("-decided_at", "-pk")


def agreement(encoder: Encoder) -> Agreement:
    """Count how often shadow decisions agree; one query."""
    counts = last(encoder).aggregate(
        decided=Count("pk"),
        compared=Count("pk", filter=Q(was_outcome__isnull=False)),
        differ=Count("pk", filter=DIFFERS),
    )
    compared = counts["compared"]
    return Agreement(counts["decided"], compared, compared - counts["differ"])


@dataclass(frozen=True, slots=True)
class Pair:
    """A change from one category to another, and its number of postings."""

    old: str
    new: str
    old_name: str | Promise
    new_name: str | Promise
    number: int


def pairs(rows: QuerySet[Any]) -> list[Pair]:
    """The most frequent changes of ``differing`` rows; two queries.

    A change to the same category is one of the outcome only.
    """
    counts: Any = (
        rows.order_by()
        .values("was_key", "was_category", "category_key", "category_id")
        # Stored names differ by language, so they do not group.
        .annotate(number=Count("pk"), old_name=Min("was_name"), new_name=Min("category_name"))
        .order_by("-number", "was_key", "category_key")[:PAIRS]
    )
    counts = list(counts)
    names = category_names(row[key] for row in counts for key in ("was_category", "category_id"))
    return [
        Pair(
            row["was_key"],
            row["category_key"],
            names.get(row["was_category"]) or row["old_name"] or NO_CATEGORY,
            names.get(row["category_id"]) or row["new_name"] or NO_CATEGORY,
            row["number"],
        )
        for row in counts
    ]
