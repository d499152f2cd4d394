from __future__ import annotations

from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import CommandParser

from marketplace_ai.imports.catalog import import_catalog
from marketplace_ai.management.console import DatabaseCommand, print_json
from marketplace_ai.management.skip_bad import add_skip_bad, refuse
from marketplace_ai.text.csv_files import TableError


class Command(DatabaseCommand):
    help = (
        "Load categories from a table with the columns slug, parent, name_nb and, optionally, "
        "name_en and scope_nb. Categories that exist already are updated. All rows are checked "
        "first; if some are bad, nothing is written, unless --skip-bad leaves them out."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", help="table with a header line: CSV or .xlsx")
        parser.add_argument("--dry-run", action="store_true", help="check the file, write nothing")
        add_skip_bad(parser)
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            counts = import_catalog(
                options["file"], dry_run=options["dry_run"], skip_bad=options["skip_bad"]
            )
        except (TableError, ImproperlyConfigured) as error:
            refuse(error, options)
        if options["json"]:
            print_json(
                self,
                {
                    "loaded": counts.loaded,
                    "restored": counts.restored,
                    "left_out": counts.left_out.as_json(),
                },
            )
            return
        verb = "would be loaded" if options["dry_run"] else "loaded"
        self.stdout.write(f"{counts.loaded} categories {verb}.")
        if counts.restored:
            again = "would vote again" if options["dry_run"] else "vote again"
            self.stdout.write(f"{counts.restored} exemplars {again}.")
