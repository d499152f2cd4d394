"""Check of what no model expresses: keys, triggers, functions, partitions, indexes, types."""

from __future__ import annotations

from collections.abc import Iterator

from marketplace_ai.doctor.finding import Finding
from marketplace_ai.schema.differences import differences


def schema() -> Iterator[Finding]:
    """A finding for each thing that is missing from the database or differs."""
    found = differences()
    for difference in found:
        yield Finding("schema", False, difference.message, difference.cure)
    if not found:
        yield Finding(
            "schema",
            True,
            "Foreign keys, triggers, functions, partitions and indexes are in order.",
        )


CHECKS = [schema]
