"""System checks: what is wrong with the settings or the database, and the cure.

Each has an id, so that a host can silence it, and a hint. docs/settings.md lists them.
"""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.core.exceptions import FieldDoesNotExist, ImproperlyConfigured
from django.db import connections
from django.db.models import ForeignKey

from . import conf
from .adapter import JobAdapter, get_adapter
from .db.alias import alias
from .encoding import BACKENDS, PRECISIONS, is_any_exported
from .models import get_category_model, get_job_model

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.db.models import Model

MIN_POSTGRESQL = 150000
MIN_PGVECTOR = (0, 8, 4)


@register("marketplace_ai")
def check_settings(**kwargs: Any) -> list[CheckMessage]:
    """W001: a MARKETPLACE_AI_ setting that does not exist."""
    known = conf.known_settings()
    messages: list[CheckMessage] = []
    for name in dir(settings):
        if name.startswith(conf.PREFIX) and name not in known:
            # Without the prefix, which would make any two names alike.
            short = {known_name.removeprefix(conf.PREFIX): known_name for known_name in known}
            near = get_close_matches(name.removeprefix(conf.PREFIX), short, n=1)
            hint = (
                f"Did you mean {short[near[0]]}?"
                if near
                else "docs/settings.md lists all settings."
            )
            messages.append(
                Warning(f"There is no setting {name}.", hint=hint, id="marketplace_ai.W001")
            )
    return messages


@register("marketplace_ai")
def check_audit_share(**kwargs: Any) -> list[CheckMessage]:
    """E005: a share of audited postings that is no share."""
    share: object = conf.conf.audit_share
    if isinstance(share, int | float) and not isinstance(share, bool) and 0 <= share <= 1:
        return []
    return [
        Error(
            f"{conf.PREFIX}AUDIT_SHARE is {share!r}.",
            hint="It must be a number from 0 (no audit) to 1 (every posting), as 0.01.",
            id="marketplace_ai.E005",
        )
    ]


@register("marketplace_ai")
def check_encoding(**kwargs: Any) -> list[CheckMessage]:
    """E006: a back end, precision or budget that there is not. W003: one that is not ready."""
    messages: list[CheckMessage] = []
    for name, values in (("backend", BACKENDS), ("precision", PRECISIONS)):
        value = getattr(conf.conf, name)
        if value not in values:
            messages.append(
                Error(
                    f"{conf.PREFIX}{name.upper()} is {value!r}.",
                    hint=f"It must be one of {', '.join(map(repr, values))}.",
                    id="marketplace_ai.E006",
                )
            )
    budget: object = conf.conf.token_budget
    if budget is not None and (
        isinstance(budget, bool) or not isinstance(budget, int) or budget < 1
    ):
        messages.append(
            Error(
                f"{conf.PREFIX}TOKEN_BUDGET is {budget!r}.",
                hint="It must be a number of tokens, as 1024, or None for what suits the back end.",
                id="marketplace_ai.E006",
            )
        )
    backend = conf.conf.backend
    if backend not in ("onnx", "onnx-int8"):
        return messages
    problem = ""
    if find_spec("onnxruntime") is None:
        problem = "onnxruntime is not installed"
        cure = 'pip install "marketplace-ai[onnx]"'
    elif not is_any_exported(conf.conf.cache_dir, "int8" if backend == "onnx-int8" else "float32"):
        problem = f"no encoder was exported for it into {conf.conf.cache_dir}"
        cure = f"manage.py export_encoder{' --int8' if backend == 'onnx-int8' else ''}"
    if problem:
        messages.append(
            Warning(
                f"{conf.PREFIX}BACKEND is {backend!r}, but {problem}.",
                hint=f"Where workers run: {cure}. Web processes need neither.",
                id="marketplace_ai.W003",
            )
        )
    return messages


@register("marketplace_ai")
def check_models(**kwargs: Any) -> list[CheckMessage]:
    """E001: a model or the adapter that cannot be had. E002: a declared field that will not do."""
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
    messages: list[CheckMessage] = []
    for model, attribute, name in _declared(adapter, job, category):
        problem = _problem(model, attribute, name, category)
        if problem:
            messages.append(
                Error(
                    problem,
                    hint=f"Correct {attribute} of {type(adapter).__name__}.",
                    obj=model,
                    id="marketplace_ai.E002",
                )
            )
    return messages


@register("marketplace_ai")
def check_eligibility(**kwargs: Any) -> list[CheckMessage]:
    """W002: ``eligible`` looks at something whose change nobody would notice."""
    try:
        adapter = get_adapter()
    except (ImproperlyConfigured, ImportError):
        return []  # E001 speaks of it
    if not isinstance(adapter, JobAdapter) or adapter.eligible_columns:
        return []
    if type(adapter).eligible is JobAdapter.eligible:
        return []
    return [
        Warning(
            f"{type(adapter).__name__} has an eligible() of its own but no eligible_columns.",
            hint="Name the fields it looks at: else a draft that is published is never decided.",
            id="marketplace_ai.W002",
        )
    ]


def _declared(
    adapter: JobAdapter, job: type[Model], category: type[Model]
) -> Iterator[tuple[type[Model], str, str]]:
    """(model, attribute of the adapter, name of the field) of all that the adapter declares."""
    for attribute in ("text_columns", "eligible_columns"):
        for name in getattr(adapter, attribute):
            yield job, attribute, name
    single = [(job, "category_field"), (job, "set_by_field"), (job, "created_field")]
    single += [(category, "category_key_field"), (category, "category_parent_field")]
    for model, attribute in single:
        if name := getattr(adapter, attribute):
            yield model, attribute, name


def _problem(model: type[Model], attribute: str, name: str, category: type[Model]) -> str | None:
    try:
        field: Any = model._meta.get_field(name)
    except FieldDoesNotExist:
        return f"{model._meta.label} has no field {name!r}."
    label = f"{model._meta.label}.{name}"
    if attribute in ("text_columns", "eligible_columns") and (
        field not in model._meta.local_concrete_fields
    ):
        # The trigger sees one table only.
        return f"{label} is no column of the table {model._meta.db_table!r}."
    if attribute in ("category_field", "category_parent_field") and (
        not isinstance(field, ForeignKey) or field.target_field != category._meta.pk
    ):
        return f"{label} is no foreign key to the primary key of {category._meta.label}."
    if attribute == "category_field" and not field.null:
        return f"{label} does not allow NULL, but a posting has no category until it is decided."
    return None


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
