"""The shipped postings' screen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.utils.formats import date_format
from django.utils.timezone import localtime
from django.utils.translation import gettext_lazy as _

from marketplace_ai.models import JobPosting

from .base import ModelAdmin, can_autocomplete
from .job_admin import JobAdminMixin
from .posting_columns import PostingColumns

if TYPE_CHECKING:
    from django.http import HttpRequest


class JobPostingAdmin(JobAdminMixin, ModelAdmin):
    """The shipped postings."""

    list_display = ("title", *PostingColumns.posting_columns, "created_on")
    search_fields = ("title",)
    ordering = ("-pk",)
    sortable_by = ("created_on",)
    fields = ("title", "description", "category", "created_at", "updated_at")
    readonly_fields = ("created_at", "updated_at")

    def get_fields(self, request: HttpRequest, obj: JobPosting | None = None) -> Any:
        # A posting that is not there yet has no times.
        return self.fields if obj is not None else ("title", "description", "category")

    @admin.display(description=_("created"), ordering="created_at")
    def created_on(self, job: JobPosting) -> str:
        return date_format(localtime(job.created_at), "DATE_FORMAT")

    def get_autocomplete_fields(self, request: HttpRequest) -> Any:
        return ("category",) if can_autocomplete(self.admin_site, request) else ()


if not JobPosting._meta.swapped:
    admin.site.register(JobPosting, JobPostingAdmin)
