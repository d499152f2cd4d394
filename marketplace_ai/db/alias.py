"""The database that holds this app's tables.

The app's tables, the project's postings and its categories are in one database. Everything that
writes, and everything that decides by what it has read, must use the database that the router
names for writing: a replica may lag behind.
"""

from __future__ import annotations

from django.apps import apps
from django.db import router


def alias() -> str:
    """The Django alias of that database, for ``using=`` and ``connections[...]``."""
    # By name, because the models themselves ask for the alias.
    return router.db_for_write(apps.get_model("marketplace_ai", "QueuedPosting"))
