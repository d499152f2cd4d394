"""Triggers that number every change of exemplars and their vectors, by any client.

The first row a statement changes locks the one generation row, so numbers follow the order of
commits. A statement that changes none (the cascade of an ordinary posting's deletion) takes no
lock. An exemplar that loses its category is quarantined, because it must not mean "none".

A number is the clock's microseconds, or one more than the last if the clock is behind. A count
would give the same number again after a restore to an older state (a dump, a point in time, a
replica that lagged), to other contents, and workers that live on could not tell the two. The row
also keeps the numbers before its own: a worker whose number is not among them has followed a
history that was undone, or has missed a removal, which leaves no row to be found by its number.
Such a worker compares all exemplars, and so does one that has fallen 32 numbers behind.
"""

from __future__ import annotations

from dataclasses import dataclass

FUNCTION = "marketplace_ai_exemplar_changes"
#: Whose search_path is the caller's own: a hardened role's, or an empty one while data is restored.
SEARCH_PATH = "pg_catalog, pg_temp"

FIRST_ROW = "INSERT INTO marketplace_ai_exemplargeneration (id, value) VALUES (1, 0)"

# The table's own schema, whatever the search path: it may be moved to another one. The number of a
# statement is kept in a setting of the transaction, so only its first row asks for one.
BODY = """
DECLARE
    removal boolean := TG_OP IN ('DELETE', 'TRUNCATE');
    mark text := CASE WHEN removal THEN 'marketplace_ai.removal' ELSE 'marketplace_ai.change' END;
    mine text := concat_ws(' ', pg_current_xact_id(), statement_timestamp(), TG_TABLE_SCHEMA);
    kept text := current_setting(mark, true);
    number text := split_part(kept, ' ', 1);
BEGIN
    IF kept IS NULL OR kept <> number || ' ' || mine THEN
        EXECUTE format(
            'INSERT INTO %I.marketplace_ai_exemplargeneration AS generation (id, value)
             VALUES (1, $1)
             ON CONFLICT (id) DO UPDATE
             SET value = greatest(generation.value + 1, $1),
                 previous = CASE WHEN $2 THEN ''{}''
                            ELSE (generation.value || generation.previous)[:32] END
             RETURNING value', TG_TABLE_SCHEMA)
        INTO number USING (extract(epoch FROM clock_timestamp()) * 1000000)::bigint, removal;
        PERFORM set_config(mark, number || ' ' || mine, true);
    END IF;
    IF removal THEN
        RETURN NULL;
    END IF;
    NEW.generation := number::bigint;
    IF TG_TABLE_NAME = 'marketplace_ai_exemplar' THEN
        IF NEW.category_id IS NULL AND NOT NEW.is_none THEN
            NEW.state := 'quarantined';
        END IF;
    END IF;
    RETURN NEW;
END
"""


@dataclass(frozen=True, slots=True)
class Trigger:
    """A trigger of ours on a table of ours; ``when`` is what stands before ON."""

    name: str
    table: str
    when: str
    each: str = "ROW"

    @property
    def sql(self) -> str:
        return (
            f"CREATE TRIGGER {self.name} {self.when} ON {self.table} "
            f"FOR EACH {self.each} EXECUTE FUNCTION {FUNCTION}()"
        )


TRIGGERS = (
    Trigger("marketplace_ai_change", "marketplace_ai_exemplar", "BEFORE INSERT OR UPDATE"),
    Trigger("marketplace_ai_go", "marketplace_ai_exemplar", "AFTER DELETE"),
    Trigger("marketplace_ai_all_go", "marketplace_ai_exemplar", "AFTER TRUNCATE", "STATEMENT"),
    Trigger("marketplace_ai_change", "marketplace_ai_exemplarembedding", "BEFORE INSERT OR UPDATE"),
)


def function_sql() -> str:
    """The statement that creates the triggers' function, or corrects it."""
    return (
        f"CREATE OR REPLACE FUNCTION {FUNCTION}() RETURNS trigger LANGUAGE plpgsql "
        f"SET search_path = {SEARCH_PATH} AS $body${BODY}$body$"
    )


def install_sql() -> list[str]:
    """The statements that create the function and its triggers."""
    return [function_sql(), *(trigger.sql for trigger in TRIGGERS)]


def uninstall_sql() -> list[str]:
    """The statements that drop them."""
    return [
        *(f"DROP TRIGGER IF EXISTS {trigger.name} ON {trigger.table}" for trigger in TRIGGERS),
        f"DROP FUNCTION IF EXISTS {FUNCTION}()",
    ]
