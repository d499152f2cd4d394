"""The demo's admin: the stock one, with the number of waiting reviews on its index."""

from django.contrib.admin.apps import AdminConfig


class DemoAdminConfig(AdminConfig):
    default_site = "marketplace_ai.admin_site.ReviewAdminSite"
