"""All triggers on tables of ours, with their functions; those on the project's table are in
``queue.trigger``."""

from __future__ import annotations

from django.db import connections

from marketplace_ai.db.alias import alias
from marketplace_ai.db.own_schema import own_schema
from marketplace_ai.db.trigger_definitions import Function

from . import category_deletions, generations

TRIGGERS = (*generations.TRIGGERS, *category_deletions.TRIGGERS)
FUNCTIONS = tuple(dict.fromkeys(trigger.function for trigger in TRIGGERS))


def functions() -> dict[str, Function]:
    """Each function by its name, as it must be for tables where ours are now."""
    schema = own_schema(connections[alias()])
    return {function.name: function.in_schema(schema) for function in FUNCTIONS}
