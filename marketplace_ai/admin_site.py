"""An AdminSite whose index and sidebar say how many postings wait for a person.

It stands beside the package ``admin``, because Django makes the site while that is imported.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib.admin import AdminSite
from django.utils.translation import gettext as _

if TYPE_CHECKING:
    from django.http import HttpRequest


class ReviewAdminSite(AdminSite):
    """Adds the review queue to this app's part of the index; the rest stays as it is.

    A host names it as ``default_site`` of its AdminConfig, or puts it among the bases of its
    own site. Costs two counts of at most 1,001 rows a page, and two queries about stops.
    """

    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> list[Any]:
        from marketplace_ai.admin.review import review_url, waiting_number

        apps: list[Any] = super().get_app_list(request, app_label)
        for app in apps:
            if app["app_label"] == "marketplace_ai":
                _put_first(app["models"], _watch_entries(app["models"]))
        if not request.user.has_perm("marketplace_ai.view_decision"):
            return apps
        for app in apps:
            if app["app_label"] == "marketplace_ai":
                number = waiting_number()
                entry = {
                    "name": _("Review queue (%(number)s)") % {"number": number},
                    "object_name": "Review",
                    "admin_url": review_url(self),
                    "add_url": None,
                    "view_only": True,
                    "perms": {"add": False, "change": False, "delete": False, "view": True},
                }
                app["models"].insert(0, entry)
        return apps


def _watch_entries(models: list[Any]) -> list[Any]:
    """The entries of the audit and of automation, with what somebody should look at."""
    from marketplace_ai.admin.audits import audits_number
    from marketplace_ai.admin.automation import stops_number

    found = {entry["object_name"]: entry for entry in models}
    entries = []
    if entry := found.get("AuditedPosting"):
        entry["name"] = _("Audit (%(number)s)") % {"number": audits_number()}
        entries.append(entry)
    if entry := found.get("AutomationStop"):
        number = stops_number()
        entry["name"] = _("Automation")
        if number:
            entry["name"] = _("Automation (%(number)d stopped)") % {"number": number}
        entries.append(entry)
    return entries


def _put_first(models: list[Any], entries: list[Any]) -> None:
    models[:] = [*entries, *(entry for entry in models if entry not in entries)]
