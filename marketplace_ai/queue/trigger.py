"""Triggers on the job table that append new and edited postings to the change log.

Statement-level with transition tables, one per operation: an INSERT of a million rows costs one
more statement. They never fail the project's save: an error becomes a coarser log entry and a
warning.

Not django-pgtrigger: the functions must be SECURITY DEFINER with a fixed search_path and a
lock_timeout, which its template cannot express, and a reusable app should not patch the project's
schema editor and makemigrations.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.db import connections, transaction

from marketplace_ai.adapter import get_adapter, posting_model_and_pk
from marketplace_ai.conf import conf
from marketplace_ai.db.alias import alias
from marketplace_ai.db.own_schema import own_schema
from marketplace_ai.db.trigger_definitions import Function
from marketplace_ai.models import PostingChange

if TYPE_CHECKING:
    from collections.abc import Iterable

OPERATIONS = {"marketplace_ai_created": "INSERT", "marketplace_ai_edited": "UPDATE"}

BODY = """
BEGIN
    INSERT INTO {log} (posting_id, kind, logged_at)
    {changed};
    RETURN NULL;
EXCEPTION WHEN OTHERS THEN
    RAISE WARNING 'marketplace_ai: % (%); see manage.py doctor', SQLERRM, SQLSTATE;
    BEGIN
        INSERT INTO {log} (posting_id, kind, logged_at)
        SELECT after.{key}, '{kind}', now() FROM new_rows AS after;
    EXCEPTION WHEN OTHERS THEN
        BEGIN
            INSERT INTO {log} (posting_id, kind, logged_at) VALUES (NULL, 'rescan', now());
        EXCEPTION WHEN OTHERS THEN
            NULL;
        END;
    END;
    RETURN NULL;
END
"""

CREATED = "SELECT after.{key}, 'created', now() FROM new_rows AS after"

# Not named old and new, which PL/pgSQL reserves for row triggers. Compared as text, because not
# every type has an equality; a changed primary key finds no old row.
EDITED = """SELECT after.{key},
           CASE WHEN count(*) OVER () > {mass} THEN 'bulk' ELSE 'edited' END, now()
    FROM new_rows AS after LEFT JOIN old_rows AS before ON before.{key} = after.{key}
    WHERE before.{key} IS NULL OR {differs}"""

TRIGGER = """
CREATE TRIGGER {name} AFTER {operation} ON {table} {referencing}
FOR EACH STATEMENT EXECUTE FUNCTION {name}()
"""

# Ours are those that call a function of this schema, wherever their table was moved, and those on
# the job table, wherever our tables were moved. Not those of another project in this database.
INSTALLED = """
SELECT trigger.tgname, trigger.tgrelid = to_regclass(%s), trigger.tgenabled IN ('O', 'A'),
       obj_description(trigger.oid, 'pg_trigger'), trigger.tgrelid::regclass::text,
       trigger.tgfoid::regprocedure::text
FROM pg_trigger AS trigger
JOIN pg_proc AS function ON function.oid = trigger.tgfoid
WHERE trigger.tgname = ANY(%s) AND NOT trigger.tgisinternal
  AND (function.pronamespace = to_regnamespace(quote_ident(current_schema()))
       OR trigger.tgrelid = to_regclass(%s))
"""


@dataclass(frozen=True, slots=True)
class TriggerStatus:
    """``state``: installed, missing, outdated, disabled (also: for all but a replica), or misplaced
    (on another table)."""

    name: str
    table: str
    state: str


def functions() -> dict[str, Function]:
    """The function of each trigger, by its name, for the current models."""
    _, key = posting_model_and_pk()
    connection = connections[alias()]
    quote = connection.ops.quote_name
    schema = own_schema(connection)
    column = quote(key)
    differs = " OR ".join(
        f"after.{quote(name)}::text IS DISTINCT FROM before.{quote(name)}::text"
        for name in get_adapter().watched_columns()
    )
    changed = {
        "marketplace_ai_created": CREATED.format(key=column),
        "marketplace_ai_edited": EDITED.format(
            key=column, mass=int(conf.bulk_update_threshold), differs=differs
        ),
    }
    log = quote(PostingChange._meta.db_table)
    return {
        name: Function(
            name,
            BODY.format(
                log=log,
                changed=changed[name],
                key=column,
                kind=name.removeprefix("marketplace_ai_"),
            ),
            as_owner=True,
            search_path=f"{schema}, pg_temp",
        )
        for name in OPERATIONS
    }


def definitions() -> dict[str, list[str]]:
    """The statements that create each trigger, by name, for the current models."""
    model, _ = posting_model_and_pk()
    table = connections[alias()].ops.quote_name(model._meta.db_table)
    result = {}
    for name, function in functions().items():
        operation = OPERATIONS[name]
        referencing = "REFERENCING NEW TABLE AS new_rows"
        if operation == "UPDATE":
            referencing = "REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows"
        trigger = TRIGGER.format(
            name=name, operation=operation, table=table, referencing=referencing
        )
        result[name] = [*function.statements, trigger]
    return result


def status() -> list[TriggerStatus]:
    """The status of each trigger in the database."""
    model, _ = posting_model_and_pk()
    table = model._meta.db_table
    # The job table's own last, where there are several of a name.
    installed = {name: rest for name, *rest in sorted(_installed(table), key=lambda row: row[1])}
    result = []
    for name, statements in definitions().items():
        right_table, enabled, comment, where, _ = installed.get(name, (True, True, None, table, ""))
        if name not in installed:
            state = "missing"
        elif not right_table:
            state = "misplaced"
        elif comment != fingerprint(statements):
            state = "outdated"
        else:
            state = "installed" if enabled else "disabled"
        result.append(TriggerStatus(name, where, state))
    return result


def install(*broken: str) -> list[str]:
    """Create or correct all triggers, those named ``broken`` in any case; the names of those that
    were changed.

    A trigger that somebody disabled stays disabled, and ``doctor`` reports it.
    """
    model, _ = posting_model_and_pk()
    connection = connections[alias()]
    table = connection.ops.quote_name(model._meta.db_table)
    wanted = definitions()
    changed = [
        found.name
        for found in status()
        if found.state in ("missing", "outdated", "misplaced") or found.name in broken
    ]
    with transaction.atomic(using=alias()), connection.cursor() as cursor:
        for name in changed:
            _drop(cursor, [name])
            for sql in wanted[name]:
                cursor.execute(sql)
            comment = fingerprint(wanted[name])
            cursor.execute(f"COMMENT ON TRIGGER {name} ON {table} IS '{comment}'")
    return changed


def uninstall() -> None:
    """Drop the triggers, wherever they are; the first step of removing the app."""
    with transaction.atomic(using=alias()), connections[alias()].cursor() as cursor:
        _drop(cursor, OPERATIONS)


def fingerprint(statements: Iterable[str]) -> str:
    return hashlib.sha256("".join(statements).encode()).hexdigest()[:16]


def _installed(table: str) -> list[tuple[Any, ...]]:
    connection = connections[alias()]
    job_table = connection.ops.quote_name(table)
    with connection.cursor() as cursor:
        cursor.execute(INSTALLED, [job_table, list(OPERATIONS), job_table])
        return list(cursor.fetchall())


def _drop(cursor: Any, names: Iterable[str]) -> None:
    names = list(names)
    model, _ = posting_model_and_pk()
    for name, _right, _enabled, _comment, where, function in _installed(model._meta.db_table):
        if name in names:
            cursor.execute(f"DROP TRIGGER {name} ON {where}")
            cursor.execute(f"DROP FUNCTION {function}")
    for name in names:
        cursor.execute(f"DROP FUNCTION IF EXISTS {name}()")
