from __future__ import annotations

from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import CommandParser

from marketplace_ai.imports.postings import import_jobs
from marketplace_ai.management.console import DatabaseCommand, usage_error
from marketplace_ai.text.csv_files import TableError


class Command(DatabaseCommand):
    help = (
        "Create postings from a table with the columns title and description, through the job "
        "model as any other code would; other columns are ignored. All rows are checked first."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", help="table with a header line: CSV or .xlsx")
        parser.add_argument("--dry-run", action="store_true", help="check the file, write nothing")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            postings = import_jobs(options["file"], dry_run=options["dry_run"])
        except (TableError, ImproperlyConfigured) as error:
            usage_error(str(error))
        verb = "would be created" if options["dry_run"] else "created"
        self.stdout.write(f"{len(postings)} postings {verb}.")
