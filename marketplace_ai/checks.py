"""System checks of the settings, the adapter and the database.

Each has an id, so that a project can silence it, and a hint. docs/settings.md lists them.
"""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from math import isfinite
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.core.exceptions import FieldDoesNotExist, ImproperlyConfigured
from django.db import DatabaseError, connections, router
from django.db.models import CharField, ForeignKey, TextField

from . import conf
from .adapter import JobAdapter, get_adapter
from .db import vector_type
from .db.alias import alias
from .db.error_kind import describe
from .encoding import DTYPES, backend_registry
from .models import QueuedPosting, get_category_model, get_job_model
from .queue.lease_timing import SHORTEST_LEASE, LeaseTiming
from .schema.catalog import is_migrated
from .schema.differences import Difference, differences

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.db.models import Model

MIN_POSTGRESQL = 150000
MIN_PGVECTOR = (0, 8, 4)


@register("marketplace_ai")
def check_settings(**kwargs: Any) -> list[CheckMessage]:
    """W001: an unknown MARKETPLACE_AI_ setting."""
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
def check_audit_sample_rate(**kwargs: Any) -> list[CheckMessage]:
    """E005: an audit sample rate outside 0 to 1."""
    rate: object = conf.conf.audit_sample_rate
    if isinstance(rate, int | float) and not isinstance(rate, bool) and 0 <= rate <= 1:
        return []
    return [
        Error(
            f"{conf.PREFIX}AUDIT_SAMPLE_RATE is {rate!r}.",
            hint="It must be a number from 0 (no audit) to 1 (every posting), as 0.01.",
            id="marketplace_ai.E005",
        )
    ]


@register("marketplace_ai")
def check_drain_queues(**kwargs: Any) -> list[CheckMessage]:
    """E009: names of queues that are not a list: of a string, each letter would be one."""
    queues: object = conf.conf.drain_queues
    if queues is None or (
        isinstance(queues, list | tuple | set | frozenset)
        and all(isinstance(name, str) for name in queues)
    ):
        return []
    return [
        Error(
            f"{conf.PREFIX}DRAIN_QUEUES is {queues!r}.",
            hint='It must be a list of names, as ["celery"], or None for all queues.',
            id="marketplace_ai.E009",
        )
    ]


@register("marketplace_ai")
def check_refit_activates(**kwargs: Any) -> list[CheckMessage]:
    """E010: neither True nor False: the text "False" would activate."""
    value: object = conf.conf.refit_activates
    if isinstance(value, bool):
        return []
    return [
        Error(
            f"{conf.PREFIX}REFIT_ACTIVATES is {value!r}.",
            hint="It must be True, or False if refits should only propose.",
            id="marketplace_ai.E010",
        )
    ]


#: Settings of time, and whether they may be 0.
_TIMES = {
    "lease_seconds": False,
    "encode_timeout": False,
    "poll_interval_seconds": False,
    "reconcile_interval_hours": True,
}


@register("marketplace_ai")
def check_times(**kwargs: Any) -> list[CheckMessage]:
    """E007: a time that is not a positive number. W004: times that contradict each other."""
    invalid: list[CheckMessage] = [
        Error(
            f"{conf.PREFIX}{name.upper()} is {getattr(conf.conf, name)!r}.",
            hint=f"It must be a {'number of 0 or more' if may_be_zero else 'positive number'}.",
            id="marketplace_ai.E007",
        )
        for name, may_be_zero in _TIMES.items()
        if not _is_time(getattr(conf.conf, name), may_be_zero)
    ]
    return invalid or [
        Warning(message, hint=hint, id="marketplace_ai.W004")
        for message, hint in _contradictions(LeaseTiming(float(conf.conf.lease_seconds)))
    ]


def _is_time(value: object, may_be_zero: bool) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
        return False
    return value > 0 or (may_be_zero and value == 0)


def _contradictions(timing: LeaseTiming) -> Iterator[tuple[str, str]]:
    """(message, hint) of each pair of times that cannot both be kept."""
    lease = f"{conf.PREFIX}LEASE_SECONDS ({timing.lease:g})"
    if timing.lease < SHORTEST_LEASE:
        yield (
            f"{lease} is shorter than a worker can keep: it leaves a dead connection after "
            f"{timing.read_timeout:g} s.",
            f"Make it at least {SHORTEST_LEASE:g}: else a worker loses its claims to others "
            "whenever its connection fails, and texts are encoded twice.",
        )
    timeout = conf.conf.encode_timeout
    if timeout < timing.renewal_interval:
        yield (
            f"{conf.PREFIX}ENCODE_TIMEOUT ({timeout:g}) is shorter than the time between two "
            f"renewals of a lease ({timing.renewal_interval:g} s), at which it is checked.",
            f"Make it at least {timing.renewal_interval:g}, a third of {conf.PREFIX}LEASE_SECONDS.",
        )
    poll = conf.conf.poll_interval_seconds
    if poll > timing.lease:
        yield (
            f"{conf.PREFIX}POLL_INTERVAL_SECONDS ({poll:g}) is longer than {lease}.",
            "Idle workers release the claims of frozen ones when they poll, so these wait for "
            "longer than the lease. Poll more often.",
        )


@register("marketplace_ai")
def check_encoding(**kwargs: Any) -> list[CheckMessage]:
    """E006: an unknown back end or dtype or no number of tokens. W003: a back end that is not
    ready."""
    messages: list[CheckMessage] = []
    for name, values in (("backend", backend_registry.choices()), ("dtype", DTYPES)):
        value = getattr(conf.conf, name)
        if value not in values:
            messages.append(
                Error(
                    f"{conf.PREFIX}{name.upper()} is {value!r}.",
                    hint=f"It must be one of {', '.join(map(repr, values))}.",
                    id="marketplace_ai.E006",
                )
            )
    budget: object = conf.conf.max_batch_tokens
    if budget is not None and (
        isinstance(budget, bool) or not isinstance(budget, int) or budget < 1
    ):
        messages.append(
            Error(
                f"{conf.PREFIX}MAX_BATCH_TOKENS is {budget!r}.",
                hint="It must be a number of tokens, as 1024, or None for what suits the back end.",
                id="marketplace_ai.E006",
            )
        )
    backend = conf.conf.backend
    if problem := backend_registry.find_problem(backend, conf.conf.cache_dir):
        messages.append(
            Warning(
                f"{conf.PREFIX}BACKEND is {backend!r}, but {problem.message}.",
                hint=f"Where workers run: {problem.cure}. Web processes do not need it.",
                id="marketplace_ai.W003",
            )
        )
    return messages


@register("marketplace_ai")
def check_models(**kwargs: Any) -> list[CheckMessage]:
    """E001: a model or adapter that cannot be loaded. E002: a declared field that does not fit."""
    try:
        job, category = get_job_model(), get_category_model()
        adapter = get_adapter()
    except (ImproperlyConfigured, ImportError) as error:
        return [Error(str(error), hint="See docs/install.md.", id="marketplace_ai.E001")]
    if not isinstance(adapter, JobAdapter):
        return [
            Error(
                f"{conf.conf.adapter} is not a JobAdapter subclass.",
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
def check_one_database(**kwargs: Any) -> list[CheckMessage]:
    """E008: a model that this app's tables refer to is in another database."""
    try:
        models = [get_job_model(), get_category_model(), get_user_model()]
    except ImproperlyConfigured:
        return []  # E001 reports it
    return [
        Error(
            f"{model._meta.label} is in the database {router.db_for_write(model)!r}, "
            f"marketplace_ai in {alias()!r}.",
            hint="Have the router name one database for both: foreign keys join them.",
            obj=model,
            id="marketplace_ai.E008",
        )
        for model in models
        if router.db_for_write(model) != alias()
    ]


@register("marketplace_ai")
def check_eligibility(**kwargs: Any) -> list[CheckMessage]:
    """W002: ``eligible`` reads fields whose changes no trigger would see."""
    try:
        adapter = get_adapter()
    except (ImproperlyConfigured, ImportError):
        return []  # E001 reports it
    if not isinstance(adapter, JobAdapter) or adapter.eligible_columns:
        return []
    if type(adapter).eligible is JobAdapter.eligible:
        return []
    return [
        Warning(
            f"{type(adapter).__name__} overrides eligible() but has no eligible_columns.",
            hint="Name the fields it reads: otherwise a draft that is published is never decided.",
            id="marketplace_ai.W002",
        )
    ]


def _declared(
    adapter: JobAdapter, job: type[Model], category: type[Model]
) -> Iterator[tuple[type[Model], str, str]]:
    """(model, attribute of the adapter, field name) of every field the adapter declares."""
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
        return f"{label} is not a column of the table {model._meta.db_table!r}."
    if attribute in ("category_field", "category_parent_field") and (
        not isinstance(field, ForeignKey) or field.target_field != category._meta.pk
    ):
        return f"{label} is not a foreign key to the primary key of {category._meta.label}."
    if attribute == "set_by_field" and not isinstance(field, (CharField, TextField)):
        return f"{label} is no text field: 'machine' or 'person' is written to it."
    if attribute == "category_field" and not field.null:
        return f"{label} does not allow NULL, but a posting has no category until it is decided."
    return None


#: The schema of the extension, where a session of ours does not see its types. Another project in
#: the same database may have installed it in its own.
VECTOR_OUT_OF_REACH = """
SELECT nspname FROM pg_extension JOIN pg_namespace ON pg_namespace.oid = extnamespace
WHERE extname = 'vector' AND to_regtype(%s) IS NULL
"""


@register(Tags.database)
def check_database(databases: Sequence[str] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """E003: not PostgreSQL 15 or later. E004: pgvector older than 0.8.4, or out of reach."""
    others = [_other_database(name) for name in databases or () if name != alias()]
    if not databases or alias() not in databases:
        return [message for message in others if message]
    connection = connections[alias()]
    if connection.vendor != "postgresql":
        return [
            Error(
                f"The database is {connection.vendor}.",
                hint="marketplace_ai needs PostgreSQL 15 or later with pgvector.",
                id="marketplace_ai.E003",
            )
        ]
    messages: list[CheckMessage] = [message for message in others if message]
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('server_version_num')::int")
        version = cursor.fetchone()[0]
        cursor.execute("SELECT default_version FROM pg_available_extensions WHERE name = 'vector'")
        row = cursor.fetchone()
        cursor.execute("SELECT extversion FROM pg_extension WHERE extname = 'vector'")
        installed = cursor.fetchone() or row
        cursor.execute(VECTOR_OUT_OF_REACH, [vector_type.SQL_TYPE])
        schema = cursor.fetchone()
    if version < MIN_POSTGRESQL:
        messages.append(
            Error(
                f"PostgreSQL {version // 10000} is too old.",
                hint="Use PostgreSQL 15 or later (UNIQUE NULLS NOT DISTINCT).",
                id="marketplace_ai.E003",
            )
        )
    if installed is None or tuple(map(int, installed[0].split("."))) < MIN_PGVECTOR:
        found = installed[0] if installed else "not available"
        messages.append(
            Error(
                f"pgvector is {found}.",
                hint="Install pgvector 0.8.4 or later: older versions can corrupt an HNSW index.",
                id="marketplace_ai.E004",
            )
        )
    if schema is not None:
        messages.append(
            Error(
                f"pgvector is in the schema {schema[0]}, which the search_path lacks.",
                hint=f"Add {schema[0]} to the search_path of this connection, or ALTER EXTENSION "
                "vector SET SCHEMA one that it has.",
                id="marketplace_ai.E004",
            )
        )
    return messages


def _other_database(name: str) -> CheckMessage | None:
    """What is wrong with another database: migrations of this app would fail there."""
    vendor = connections[name].vendor
    if vendor == "postgresql" or not router.allow_migrate_model(name, QueuedPosting):
        return None
    return Error(
        f"The database {name!r} is {vendor}, and no router keeps marketplace_ai out of it.",
        hint="Add a router to DATABASE_ROUTERS whose allow_migrate is False for marketplace_ai "
        "there.",
        id="marketplace_ai.E003",
    )


SEE_DOCTOR = "Run manage.py doctor when the database is in order."


@register(Tags.database)
def check_schema(databases: Sequence[str] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """W005: something that no model expresses is missing or differs. A warning, since ``migrate``
    runs this check and is its cure."""
    if not databases or alias() not in databases or connections[alias()].vendor != "postgresql":
        return []
    try:
        get_adapter()
        # ``migrate`` runs this check before it makes the tables.
        found = differences() if is_migrated() else []
    except (ImproperlyConfigured, ImportError):
        return []  # other checks report it
    except DatabaseError as error:
        found = [
            Difference(
                f"The tables cannot be compared with the models: {describe(error)}.", SEE_DOCTOR
            )
        ]
    return [
        Warning(difference.message, hint=difference.cure, id="marketplace_ai.W005")
        for difference in found
    ]
