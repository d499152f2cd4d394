"""What hangs on categories: what would fall silent, or start again, if they were deleted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from marketplace_ai.db.alias import alias
from marketplace_ai.models import Decision, Exemplar, ExemplarSource, ExemplarState, Outcome
from marketplace_ai.models.decision import PERSONS
from marketplace_ai.queue.stats import LARGEST_COUNT

if TYPE_CHECKING:
    from collections.abc import Iterable

    from django.db.models import QuerySet

AUTOMATIC = (Outcome.AUTOMATIC, Outcome.AUTOMATIC_PARENT)


@dataclass(frozen=True, slots=True)
class Dependents:
    """What hangs on some categories; none above ``stats.LARGEST_COUNT + 1``.

    Attributes:
        exemplars: labeled texts that would not vote any more.
        automatic: postings with an automatic decision, which would be decided anew.
        answered: postings with a person's answer, about which a person would be asked again.
        descriptions: descriptions that would be deleted.
    """

    exemplars: int
    automatic: int
    answered: int
    descriptions: int


def what_hangs_on(categories: Iterable[Any]) -> Dependents:
    """Count what hangs on these categories, before they are deleted; four queries.

    Example::

        what_hangs_on([category]).automatic
    """
    keys = [category.pk for category in categories]
    voting = Exemplar.objects.using(alias()).filter(category__in=keys, state=ExemplarState.ACTIVE)
    decisions = Decision.objects.using(alias()).current().filter(category__in=keys)
    return Dependents(
        exemplars=_count(voting.exclude(source=ExemplarSource.DESCRIPTION)),
        automatic=_count(decisions.filter(outcome__in=AUTOMATIC)),
        answered=_count(decisions.filter(outcome__in=PERSONS)),
        descriptions=_count(
            voting.filter(source=ExemplarSource.DESCRIPTION).values("category").distinct()
        ),
    )


def _count(rows: QuerySet[Any]) -> int:
    return rows.order_by()[: LARGEST_COUNT + 1].count()
