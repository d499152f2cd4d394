"""docs/public-api.md names what exists, and names all of JobAdapter."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

import pytest

from marketplace_ai.adapter import JobAdapter

PAGE = (Path(__file__).resolve().parents[2] / "docs/public-api.md").read_text(encoding="utf-8")
#: The first cells of the tables of Python names, a list of names each.
CELLS = [re.findall(r"`([^`]+)`", cell) for cell in re.findall(r"^\| (`[^|]+) \|", PAGE, re.M)]
IMPORTS = [name for cell in CELLS for name in cell if name.startswith("marketplace_ai.")]
#: What a subclass calls rather than overrides.
DERIVED = {"prepared", "prepared_family", "encoder_input", "watched_columns", "category_id"}


@pytest.mark.parametrize("name", IMPORTS)
def test_a_stable_import_exists(name: str) -> None:
    module, _, attribute = name.partition("(")[0].rpartition(".")
    assert hasattr(import_module(module), attribute)


def test_the_adapter_is_listed_whole() -> None:
    listed = {name.partition("(")[0] for cell in CELLS for name in cell}
    public = {name for name in vars(JobAdapter) if not name.startswith("_")}
    assert public - DERIVED <= listed
    assert JobAdapter.prepared.__final__  # type: ignore[attr-defined]


def test_every_command_with_json_has_its_keys() -> None:
    commands = Path(import_module("marketplace_ai.management.commands").__path__[0])
    with_json = {
        file.stem
        for file in commands.glob("*.py")
        if '"--json"' in file.read_text(encoding="utf-8")
    }
    listed = {cell[0].partition(" ")[0] for cell in CELLS}
    assert with_json <= listed
