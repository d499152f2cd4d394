"""Import of postings from CSV: all good rows, or none where a row is bad."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db import transaction

from marketplace_ai.adapter import get_adapter
from marketplace_ai.db.alias import alias
from marketplace_ai.imports.common import noting_errors
from marketplace_ai.models import get_job_model
from marketplace_ai.text.bad_rows import BadRows, LeftOut
from marketplace_ai.text.csv_files import read_csv


@dataclass(frozen=True, slots=True)
class ImportedPostings:
    """The postings, unsaved after a dry run, and the rows that were skipped."""

    postings: list[Any]
    left_out: LeftOut


def import_jobs(path: str, *, dry_run: bool = False, skip_bad: bool = False) -> ImportedPostings:
    """Create postings from a CSV file with the columns title and description.

    Each is made by the adapter's ``make_job`` and validated with ``full_clean``, as a form of
    the project would. Raises ``TableError`` with all bad lines, and then nothing was written;
    with ``skip_bad`` the good rows are written.
    """
    adapter = get_adapter()
    bad = BadRows(path, skip_bad)
    rows = read_csv(path, ("title", "description"), bad=bad)
    postings: list[Any] = []
    with transaction.atomic(using=alias()):
        for row in rows:
            posting = adapter.make_job(row["title"], row["description"])
            with noting_errors(bad, row):
                posting.full_clean(exclude=_fields_not_in_file())
                if not dry_run:
                    posting.save()
            if row.line not in bad:
                postings.append(posting)
        left_out = bad.check()
    return ImportedPostings(postings, left_out)


def _fields_not_in_file() -> list[str]:
    """Fields that the file cannot fill and that need no value from it."""
    return [
        field.name
        for field in get_job_model()._meta.fields
        if field.has_default() or field.null or not field.editable
    ]
