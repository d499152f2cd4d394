"""Migration operations for what Django's models cannot express."""

from __future__ import annotations

from typing import Any

from django.db import migrations
from pgvector.django import VectorExtension


class RequireVector(VectorExtension):
    """Create the vector extension if it is missing. It is never dropped: others may use it."""

    def database_backwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        pass


class DatabaseForeignKey(migrations.operations.base.Operation):
    """A foreign key with ON DELETE in the database.

    The models declare ``db_constraint=False`` and ``DO_NOTHING``. So a DELETE in the project, by
    the ORM or raw SQL, costs no query of Django's and is never refused because of this app.

    Creating it locks the project's table, and while it waits for that lock all the project's
    writes wait behind it. So it gives up soon: the migration is rolled back and can be run again.
    """

    LOCK_TIMEOUT = "SET LOCAL lock_timeout = '3s'"

    reversible = True
    reduces_to_sql = True

    def __init__(self, model_name: str, field_name: str, on_delete: str) -> None:
        if on_delete not in ("CASCADE", "SET NULL"):
            raise ValueError(f"on_delete must be CASCADE or SET NULL, not {on_delete!r}")
        self.model_name, self.field_name, self.on_delete = model_name, field_name, on_delete

    def state_forwards(self, app_label: str, state: Any) -> None:
        pass

    def database_forwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        model = to_state.apps.get_model(app_label, self.model_name)
        field = model._meta.get_field(self.field_name)
        target = field.remote_field.model
        quote = schema_editor.quote_name
        schema_editor.execute(self.LOCK_TIMEOUT)
        schema_editor.execute(
            f"ALTER TABLE {quote(model._meta.db_table)} "
            f"ADD CONSTRAINT {quote(self._name(model, field))} "
            f"FOREIGN KEY ({quote(field.column)}) REFERENCES {quote(target._meta.db_table)} "
            f"({quote(target._meta.pk.column)}) ON DELETE {self.on_delete}"
        )

    def database_backwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        model = from_state.apps.get_model(app_label, self.model_name)
        field = model._meta.get_field(self.field_name)
        quote = schema_editor.quote_name
        schema_editor.execute(self.LOCK_TIMEOUT)
        schema_editor.execute(
            f"ALTER TABLE {quote(model._meta.db_table)} "
            f"DROP CONSTRAINT IF EXISTS {quote(self._name(model, field))}"
        )

    @staticmethod
    def _name(model: Any, field: Any) -> str:
        return f"{model._meta.db_table}_{field.column}_fk"

    def deconstruct(self) -> tuple[str, list[Any], dict[str, Any]]:
        return type(self).__name__, [self.model_name, self.field_name, self.on_delete], {}

    def describe(self) -> str:
        return f"Foreign key {self.model_name}.{self.field_name} ON DELETE {self.on_delete}"


class CreatePartitionedModel(migrations.CreateModel):
    """A table partitioned by the values of one column."""

    def __init__(self, *args: Any, partition_by: str, **kwargs: Any) -> None:
        self.partition_by = partition_by
        super().__init__(*args, **kwargs)

    def database_forwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        model = to_state.apps.get_model(app_label, self.name)
        sql, params = schema_editor.table_sql(model)
        column = schema_editor.quote_name(model._meta.get_field(self.partition_by).column)
        schema_editor.execute(f"{sql} PARTITION BY LIST ({column})", params or None)

    def deconstruct(self) -> tuple[str, list[Any], dict[str, Any]]:
        name, args, kwargs = super().deconstruct()
        return name, list(args), {**kwargs, "partition_by": self.partition_by}


class DropPrimaryKeyIndex(migrations.operations.base.Operation):
    """Drop the index of a primary key: Django requires the key, an append-only log does not."""

    reversible = True
    reduces_to_sql = True

    def __init__(self, model_name: str) -> None:
        self.model_name = model_name

    def state_forwards(self, app_label: str, state: Any) -> None:
        pass

    def database_forwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        table = to_state.apps.get_model(app_label, self.model_name)._meta.db_table
        schema_editor.execute(f"ALTER TABLE {table} DROP CONSTRAINT {table}_pkey")

    def database_backwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        table = from_state.apps.get_model(app_label, self.model_name)._meta.db_table
        schema_editor.execute(f"ALTER TABLE {table} ADD PRIMARY KEY (id)")

    def deconstruct(self) -> tuple[str, list[Any], dict[str, Any]]:
        return type(self).__name__, [self.model_name], {}

    def describe(self) -> str:
        return f"Drop the primary key index of {self.model_name}"


class ExemplarGenerations(migrations.RunSQL):
    """Triggers that number every change of exemplars and their vectors, by any client.

    The first row a statement changes locks the one generation row, so numbers follow the order
    of commits. A statement that changes none (the cascade of an ordinary posting's deletion)
    takes no lock. An exemplar that loses its category is quarantined, because it must not mean
    "none". If the generation row is missing (a test suite's flush empties every table), counting
    starts at the clock's seconds, above any number a worker may have seen.
    """

    def __init__(self) -> None:
        super().__init__(GENERATIONS, GENERATIONS_UNDONE)

    def deconstruct(self) -> tuple[str, list[Any], dict[str, Any]]:
        return type(self).__name__, [], {}


class TriggersGoFirst(migrations.RunPython):
    """Does nothing forwards. Backwards it drops the job table's triggers before their log."""

    def __init__(self) -> None:
        super().__init__(migrations.RunPython.noop, _uninstall_triggers)

    def deconstruct(self) -> tuple[str, list[Any], dict[str, Any]]:
        return type(self).__name__, [], {}


def _uninstall_triggers(apps: Any, schema_editor: Any) -> None:
    from marketplace_ai.queue import trigger

    trigger.uninstall()


GENERATIONS = """
INSERT INTO marketplace_ai_exemplargeneration (id, value, removals) VALUES (1, 0, 0);

CREATE FUNCTION marketplace_ai_next_generation(removal boolean) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    mine text := pg_current_xact_id() || ' ' || statement_timestamp();
    mark text := CASE WHEN removal THEN 'marketplace_ai.removal' ELSE 'marketplace_ai.change' END;
BEGIN
    IF current_setting(mark, true) IS DISTINCT FROM mine THEN
        INSERT INTO marketplace_ai_exemplargeneration AS generation (id, value, removals)
        VALUES (1, extract(epoch FROM clock_timestamp()), extract(epoch FROM clock_timestamp()))
        ON CONFLICT (id) DO UPDATE
        SET value = generation.value + 1, removals = generation.removals + removal::int;
        PERFORM set_config(mark, mine, true);
    END IF;
    RETURN (SELECT value FROM marketplace_ai_exemplargeneration);
END $$;

CREATE FUNCTION marketplace_ai_exemplar_changes() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.generation := marketplace_ai_next_generation(false);
    IF TG_TABLE_NAME = 'marketplace_ai_exemplar' THEN
        IF NEW.category_id IS NULL AND NOT NEW.is_none THEN
            NEW.state := 'quarantined';
        END IF;
    END IF;
    RETURN NEW;
END $$;

CREATE FUNCTION marketplace_ai_exemplar_goes() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM marketplace_ai_next_generation(true);
    RETURN NULL;
END $$;

CREATE TRIGGER marketplace_ai_change BEFORE INSERT OR UPDATE ON marketplace_ai_exemplar
FOR EACH ROW EXECUTE FUNCTION marketplace_ai_exemplar_changes();
CREATE TRIGGER marketplace_ai_go AFTER DELETE ON marketplace_ai_exemplar
FOR EACH ROW EXECUTE FUNCTION marketplace_ai_exemplar_goes();
CREATE TRIGGER marketplace_ai_all_go AFTER TRUNCATE ON marketplace_ai_exemplar
FOR EACH STATEMENT EXECUTE FUNCTION marketplace_ai_exemplar_goes();
CREATE TRIGGER marketplace_ai_change BEFORE INSERT OR UPDATE ON marketplace_ai_exemplarembedding
FOR EACH ROW EXECUTE FUNCTION marketplace_ai_exemplar_changes();
"""

GENERATIONS_UNDONE = """
DROP TRIGGER marketplace_ai_change ON marketplace_ai_exemplar;
DROP TRIGGER marketplace_ai_go ON marketplace_ai_exemplar;
DROP TRIGGER marketplace_ai_all_go ON marketplace_ai_exemplar;
DROP TRIGGER marketplace_ai_change ON marketplace_ai_exemplarembedding;
DROP FUNCTION marketplace_ai_exemplar_changes(), marketplace_ai_exemplar_goes(),
              marketplace_ai_next_generation(boolean);
"""
