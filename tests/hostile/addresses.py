"""Every address of the demo project, as the URL configuration has it, filled from the tables."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.contrib.auth.models import Group, User
from django.contrib.contenttypes.models import ContentType
from django.urls import get_resolver
from django.urls.resolvers import URLResolver

from marketplace_ai.models import (
    AuditedPosting,
    AutomationStop,
    Category,
    ClassifierVersion,
    Decision,
    Encoder,
    Exemplar,
    JobPosting,
    QueuedPosting,
    Refit,
)

MODELS: dict[str, type[Any]] = {
    f"{model._meta.app_label}/{model._meta.model_name}": model
    for model in (
        AuditedPosting, AutomationStop, Category, ClassifierVersion, Decision, Encoder, Exemplar,
        Group, JobPosting, QueuedPosting, Refit, User,
    )
}  # fmt: skip

#: Rows that something can be done with.
PREFERRED: dict[type[Any], dict[str, Any]] = {
    ClassifierVersion: {"is_active": False, "encoder__state": "active"},
    Encoder: {"state": "ready"},
    QueuedPosting: {"failed_at__isnull": False},
    JobPosting: {"title__startswith": "Male"},
}


def routes() -> Iterator[str]:
    """All of them, as patterns: ``admin/auth/user/<path:object_id>/change/``."""
    return _walk(get_resolver(), "")


def _walk(resolver: Any, prefix: str) -> Iterator[str]:
    for pattern in resolver.url_patterns:
        route = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from _walk(pattern, route)
        else:
            yield route


def filled(route: str) -> str:
    """An address of the pattern, of a row that is there."""
    parts = route.split("/")
    model = MODELS.get("/".join(parts[1:3]))
    pk = ""
    if model is not None:
        rows = model._base_manager.order_by("-pk")
        wanted = {"state": "active"} if "rollback" in parts else PREFERRED.get(model, {})
        rows = rows.filter(**wanted) or rows
        pk = str(rows[0].pk)
    values = {
        "<path:object_id>": pk,
        "<int:pk>": pk,
        "<id>": pk,
        "<str:rule>": "automatic_parent",
        "<path:content_type_id>": str(ContentType.objects.get_for_model(JobPosting).pk),
        "^(?P<app_label>auth|marketplace_ai)": "marketplace_ai",
        "$": "",
        "(?P<url>.*)$": "nothing/here",
    }
    if parts[1:2] == ["r"]:
        values["<path:object_id>"] = str(JobPosting.objects.order_by("pk")[0].pk)
    return "/" + "/".join(values.get(part, part) for part in parts)
