"""Languages of the texts: every module here with a ``LANGUAGE`` is one.

A new language is one new module; nothing else lists them. The rules build their patterns from
``WORDS``, the words of all languages together, since a text does not say which one it is in
and people mix them.
"""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

from .language import Language, any_of, union

__all__ = ["LANGUAGES", "WORDS", "Language", "any_of"]

#: By the name of their module.
LANGUAGES: dict[str, Language] = {
    module.name: import_module(f"{__name__}.{module.name}").LANGUAGE
    for module in iter_modules(__path__)
    if module.name != "language"
}
WORDS = union(LANGUAGES.values())
