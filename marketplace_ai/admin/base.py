"""What all our screens share: no exact count of millions, read-only screens, category fields."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from django.contrib import admin
from django.contrib.admin.widgets import AutocompleteSelect
from django.core.paginator import Paginator
from django.utils.functional import cached_property

from marketplace_ai.adapter import get_adapter
from marketplace_ai.models import get_category_model, get_job_model

from .display import STYLES

if TYPE_CHECKING:
    from django import forms
    from django.contrib.admin import AdminSite
    from django.http import HttpRequest

    ModelAdmin = admin.ModelAdmin[Any]
    AdminMixin = ModelAdmin
    Pages = Paginator[Any]
else:
    ModelAdmin = admin.ModelAdmin
    AdminMixin = object
    Pages = Paginator

#: Rows counted and paged through; who looks further filters or searches instead.
LARGEST_COUNT = 10_000


class CappedPaginator(Pages):
    """Counts no further than a bound: an exact count of 30 million rows takes seconds."""

    @cached_property
    def _counted(self) -> int:
        rows = cast("Any", self.object_list)
        return int(rows.order_by()[: LARGEST_COUNT + 1].count())

    @property
    def count(self) -> int:
        return min(self._counted, LARGEST_COUNT)

    @property
    def capped(self) -> bool:
        """Whether there are more rows than can be paged through."""
        return self._counted > LARGEST_COUNT


class LargeTable(AdminMixin):
    """For a ModelAdmin over a table that may have tens of millions of rows."""

    paginator = CappedPaginator
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    list_per_page = 100
    change_list_template = "admin/marketplace_ai/change_list.html"


class OwnAdmin(LargeTable, ModelAdmin):
    """Base of the screens for our own tables."""

    class Media:
        css = STYLES


class ReadOnlyAdmin(OwnAdmin):
    """What happened is looked at, never edited."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


def job_admin(site: AdminSite) -> ModelAdmin | None:
    """The admin that the host has registered for its postings; None without one."""
    return site._registry.get(get_job_model())


def visible(site: AdminSite, request: HttpRequest, rows: Any) -> Any:
    """Those of the rows whose posting this user finds in the postings' own admin.

    A host that shows a moderator some postings only says so in that admin's ``get_queryset``.
    """
    registered = job_admin(site)
    if registered is None:
        return rows
    return rows.filter(posting_id__in=registered.get_queryset(request).order_by().values("pk"))


def may_answer(site: AdminSite, request: HttpRequest, job: Any = None) -> bool:
    """Whether this user may give postings, or this one, their category."""
    registered = job_admin(site)
    if registered is not None:
        return bool(registered.has_change_permission(request, job))
    meta = get_job_model()._meta
    return bool(request.user.has_perm(f"{meta.app_label}.change_{meta.model_name}"))


def can_autocomplete(site: AdminSite, request: HttpRequest) -> bool:
    """Whether categories can be chosen by typing: their admin has a search, and the user may."""
    registered = site._registry.get(get_category_model())
    return bool(
        registered
        and registered.get_search_fields(request)
        and registered.has_view_permission(request)
    )


def category_widget(site: AdminSite, request: HttpRequest) -> forms.Widget | None:
    """The widget to choose a category with; None for the plain list."""
    if not can_autocomplete(site, request):
        return None
    field = get_job_model()._meta.get_field(get_adapter().category_field)
    return AutocompleteSelect(field, site)
