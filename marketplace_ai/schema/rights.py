"""Rights without which something is lost in silence: no statement fails for the lack of them.

The triggers' functions run with the rights of their owner, and never fail the project's save. An
owner who may not write to the log any more (tables given to another role, a schema closed to all)
leaves only a warning. And row level security shows an empty table to a role without a policy.
"""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.db import connections

from marketplace_ai.db.alias import alias
from marketplace_ai.models import PostingChange, get_category_model

# Whether row level security may hide rows of a table (c) from a role (r): not from its owner, and
# not where a policy shows everything.
HIDES = """(
    c.relrowsecurity AND NOT r.rolsuper AND NOT r.rolbypassrls
    AND (c.relforcerowsecurity OR NOT pg_has_role(r.oid, c.relowner, 'USAGE'))
    AND (EXISTS (SELECT FROM pg_policy WHERE polrelid = c.oid AND NOT polpermissive)
         OR NOT EXISTS (
             SELECT FROM pg_policy WHERE polrelid = c.oid AND polcmd = '*'
               AND pg_get_expr(polqual, polrelid) = 'true'
               AND (0 = ANY(polroles) OR EXISTS (
                   SELECT FROM unnest(polroles) AS role
                   WHERE role <> 0 AND pg_has_role(r.oid, role, 'USAGE')))))
)"""

POWERLESS_FUNCTIONS = f"""
SELECT p.proname, quote_ident(r.rolname), quote_ident(pg_get_userbyid(c.relowner))
FROM pg_proc AS p
JOIN pg_roles AS r ON r.oid = p.proowner
JOIN pg_class AS c ON c.oid = to_regclass(%s)
WHERE p.prosecdef AND p.proname LIKE 'marketplace\\_ai\\_%%'
  AND p.pronamespace = to_regnamespace(quote_ident(current_schema()))
  AND NOT (has_schema_privilege(r.oid, c.relnamespace, 'USAGE')
           AND has_table_privilege(r.oid, c.oid, 'INSERT') AND NOT {HIDES})
ORDER BY p.proname
"""  # noqa: S608 (constants)

HIDDEN_TABLES = f"""
SELECT c.oid::regclass::text, quote_ident(r.rolname)
FROM unnest(%s::text[]) AS wanted(name)
JOIN pg_class AS c ON c.oid = to_regclass(wanted.name)
JOIN pg_roles AS r ON r.rolname = current_user
WHERE {HIDES}
ORDER BY 1
"""  # noqa: S608 (constants)


def powerless_functions() -> list[tuple[str, str, str]]:
    """(function, its owner, owner of the log of changes) where the first may not write to it."""
    return _rows(POWERLESS_FUNCTIONS, _quoted(PostingChange._meta.db_table))


def hidden_tables() -> list[tuple[str, str]]:
    """(table, this session's role) where row level security may hide rows of ours, or categories.

    Postings are not among them: ``queue.row_security`` knows which of those are hidden.
    """
    models = apps.get_app_config("marketplace_ai").get_models()
    tables = {model._meta.db_table for model in (*models, get_category_model())}
    tables.discard(PostingChange._meta.get_field("posting").related_model._meta.db_table)
    return _rows(HIDDEN_TABLES, [_quoted(table) for table in sorted(tables)])


def hidden_sentence(table: str, role: str) -> str:
    return f"Row level security may hide rows of {table} from the role {role}."


def hidden_cure(table: str, role: str) -> str:
    return (
        f"CREATE POLICY ... ON {table} TO {role} USING (true) WITH CHECK (true), or "
        f"ALTER ROLE {role} BYPASSRLS."
    )


def _rows(statement: str, value: str | list[str]) -> list[Any]:
    with connections[alias()].cursor() as cursor:
        cursor.execute(statement, [value])
        return list(cursor.fetchall())


def _quoted(table: str) -> str:
    return connections[alias()].ops.quote_name(table)
