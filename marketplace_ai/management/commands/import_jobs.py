from __future__ import annotations

from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import CommandParser

from marketplace_ai.imports.postings import import_jobs
from marketplace_ai.management.console import DatabaseCommand, print_json
from marketplace_ai.management.skip_bad import add_skip_bad, refuse
from marketplace_ai.text.csv_files import TableError


class Command(DatabaseCommand):
    help = (
        "Create postings from a table with the columns title and description, through the job "
        "model as any other code would; other columns are ignored. All rows are checked "
        "first; if some are bad, nothing is written, unless --skip-bad leaves them out."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", help="table with a header line: CSV or .xlsx")
        parser.add_argument("--dry-run", action="store_true", help="check the file, write nothing")
        add_skip_bad(parser)
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            imported = import_jobs(
                options["file"], dry_run=options["dry_run"], skip_bad=options["skip_bad"]
            )
        except (TableError, ImproperlyConfigured) as error:
            refuse(error, options)
        count = len(imported.postings)
        if options["json"]:
            print_json(self, {"created": count, "left_out": imported.left_out.as_json()})
            return
        verb = "would be created" if options["dry_run"] else "created"
        self.stdout.write(f"{count} postings {verb}.")
