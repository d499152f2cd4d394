"""Triggers that number every change of exemplars and their vectors, by any client.

The first row a statement changes locks the one generation row, so numbers follow the order of
commits. A statement that changes none (the cascade of an ordinary posting's deletion) takes no
lock. An exemplar that loses its category is orphaned, because it must not mean "none". One that
gets another label, or becomes active again, votes, whatever stood for it until then.

A number is the clock's microseconds, or one more than the last if the clock is behind. A count
would give the same number again after a restore to an older state (a dump, a point in time, a
replica that lagged), to other contents, and workers that live on could not tell the two. The row
also keeps the numbers before its own: a worker whose number is not among them has followed a
history that was undone, or has missed a removal, which leaves no row to be found by its number.
Such a worker compares all exemplars, and so does one that has fallen 32 numbers behind.
"""

from __future__ import annotations

from marketplace_ai.db.trigger_definitions import Function, Trigger

FIRST_ROW = "INSERT INTO marketplace_ai_exemplargeneration (id, value) VALUES (1, 0)"

# The table's own schema, whatever the search path: it may be moved to another one. The number of a
# statement is kept in a setting of the transaction, so only its first row asks for one. Before the
# row changes: a foreign key's ON DELETE acts as the owner of our tables, but before PostgreSQL 18 a
# trigger after it fires as whoever deleted the posting or category, who has no right to them.
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
        RETURN OLD;
    END IF;
    NEW.generation := number::bigint;
    IF TG_TABLE_NAME = 'marketplace_ai_exemplar' THEN
        IF NEW.category_id IS NOT NULL OR NEW.is_none THEN
            IF NEW.state = 'orphaned' THEN
                NEW.state := 'active';
            END IF;
        ELSIF NEW.state = 'active' THEN
            NEW.state := 'orphaned';
        END IF;
        IF TG_OP = 'UPDATE' AND (
            NEW.is_none <> OLD.is_none OR NEW.category_id <> OLD.category_id
            OR NEW.state = 'active' AND OLD.state <> 'active'
        ) THEN
            NEW.condensed_by_id := NULL;
        END IF;
    END IF;
    RETURN NEW;
END
"""


FUNCTION = Function("marketplace_ai_exemplar_changes", BODY)

TRIGGERS = (
    Trigger(
        "marketplace_ai_change", "marketplace_ai_exemplar", "BEFORE INSERT OR UPDATE", FUNCTION
    ),
    Trigger("marketplace_ai_go", "marketplace_ai_exemplar", "BEFORE DELETE", FUNCTION),
    Trigger(
        "marketplace_ai_all_go", "marketplace_ai_exemplar", "AFTER TRUNCATE", FUNCTION,
        "FOR EACH STATEMENT",
    ),
    Trigger(
        "marketplace_ai_change", "marketplace_ai_exemplarembedding", "BEFORE INSERT OR UPDATE",
        FUNCTION,
    ),
)  # fmt: skip
