"""A trigger of ours and the function it calls, as the statements that make them."""

from __future__ import annotations

from dataclasses import dataclass, replace

#: Whose search_path is the caller's own: a hardened role's, or an empty one while data is restored.
SEARCH_PATH = "pg_catalog, pg_temp"
#: How long a trigger of the project's statement waits for a locked table of ours.
LOCK_TIMEOUT = "100ms"


@dataclass(frozen=True, slots=True)
class Function:
    """A trigger function in PL/pgSQL.

    ``body``: where it says ``{schema}``, ``in_schema`` writes the schema of our tables.
    ``as_owner``: it runs with the rights of the tables' owner. Before PostgreSQL 18, a trigger that
    fires after a statement would otherwise have those of whoever deleted a row in the project. It
    waits for no lock, and nobody else may attach it to a table of theirs: what it does to that one
    it would do as our owner.
    """

    name: str
    body: str
    as_owner: bool = False
    search_path: str = SEARCH_PATH

    def in_schema(self, schema: str) -> Function:
        """The function for tables in this schema, which is quoted where it needs to be."""
        return replace(self, body=self.body.replace("{schema}", schema))

    @property
    def statements(self) -> list[str]:
        """Those that create the function, or correct it."""
        settings = "".join(f" SET {name} = {value}" for name, value in self._settings.items())
        create = (
            f"CREATE OR REPLACE FUNCTION {self.name}() RETURNS trigger LANGUAGE plpgsql "
            f"SECURITY {'DEFINER' if self.as_owner else 'INVOKER'}"
            f"{settings} AS $body${self.body}$body$"
        )
        revoke = f"REVOKE ALL ON FUNCTION {self.name}() FROM PUBLIC"
        return [create, revoke] if self.as_owner else [create]

    @property
    def stored_settings(self) -> set[str]:
        """Its settings as ``pg_proc.proconfig`` has them."""
        return {f"{name}={value.strip(chr(39))}" for name, value in self._settings.items()}

    @property
    def _settings(self) -> dict[str, str]:
        settings = {"search_path": self.search_path}
        return settings | {"lock_timeout": f"'{LOCK_TIMEOUT}'"} if self.as_owner else settings


@dataclass(frozen=True, slots=True)
class Trigger:
    """A trigger of ours on a table of ours.

    ``when`` is what stands before ON, its events in PostgreSQL's own order; ``each`` is what stands
    between the table and EXECUTE.
    """

    name: str
    table: str
    when: str
    function: Function
    each: str = "FOR EACH ROW"

    @property
    def sql(self) -> str:
        """The statement that creates it, just as ``pg_get_triggerdef`` prints it."""
        return (
            f"CREATE TRIGGER {self.name} {self.when} ON {self.table} "
            f"{self.each} EXECUTE FUNCTION {self.function.name}()"
        )


def install_sql(triggers: tuple[Trigger, ...], schema: str) -> list[str]:
    """The statements that create the triggers and their functions, for tables in this schema."""
    functions = dict.fromkeys(trigger.function for trigger in triggers)
    return [
        *(sql for function in functions for sql in function.in_schema(schema).statements),
        *(trigger.sql for trigger in triggers),
    ]


def uninstall_sql(triggers: tuple[Trigger, ...]) -> list[str]:
    """The statements that drop them."""
    functions = dict.fromkeys(trigger.function for trigger in triggers)
    return [
        *(f"DROP TRIGGER IF EXISTS {trigger.name} ON {trigger.table}" for trigger in triggers),
        *(f"DROP FUNCTION IF EXISTS {function.name}()" for function in functions),
    ]
