"""All triggers on tables of ours, with their functions, compared with the database.

Those on the project's table are in ``queue.trigger``.
"""

from __future__ import annotations

from django.db import connections

from marketplace_ai.db.alias import alias
from marketplace_ai.db.own_schema import own_schema
from marketplace_ai.db.trigger_definitions import Function, Trigger

from . import category_deletions, generations
from .catalog import rows

TRIGGERS = (*generations.TRIGGERS, *category_deletions.TRIGGERS)
FUNCTIONS = tuple(dict.fromkeys(trigger.function for trigger in TRIGGERS))

FOUND_TRIGGERS = """
SELECT tgname, tgenabled, pg_get_triggerdef(oid, true)
FROM pg_trigger WHERE tgrelid = to_regclass(%s) AND NOT tgisinternal
"""

# Of one schema: another project may have its own in this database.
FOUND_FUNCTIONS = """
SELECT proname, prosrc, prosecdef, coalesce(proconfig, '{}'), EXISTS (
    SELECT FROM aclexplode(coalesce(proacl, acldefault('f', proowner))) WHERE grantee = 0)
FROM pg_proc
WHERE proname LIKE 'marketplace\\_ai\\_%%'
  AND pronamespace = to_regnamespace(quote_ident(current_schema()))
"""


def functions() -> dict[str, Function]:
    """Each function by its name, as it must be for tables where ours are now."""
    schema = own_schema(connections[alias()])
    return {function.name: function.in_schema(schema) for function in FUNCTIONS}


def other_triggers() -> list[tuple[Trigger, str]]:
    """The triggers on our own tables that are missing, different or disabled, and which it is."""
    result = []
    found = {}
    for table in {trigger.table for trigger in TRIGGERS}:
        for name, mode, text in rows(FOUND_TRIGGERS, [table]):
            found[table, name] = mode, text
    for trigger in TRIGGERS:
        mode, text = found.get((trigger.table, trigger.name), ("", ""))
        if not text:
            result.append((trigger, "missing"))
        elif mode in ("D", "R"):
            result.append((trigger, "disabled"))
        elif text != trigger.sql:
            result.append((trigger, "different"))
    return result


def other_functions(wanted: dict[str, Function]) -> list[tuple[str, str]]:
    """(name, fault) of functions that are missing, or not as ``wanted`` has them by name."""
    found = {name: rest for name, *rest in rows(FOUND_FUNCTIONS, {})}
    faults = [(name, "is missing") for name in wanted if name not in found]
    for name, (body, as_owner, settings, is_public) in sorted(found.items()):
        function = wanted.get(name)
        if not any(setting.startswith("search_path=") for setting in settings):
            faults.append((name, "has no search_path of its own"))
        elif function is None:
            continue
        elif body.strip() != function.body.strip():
            faults.append((name, "is another version"))
        elif set(settings) != function.stored_settings:
            faults.append((name, f"has other settings: {', '.join(settings)}"))
        elif as_owner != function.as_owner:
            owner = "its owner" if function.as_owner else "whoever changes a row"
            faults.append((name, f"does not run as {owner}"))
        elif is_public and function.as_owner:
            faults.append((name, "may be attached to a table by anybody"))
    return faults
