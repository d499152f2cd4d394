"""An AdminSite whose index and sidebar say how many postings wait for a person, and what stopped.

It stands beside the package ``admin``, because Django makes the site while that is imported.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib.admin import AdminSite
from django.utils.translation import gettext as _

if TYPE_CHECKING:
    from django.http import HttpRequest


class ReviewAdminSite(AdminSite):
    """Puts review queue, audit and automation first in this app's part of the index.

    A host names it as ``default_site`` of its AdminConfig, or puts it among the bases of its
    own site. Costs two counts of at most 1,001 rows a page, and two queries about stops.
    """

    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> list[Any]:
        apps: list[Any] = super().get_app_list(request, app_label)
        for app in apps:
            if app["app_label"] == "marketplace_ai":
                first = _entries_to_check(app["models"])
                if request.user.has_perm("marketplace_ai.view_decision"):
                    first.insert(0, self._review_entry())
                app["models"][:] = [*first, *(e for e in app["models"] if e not in first)]
        return apps

    def _review_entry(self) -> dict[str, Any]:
        from marketplace_ai.admin.review import review_url, waiting_number

        return {
            "name": _("Review queue (%(number)s)") % {"number": waiting_number()},
            "object_name": "Review",
            "admin_url": review_url(self),
            "add_url": None,
            "view_only": True,
            "perms": {"add": False, "change": False, "delete": False, "view": True},
        }


def _entries_to_check(models: list[Any]) -> list[Any]:
    """The entries of the audit and of automation, with what somebody should look at."""
    from marketplace_ai.admin.audits import audit_count
    from marketplace_ai.admin.automation import stop_count

    found = {entry["object_name"]: entry for entry in models}
    entries = []
    if entry := found.get("AuditedPosting"):
        entry["name"] = _("Audit (%(number)s)") % {"number": audit_count()}
        entries.append(entry)
    if entry := found.get("AutomationStop"):
        number = stop_count()
        entry["name"] = _("Automation")
        if number:
            entry["name"] = _("Automation (%(number)d stopped)") % {"number": number}
        entries.append(entry)
    return entries
