"""The indexes and constraints that are missing or differ, and the statements that make them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import connections
from django.db.models import Index, UniqueConstraint

from marketplace_ai.db.alias import alias
from marketplace_ai.models import PostingChange, PostingEmbedding

from .catalog import models, quoted, rows

if TYPE_CHECKING:
    from django.db.models import Model

# By name, with the columns, where there are no expressions, and whether it is unique and partial.
# An index whose build was broken off is none. A check has none.
OTHER_INDEXES = """
SELECT wanted.of, wanted.name, i.indexrelid IS NOT NULL OR c.oid IS NOT NULL, c.oid IS NOT NULL
FROM unnest(%s::text[], %s::text[], %s::text[], %s::bool[], %s::bool[])
     AS wanted(of, name, columns, is_unique, is_partial)
LEFT JOIN (pg_index AS i JOIN pg_class ON pg_class.oid = i.indexrelid)
       ON i.indrelid = to_regclass(wanted.of) AND relname = wanted.name
LEFT JOIN pg_constraint AS c ON c.conrelid = to_regclass(wanted.of) AND c.conname = wanted.name
WHERE CASE WHEN wanted.is_unique IS NULL THEN c.convalidated IS NOT TRUE ELSE
    i.indisvalid IS NOT TRUE OR i.indisunique <> wanted.is_unique
    OR (i.indpred IS NOT NULL) <> wanted.is_partial
    OR wanted.columns <> (
        SELECT string_agg(a.attname, ',' ORDER BY k.position)
        FROM unnest(i.indkey::int[]) WITH ORDINALITY AS k(number, position)
        JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = k.number)
    END
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


def other_indexes() -> list[tuple[str, str, bool, str]]:
    """(table, name or column, whether one is there that differs, statements that make it) of the
    indexes and constraints that are not as the models say."""
    named: dict[tuple[str, str], tuple[type[Model], Any]] = {}
    columns: dict[tuple[str, str], tuple[type[Model], Any]] = {}
    for model in models():
        for item in [*model._meta.indexes, *model._meta.constraints]:
            named[quoted(model), item.name] = model, item
        fields: list[Any] = list(model._meta.local_concrete_fields)
        for field in fields:
            if field.unique or field.db_index:
                columns[quoted(model), field.column] = model, field
    columns.pop((quoted(PostingChange), "id"), None)
    # A key of two columns begins with the posting's.
    key: Any = PostingEmbedding._meta.get_field("posting")
    columns[quoted(PostingEmbedding), key.column] = PostingEmbedding, key
    found = []
    shapes = zip(*(_shape(model, item) for model, item in named.values()), strict=True)
    wanted = [[table for table, _ in named], [name for _, name in named], *map(list, shapes)]
    for table, name, is_there, is_constraint in rows(OTHER_INDEXES, wanted):
        sql = _create_sql(*named[table, name])
        if is_there:
            drop = f"ALTER TABLE {table} DROP CONSTRAINT" if is_constraint else "DROP INDEX"
            sql = f"{drop} {name}; {sql}"
        found.append((table, name, is_there, sql))
    unique = [bool(field.unique) for _, field in columns.values()]
    found += [
        (table, column, False, _create_sql(*columns[table, column]))
        for table, column in rows(
            MISSING_COLUMN_INDEXES, [[t for t, _ in columns], [c for _, c in columns], unique]
        )
    ]
    return found


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
        return f"ALTER TABLE {quoted(model)} ADD PRIMARY KEY ({listed});"
    elif item.unique:
        editor.execute(editor._create_unique_sql(model, [item]))
    else:
        editor.execute(editor._create_index_sql(model, fields=[item]))
    return " ".join(editor.collected_sql)


def _shape(model: type[Model], item: Any) -> tuple[str | None, bool | None, bool]:
    """(columns, whether it is unique, whether it is partial). Unknown columns where they are
    expressions; a check is neither unique nor not."""
    fields = [name.lstrip("-") for name in getattr(item, "fields", ())]
    found: list[Any] = [model._meta.get_field(name) for name in fields]
    columns = ",".join(field.column for field in found)
    is_unique = isinstance(item, UniqueConstraint)
    if not isinstance(item, Index) and not is_unique:
        return None, None, False
    return columns or None, is_unique, item.condition is not None
