"""A trigger on a table of ours and the function it calls, as the statements that make them."""

from __future__ import annotations

from dataclasses import dataclass

#: Whose search_path is the caller's own: a hardened role's, or an empty one while data is restored.
SEARCH_PATH = "pg_catalog, pg_temp"


@dataclass(frozen=True, slots=True)
class Function:
    """A trigger function in PL/pgSQL.

    ``as_owner``: it runs with the rights of the tables' owner. A trigger that fires after a
    statement would otherwise have those of whoever deleted a row in the project.
    """

    name: str
    body: str
    as_owner: bool = False

    @property
    def sql(self) -> str:
        """The statement that creates the function, or corrects it."""
        return (
            f"CREATE OR REPLACE FUNCTION {self.name}() RETURNS trigger LANGUAGE plpgsql "
            f"SECURITY {'DEFINER' if self.as_owner else 'INVOKER'} "
            f"SET search_path = {SEARCH_PATH} AS $body${self.body}$body$"
        )


@dataclass(frozen=True, slots=True)
class Trigger:
    """A trigger of ours on a table of ours; ``when`` is what stands before ON."""

    name: str
    table: str
    when: str
    function: Function
    each: str = "ROW"

    @property
    def sql(self) -> str:
        return (
            f"CREATE TRIGGER {self.name} {self.when} ON {self.table} "
            f"FOR EACH {self.each} EXECUTE FUNCTION {self.function.name}()"
        )


def install_sql(triggers: tuple[Trigger, ...]) -> list[str]:
    """The statements that create the triggers and their functions."""
    functions = dict.fromkeys(trigger.function for trigger in triggers)
    return [*(function.sql for function in functions), *(trigger.sql for trigger in triggers)]


def uninstall_sql(triggers: tuple[Trigger, ...]) -> list[str]:
    """The statements that drop them."""
    functions = dict.fromkeys(trigger.function for trigger in triggers)
    return [
        *(f"DROP TRIGGER IF EXISTS {trigger.name} ON {trigger.table}" for trigger in triggers),
        *(f"DROP FUNCTION IF EXISTS {function.name}()" for function in functions),
    ]
