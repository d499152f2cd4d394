"""Filters with literal choices: offering them never looks at the table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.db.models import Exists, OuterRef, Q
from django.utils.translation import gettext_lazy as _

from marketplace_ai.models import Decision, ExemplarState, Outcome, QueuedPosting

if TYPE_CHECKING:
    from django.db.models import QuerySet
    from django.http import HttpRequest

WAITING, FAILED = "waiting", "failed"


class OutcomeFilter(admin.SimpleListFilter):
    """Postings by their current decision, or by their row in the queue."""

    title = _("outcome")
    parameter_name = "outcome"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [
            *((outcome.value, outcome.label) for outcome in Outcome),
            (WAITING, _("waiting for a decision")),
            (FAILED, _("failed")),
        ]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        value = self.value()
        if value in (WAITING, FAILED):
            queued = (
                QueuedPosting.objects.remaining()
                if value == WAITING
                else QueuedPosting.objects.failed()
            )
            return queryset.filter(pk__in=queued.filter(encoder__isnull=True).values("posting_id"))
        if value in Outcome.values:
            current = Decision.objects.current().filter(posting_id=OuterRef("pk"), outcome=value)
            return queryset.filter(Exists(current))
        return queryset


class QueueStateFilter(admin.SimpleListFilter):
    """The queue's rows by what happens to them next."""

    title = _("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [
            (FAILED, _("failed")),
            ("claimed", _("in progress")),
            (WAITING, _("waiting")),
            ("retried", _("failed at least once")),
        ]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        conditions = {
            FAILED: Q(failed_at__isnull=False),
            "claimed": Q(token__isnull=False),
            WAITING: Q(failed_at__isnull=True, token__isnull=True),
            "retried": Q(attempts__gt=0),
        }
        condition = conditions.get(self.value() or "")
        return queryset if condition is None else queryset.filter(condition)


class VoteFilter(admin.SimpleListFilter):
    """Exemplars that vote in a classifier fitted now, and those that only teach."""

    title = _("vote")
    parameter_name = "vote"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("votes", _("votes")), ("teaches", _("teaches, does not vote"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        active = queryset.filter(state=ExemplarState.ACTIVE)
        match self.value():
            case "votes":
                return active.filter(condensed_by=None)
            case "teaches":
                return active.exclude(condensed_by=None)
        return queryset
