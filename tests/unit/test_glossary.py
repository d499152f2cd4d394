"""The glossary's replaced words name nothing, and the names it gives exist."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

from marketplace_ai.conf import known_settings

ROOT = Path(__file__).resolve().parent.parent.parent
APP = ROOT / "marketplace_ai"
GLOSSARY = ROOT / "docs/glossary.md"

#: Names that keep a replaced word, each with its reason. Nothing else may.
EXEMPT = {
    # The names by which a project says which model holds its postings (docs/public-api.md).
    "MARKETPLACE_AI_JOB_MODEL": "setting",
    "job_model": "field of that setting",
    "JobAdapter": "public class",
    "jobs": "method of JobAdapter",
    "make_job": "method of JobAdapter",
    "apply_secondary": "method of JobAdapter that projects override",
    "JobAdminMixin": "public class",
    "job_admin": "module of JobAdminMixin",
    "get_job_model": "public function",
    "jobs_decided": "signal",
    "import_jobs": "command",
    "JobPosting": "the shipped job model",
    "job_posting": "module of JobPosting",
    "JobPostingAdmin": "admin of JobPosting",
    # Commands and JSON keys that scripts call.
    "process_pending": "command",
    "use_classifier": "command",
}
ENDINGS = ("", "s", "d", "ed", "er", "ers", "ing")
LABEL_FUNCTIONS = {"_", "gettext", "gettext_lazy", "ngettext", "ngettext_lazy"}


class Row(NamedTuple):
    """One row of the glossary: its word, the names in the code, and the replaced words."""

    word: str
    names: list[str]
    replaced: list[str]


class Name(NamedTuple):
    """Something that is named, and where."""

    where: str
    name: str


@cache
def glossary() -> list[Row]:
    rows = []
    for line in GLOSSARY.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if len(cells) == 5 and cells[0].startswith("**"):
            names, replaced = (re.findall(r"`([^`]+)`", cells[column]) for column in (2, 4))
            rows.append(Row(cells[0].strip("*"), names, replaced))
    return rows


@cache
def split(name: str) -> tuple[str, ...]:
    """An identifier or a label as lower-case words: ``HTTPServer_step2`` is http, server, step2."""
    return tuple(part.lower() for part in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z0-9]+", name))


@cache
def pattern(entry: str) -> re.Pattern[str]:
    """Matches the words of a name, joined by spaces, that have those of the entry in a row."""
    return re.compile(rf"(?:^| ){' '.join(split(entry))}(?:{'|'.join(ENDINGS)})(?: |$)")


def contains(name: str, entry: str) -> bool:
    """Whether a name has the words of an entry in a row, the last with any ending.

    An entry spelled as code, with a capital, an underscore or a dot, is that one name.
    """
    if re.search(r"[A-Z_.]", entry):
        return name == entry
    return "." not in name and pattern(entry).search(" ".join(split(name))) is not None


def assigned(body: list[ast.stmt]) -> Iterator[tuple[int, str]]:
    """Names that the statements of a class or a module assign."""
    for statement in body:
        targets = (
            statement.targets
            if isinstance(statement, ast.Assign)
            else [statement.target]
            if isinstance(statement, ast.AnnAssign)
            else []
        )
        for target in targets:
            if isinstance(target, ast.Name):
                yield statement.lineno, target.id


def names_in(nodes: list[ast.AST]) -> Iterator[tuple[int, str]]:
    """Classes, functions, and constants of modules; fields and methods also as Class.field."""
    for node in nodes:
        if isinstance(node, ast.Module):
            yield from assigned(node.body)
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.lineno, node.name
        if isinstance(node, ast.ClassDef):
            methods = [(n.lineno, n.name) for n in node.body if isinstance(n, ast.FunctionDef)]
            for line, name in assigned(node.body):
                yield line, name
                yield line, f"{node.name}.{name}"
            for line, name in methods:
                yield line, f"{node.name}.{name}"


def labels_in_code(nodes: list[ast.AST]) -> Iterator[str]:
    """Texts that people read on the admin's pages."""
    for node in nodes:
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id in LABEL_FUNCTIONS
        ):
            for argument in node.args:
                if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                    yield argument.value


def labels_in_template(text: str) -> Iterator[str]:
    yield from re.findall(r"""{% translate ["'](.+?)["']""", text)
    yield from re.findall(r"{% blocktranslate.*?%}(.*?){% endblocktranslate %}", text, re.S)


@cache
def everything_named() -> list[Name]:
    """Every setting, module, class, function, field, constant and label of the package."""
    names = [Name("setting", name) for name in known_settings()]
    for path in sorted(APP.rglob("*.py")):
        if "migrations" in path.parts:
            continue
        nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
        where = str(path.relative_to(ROOT))
        names.append(Name(where, path.stem if path.stem != "__init__" else path.parent.name))
        names += [Name(f"{where}:{line}", name) for line, name in names_in(nodes)]
        names += [Name(f"{where} label", label) for label in labels_in_code(nodes)]
    for path in sorted(APP.rglob("*.html")):
        where = str(path.relative_to(ROOT))
        names.append(Name(where, path.stem))
        labels = labels_in_template(path.read_text(encoding="utf-8"))
        names += [Name(f"{where} label", label) for label in labels]
    return names


def replaced_words_used(names: list[Name]) -> list[str]:
    entries = [(entry, row.word) for row in glossary() for entry in row.replaced]
    return [
        f"{where}: {name!r} has {entry!r}, the glossary says {word!r}"
        for where, name in names
        if name not in EXEMPT
        for entry, word in entries
        if contains(name, entry)
    ]


def exists(name: str) -> bool:
    """Whether the package has a name: ``name``, ``Class.field`` or ``package.module``."""
    if name in {named.name for named in everything_named()}:
        return True
    path = APP.joinpath(*name.split("."))
    return path.is_dir() or path.with_suffix(".py").is_file()


def test_the_glossary_has_words_and_replaced_words() -> None:
    assert len(glossary()) >= 45
    assert sum(len(row.replaced) for row in glossary()) >= 30


@pytest.mark.parametrize(
    ("name", "entry", "expected"),
    [
        ("WalkPurpose", "walk", True),
        ("walked_rows", "walk", True),
        ("sidewalk", "walk", False),
        ("set_aside_rows", "set aside", True),
        ("aside_set", "set aside", False),
        ("Set aside", "set aside", True),
        ("Overlap", "Overlap", True),
        ("TRAIN_TEST_OVERLAP", "Overlap", False),
        ("Encoder.precision", "Encoder.precision", True),
        ("Target.precision", "Encoder.precision", False),
    ],
)
def test_names_are_compared_by_their_words(name: str, entry: str, expected: bool) -> None:
    assert contains(name, entry) is expected


def test_replaced_words_name_nothing() -> None:
    used = replaced_words_used(everything_named())
    assert not used, "\n".join(used)


@pytest.mark.parametrize("row", glossary(), ids=lambda row: row.word)
def test_each_replaced_word_would_be_noticed(row: Row) -> None:
    for entry in row.replaced:
        assert replaced_words_used([Name("here", entry)])


def test_no_exemption_is_left_over() -> None:
    names = {named.name for named in everything_named()}
    needed = {
        name for name in EXEMPT if any(contains(name, e) for r in glossary() for e in r.replaced)
    }
    assert set(EXEMPT) <= names
    assert set(EXEMPT) == needed


@pytest.mark.parametrize("row", glossary(), ids=lambda row: row.word)
def test_names_in_the_glossary_exist(row: Row) -> None:
    missing = [name for name in row.names if not name.startswith("--") and not exists(name)]
    assert not missing


def test_options_in_the_glossary_exist() -> None:
    text = "".join(path.read_text() for path in (APP / "management").rglob("*.py"))
    options = {name for row in glossary() for name in row.names if name.startswith("--")}
    assert options
    assert not {option for option in options if f'"{option}"' not in text}
