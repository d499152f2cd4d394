"""Filters with literal choices: offering them never looks at the table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.db.models import Exists, OuterRef, Q
from django.utils.translation import gettext_lazy as _

from marketplace_ai.models import Decision, Outcome, QueuedPosting

if TYPE_CHECKING:
    from django.db.models import QuerySet
    from django.http import HttpRequest

WAITING, ASIDE = "waiting", "aside"


class OutcomeFilter(admin.SimpleListFilter):
    """Postings by their current decision, or by what became of the queue's row."""

    title = _("outcome")
    parameter_name = "outcome"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [
            *((outcome.value, outcome.label) for outcome in Outcome),
            (WAITING, _("waiting to be decided")),
            (ASIDE, _("set aside")),
        ]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        value = self.value()
        if value in (WAITING, ASIDE):
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
            (ASIDE, _("set aside")),
            ("claimed", _("being worked on")),
            (WAITING, _("waiting")),
            ("failed", _("failed at least once")),
        ]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        conditions = {
            ASIDE: Q(failed_at__isnull=False),
            "claimed": Q(token__isnull=False),
            WAITING: Q(failed_at__isnull=True, token__isnull=True),
            "failed": Q(attempts__gt=0),
        }
        condition = conditions.get(self.value() or "")
        return queryset if condition is None else queryset.filter(condition)
