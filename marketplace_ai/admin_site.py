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
    own site. Costs one count of at most 1,001 rows a page.
    """

    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> list[Any]:
        from marketplace_ai.admin.review import review_url, waiting_number

        apps: list[Any] = super().get_app_list(request, app_label)
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
