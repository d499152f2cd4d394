"""The trigger that queues the postings of a deleted category, by whatever client it was deleted.

The foreign key empties the category of their decisions. Nothing else would lead anybody back to
them: their texts have not changed, and a decision that is automatic is in nobody's review.

The trigger names no column: PostgreSQL would not let the project widen the key of its categories.
"""

from __future__ import annotations

from .trigger_definitions import Function, Trigger

# The clock's time and not the transaction's: the posting may have been decided since that began.
BODY = """
BEGIN
    IF OLD.category_id IS NOT NULL AND NEW.category_id IS NULL AND NEW.is_current THEN
        EXECUTE format(
            'INSERT INTO %I.marketplace_ai_postingchange (posting_id, kind, logged_at)
             VALUES ($1, ''category'', clock_timestamp())', TG_TABLE_SCHEMA)
        USING NEW.posting_id;
    END IF;
    RETURN NULL;
END
"""

FUNCTION = Function("marketplace_ai_category_deleted", BODY, as_owner=True)

TRIGGERS = (
    Trigger(
        "marketplace_ai_category_deleted", "marketplace_ai_decision",
        "AFTER UPDATE", FUNCTION,
    ),
)  # fmt: skip
