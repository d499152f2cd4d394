"""The foreign keys that have ON DELETE in the database.

The models declare ``db_constraint=False`` and ``DO_NOTHING``. So a DELETE in the project, by the
ORM or raw SQL, costs no query of Django's and is never refused because of this app.

Django knows nothing of these keys. When a project changes the type of its own primary key, it drops
every key to it and puts back only those that it knows. ``restore`` puts back ours.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.db import connections, transaction

from marketplace_ai.db.alias import alias

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

#: Letters by which pg_constraint knows the actions.
ACTIONS = {"CASCADE": "c", "SET NULL": "n"}
#: A request for a lock on the project's table blocks its writes while it waits.
LOCK_TIMEOUT = "SET LOCAL lock_timeout = '3s'"


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """A key that must be there: from which field, and what a DELETE of its target does."""

    model: str
    field_name: str
    on_delete: str

    @property
    def field(self) -> Any:
        return apps.get_model("marketplace_ai", self.model)._meta.get_field(self.field_name)

    @property
    def label(self) -> str:
        field = self.field
        return f"{field.model._meta.db_table}.{field.column}"


FOREIGN_KEYS = (
    ForeignKey("PostingEmbedding", "posting", "CASCADE"),
    ForeignKey("PostingEmbedding", "encoder", "CASCADE"),
    ForeignKey("QueuedPosting", "posting", "CASCADE"),
    ForeignKey("Decision", "posting", "CASCADE"),
    ForeignKey("Decision", "category", "SET NULL"),
    ForeignKey("ReviewRank", "decision", "CASCADE"),
    ForeignKey("ShadowDecision", "posting", "CASCADE"),
    ForeignKey("AuditedPosting", "posting", "SET NULL"),
    ForeignKey("AuditedPosting", "category", "SET NULL"),
    ForeignKey("AuditedPosting", "answer", "SET NULL"),
    ForeignKey("AutomationStop", "category", "SET NULL"),
    ForeignKey("Exemplar", "posting", "CASCADE"),
    ForeignKey("Exemplar", "category", "SET NULL"),
    ForeignKey("ExemplarEmbedding", "exemplar", "CASCADE"),
    ForeignKey("ExemplarEmbedding", "encoder", "CASCADE"),
)

# Keys of a partition belong to that of its parent.
FOUND = """
SELECT c.conname, target.relname, c.confrelid = to_regclass(%(target)s),
       c.confdeltype = %(action)s AND c.convalidated
FROM pg_constraint AS c
JOIN pg_attribute AS a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1]
JOIN pg_class AS target ON target.oid = c.confrelid
WHERE c.contype = 'f' AND c.conparentid = 0 AND c.conrelid = to_regclass(%(table)s)
  AND a.attname = %(column)s AND array_length(c.conkey, 1) = 1
"""

PARTITIONS = """
SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = to_regclass(%s)
"""


# By ALTER TABLE ... DISABLE TRIGGER ALL, as tools that load data do; or for a replica alone.
NOT_ENFORCED = """
SELECT DISTINCT t.tgrelid::regclass::text
FROM pg_constraint AS c JOIN pg_trigger AS t ON t.tgconstraint = c.oid
WHERE c.contype = 'f' AND t.tgenabled IN ('D', 'R')
  AND c.conrelid IN (SELECT to_regclass(name) FROM unnest(%s::text[]) AS own(name))
ORDER BY 1
"""


@dataclass(frozen=True, slots=True)
class Fault:
    """A key that is not as it should be.

    ``names`` are the constraints found in its place. ``other_table`` is the one they point to
    instead: the models were swapped after the first migration, which nothing here can mend.
    """

    key: ForeignKey
    names: list[str]
    other_table: str | None = None


def name(field: Any) -> str:
    """The name of the constraint of a field."""
    return f"{field.model._meta.db_table}_{field.column}_fk"


def add_sql(
    field: Any, on_delete: str, table: str | None = None, *, is_validated_at_once: bool = True
) -> str:
    """The statement that adds the key to the field's table, or to a partition of it. One that is
    not validated at once holds for new rows only."""
    quote = connections[alias()].ops.quote_name
    target = field.remote_field.model._meta
    return (
        f"ALTER TABLE {table or quote(field.model._meta.db_table)} "
        f"ADD CONSTRAINT {quote(name(field))} FOREIGN KEY ({quote(field.column)}) "
        f"REFERENCES {quote(target.db_table)} ({quote(target.pk.column)}) ON DELETE {on_delete}"
        + ("" if is_validated_at_once else " NOT VALID")
    )


def faults(keys: Iterable[ForeignKey] = FOREIGN_KEYS) -> list[Fault]:
    """The keys that are missing, have another action, are not validated or point elsewhere."""
    quote = connections[alias()].ops.quote_name
    result = []
    with connections[alias()].cursor() as cursor:
        for key in keys:
            field = key.field
            cursor.execute(
                FOUND,
                {
                    "table": quote(field.model._meta.db_table),
                    "column": field.column,
                    "target": quote(field.remote_field.model._meta.db_table),
                    "action": ACTIONS[key.on_delete],
                },
            )
            found = cursor.fetchall()
            if any(is_target and is_right for _, _, is_target, is_right in found):
                continue
            elsewhere = [table for _, table, is_target, _ in found if not is_target]
            names = [row[0] for row in found]
            result.append(Fault(key, names, elsewhere[0] if elsewhere else None))
    return result


def not_enforced() -> list[str]:
    """The tables, ours or the project's, on which somebody disabled the triggers of our keys."""
    quote = connections[alias()].ops.quote_name
    tables = sorted({quote(key.field.model._meta.db_table) for key in FOREIGN_KEYS})
    with connections[alias()].cursor() as cursor:
        cursor.execute(NOT_ENFORCED, [tables])
        return [table for (table,) in cursor.fetchall()]


def restore(fault: Fault) -> None:
    """Put a key back, after doing to the rows whose target is gone what its ON DELETE would have.

    The rows are checked while the project goes on writing. Raises OperationalError if the project's
    table stays locked; what was restored by then is done again the next time.
    """
    if fault.other_table is not None:
        raise ValueError(f"{fault.key.label} points to {fault.other_table}")
    quote = connections[alias()].ops.quote_name
    field = fault.key.field
    table = quote(field.model._meta.db_table)
    with _locking() as cursor:
        for constraint in fault.names:
            cursor.execute(f"ALTER TABLE {table} DROP CONSTRAINT {quote(constraint)}")
        cursor.execute(PARTITIONS, [table])
        partitions = [partition for (partition,) in cursor.fetchall()]
        is_partitioned = field.model._meta.model_name == "postingembedding"
    for part in partitions if is_partitioned else [table]:
        _restore_on(part, fault.key)
    if is_partitioned:
        # The keys of its partitions become parts of this one, and no row is read again.
        with _locking() as cursor:
            cursor.execute(add_sql(field, fault.key.on_delete))


def _restore_on(table: str, key: ForeignKey) -> None:
    """Put a key back on a table or partition, without a lock on the project's while rows are read.

    A partitioned table takes no such key before PostgreSQL 18.
    """
    constraint = connections[alias()].ops.quote_name(name(key.field))
    with _locking() as cursor:
        # From an attempt that was broken off.
        cursor.execute(f"ALTER TABLE {table} DROP CONSTRAINT IF EXISTS {constraint}")
        cursor.execute(add_sql(key.field, key.on_delete, table, is_validated_at_once=False))
    with transaction.atomic(using=alias()), connections[alias()].cursor() as cursor:
        # A row that a policy hides would be taken for a deleted one: rather an error.
        cursor.execute("SET LOCAL row_security = off")
        treat_orphans(cursor, key, table=table)
        cursor.execute(f"ALTER TABLE {table} VALIDATE CONSTRAINT {constraint}")


@contextmanager
def _locking() -> Iterator[Any]:
    """A cursor in a transaction that waits for locks only briefly."""
    with transaction.atomic(using=alias()), connections[alias()].cursor() as cursor:
        cursor.execute(LOCK_TIMEOUT)
        yield cursor


def treat_orphans(
    cursor: Any,
    key: ForeignKey,
    *,
    table: str | None = None,
    condition: str = "true",
    values: Iterable[Any] = (),
) -> int:
    """Do to the rows whose target is gone what the key would have done; how many there were.

    ``table``: that of the key, or a partition of it, quoted. ``condition``: SQL on such a row,
    ``own``, with ``values`` for its placeholders.
    """
    quote = connections[alias()].ops.quote_name
    field = key.field
    target = field.remote_field.model._meta
    table = table or quote(field.model._meta.db_table)
    column = quote(field.column)
    change = f"UPDATE {table} AS own SET {column} = NULL"  # noqa: S608 (names of the model only)
    if key.on_delete == "CASCADE":
        change = f"DELETE FROM {table} AS own"  # noqa: S608 (the same)
    cursor.execute(
        f"{change} WHERE own.{column} IS NOT NULL AND {condition} AND NOT EXISTS (SELECT FROM "
        f"{quote(target.db_table)} AS target "
        f"WHERE target.{quote(target.pk.column)} = own.{column})",
        list(values),
    )
    return int(cursor.rowcount)
