"""What the docs name exists, and what exists is named."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from marketplace_ai.conf import known_settings

ROOT = Path(__file__).resolve().parent.parent.parent
DOCS = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))]


def text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def test_every_setting_is_documented_with_its_default() -> None:
    rows = dict(
        re.findall(
            r"^\| `(MARKETPLACE_AI_\w+)` \| `(.+?)` \|", text(ROOT / "docs/settings.md"), re.M
        )
    )
    defaults = {name: s.default for name, s in known_settings().items()}
    assert rows == {
        name: f'"{value}"' if isinstance(value, str | Path) else repr(value)
        for name, value in defaults.items()
    }


def test_every_check_is_documented() -> None:
    documented = set(
        re.findall(r"^\| `(marketplace_ai\.[EW]\d+)`", text(ROOT / "docs/settings.md"), re.M)
    )
    in_code = set(
        re.findall(r'id="(marketplace_ai\.[EW]\d+)"', text(ROOT / "marketplace_ai/checks.py"))
    )
    assert documented == in_code


def test_every_command_is_documented() -> None:
    folder = ROOT / "marketplace_ai/management/commands"
    commands = {path.stem for path in folder.glob("*.py")} - {"__init__"}
    documented = set(re.findall(r"^\| `(\w+)", text(ROOT / "docs/commands.md"), re.M))
    assert commands == documented


@pytest.mark.parametrize("path", DOCS, ids=lambda path: path.name)
def test_links_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", text(path)):
        assert (path.parent / target).exists(), target


@pytest.mark.parametrize("path", DOCS, ids=lambda path: path.name)
def test_make_targets_exist(path: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", text(ROOT / "Makefile"), re.M))
    assert (
        set(
            re.findall(
                r"\bmake ([a-z-]+)",
                re.sub(r"[^`]*?(`[^`]*`|```.*?```)|[^`]+", r"\1 ", text(path), flags=re.S),
            )
        )
        <= targets
    )


def test_python_in_the_docs_compiles() -> None:
    for path in DOCS:
        for block in re.findall(r"```python\n(.*?)```", text(path), re.S):
            compile(block, str(path), "exec")


def test_files_named_in_contributing_exist() -> None:
    section = text(ROOT / "CONTRIBUTING.md").split("## To change X, edit Y")[1].split("\n## ")[0]
    named = re.findall(r"`([\w./]+/[\w./]*)`", section)
    assert len(named) >= 20
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_tests_named_in_reliability_exist() -> None:
    """Each ``-k NAME`` names a test, a class or a parameter of the file named last before it."""
    tests: set[str] = set()
    for line in text(ROOT / "docs/reliability.md").splitlines():
        for file, names in re.findall(r"(test_\w+\.py)|-k (\w+|\"[^\"]+\")", line):
            if file:
                paths = list((ROOT / "tests").rglob(file))
                assert paths, line
                sources = "".join(map(text, paths))
                tests = set(re.findall(r"(?:def test_|class |\")(\w+)", sources))
            elif names not in ("NAME", "redis"):  # of all of "make faults"
                for name in names.strip('"').split(" or "):
                    assert any(name.removeprefix("test_") in test for test in tests), line


def test_the_readme_is_short() -> None:
    assert len(text(ROOT / "README.md").splitlines()) < 150
