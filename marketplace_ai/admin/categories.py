"""The shipped categories, children below their parents."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import F
from django.db.models.functions import Coalesce
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _

from marketplace_ai.models import Category

from .base import OwnAdmin
from .category_admin import CategoryAdminMixin


class CategoryAdmin(CategoryAdminMixin, OwnAdmin):
    list_display = ("name_shown", "name_en", "parent", "slug")
    list_select_related = ("parent",)
    search_fields = ("name", "name_en", "slug")
    autocomplete_fields = ("parent",)
    ordering = (
        Coalesce("parent__name", "name"),
        F("parent_id").asc(nulls_first=True),
        "name",
    )
    sortable_by = ()
    fields = ("slug", "parent", "name", "name_en", "scope")

    @admin.display(description=_("name"))
    def name_shown(self, category: Category) -> Any:
        kind = "top" if category.parent_id is None else "child"
        return format_html('<span class="mai-{}">{}</span>', kind, category.name)


if not Category._meta.swapped:
    admin.site.register(Category, CategoryAdmin)
