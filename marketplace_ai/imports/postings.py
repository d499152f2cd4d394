"""Import of postings from CSV: all rows, or none."""

from __future__ import annotations

from typing import Any

from django.db import transaction

from marketplace_ai.adapter import get_adapter
from marketplace_ai.db.alias import alias
from marketplace_ai.imports.common import errors_name_row
from marketplace_ai.models import get_job_model
from marketplace_ai.text.csv_files import read_csv


def import_jobs(path: str, *, dry_run: bool = False) -> list[Any]:
    """Create postings from a CSV file with the columns title and description.

    Each is made by the adapter's ``make_job`` and validated with ``full_clean``, as a form of
    the project would. Returns the postings, unsaved after a dry run. Raises ``TableError`` with
    the line of the first wrong row; then nothing was written.
    """
    adapter = get_adapter()
    rows = read_csv(path, ("title", "description"))
    postings = [adapter.make_job(row["title"], row["description"]) for row in rows]
    for row, posting in zip(rows, postings, strict=True):
        with errors_name_row(path, row):
            posting.full_clean(exclude=_fields_not_in_file())
    if not dry_run:
        with transaction.atomic(using=alias()):
            for row, posting in zip(rows, postings, strict=True):
                with errors_name_row(path, row):
                    posting.save()
    return postings


def _fields_not_in_file() -> list[str]:
    """Fields that the file cannot fill and that need no value from it."""
    return [
        field.name
        for field in get_job_model()._meta.fields
        if field.has_default() or field.null or not field.editable
    ]
