"""The trigger that queues the postings of a deleted category, by whatever client it was deleted.

The foreign key empties the category of their decisions. Nothing else would lead anybody back to
them: their texts have not changed, and a decision that is automatic is in nobody's review.

One statement for all decisions of a category: a row-level trigger takes twice as long as the DELETE
itself. It never fails the project's DELETE: an error becomes a warning and a rescan.

The trigger names no column: PostgreSQL would not let the project widen the key of its categories.
"""

from __future__ import annotations

from marketplace_ai.db.trigger_definitions import Function, Trigger

# The clock's time and not the transaction's: the posting may have been decided since that began.
# The schema is written in, so that nothing is written as our owner to a table that is not ours.
BODY = """
BEGIN
    IF quote_ident(TG_TABLE_SCHEMA) <> $schema${schema}$schema$
       OR TG_TABLE_NAME <> 'marketplace_ai_decision' THEN
        RAISE WARNING 'marketplace_ai: its tables were moved; run manage.py migrate';
        RETURN NULL;
    END IF;
    INSERT INTO {schema}.marketplace_ai_postingchange (posting_id, kind, logged_at)
    SELECT after.posting_id, 'category', clock_timestamp()
    FROM new_rows AS after JOIN old_rows AS before ON before.id = after.id
    WHERE before.category_id IS NOT NULL AND after.category_id IS NULL AND after.is_current;
    RETURN NULL;
EXCEPTION WHEN OTHERS THEN
    RAISE WARNING 'marketplace_ai: % (%); see manage.py doctor', SQLERRM, SQLSTATE;
    BEGIN
        INSERT INTO {schema}.marketplace_ai_postingchange (posting_id, kind, logged_at)
        VALUES (NULL, 'rescan', now());
    EXCEPTION WHEN OTHERS THEN
        NULL;
    END;
    RETURN NULL;
END
"""

FUNCTION = Function("marketplace_ai_category_deleted", BODY, as_owner=True)

TRIGGERS = (
    Trigger(
        "marketplace_ai_category_deleted", "marketplace_ai_decision", "AFTER UPDATE", FUNCTION,
        "REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT",
    ),
)  # fmt: skip
