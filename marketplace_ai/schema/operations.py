"""Migration operations for what Django's models cannot express.

Each asks the router, as Django's own do: a project may migrate a second database, which this app's
tables are kept out of.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import migrations, router
from pgvector.django import VectorExtension

from marketplace_ai.db import trigger_definitions
from marketplace_ai.db.own_schema import own_schema

from . import category_deletions, foreign_keys, generations

if TYPE_CHECKING:
    from django.db.models import Model


class RequireVector(VectorExtension):
    """Create the vector extension if it is missing. It is never dropped: others may use it."""

    def database_backwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        pass


class TableOperation(migrations.operations.base.Operation):
    """An operation on the table of one model, with a form for each direction.

    ``arguments`` are those it is written with in a migration, the model's name first.
    """

    reversible = True
    reduces_to_sql = True

    def __init__(self, *arguments: str) -> None:
        self.arguments = arguments
        self.model_name = arguments[0]

    def state_forwards(self, app_label: str, state: Any) -> None:
        pass

    def database_forwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        model = to_state.apps.get_model(app_label, self.model_name)
        if self.allow_migrate_model(schema_editor.connection.alias, model):
            self.apply(schema_editor, model)

    def database_backwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        model = from_state.apps.get_model(app_label, self.model_name)
        if self.allow_migrate_model(schema_editor.connection.alias, model):
            self.revert(schema_editor, model)

    def apply(self, schema_editor: Any, model: type[Model]) -> None:
        """Make the change on the model's table."""
        raise NotImplementedError

    def revert(self, schema_editor: Any, model: type[Model]) -> None:
        """Undo the change on the model's table."""
        raise NotImplementedError

    def deconstruct(self) -> tuple[str, list[Any], dict[str, Any]]:
        return type(self).__name__, list(self.arguments), {}


class DatabaseForeignKey(TableOperation):
    """A foreign key with ON DELETE in the database; ``foreign_keys`` has the reasons.

    Creating it locks the project's table, and while it waits for that lock all the project's
    writes wait behind it. So it gives up soon: the migration is rolled back and can be run again.
    """

    def __init__(self, model_name: str, field_name: str, on_delete: str) -> None:
        if on_delete not in foreign_keys.ACTIONS:
            raise ValueError(f"on_delete must be CASCADE or SET NULL, not {on_delete!r}")
        super().__init__(model_name, field_name, on_delete)
        self.field_name, self.on_delete = field_name, on_delete

    def apply(self, schema_editor: Any, model: type[Model]) -> None:
        schema_editor.execute(foreign_keys.LOCK_TIMEOUT)
        schema_editor.execute(foreign_keys.add_sql(self._field(model), self.on_delete))

    def revert(self, schema_editor: Any, model: type[Model]) -> None:
        name = schema_editor.quote_name(foreign_keys.name(self._field(model)))
        table = schema_editor.quote_name(model._meta.db_table)
        schema_editor.execute(foreign_keys.LOCK_TIMEOUT)
        schema_editor.execute(f"ALTER TABLE {table} DROP CONSTRAINT IF EXISTS {name}")

    def _field(self, model: type[Model]) -> Any:
        return model._meta.get_field(self.field_name)

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
        if not self.allow_migrate_model(schema_editor.connection.alias, model):
            return
        sql, params = schema_editor.table_sql(model)
        column = schema_editor.quote_name(model._meta.get_field(self.partition_by).column)
        schema_editor.execute(f"{sql} PARTITION BY LIST ({column})", params or None)

    def deconstruct(self) -> tuple[str, list[Any], dict[str, Any]]:
        name, args, kwargs = super().deconstruct()
        return name, list(args), {**kwargs, "partition_by": self.partition_by}


class DropPrimaryKeyIndex(TableOperation):
    """Drop the index of a primary key: Django requires the key, an append-only log does not.

    The whole row identifies a deleted one instead, or no DELETE would be allowed while the table
    is published. That costs nothing until somebody publishes it.
    """

    def apply(self, schema_editor: Any, model: type[Model]) -> None:
        table = model._meta.db_table
        schema_editor.execute(f"ALTER TABLE {table} DROP CONSTRAINT {table}_pkey")
        schema_editor.execute(f"ALTER TABLE {table} REPLICA IDENTITY FULL")

    def revert(self, schema_editor: Any, model: type[Model]) -> None:
        table = model._meta.db_table
        schema_editor.execute(f"ALTER TABLE {table} REPLICA IDENTITY DEFAULT")
        schema_editor.execute(f"ALTER TABLE {table} ADD PRIMARY KEY (id)")

    def describe(self) -> str:
        return f"Drop the primary key index of {self.model_name}"


class ExemplarGenerations(TableOperation):
    """The triggers of ``generations``, and the one row they count in."""

    def __init__(self) -> None:
        super().__init__("Exemplar")

    def apply(self, schema_editor: Any, model: type[Model]) -> None:
        schema_editor.execute(generations.FIRST_ROW)
        schema = own_schema(schema_editor.connection)
        for statement in trigger_definitions.install_sql(generations.TRIGGERS, schema):
            schema_editor.execute(statement, None)  # % is PL/pgSQL's own

    def revert(self, schema_editor: Any, model: type[Model]) -> None:
        for statement in trigger_definitions.uninstall_sql(generations.TRIGGERS):
            schema_editor.execute(statement)

    def deconstruct(self) -> tuple[str, list[Any], dict[str, Any]]:
        return type(self).__name__, [], {}

    def describe(self) -> str:
        return "Triggers that number the changes of exemplars"


class CategoryDeletions(TableOperation):
    """The trigger of ``category_deletions``."""

    def __init__(self) -> None:
        super().__init__("Decision")

    def apply(self, schema_editor: Any, model: type[Model]) -> None:
        schema = own_schema(schema_editor.connection)
        for statement in trigger_definitions.install_sql(category_deletions.TRIGGERS, schema):
            schema_editor.execute(statement, None)  # % is PL/pgSQL's own

    def revert(self, schema_editor: Any, model: type[Model]) -> None:
        for statement in trigger_definitions.uninstall_sql(category_deletions.TRIGGERS):
            schema_editor.execute(statement)

    def deconstruct(self) -> tuple[str, list[Any], dict[str, Any]]:
        return type(self).__name__, [], {}

    def describe(self) -> str:
        return "Trigger that queues the postings of a deleted category"


class TriggersGoFirst(migrations.RunPython):
    """Does nothing forwards. Backwards it drops the job table's triggers before their log."""

    def __init__(self) -> None:
        super().__init__(migrations.RunPython.noop, _uninstall_triggers)

    def deconstruct(self) -> tuple[str, list[Any], dict[str, Any]]:
        return type(self).__name__, [], {}


def _uninstall_triggers(apps: Any, schema_editor: Any) -> None:
    from marketplace_ai.db.alias import alias
    from marketplace_ai.queue import trigger

    model = apps.get_model("marketplace_ai", "PostingChange")
    using = schema_editor.connection.alias
    # Triggers are in one database: that of this app.
    if using == alias() and router.allow_migrate_model(using, model):
        trigger.uninstall()
