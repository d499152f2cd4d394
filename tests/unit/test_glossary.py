"""The glossary's "instead of" words name no class, function, module, field, setting or label."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from marketplace_ai.conf import known_settings

ROOT = Path(__file__).resolve().parent.parent.parent
APP = ROOT / "marketplace_ai"
GLOSSARY = ROOT / "docs/glossary.md"

#: Names that keep a replaced word, each with its reason. Nothing else may.
EXEMPT = {
    # The names by which a project says which model holds its postings (docs/public-api.md).
    "MARKETPLACE_AI_JOB_MODEL": "setting",
    "job_model": "setting",
    "JobAdapter": "public class",
    "jobs": "method of JobAdapter",
    "make_job": "method of JobAdapter",
    "JobAdminMixin": "public class",
    "job_admin": "module of JobAdminMixin",
    "get_job_model": "public function",
    "jobs_decided": "signal",
    "import_jobs": "command",
    "JobPosting": "the shipped job model",
    "job_posting": "module of JobPosting",
    "JobPostingAdmin": "admin of JobPosting",
    "exemplars_from_jobs": "import_exemplars --from-jobs",
    # Commands and JSON keys that scripts call.
    "process_pending": "command",
    "promised_coverage": "JSON key of evaluate_classifier",
}
ENDINGS = ("", "s", "d", "ed", "er", "ers", "ing")


def banned() -> dict[tuple[str, ...], str]:
    """Each word of the last column, as lower-case words, with its row's own word."""
    words = {}
    for line in GLOSSARY.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if len(cells) == 5 and cells[0].startswith("**"):
            for entry in re.findall(r"`([^`]+)`", cells[4]):
                words[tuple(split(entry))] = cells[0].strip("*")
    return words


def split(name: str) -> list[str]:
    """An identifier or a label as lower-case words: ``HTTPServer_step2`` is http, server, step2."""
    return [part.lower() for part in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z0-9]+", name)]


def contains(name: str, entry: tuple[str, ...]) -> bool:
    parts = split(name)
    for start in range(len(parts) - len(entry) + 1):
        *head, last = parts[start : start + len(entry)]
        if head == list(entry[:-1]) and last in {entry[-1] + ending for ending in ENDINGS}:
            return True
    return False


def names_in(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Classes, functions, and the fields of classes."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.lineno, node.name
        if isinstance(node, ast.ClassDef):
            for statement in node.body:
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


def labels_in(path: Path, text: str) -> Iterator[str]:
    """Texts that people read on the admin's pages."""
    if path.suffix == ".html":
        yield from re.findall(r"{% translate [\"'](.+?)[\"']", text)
        yield from re.findall(r"{% blocktranslate.*?%}(.*?){% endblocktranslate %}", text, re.S)
        return
    for node in ast.walk(ast.parse(text)):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id in {"_", "gettext", "gettext_lazy", "ngettext", "ngettext_lazy"}
        ):
            for argument in node.args:
                if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                    yield argument.value


def everything_named() -> list[tuple[str, str]]:
    found = [("setting", name) for name in known_settings()]
    for path in sorted(APP.rglob("*.py")):
        if "migrations" in path.parts:
            continue
        text = path.read_text(encoding="utf-8")
        where = str(path.relative_to(ROOT))
        found.append((where, path.stem if path.stem != "__init__" else path.parent.name))
        found += [(f"{where}:{line}", name) for line, name in names_in(ast.parse(text))]
        found += [(f"{where} label", label) for label in labels_in(path, text)]
    for path in sorted(APP.rglob("*.html")):
        text = path.read_text(encoding="utf-8")
        found += [(f"{path.relative_to(ROOT)} label", label) for label in labels_in(path, text)]
    return found


def test_the_glossary_has_words_and_replaced_words() -> None:
    rows = GLOSSARY.read_text(encoding="utf-8").count("\n| **")
    assert rows >= 45
    assert len(banned()) >= 30


@pytest.mark.parametrize(
    ("name", "entry", "expected"),
    [
        ("WalkPurpose", ("walk",), True),
        ("walked_rows", ("walk",), True),
        ("sidewalk", ("walk",), False),
        ("set_aside_rows", ("set", "aside"), True),
        ("aside_set", ("set", "aside"), False),
        ("Set aside", ("set", "aside"), True),
    ],
)
def test_names_are_compared_by_their_words(
    name: str, entry: tuple[str, ...], expected: bool
) -> None:
    assert contains(name, entry) is expected


def test_replaced_words_name_nothing() -> None:
    used = [
        f"{where}: {name!r} has {' '.join(entry)!r}, the glossary says {word!r}"
        for where, name in everything_named()
        if name not in EXEMPT
        for entry, word in banned().items()
        if contains(name, entry)
    ]
    assert not used, "\n".join(used)


def test_no_exemption_is_left_over() -> None:
    assert set(EXEMPT) <= {name for _, name in everything_named()}
