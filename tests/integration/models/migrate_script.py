"""A program: migrates up, down and up again, and prints what the database contained.

Arguments: labels of apps to make migrations for first. The report is one JSON object.
"""

from __future__ import annotations

import importlib
import json
import sys
from io import StringIO
from typing import Any

import django
from django.core.management import call_command
from django.db import connection

FOREIGN_KEYS = """
SELECT own.relname || '.' || attribute.attname, target.relname, c.confdeltype::text
FROM pg_constraint AS c
JOIN pg_class AS own ON own.oid = c.conrelid
JOIN pg_class AS target ON target.oid = c.confrelid
JOIN pg_attribute AS attribute ON attribute.attrelid = own.oid AND attribute.attnum = c.conkey[1]
WHERE c.contype = 'f' AND own.relname LIKE 'marketplace_ai_%' AND c.conparentid = 0
"""
TRIGGERS = """
SELECT tgname, class.relname, pg_get_functiondef(tgfoid)
FROM pg_trigger JOIN pg_class AS class ON class.oid = tgrelid
WHERE tgname IN ('marketplace_ai_created', 'marketplace_ai_edited')
"""
TABLES = """
SELECT relname, relkind::text, ARRAY(
    SELECT indexrelid::regclass::text FROM pg_index WHERE indrelid = class.oid ORDER BY 1)
FROM pg_class AS class
WHERE relkind IN ('r', 'p') AND relnamespace = current_schema()::regnamespace
"""
FUNCTIONS = "SELECT proname FROM pg_proc WHERE proname LIKE 'marketplace_ai_%'"


def rows(sql: str) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return [list(row) for row in cursor.fetchall()]


def describe() -> dict[str, Any]:
    return {
        "foreign_keys": {name: [table, action] for name, table, action in rows(FOREIGN_KEYS)},
        "triggers": {name: [table, body] for name, table, body in rows(TRIGGERS)},
        "tables": {name: [kind, indexes] for name, kind, indexes in rows(TABLES)},
        "functions": sorted(name for (name,) in rows(FUNCTIONS)),
    }


def missing_migrations() -> str:
    out = StringIO()
    try:
        call_command("makemigrations", check=True, dry_run=True, stdout=out)
    except SystemExit:
        return out.getvalue()
    return ""


def main(apps: list[str]) -> None:
    django.setup()
    if apps:
        call_command("makemigrations", *apps, verbosity=0)
        importlib.invalidate_caches()
    report: dict[str, Any] = {}
    call_command("migrate", verbosity=0)
    report["missing_migrations"] = missing_migrations()
    report["up"] = describe()
    call_command("migrate", "marketplace_ai", "zero", verbosity=0)
    report["zero"] = describe()
    call_command("migrate", verbosity=0)
    report["again"] = describe()
    print(json.dumps(report))


if __name__ == "__main__":
    main(sys.argv[1:])
