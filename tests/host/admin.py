"""What a host writes to have our columns, panel and actions in its own job admin."""

from __future__ import annotations

from django.contrib import admin

from marketplace_ai.admin import JobAdminMixin

from .models import Job


@admin.register(Job)
class JobAdmin(JobAdminMixin, admin.ModelAdmin):
    list_display = ("headline", "outcome", "status")
    list_filter = ("status",)
    list_editable = ("status",)
    search_fields = ("headline",)
    actions = ("publish",)

    @admin.action(description="Publish")
    def publish(self, request: object, queryset: object) -> None: ...
