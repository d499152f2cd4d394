"""A mixin for the admin of a project's categories: what hangs on one is said before it goes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import messages
from django.contrib.admin.utils import NestedObjects
from django.db import router
from django.utils.translation import ngettext

from marketplace_ai.models import get_category_model
from marketplace_ai.queue.stats import format_count
from marketplace_ai.taxonomy.what_hangs_on import what_hangs_on

from .base import AdminMixin

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.http import HttpRequest


class CategoryAdminMixin(AdminMixin):
    """A base class before ``ModelAdmin`` for the admin of your own category model.

    Example::

        @admin.register(Section)
        class SectionAdmin(CategoryAdminMixin, admin.ModelAdmin):
            list_display = ["name", "above"]
    """

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        # Both pages that ask for a confirmation call this, and once more when it is given.
        if "post" not in request.POST:
            for sentence in _consequences(_deleted_with(objs)):
                messages.warning(request, sentence)
        return super().get_deleted_objects(objs, request)


def _deleted_with(categories: Any) -> list[Any]:
    """The categories, and those that the project deletes with them, as their children."""
    rows = list(categories)
    collector = NestedObjects(using=router.db_for_write(get_category_model()))
    collector.collect(rows)
    found = {row.pk: row for row in rows}
    for instances in collector.data.values():
        found |= {row.pk: row for row in instances if isinstance(row, get_category_model())}
    return list(found.values())


def _consequences(categories: list[Any]) -> Iterator[str]:
    """A sentence for each kind of thing that hangs on the categories."""
    dependents = what_hangs_on(categories)
    if count := dependents.exemplars:
        text = ngettext(
            "%(n)s exemplar will not vote any more. It votes again when a category has the same "
            "key.",
            "%(n)s exemplars will not vote any more. They vote again when a category has the same "
            "key.",
            count,
        )
        yield text % {"n": format_count(count)}
    if count := dependents.automatic:
        text = ngettext(
            "%(n)s posting was tagged automatically and will be decided anew.",
            "%(n)s postings were tagged automatically and will be decided anew.",
            count,
        )
        yield text % {"n": format_count(count)}
    if count := dependents.answered:
        text = ngettext(
            "%(n)s posting was answered by a person and will be in the review queue again.",
            "%(n)s postings were answered by a person and will be in the review queue again.",
            count,
        )
        yield text % {"n": format_count(count)}
    if count := dependents.descriptions:
        text = ngettext(
            "%(n)s description, which stands in for exemplars, will be deleted.",
            "%(n)s descriptions, which stand in for exemplars, will be deleted.",
            count,
        )
        yield text % {"n": format_count(count)}
