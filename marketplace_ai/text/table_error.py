"""The error of a file that cannot be used."""

from __future__ import annotations


class TableError(ValueError):
    """A file that cannot be used: which file, which line, what is wrong, what would be right."""
