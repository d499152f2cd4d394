"""What PostgreSQL's catalog says about this app's tables, where it is not as the models say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.db import connections
from django.db.migrations.loader import MigrationLoader

from marketplace_ai.db.alias import alias
from marketplace_ai.models import PostingEmbedding

if TYPE_CHECKING:
    from collections.abc import Sequence

    from django.db.models import Model


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

# Without one, a table that is published refuses every DELETE and UPDATE. Partitions have their own.
WITHOUT_REPLICA_IDENTITY = """
SELECT c.oid::regclass::text, wanted.of FROM unnest(%s::text[]) AS wanted(of)
CROSS JOIN LATERAL (
    SELECT to_regclass(wanted.of)::oid AS oid UNION ALL
    SELECT inhrelid FROM pg_inherits WHERE inhparent = to_regclass(wanted.of)) AS own
JOIN pg_class AS c ON c.oid = own.oid
WHERE CASE c.relreplident
    WHEN 'f' THEN false
    WHEN 'd' THEN NOT EXISTS (SELECT FROM pg_index WHERE indrelid = c.oid AND indisprimary)
    WHEN 'i' THEN NOT EXISTS (SELECT FROM pg_index WHERE indrelid = c.oid AND indisreplident)
    ELSE true END
"""


def models() -> list[type[Model]]:
    """The models that have tables here: none that the project replaced."""
    return list(apps.get_app_config("marketplace_ai").get_models())


def missing_tables() -> list[str]:
    return [table for (table,) in rows(MISSING_TABLES, [tables()])]


def other_columns() -> list[tuple[str, str, str | None, str]]:
    """(table, column, type in the database or None, type it should have) where they differ."""
    wanted: list[list[Any]] = [[], [], []]
    for model in models():
        for field in model._meta.local_concrete_fields:
            column_type = field.db_type(connections[alias()])
            if column_type is not None:
                for values, value in zip(
                    wanted, (quoted(model), field.column, column_type), strict=True
                ):
                    values.append(value)
    return rows(OTHER_COLUMNS, wanted)


def missing_columns() -> list[tuple[str, str]]:
    """(table, column)."""
    return [(table, column) for table, column, found, _ in other_columns() if found is None]


def create_table_sql(table: str) -> str:
    """The statement that creates a table, without indexes and foreign keys."""
    model = next(model for model in models() if quoted(model) == table)
    editor: Any = connections[alias()].schema_editor(collect_sql=True)
    editor.deferred_sql = []
    sql, _ = editor.table_sql(model)
    is_partitioned = model is PostingEmbedding
    return f"{sql} PARTITION BY LIST (encoder_id);" if is_partitioned else f"{sql};"


def add_column_sql(table: str, column: str) -> str:
    """The statement that adds a column."""
    model = next(model for model in models() if quoted(model) == table)
    field = next(field for field in model._meta.local_concrete_fields if field.column == column)
    editor: Any = connections[alias()].schema_editor(collect_sql=True)
    editor.deferred_sql = []  # indexes
    editor.add_field(model, field)
    return " ".join(editor.collected_sql)


def is_migrated() -> bool:
    """Whether every migration of this app is recorded as applied: ``migrate`` has nothing to do."""
    loader = MigrationLoader(connections[alias()])
    return set(loader.graph.leaf_nodes("marketplace_ai")) <= set(loader.applied_migrations)


def without_replica_identity() -> list[tuple[str, str]]:
    """(table or partition, the table it is of)."""
    return rows(WITHOUT_REPLICA_IDENTITY, [tables()])


def quoted(model: type[Model]) -> str:
    return connections[alias()].ops.quote_name(model._meta.db_table)


def tables() -> list[str]:
    return [quoted(model) for model in models()]


def rows(sql: str, values: Sequence[Any] | dict[str, Any]) -> list[tuple[Any, ...]]:
    with connections[alias()].cursor() as cursor:
        cursor.execute(sql, values)
        return list(cursor.fetchall())
