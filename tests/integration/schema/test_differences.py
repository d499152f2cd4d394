"""``doctor`` names each single thing that is taken from the schema, and ``migrate`` restores it."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.management import call_command
from django.db import ProgrammingError, connection
from django.test.utils import CaptureQueriesContext

from marketplace_ai.checks import check_schema
from marketplace_ai.db.trigger_definitions import Function, Trigger
from marketplace_ai.doctor.schema import schema
from marketplace_ai.encoders import active
from marketplace_ai.models import Encoder
from marketplace_ai.queue import trigger
from marketplace_ai.schema import catalog, encoder_partitions, foreign_keys, own_triggers
from marketplace_ai.schema.differences import differences

# Slow: one test for each single thing that may be missing.
pytestmark = [pytest.mark.django_db, pytest.mark.slow]

FUNCTIONS = [*(f.name for f in own_triggers.FUNCTIONS), *trigger.OPERATIONS]
AS_OWNER = [*(f.name for f in own_triggers.FUNCTIONS if f.as_owner), *trigger.OPERATIONS]


@pytest.fixture
def encoder(db: Any) -> Encoder:
    return active.ensure_active()[0]


def run(sql: str, *values: Any) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(sql, values or None)
        return list(cursor.fetchall()) if cursor.description else []


def migrate() -> None:
    """Only what ``migrate`` sends at its end: there is nothing to apply."""
    call_command("migrate", "marketplace_ai", verbosity=0)


def named() -> list[str]:
    return [finding.message for finding in schema() if not finding.ok]


def test_nothing_differs(encoder: Encoder) -> None:
    assert differences() == []
    assert [finding.ok for finding in schema()] == [True]


@pytest.mark.parametrize("key", foreign_keys.FOREIGN_KEYS, ids=lambda key: key.label)
def test_a_foreign_key(key: foreign_keys.ForeignKey, encoder: Encoder) -> None:
    table, name = key.field.model._meta.db_table, foreign_keys.name(key.field)
    run(f"ALTER TABLE {table} DROP CONSTRAINT {name}")
    assert named() == [f"The foreign key of {key.label} (ON DELETE {key.on_delete}) is missing."]
    run(foreign_keys.add_sql(key.field, "RESTRICT"))
    assert named() == [
        f"The foreign key of {key.label} is not ON DELETE {key.on_delete}, or not validated."
    ]
    migrate()
    assert named() == []


@pytest.mark.parametrize("field", ["posting", "encoder"])
def test_the_key_of_a_partitioned_table_is_validated_without_a_lock(
    field: str, encoder: Encoder
) -> None:
    """One partition after another: the key of the whole then reads no row."""
    table, name = (
        "marketplace_ai_postingembedding",
        f"marketplace_ai_postingembedding_{field}_id_fk",
    )
    second = Encoder.objects.create(
        name="second", source="dummy", dimension=3, max_tokens=8, dtype="float32"
    )
    encoder_partitions.create(second)
    # Other tests, which commit, may have left some.
    [(partitions,)] = run("SELECT count(*) FROM pg_inherits WHERE inhparent = %s::regclass", table)
    run(f"ALTER TABLE {table} DROP CONSTRAINT {name}")
    # As one that was broken off leaves it.
    run(f"ALTER TABLE {table}_{second.pk} ADD CONSTRAINT {name} FOREIGN KEY ({field}_id) "
        f"REFERENCES marketplace_ai_{'jobposting' if field == 'posting' else 'encoder'} (id) "
        "ON DELETE CASCADE NOT VALID")  # fmt: skip
    with CaptureQueriesContext(connection) as queries:
        migrate()
    changes = [q["sql"] for q in queries if " CONSTRAINT " in q["sql"] and "ALTER" in q["sql"]]
    assert changes[-1].startswith(f'ALTER TABLE "{table}" ADD CONSTRAINT')
    added = [sql for sql in changes[:-1] if "ADD CONSTRAINT" in sql]
    assert len(added) == partitions
    assert all(sql.endswith("NOT VALID") for sql in added)
    assert len([sql for sql in changes if "VALIDATE" in sql]) == partitions
    keys = run("SELECT conrelid::regclass::text, convalidated, conparentid <> 0 "
               "FROM pg_constraint WHERE conname = %s AND contype = 'f'", name)  # fmt: skip
    assert len(keys) == partitions + 1
    assert {
        (table, True, False), (f"{table}_{encoder.pk}", True, True),
        (f"{table}_{second.pk}", True, True),
    } <= set(keys)  # fmt: skip
    assert named() == []


def test_the_description_has_all_foreign_keys_of_the_migration() -> None:
    found = run(
        "SELECT conname FROM pg_constraint WHERE contype = 'f' AND conparentid = 0 "
        "AND conname LIKE 'marketplace\\_ai\\_%%\\_fk' AND conrelid::regclass::text LIKE %s",
        "marketplace_ai_%",
    )
    described = {foreign_keys.name(key.field) for key in foreign_keys.FOREIGN_KEYS}
    assert {name for (name,) in found} == described


@pytest.mark.parametrize("found", own_triggers.TRIGGERS, ids=lambda t: f"{t.table}.{t.name}")
def test_a_trigger_on_a_table_of_ours(found: Trigger) -> None:
    run(f"DROP TRIGGER {found.name} ON {found.table}")
    assert named() == [f"The trigger {found.name} on {found.table} is missing."]
    migrate()
    assert named() == []
    run(f"ALTER TABLE {found.table} DISABLE TRIGGER {found.name}")
    assert named() == [f"The trigger {found.name} on {found.table} is disabled."]
    migrate()
    assert named() == [f"The trigger {found.name} on {found.table} is disabled."]


def test_a_trigger_of_other_events() -> None:
    run("DROP TRIGGER marketplace_ai_change ON marketplace_ai_exemplar")
    run(own_triggers.TRIGGERS[0].sql.replace("INSERT OR UPDATE", "UPDATE"))
    assert named() == ["The trigger marketplace_ai_change on marketplace_ai_exemplar is different."]
    migrate()
    assert named() == []


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_without_a_search_path_of_its_own(name: str) -> None:
    run(f"ALTER FUNCTION {name}() RESET search_path")
    assert named() == [f"The function {name} has no search_path of its own."]
    migrate()
    assert named() == []


@pytest.mark.parametrize("function", own_triggers.FUNCTIONS, ids=lambda f: f.name)
def test_a_function_of_another_version(function: Function) -> None:
    run(function.in_schema("public").statements[0].replace("RETURN N", "RETURN  N"))
    assert named() == [f"The function {function.name} is another version."]
    migrate()
    assert named() == []


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_with_other_settings(name: str) -> None:
    for path in ("pg_temp, public", "public, pg_temp, pg_catalog"):
        run(f"ALTER FUNCTION {name}() SET search_path = {path}")
        assert named() == [f"The function {name} has other settings: {settings(name)}."]
        migrate()
        assert named() == []
    if name in AS_OWNER:
        run(f"ALTER FUNCTION {name}() RESET lock_timeout")
        assert named() == [f"The function {name} has other settings: {settings(name)}."]
        migrate()
        assert named() == []


def settings(name: str) -> str:
    [(found,)] = run("SELECT proconfig FROM pg_proc WHERE proname = %s", name)
    return ", ".join(found)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_that_runs_as_somebody_else(name: str) -> None:
    is_owner = name in AS_OWNER
    run(f"ALTER FUNCTION {name}() SECURITY {'INVOKER' if is_owner else 'DEFINER'}")
    who = "its owner" if is_owner else "whoever changes a row"
    assert named() == [f"The function {name} does not run as {who}."]
    migrate()
    assert named() == []


@pytest.mark.parametrize("name", AS_OWNER)
def test_a_function_that_lost_its_privileges(name: str) -> None:
    """As after pg_restore --no-privileges."""
    run(f"GRANT EXECUTE ON FUNCTION {name}() TO PUBLIC")
    assert named() == [f"The function {name} may be attached to a table by anybody."]
    migrate()
    assert named() == []


def test_every_function_has_a_search_path_of_its_own() -> None:
    found = run("""
        SELECT proname, EXISTS (
            SELECT FROM unnest(proconfig) AS setting WHERE setting LIKE 'search_path=%')
        FROM pg_proc WHERE proname LIKE 'marketplace\\_ai%'
    """)
    assert found
    assert [name for name, is_fixed in found if not is_fixed] == []


def test_a_partition(encoder: Encoder) -> None:
    table = f"marketplace_ai_postingembedding_{encoder.pk}"
    message = (
        f"The partition {table} of the encoder {encoder} is missing: none of its vectors can be "
        "stored."
    )
    run(f"ALTER TABLE marketplace_ai_postingembedding DETACH PARTITION {table}")
    assert named() == [message]
    migrate()
    assert named() == []
    run(f"DROP TABLE {table}")
    assert named() == [message]
    migrate()
    assert named() == []
    definition = "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = %s"
    [(check,)] = run(definition, f"{table}_dimension")
    assert f"= {encoder.dimension}" in check


@pytest.mark.parametrize("model", catalog.models(), ids=lambda model: model.__name__)
def test_a_replica_identity(model: Any) -> None:
    table = model._meta.db_table
    run(f"ALTER TABLE {table} REPLICA IDENTITY NOTHING")
    assert named() == [
        f"The table {table} has no replica identity: a publication refuses its DELETEs."
    ]
    migrate()
    assert named() == []


def test_the_log_of_changes_has_no_key_to_identify_its_rows_by() -> None:
    run("ALTER TABLE marketplace_ai_postingchange REPLICA IDENTITY DEFAULT")
    assert len(named()) == 1


@pytest.mark.parametrize(
    ("table", "index"),
    [
        (model._meta.db_table, item.name)
        for model in catalog.models()
        for item in [*model._meta.indexes, *model._meta.constraints]
    ],
)
def test_an_index_or_constraint(table: str, index: str) -> None:
    is_constraint = run("SELECT 1 FROM pg_constraint WHERE conname = %s", index)
    run(f"ALTER TABLE {table} DROP CONSTRAINT {index}" if is_constraint else f"DROP INDEX {index}")
    [finding] = [finding for finding in schema() if not finding.ok]
    assert finding.message == f'The index or constraint {index} of "{table}" is missing.'
    run(finding.cure)
    assert named() == []


@pytest.mark.parametrize(
    ("table", "column"),
    [
        ("marketplace_ai_decision", "category_id"),
        ("marketplace_ai_exemplar", "generation"),
        ("marketplace_ai_encoder", "name"),
        ("marketplace_ai_decision", "id"),
        ("marketplace_ai_postingembedding", "posting_id"),
    ],
)
def test_an_index_that_a_field_implies(table: str, column: str) -> None:
    found = run(
        "SELECT c.relname, EXISTS (SELECT FROM pg_constraint WHERE conindid = i.indexrelid AND "
        "contype IN ('p', 'u')) FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid "
        "JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0] "
        "WHERE i.indrelid = %s::regclass AND a.attname = %s AND i.indpred IS NULL",
        table,
        column,
    )
    for name, is_constraint in found:
        run(
            f"ALTER TABLE {table} DROP CONSTRAINT {name} CASCADE"
            if is_constraint
            else f"DROP INDEX {name}"
        )
    findings = [finding for finding in schema() if not finding.ok]
    [missing] = [f for f in findings if f.message.startswith("The index or constraint")]
    assert missing.message == f'The index or constraint {column} of "{table}" is missing.'
    run(missing.cure)
    assert not [message for message in named() if message.startswith("The index")]


def test_the_type_of_a_column() -> None:
    run("ALTER TABLE marketplace_ai_decision ALTER COLUMN probability TYPE real")
    [finding] = [finding for finding in schema() if not finding.ok]
    assert "probability" in finding.message
    assert "real, not double precision" in finding.message
    run(finding.cure)
    assert named() == []


def test_a_table() -> None:
    run("DROP TABLE marketplace_ai_promotion")
    [finding] = schema()
    assert finding.message == 'The table "marketplace_ai_promotion" is missing.'
    migrate()  # must not fail
    [message] = check_schema(databases=["default"])
    assert message.hint == finding.cure
    run(statement(finding.cure))
    migrate()
    create_indexes()
    assert named() == []


def test_the_partitioned_table() -> None:
    run("DROP TABLE marketplace_ai_postingembedding")
    [finding] = schema()
    run(statement(finding.cure))
    migrate()
    create_indexes()
    assert named() == []


def test_a_table_of_a_migration_that_is_not_applied() -> None:
    """``migrate`` itself, from zero, runs this check."""
    run("DROP TABLE marketplace_ai_promotion")
    run("DELETE FROM django_migrations WHERE app = 'marketplace_ai' AND name LIKE '0003%%'")
    [finding] = schema()
    assert finding.cure == "Run manage.py migrate: it restores what is missing."
    assert check_schema(databases=["default"]) == []


@pytest.mark.parametrize(
    ("table", "column"),
    [
        ("exemplargeneration", "previous"), ("encoder", "max_tokens"),
        ("decision", "decided_by_id"),
    ],
)  # fmt: skip
def test_a_column(table: str, column: str) -> None:
    """A checkout whose migrations were edited later. No function that writes to it is installed."""
    run("ALTER TABLE marketplace_ai_exemplar DISABLE TRIGGER marketplace_ai_change")
    run("CREATE OR REPLACE FUNCTION marketplace_ai_exemplar_changes() RETURNS trigger "
        "LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'")  # fmt: skip
    run(f"ALTER TABLE marketplace_ai_{table} DROP COLUMN {column}")
    [finding] = schema()
    assert finding.message == f'The column {column} of "marketplace_ai_{table}" is missing.'
    migrate()
    [(body,)] = run("SELECT prosrc FROM pg_proc WHERE proname = 'marketplace_ai_exemplar_changes'")
    assert body == "BEGIN RETURN NEW; END"
    [message] = check_schema(databases=["default"])
    assert message.hint == finding.cure
    run(statement(finding.cure))
    run("ALTER TABLE marketplace_ai_exemplar ENABLE TRIGGER marketplace_ai_change")
    migrate()
    create_indexes()
    assert named() == []


def statement(cure: str) -> str:
    before, _, sql = cure.partition("manage.py migrate: ")
    assert before.startswith("Restore a backup")
    return sql


def create_indexes() -> None:
    for finding in schema():
        if finding.message.startswith("The index"):
            run(finding.cure)


@pytest.mark.parametrize(
    ("index", "columns"),
    [
        ("marketplace_ai_dec_posting ON marketplace_ai_decision", "(posting_id)"),
        ("marketplace_ai_dec_posting ON marketplace_ai_decision", "(id, posting_id)"),
        ("marketplace_ai_dec_outcome ON marketplace_ai_decision", "(outcome, id DESC)"),
        ("marketplace_ai_one_current ON marketplace_ai_decision", "(posting_id) WHERE is_current"),
    ],
)
def test_an_index_of_this_name_that_differs(index: str, columns: str) -> None:
    name, _, table = index.partition(" ON ")
    run(f"DROP INDEX {name}")
    run(f"CREATE INDEX {index} {columns}")
    [finding] = schema()
    assert finding.message == f'The index or constraint {name} of "{table}" differs.'
    run(finding.cure)
    assert named() == []


def test_a_constraint_of_this_name_that_differs() -> None:
    table, name = "marketplace_ai_exemplarembedding", "marketplace_ai_exemplar_encoder"
    run(f"ALTER TABLE {table} DROP CONSTRAINT {name}, ADD CONSTRAINT {name} UNIQUE (exemplar_id)")
    [finding] = schema()
    assert finding.message == f'The index or constraint {name} of "{table}" differs.'
    run(finding.cure)
    assert named() == []


def test_a_partition_that_takes_vectors_of_any_dimension(encoder: Encoder) -> None:
    table = f"marketplace_ai_postingembedding_{encoder.pk}"
    message = f"The partition {table} does not check that vectors have {encoder.dimension} values."
    run(f"ALTER TABLE {table} DROP CONSTRAINT {table}_dimension")
    assert named() == [message]
    migrate()
    assert named() == []
    run(f"ALTER TABLE {table} DROP CONSTRAINT {table}_dimension, "
        f"ADD CONSTRAINT {table}_dimension CHECK (vector_dims(vector) = 3)")  # fmt: skip
    assert named() == [message]
    run(f"ALTER TABLE marketplace_ai_postingembedding DETACH PARTITION {table}")
    migrate()
    assert named() == []


def test_a_comparison_that_fails_is_said(monkeypatch: Any) -> None:
    def fail() -> None:
        raise ProgrammingError("no such schema")

    monkeypatch.setattr("marketplace_ai.checks.differences", fail)
    [message] = check_schema(databases=["default"])
    assert "no such schema" in message.msg


def test_a_key_to_another_table_is_left_alone() -> None:
    """The models were swapped after the first migration: our rows belong to the old ones."""
    run("CREATE TABLE other (LIKE marketplace_ai_category INCLUDING ALL)")
    run(
        "ALTER TABLE marketplace_ai_exemplar DROP CONSTRAINT marketplace_ai_exemplar_category_id_fk"
    )
    run(
        "ALTER TABLE marketplace_ai_exemplar ADD CONSTRAINT marketplace_ai_exemplar_category_id_fk "
        "FOREIGN KEY (category_id) REFERENCES other (id) ON DELETE SET NULL"
    )
    [finding] = [finding for finding in schema() if not finding.ok]
    assert "points to other, not to marketplace_ai_category" in finding.message
    assert "swapped" in finding.cure
    migrate()
    assert len(named()) == 1


def test_the_system_check_says_the_same() -> None:
    assert check_schema(databases=["default"]) == []
    assert check_schema(databases=None) == []
    run("ALTER TABLE marketplace_ai_postingchange REPLICA IDENTITY NOTHING")
    [message] = check_schema(databases=["default"])
    assert message.id == "marketplace_ai.W005"
    assert message.hint == "Run manage.py migrate: it restores what is missing."
