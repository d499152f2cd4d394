"""After ``migrate``: put back what is missing outside the ORM, and bring the triggers up to date.

A project's own migrations may take it away without knowing (``foreign_keys``), and data may be
restored without it. What is disabled stays disabled: somebody did that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import DatabaseError, connections, transaction

from marketplace_ai.adapter import posting_model_and_pk
from marketplace_ai.db.alias import alias
from marketplace_ai.models import PostingChange
from marketplace_ai.queue import trigger

from . import catalog, encoder_partitions, foreign_keys, own_triggers

if TYPE_CHECKING:
    from collections.abc import Iterator

#: SQLSTATE of a foreign key between two types that cannot be compared.
DATATYPE_MISMATCH = "42804"


def after_migrate(sender: Any, using: str, **kwargs: Any) -> None:
    """Receiver of ``post_migrate``."""
    if sender.name != "marketplace_ai" or using != alias():
        return
    model, _ = posting_model_and_pk()
    if connections[using].vendor != "postgresql" or not _is_there(model, PostingChange):
        return
    say = print if kwargs.get("verbosity", 1) >= 1 else _say_nothing
    broken = [name for name, _ in own_triggers.other_functions(trigger.functions())]
    changed = trigger.install(*broken)
    if changed:
        say(f"  Installed triggers on {model._meta.db_table}: {', '.join(changed)}")
    # Triggers and functions would fail where what they write to is missing.
    if catalog.missing_tables() or catalog.missing_columns():
        say("  Tables or columns are missing: see manage.py doctor")
        return
    for line in restore():
        say(f"  {line}")


def restore() -> Iterator[str]:
    """Put back each thing that is missing; yields a sentence for each.

    Raises OperationalError where the project's tables stay locked; run it again.
    """
    yield from _restore_own_triggers()
    for fault in foreign_keys.faults():
        if fault.other_table is None:
            yield _restore_key(fault)
    for encoder in encoder_partitions.missing():
        if encoder_partitions.ensure(encoder):
            yield f"Made the partition of the encoder {encoder}"
    for encoder in encoder_partitions.unchecked():
        encoder_partitions.check_dimension(encoder)
        yield f"Added the check of its vectors' dimension to the partition of the encoder {encoder}"
    for table, parent in catalog.without_replica_identity():
        is_log = parent.strip('"') == PostingChange._meta.db_table
        with connections[alias()].cursor() as cursor:
            identity = "FULL" if is_log else "DEFAULT"
            cursor.execute(f"ALTER TABLE {table} REPLICA IDENTITY {identity}")
        yield f"Set the replica identity of {table}"


def _restore_own_triggers() -> list[str]:
    lines = []
    functions = own_triggers.functions()
    faults = dict(own_triggers.other_functions(functions))
    with transaction.atomic(using=alias()), connections[alias()].cursor() as cursor:
        for function in functions.values():
            if function.name in faults:
                for statement in function.statements:
                    cursor.execute(statement)
                lines.append(f"Restored the function {function.name}")
        for found, fault in own_triggers.other_triggers():
            if fault != "disabled":
                cursor.execute(f"DROP TRIGGER IF EXISTS {found.name} ON {found.table}")
                cursor.execute(found.sql)
                lines.append(f"Restored the trigger {found.name} on {found.table}")
    return lines


def _restore_key(fault: foreign_keys.Fault) -> str:
    try:
        foreign_keys.restore(fault)
    except DatabaseError as error:
        if getattr(error.__cause__, "sqlstate", None) != DATATYPE_MISMATCH:
            raise
        return f"The foreign key of {fault.key.label} cannot be restored: see manage.py doctor"
    return f"Restored the foreign key of {fault.key.label} (ON DELETE {fault.key.on_delete})"


def _is_there(*models: Any) -> bool:
    quote = connections[alias()].ops.quote_name
    with connections[alias()].cursor() as cursor:
        cursor.execute(
            "SELECT count(to_regclass(name)) FROM unnest(%s::text[]) AS wanted(name)",
            [[quote(model._meta.db_table) for model in models]],
        )
        return bool(cursor.fetchone()[0] == len(models))


def _say_nothing(line: str) -> None:
    pass
