"""What PostgreSQL's catalog says about this app's tables, where it is not as the models say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.db import connections
from django.db.models import Index

from marketplace_ai.db.alias import alias
from marketplace_ai.models import PostingChange, PostingEmbedding

from . import own_triggers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from django.db.models import Model

    from marketplace_ai.db.trigger_definitions import Function, Trigger

MISSING_TABLES = (
    "SELECT name FROM unnest(%s::text[]) AS wanted(name) WHERE to_regclass(name) IS NULL"
)

OTHER_COLUMNS = """
SELECT wanted.of, wanted.name, format_type(a.atttypid, NULL), wanted.type
FROM unnest(%s::text[], %s::text[], %s::text[]) AS wanted(of, name, type)
LEFT JOIN pg_attribute AS a
       ON a.attrelid = to_regclass(wanted.of) AND a.attname = wanted.name AND NOT a.attisdropped
WHERE a.atttypid IS DISTINCT FROM to_regtype(wanted.type)
"""

# By name; an index whose build was broken off is none.
MISSING_INDEXES = """
SELECT wanted.of, wanted.name FROM unnest(%s::text[], %s::text[]) AS wanted(of, name)
WHERE NOT EXISTS (
    SELECT FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid
    WHERE i.indrelid = to_regclass(wanted.of) AND c.relname = wanted.name AND i.indisvalid)
AND NOT EXISTS (
    SELECT FROM pg_constraint AS c
    WHERE c.conrelid = to_regclass(wanted.of) AND c.conname = wanted.name AND c.convalidated)
"""

# Django makes up the names of these: one must begin with the column, and be as unique as it.
MISSING_COLUMN_INDEXES = """
SELECT wanted.of, wanted.name
FROM unnest(%s::text[], %s::text[], %s::bool[]) AS wanted(of, name, is_unique)
WHERE NOT EXISTS (
    SELECT FROM pg_index AS i
    JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
    WHERE i.indrelid = to_regclass(wanted.of) AND a.attname = wanted.name AND i.indisvalid
      AND (i.indisunique OR NOT wanted.is_unique))
"""

# Without one, a table that is published refuses every DELETE and UPDATE. Partitions have their own.
WITHOUT_REPLICA_IDENTITY = """
SELECT c.oid::regclass::text, wanted.of FROM unnest(%s::text[]) AS wanted(of)
JOIN pg_class AS c ON c.oid = to_regclass(wanted.of) OR c.oid IN (
    SELECT inhrelid FROM pg_inherits WHERE inhparent = to_regclass(wanted.of))
WHERE CASE c.relreplident
    WHEN 'f' THEN false
    WHEN 'd' THEN NOT EXISTS (SELECT FROM pg_index WHERE indrelid = c.oid AND indisprimary)
    WHEN 'i' THEN NOT EXISTS (SELECT FROM pg_index WHERE indrelid = c.oid AND indisreplident)
    ELSE true END
"""

TRIGGERS = """
SELECT tgname, tgenabled, pg_get_triggerdef(oid, true)
FROM pg_trigger WHERE tgrelid = to_regclass(%(table)s) AND NOT tgisinternal
"""

# Of one schema: another project may have its own in this database.
FUNCTIONS = """
SELECT proname, prosrc, prosecdef, coalesce(proconfig, '{}'), EXISTS (
    SELECT FROM aclexplode(coalesce(proacl, acldefault('f', proowner))) WHERE grantee = 0)
FROM pg_proc
WHERE proname LIKE 'marketplace\\_ai\\_%%'
  AND pronamespace = to_regnamespace(quote_ident(current_schema()))
"""


def models() -> list[type[Model]]:
    """The models that have tables here: none that the project replaced."""
    return list(apps.get_app_config("marketplace_ai").get_models())


def missing_tables() -> list[str]:
    return [table for (table,) in _rows(MISSING_TABLES, [_tables()])]


def other_columns() -> list[tuple[str, str, str | None, str]]:
    """(table, column, type in the database or None, type it should have) where they differ."""
    wanted: list[list[Any]] = [[], [], []]
    for model in models():
        for field in model._meta.local_concrete_fields:
            column_type = field.db_type(connections[alias()])
            if column_type is not None:
                for values, value in zip(
                    wanted, (_quoted(model), field.column, column_type), strict=True
                ):
                    values.append(value)
    return _rows(OTHER_COLUMNS, wanted)


def missing_indexes() -> list[tuple[str, str, str]]:
    """(table, name or column, statement that creates it) of missing indexes and constraints."""
    named: dict[tuple[str, str], tuple[type[Model], Any]] = {}
    columns: dict[tuple[str, str], tuple[type[Model], Any]] = {}
    for model in models():
        for item in [*model._meta.indexes, *model._meta.constraints]:
            named[_quoted(model), item.name] = model, item
        fields: list[Any] = list(model._meta.local_concrete_fields)
        for field in fields:
            is_key = field.primary_key and model is not PostingChange
            if is_key or field.unique or field.db_index:
                columns[_quoted(model), field.column] = model, field
    columns.pop((_quoted(PostingChange), "id"), None)
    # A key of two columns begins with the posting's.
    key: Any = PostingEmbedding._meta.get_field("posting")
    columns[_quoted(PostingEmbedding), key.column] = PostingEmbedding, key
    found = [
        (table, name, _create_sql(*named[table, name]))
        for table, name in _rows(
            MISSING_INDEXES, [[t for t, _ in named], [name for _, name in named]]
        )
    ]
    unique = [bool(field.unique) for _, field in columns.values()]
    found += [
        (table, column, _create_sql(*columns[table, column]))
        for table, column in _rows(
            MISSING_COLUMN_INDEXES, [[t for t, _ in columns], [c for _, c in columns], unique]
        )
    ]
    return found


def without_replica_identity() -> list[tuple[str, str]]:
    """(table or partition, the table it is of)."""
    return _rows(WITHOUT_REPLICA_IDENTITY, [_tables()])


def other_triggers() -> list[tuple[Trigger, str]]:
    """The triggers on our own tables that are missing, different or disabled, and which it is."""
    result = []
    found: dict[str, dict[str, tuple[str, str]]] = {}
    for trigger in own_triggers.TRIGGERS:
        if trigger.table not in found:
            rows = _rows(TRIGGERS, {"table": trigger.table})
            found[trigger.table] = {name: (mode, text) for name, mode, text in rows}
        mode, text = found[trigger.table].get(trigger.name, ("", ""))
        if not text:
            result.append((trigger, "missing"))
        elif mode in ("D", "R"):
            result.append((trigger, "disabled"))
        elif text != trigger.sql:
            result.append((trigger, "different"))
    return result


def other_functions(wanted: dict[str, Function]) -> list[tuple[str, str]]:
    """(name, fault) of functions that are missing, or not as ``wanted`` has them by name."""
    found = {name: rest for name, *rest in _rows(FUNCTIONS, {})}
    faults = [(name, "is missing") for name in wanted if name not in found]
    for name, (body, as_owner, settings, is_public) in sorted(found.items()):
        function = wanted.get(name)
        if not any(setting.startswith("search_path=") for setting in settings):
            faults.append((name, "has no search_path of its own"))
        elif function is None:
            continue
        elif body.strip() != function.body.strip():
            faults.append((name, "is another version"))
        elif set(settings) != function.stored_settings:
            faults.append((name, f"has other settings: {', '.join(settings)}"))
        elif as_owner != function.as_owner:
            owner = "its owner" if function.as_owner else "whoever changes a row"
            faults.append((name, f"does not run as {owner}"))
        elif is_public and function.as_owner:
            faults.append((name, "may be attached to a table by anybody"))
    return faults


def _create_sql(model: type[Model], item: Any) -> str:
    """The statement that creates an index, a constraint or what a field implies."""
    editor: Any = connections[alias()].schema_editor(collect_sql=True)
    if isinstance(item, Index):
        editor.add_index(model, item)
    elif not hasattr(item, "column"):
        editor.add_constraint(model, item)
    elif item.primary_key or model is PostingEmbedding:
        key = model._meta.pk
        columns = getattr(key, "columns", None) or (item.column,)
        listed = ", ".join(map(editor.quote_name, columns))
        return f"ALTER TABLE {_quoted(model)} ADD PRIMARY KEY ({listed});"
    elif item.unique:
        editor.execute(editor._create_unique_sql(model, [item]))
    else:
        editor.execute(editor._create_index_sql(model, fields=[item]))
    return " ".join(editor.collected_sql)


def _quoted(model: type[Model]) -> str:
    return connections[alias()].ops.quote_name(model._meta.db_table)


def _tables() -> list[str]:
    return [_quoted(model) for model in models()]


def _rows(sql: str, values: Sequence[Any] | dict[str, Any]) -> list[tuple[Any, ...]]:
    with connections[alias()].cursor() as cursor:
        cursor.execute(sql, values)
        return list(cursor.fetchall())
