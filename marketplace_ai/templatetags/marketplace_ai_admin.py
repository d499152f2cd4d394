"""What our admin templates ask for by themselves, on pages whose view is Django's own."""

from __future__ import annotations

from typing import Any

from django import template
from django.contrib import admin

from marketplace_ai.admin.audits import audit_count, audits_url
from marketplace_ai.admin.automation import automation_url, stop_count
from marketplace_ai.admin.review import review_url, waiting_number

register = template.Library()


@register.simple_tag(takes_context=True)
def reviews_waiting(context: dict[str, Any]) -> dict[str, str] | None:
    """Number and address of the review queue; None for who may not see decisions."""
    request = context["request"]
    if not request.user.has_perm("marketplace_ai.view_decision"):
        return None
    return {"number": waiting_number(), "url": review_url(admin.site)}


@register.simple_tag(takes_context=True)
def audits_waiting(context: dict[str, Any]) -> dict[str, str] | None:
    """Number and address of the audited postings that wait; None for who may not see them."""
    if not context["request"].user.has_perm("marketplace_ai.view_auditedposting"):
        return None
    return {"number": audit_count(), "url": audits_url(admin.site)}


@register.simple_tag(takes_context=True)
def automation_stops(context: dict[str, Any]) -> dict[str, Any] | None:
    """Number and address of what has stopped; None for who may not see it, or if nothing has."""
    if not context["request"].user.has_perm("marketplace_ai.view_automationstop"):
        return None
    number = stop_count()
    return {"number": number, "url": automation_url(admin.site)} if number else None
