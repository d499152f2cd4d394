"""System checks: what is wrong with the settings or the database, and the cure.

Each has an id, so that a host can silence it, and a hint. docs/settings.md lists them.
"""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.core.exceptions import FieldDoesNotExist, ImproperlyConfigured
from django.db import connections

from . import conf
from .adapter import JobAdapter, get_adapter
from .models import get_category_model, get_job_model
from .queue.sql import alias

MIN_POSTGRESQL = 150000
MIN_PGVECTOR = (0, 8, 4)


@register("marketplace_ai")
def check_settings(**kwargs: Any) -> list[CheckMessage]:
    """W001: a MARKETPLACE_AI_ setting that does not exist."""
    known = conf.known_settings()
    messages: list[CheckMessage] = []
    for name in dir(settings):
        if name.startswith(conf.PREFIX) and name not in known:
            near = get_close_matches(name, known, n=1)
            hint = f"Did you mean {near[0]}?" if near else "docs/settings.md lists all settings."
            messages.append(
                Warning(f"There is no setting {name}.", hint=hint, id="marketplace_ai.W001")
            )
    return messages


@register("marketplace_ai")
def check_models(**kwargs: Any) -> list[CheckMessage]:
    """E001: a model or the adapter that cannot be had. E002: a declared field that is not there."""
    try:
        job, category = get_job_model(), get_category_model()
        adapter = get_adapter()
    except (ImproperlyConfigured, ImportError) as error:
        return [Error(str(error), hint="See docs/install.md.", id="marketplace_ai.E001")]
    if not isinstance(adapter, JobAdapter):
        return [
            Error(
                f"{conf.conf.adapter} is no JobAdapter.",
                hint="Subclass marketplace_ai.adapter.JobAdapter.",
                id="marketplace_ai.E001",
            )
        ]
    wanted = [(job, f, "text_columns") for f in adapter.text_columns]
    wanted += [(job, f, "eligible_columns") for f in adapter.eligible_columns]
    wanted += [(job, adapter.category_field, "category_field")]
    wanted += [(category, adapter.category_key_field, "category_key_field")]
    if adapter.set_by_field:
        wanted += [(job, adapter.set_by_field, "set_by_field")]
    if adapter.category_parent_field:
        wanted += [(category, adapter.category_parent_field, "category_parent_field")]
    messages: list[CheckMessage] = []
    for model, name, attribute in wanted:
        try:
            model._meta.get_field(name)
        except FieldDoesNotExist:
            messages.append(
                Error(
                    f"{model._meta.label} has no field {name!r}.",
                    hint=f"Correct {attribute} of {type(adapter).__name__}.",
                    obj=model,
                    id="marketplace_ai.E002",
                )
            )
    return messages


@register(Tags.database)
def check_database(databases: Sequence[str] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """E003: not PostgreSQL 15 or later. E004: pgvector older than 0.8.4."""
    if not databases or alias() not in databases:
        return []
    connection = connections[alias()]
    if connection.vendor != "postgresql":
        return [
            Error(
                f"The database is {connection.vendor}.",
                hint="marketplace_ai needs PostgreSQL 15 or later with pgvector.",
                id="marketplace_ai.E003",
            )
        ]
    messages: list[CheckMessage] = []
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('server_version_num')::int")
        version = cursor.fetchone()[0]
        cursor.execute("SELECT default_version FROM pg_available_extensions WHERE name = 'vector'")
        row = cursor.fetchone()
        cursor.execute("SELECT extversion FROM pg_extension WHERE extname = 'vector'")
        installed = cursor.fetchone() or row
    if version < MIN_POSTGRESQL:
        messages.append(
            Error(
                f"PostgreSQL {version // 10000} is too old.",
                hint="Use PostgreSQL 15 or later (UNIQUE NULLS NOT DISTINCT).",
                id="marketplace_ai.E003",
            )
        )
    if installed is None or tuple(map(int, installed[0].split("."))) < MIN_PGVECTOR:
        found = installed[0] if installed else "not there"
        messages.append(
            Error(
                f"pgvector is {found}.",
                hint="Install pgvector 0.8.4 or later: older versions can corrupt an HNSW index.",
                id="marketplace_ai.E004",
            )
        )
    return messages
