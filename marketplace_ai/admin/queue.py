"""The queue: postings that wait, are in progress, or failed and why."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from marketplace_ai.models import QueuedPosting, TableScan, get_job_model
from marketplace_ai.queue import backfill, heartbeat, scans, stats

from .base import ReadOnlyAdmin
from .display import NOTHING, badge, object_link, shortened
from .filters import QueueStateFilter

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.http import HttpRequest

#: Counts on the page, by their attributes in the queue's statistics.
COUNTS = {"queued": "queued", "claimed": "claimed", "logged": "logged", "failed": "failed"}


@admin.register(QueuedPosting)
class QueuedPostingAdmin(ReadOnlyAdmin):
    list_display = ("number", "posting_link", "state", "priority", "attempts", "queued_at", "error")
    list_filter = (QueueStateFilter,)
    list_select_related = ("posting",)
    ordering = ("pk",)
    sortable_by = ()
    actions = ("retry",)
    change_list_template = "admin/marketplace_ai/queuedposting/change_list.html"
    fields = (
        "posting_link", "state", "encoder", "is_vector_only", "priority", "attempts", "is_isolated",
        "queued_at",
        "scheduled_at", "lease_expires_at", "failed_at", "error_shown",
    )  # fmt: skip
    readonly_fields = fields

    def has_retry_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm("marketplace_ai.change_queuedposting"))

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> Any:
        queue = stats.queue_health()
        oldest = dt.timedelta(seconds=int(queue.oldest.total_seconds()))
        context = {
            "counts": {
                name: stats.format_count(getattr(queue, source)) for name, source in COUNTS.items()
            },
            "workers": heartbeat.worker_names(),
            "oldest": str(oldest) if queue.oldest else "",
            "scans": list(_unfinished_scans()),
        }
        return super().changelist_view(request, {**context, **(extra_context or {})})

    @admin.display(description=_("ID"))
    def number(self, row: QueuedPosting) -> Any:
        return row.pk

    @admin.display(description=_("posting"))
    def posting_link(self, row: QueuedPosting) -> Any:
        label = shortened(str(row.posting), 60) or row.posting_id
        return object_link(self.admin_site, get_job_model(), row.posting_id, label)

    @admin.display(description=_("state"))
    def state(self, row: QueuedPosting) -> Any:
        if row.failed_at is not None:
            return badge(_("failed"), "bad")
        if row.token is not None:
            return badge(_("in progress"), "good")
        return badge(_("waiting"), "attention" if row.attempts else "quiet")

    @admin.display(description=_("last error"), empty_value=NOTHING)
    def error(self, row: QueuedPosting) -> Any:
        return shortened(row.last_error, 120) or None

    @admin.display(description=_("last error"), empty_value=NOTHING)
    def error_shown(self, row: QueuedPosting) -> Any:
        return row.last_error or None

    @admin.action(description=_("Retry"), permissions=["retry"])
    def retry(self, request: HttpRequest, queryset: Any) -> None:
        """Queue failed postings again, with all their attempts and in batches."""
        changed = queryset.filter(failed_at__isnull=False).update(
            attempts=0, failed_at=None, is_isolated=False, scheduled_at=Now()
        )
        text = ngettext(
            "%(n)d posting will be retried.", "%(n)d postings will be retried.", changed
        )
        level = messages.SUCCESS if changed else messages.WARNING
        messages.add_message(request, level, text % {"n": changed})


def _unfinished_scans() -> Iterator[dict[str, Any]]:
    """Unfinished table scans, for the template."""
    waiting = backfill.queued_rows()[: stats.LARGEST_COUNT].count()
    for scan in TableScan.objects.unfinished().order_by("pk"):
        progress = scans.progress(scan, waiting)
        yield {
            "title": scan.get_purpose_display(),
            "done": f"{progress.done:,}",
            "total": f"{progress.total:,}",
            "estimated": scan.is_estimated,
            "rate": f"{progress.rate:,.0f}" if progress.rate else "",
            "left": "" if progress.left is None else str(progress.left),
            "stopped": scan.stopped_at,
        }
