"""The queue: what waits, what is being worked on, what was set aside and why."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from marketplace_ai.models import QueuedPosting, TableScan, get_job_model
from marketplace_ai.queue import backfill, scans, stats

from .base import ReadOnlyAdmin
from .display import NOTHING, badge, object_link, shortened
from .filters import QueueStateFilter

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.http import HttpRequest

COUNTS = ("pending", "claimed", "logged", "set_aside")


@admin.register(QueuedPosting)
class QueuedPostingAdmin(ReadOnlyAdmin):
    list_display = ("number", "posting_link", "state", "priority", "attempts", "queued_at", "error")
    list_filter = (QueueStateFilter,)
    list_select_related = ("posting",)
    ordering = ("pk",)
    sortable_by = ()
    actions = ("put_back",)
    change_list_template = "admin/marketplace_ai/queuedposting/change_list.html"
    fields = (
        "posting_link", "state", "encoder", "is_vector_only", "priority", "attempts", "is_isolated", "queued_at",
        "scheduled_at", "lease_expires_at", "failed_at", "error_shown",
    )  # fmt: skip
    readonly_fields = fields

    def has_put_back_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm("marketplace_ai.change_queuedposting"))

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> Any:
        queue = stats.queue_health()
        oldest = dt.timedelta(seconds=int(queue.oldest.total_seconds()))
        context = {
            "health": {name: stats.format_count(getattr(queue, name)) for name in COUNTS},
            "drainers": stats.worker_names(),
            "oldest": str(oldest) if queue.oldest else "",
            "walks": list(_under_way()),
        }
        return super().changelist_view(request, {**context, **(extra_context or {})})

    @admin.display(description=_("number"))
    def number(self, row: QueuedPosting) -> Any:
        return row.pk

    @admin.display(description=_("posting"))
    def posting_link(self, row: QueuedPosting) -> Any:
        label = shortened(str(row.posting), 60) or row.posting_id
        return object_link(self.admin_site, get_job_model(), row.posting_id, label)

    @admin.display(description=_("state"))
    def state(self, row: QueuedPosting) -> Any:
        if row.failed_at is not None:
            return badge(_("set aside"), "bad")
        if row.token is not None:
            return badge(_("being worked on"), "good")
        return badge(_("waiting"), "attention" if row.attempts else "quiet")

    @admin.display(description=_("last error"), empty_value=NOTHING)
    def error(self, row: QueuedPosting) -> Any:
        return shortened(row.last_error, 120) or None

    @admin.display(description=_("last error"), empty_value=NOTHING)
    def error_shown(self, row: QueuedPosting) -> Any:
        return row.last_error or None

    @admin.action(description=_("Put back what was set aside"), permissions=["put_back"])
    def put_back(self, request: HttpRequest, queryset: Any) -> None:
        """Have the postings tried again, with all their attempts and in a batch."""
        changed = queryset.filter(failed_at__isnull=False).update(
            attempts=0, failed_at=None, is_isolated=False, scheduled_at=Now()
        )
        text = ngettext("%(n)d posting is tried again.", "%(n)d postings are tried again.", changed)
        level = messages.SUCCESS if changed else messages.WARNING
        messages.add_message(request, level, text % {"n": changed})


def _under_way() -> Iterator[dict[str, Any]]:
    """Walks that are not finished, as the page shows them."""
    waiting = backfill.queued_rows()[: stats.LARGEST_COUNT].count()
    for walk in TableScan.objects.unfinished().order_by("pk"):
        known = scans.progress(walk, waiting)
        yield {
            "title": walk.get_purpose_display(),
            "done": f"{known.done:,}",
            "total": f"{known.total:,}",
            "estimated": walk.is_estimated,
            "rate": f"{known.rate:,.0f}" if known.rate else "",
            "left": "" if known.left is None else str(known.left),
            "stopped": walk.stopped_at,
        }
