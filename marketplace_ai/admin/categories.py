"""The shipped categories, children below their parents."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin
from django.db.models import F
from django.db.models.functions import Coalesce
from django.utils.html import format_html
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from marketplace_ai.models import Category
from marketplace_ai.text.circles import find_circle

from .base import OwnAdmin
from .category_admin import CategoryAdminMixin

if TYPE_CHECKING:
    CategoryModelForm = forms.ModelForm[Category]
else:
    CategoryModelForm = forms.ModelForm


class CategoryForm(CategoryModelForm):
    def clean_parent(self) -> Category | None:
        """The parent; ValidationError where the category would be its own ancestor."""
        parent: Category | None = self.cleaned_data["parent"]
        if parent is None or self.instance.pk is None:
            return parent
        parents = {
            str(key): None if above is None else str(above)
            for key, above in Category.objects.values_list("pk", "parent_id")
        }
        own = str(self.instance.pk)
        if own in find_circle({**parents, own: str(parent.pk)}, [own]):
            raise forms.ValidationError(
                gettext("Choose another parent: this one is the category itself or below it.")
            )
        return parent


class CategoryAdmin(CategoryAdminMixin, OwnAdmin):
    form = CategoryForm
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
