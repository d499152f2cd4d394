"""All triggers on tables of ours, with their functions; those on the project's table are in
``queue.trigger``."""

from __future__ import annotations

from . import category_deletions, generations

TRIGGERS = (*generations.TRIGGERS, *category_deletions.TRIGGERS)
FUNCTIONS = tuple(dict.fromkeys(trigger.function for trigger in TRIGGERS))


def bodies() -> dict[str, str]:
    """What each function does, by its name."""
    return {function.name: function.body for function in FUNCTIONS}
