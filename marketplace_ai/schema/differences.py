"""The whole schema outside the ORM, compared with the database.

Functions, triggers, foreign keys with their ON DELETE, partitions, replica identities, indexes and
types of columns. Whatever somebody or something took away is one difference, with its cure.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.db.models import ForeignKey as DjangoForeignKey

from marketplace_ai.models import PostingChange
from marketplace_ai.queue import trigger

from . import catalog, encoder_partitions, foreign_keys, indexes, own_triggers, rights

if TYPE_CHECKING:
    from collections.abc import Iterator

MIGRATE = "Run manage.py migrate: it restores what is missing."
#: For what ``migrate`` has made, by its own record, and will not make again.
BY_STATEMENT = (
    "Restore a backup, start anew with an empty database, or run this and then manage.py migrate: "
    "{sql}"
)
SWAPPED = (
    "If the models were swapped after the first migrate, go back to the old ones; or start anew: "
    "manage.py migrate marketplace_ai zero, then manage.py migrate."
)


@dataclass(frozen=True, slots=True)
class Difference:
    """Something that is not as it should be: a sentence, and what to do."""

    message: str
    cure: str = MIGRATE


def differences() -> list[Difference]:
    """Everything in which the database differs from what the app needs; a few queries.

    The triggers on the project's table are compared by ``queue.trigger.status``, which knows the
    adapter. Only the missing tables and columns are named where there are any.
    """
    if missing := list(_missing()):
        return missing
    return [
        *_functions(), *_triggers(), *_foreign_keys(), *_partitions(), *_replica_identities(),
        *_columns(), *_indexes(), *_hidden_tables(),
    ]  # fmt: skip


def _missing() -> Iterator[Difference]:
    tables, columns = catalog.missing_tables(), catalog.missing_columns()
    if not tables and not columns:
        return
    is_migrated = catalog.is_migrated()
    for table in tables:
        cure = BY_STATEMENT.format(sql=catalog.create_table_sql(table)) if is_migrated else MIGRATE
        yield Difference(f"The table {table} is missing.", cure)
    for table, column in columns:
        if table not in tables:
            cure = BY_STATEMENT.format(sql=catalog.add_column_sql(table, column))
            yield Difference(f"The column {column} of {table} is missing.", cure)


def _functions() -> Iterator[Difference]:
    wanted = {**own_triggers.functions(), **trigger.functions()}
    for name, fault in own_triggers.other_functions(wanted):
        yield Difference(f"The function {name} {fault}.")
    for name, owner, other in rights.powerless_functions():
        yield Difference(
            f"The function {name} runs as {owner}, who may not write to "
            f"{PostingChange._meta.db_table}: saves are not noticed.",
            f"ALTER FUNCTION {name}() OWNER TO {other}, or give {owner} that right.",
        )


def _triggers() -> Iterator[Difference]:
    for found, fault in own_triggers.other_triggers():
        cure = MIGRATE
        if fault == "disabled":
            cure = f"ALTER TABLE {found.table} ENABLE TRIGGER {found.name}"
        yield Difference(f"The trigger {found.name} on {found.table} is {fault}.", cure)


def _foreign_keys() -> Iterator[Difference]:
    for fault in foreign_keys.faults():
        key = fault.key
        rule = f"ON DELETE {key.on_delete}"
        if fault.other_table is not None:
            yield Difference(
                f"The foreign key of {key.label} points to {fault.other_table}, not to "
                f"{key.field.remote_field.model._meta.db_table}.",
                SWAPPED,
            )
        elif fault.names:
            yield Difference(f"The foreign key of {key.label} is not {rule}, or not validated.")
        else:
            yield Difference(f"The foreign key of {key.label} ({rule}) is missing.")
    for table in foreign_keys.not_enforced():
        yield Difference(
            f"Foreign keys are not enforced on {table}: their triggers are disabled.",
            f"ALTER TABLE {table} ENABLE TRIGGER ALL",
        )


def _partitions() -> Iterator[Difference]:
    for encoder in encoder_partitions.missing():
        yield Difference(
            f"The partition {encoder_partitions.name(encoder)} of the encoder {encoder} is "
            "missing: none of its vectors can be stored.",
        )
    for encoder in encoder_partitions.unchecked():
        yield Difference(
            f"The partition {encoder_partitions.name(encoder)} does not check that vectors have "
            f"{encoder.dimension} values."
        )


def _replica_identities() -> Iterator[Difference]:
    for table, _ in catalog.without_replica_identity():
        yield Difference(
            f"The table {table} has no replica identity: a publication refuses its DELETEs."
        )


def _columns() -> Iterator[Difference]:
    keys = {
        (field.model._meta.db_table, field.column)
        for model in catalog.models()
        for field in model._meta.local_concrete_fields
        if isinstance(field, DjangoForeignKey)
    }
    for table, column, found, wanted in catalog.other_columns():
        yield Difference(
            f"The column {column} of {table} has the type {found}, not {wanted}.",
            SWAPPED
            if (table.strip('"'), column) in keys
            else f"ALTER TABLE {table} ALTER COLUMN {column} TYPE {wanted}",
        )


def _hidden_tables() -> Iterator[Difference]:
    for found in rights.hidden_tables():
        yield Difference(rights.hidden_sentence(*found), rights.hidden_cure(*found))


def _indexes() -> Iterator[Difference]:
    for table, name, is_there, sql in indexes.other_indexes():
        fault = "differs" if is_there else "is missing"
        yield Difference(f"The index or constraint {name} of {table} {fault}.", sql)
