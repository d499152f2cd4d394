"""The Norwegian catalogue says all that the code and the templates say, and is compiled.

A string that is missing here is taken in by ``manage.py makemessages -l nb --no-location
--no-wrap -i tests -i config -i .venv``, and once it is translated ``manage.py compilemessages
-l nb -i .venv`` writes the .mo file.
"""

from __future__ import annotations

import ast
import gettext
import re
from dataclasses import dataclass
from pathlib import Path

import pytest
from django.utils import translation
from django.utils.translation.template import templatize

APP = Path(__file__).resolve().parent.parent.parent / "marketplace_ai"
CATALOGUE = APP / "locale/nb/LC_MESSAGES/django.po"
#: What marks a string, with the number of strings it takes; another marker is a KeyError.
MARKERS = {"gettext": 1, "gettext_lazy": 1, "gettext_noop": 1, "ngettext": 2, "ngettext_lazy": 2}
PLACEHOLDER = re.compile(r"%(?:\(\w+\))?[-#0+]*\d*(?:\.\d+)?[a-zA-Z%]")
TAG = re.compile(r"<[^>]+>")
LITERAL = r"""u?("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')"""
CALL = re.compile(rf"\b(_|gettext|ngettext)\({LITERAL}(?:,\s*{LITERAL})?")

#: A string to translate: the text, and its plural where it has one.
Key = tuple[str, ...]


@dataclass(frozen=True)
class Entry:
    key: Key
    translations: tuple[str, ...]
    fuzzy: bool


def entries() -> dict[Key, Entry]:
    """The .po file; its header is the entry of the empty string."""
    found: dict[Key, Entry] = {}
    for block in re.split(r"\n\s*\n", CATALOGUE.read_text(encoding="utf-8").strip()):
        fields: dict[str, str] = {}
        name = ""
        flags = ""
        for line in block.splitlines():
            if line.startswith("#"):
                assert not line.startswith("#~"), f"no longer used: {line}"
                flags += line if line.startswith("#,") else ""
                continue
            keyword, quoted = re.fullmatch(r'(\w+(?:\[\d\])?)?\s*(".*")', line).groups()
            name = keyword or name
            fields[name] = fields.get(name, "") + ast.literal_eval(quoted)
        assert "msgctxt" not in fields, "the test knows no contexts yet"
        key = tuple(fields[name] for name in ("msgid", "msgid_plural") if name in fields)
        texts = tuple(text for name, text in fields.items() if name.startswith("msgstr"))
        assert key not in found, f"twice: {key}"
        found[key] = Entry(key, texts, "fuzzy" in flags)
    return found


ENTRIES = entries()
MESSAGES = {key: entry for key, entry in ENTRIES.items() if key != ("",)}


def in_python(path: Path) -> set[Key]:
    """What a module marks, whatever name it imports the markers under."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names = {
        alias.asname or alias.name: MARKERS[alias.name]
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == "django.utils.translation"
        for alias in node.names
        if "gettext" in alias.name
    }
    found = set()
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        if isinstance(node.func, ast.Name):
            number = names.get(node.func.id)
        else:
            number = MARKERS.get(getattr(node.func, "attr", ""))
        if number:
            texts = [getattr(text, "value", None) for text in node.args[:number]]
            where = f"{path.name}:{node.lineno}"
            assert all(isinstance(text, str) for text in texts), f"not a literal: {where}"
            found.add(tuple(texts))
    return found


def in_template(path: Path) -> set[Key]:
    """What a template marks, by Django's own reading of it."""
    source = templatize(path.read_text(encoding="utf-8"), origin=path.name)
    assert "pgettext(" not in source, f"the test knows no contexts yet: {path.name}"
    calls = CALL.findall(source)
    return {tuple(ast.literal_eval(text) for text in texts if text) for _name, *texts in calls}


def marked() -> dict[Key, str]:
    """Every marked string of the app, with a file that has it."""
    readers = {"*.py": in_python, "*.html": in_template, "*.txt": in_template}
    return {
        key: str(path.relative_to(APP))
        for pattern, reader in readers.items()
        for path in sorted(APP.rglob(pattern))
        for key in reader(path)
    }


MARKED = marked()


def test_every_marked_string_is_in_the_catalogue() -> None:
    missing = {key: where for key, where in MARKED.items() if key not in MESSAGES}
    assert not missing


def test_the_catalogue_has_nothing_that_is_no_longer_marked() -> None:
    assert not MESSAGES.keys() - MARKED.keys()


def test_strings_are_found_in_code_and_templates() -> None:
    files = {Path(where).suffix for where in MARKED.values()}
    assert files == {".py", ".html"}
    assert len(MARKED) > 200


def test_every_entry_is_translated() -> None:
    unfinished = [
        key
        for key, entry in MESSAGES.items()
        if entry.fuzzy or len(entry.translations) != len(key) or not all(entry.translations)
    ]
    assert not unfinished


@pytest.mark.parametrize("pattern", [PLACEHOLDER, TAG], ids=["placeholders", "tags"])
def test_translations_keep(pattern: re.Pattern[str]) -> None:
    def parts(text: str) -> list[str]:
        return sorted(pattern.findall(text))

    differing = [
        key
        for key, entry in MESSAGES.items()
        for text, translated in zip(key, entry.translations, strict=True)
        if parts(text) != parts(translated)
    ]
    assert not differing


def test_the_header_names_the_language_and_its_plurals() -> None:
    header = ENTRIES[("",)]
    assert not header.fuzzy
    lines = header.translations[0].splitlines()
    assert "Language: nb" in lines
    assert "Plural-Forms: nplurals=2; plural=(n != 1);" in lines
    assert "Content-Type: text/plain; charset=UTF-8" in lines


def test_the_compiled_catalogue_is_the_current_one() -> None:
    with CATALOGUE.with_suffix(".mo").open("rb") as file:
        compiled = dict(gettext.GNUTranslations(file)._catalog)
    compiled.pop("")  # the header, whose date changes with every run of makemessages
    expected = {}
    for key, entry in MESSAGES.items():
        for number, text in enumerate(entry.translations):
            expected[key[0] if len(key) == 1 else (key[0], number)] = text
    assert compiled == expected


def test_django_shows_it() -> None:
    with translation.override("nb"):
        assert translation.gettext("decision") == "avgjørelse"
        one, two = (
            translation.ngettext("%(n)d exemplar votes again.", "%(n)d exemplars vote again.", n)
            for n in (1, 2)
        )
    assert (one, two) == ("%(n)d eksempel teller med igjen.", "%(n)d eksempler teller med igjen.")
