"""What our admin templates ask for by themselves, on pages whose view is Django's own."""

from __future__ import annotations

from typing import Any

from django import template
from django.contrib import admin

from marketplace_ai.admin.review import review_url, waiting_number

register = template.Library()


@register.simple_tag(takes_context=True)
def reviews_waiting(context: dict[str, Any]) -> dict[str, str] | None:
    """Number and address of the review queue; None for who may not see decisions."""
    request = context["request"]
    if not request.user.has_perm("marketplace_ai.view_decision"):
        return None
    return {"number": waiting_number(), "url": review_url(admin.site)}
