from __future__ import annotations

from dataclasses import asdict
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import CommandParser

from marketplace_ai.imports.exemplars import (
    ExemplarCounts,
    exemplars_from_postings,
    import_exemplars,
)
from marketplace_ai.management.console import DatabaseCommand, print_json, usage_error
from marketplace_ai.management.skip_bad import add_skip_bad, refuse
from marketplace_ai.text.csv_files import TableError


class Command(DatabaseCommand):
    help = (
        "Load exemplars, the labeled texts that vote: from a table with the columns text and "
        "category (a category's key, or 'none' for a text that fits no category) and, if known, "
        "family (what texts of one origin share) or, with --from-jobs, from postings with a "
        "category that a person set. Exemplars that exist already are left unchanged, but for a "
        "family that the table names. A text that is nothing after scrubbing, such as an e-mail "
        "address alone, is left out and counted."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", nargs="?", help="table with a header line: CSV or .xlsx")
        parser.add_argument(
            "--from-jobs", action="store_true", help="take your project's own postings"
        )
        parser.add_argument(
            "--per-category", type=int, default=200, metavar="N",
            help="with --from-jobs: at most N postings a category, newest first (default 200)",
        )  # fmt: skip
        parser.add_argument(
            "--create-categories", action="store_true",
            help="create categories that the file names and the catalog lacks",
        )  # fmt: skip
        parser.add_argument(
            "--dry-run", action="store_true",
            help="check and count, also the families that the texts count as; write nothing",
        )  # fmt: skip
        add_skip_bad(parser)
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        if bool(options["file"]) == options["from_jobs"]:
            usage_error("Give either a file or --from-jobs.")
        if options["per_category"] < 1:
            usage_error(f"--per-category must be 1 or more, not {options['per_category']}.")
        try:
            counts: ExemplarCounts
            if options["from_jobs"]:
                counts = exemplars_from_postings(
                    per_category=options["per_category"],
                    dry_run=options["dry_run"],
                    skip_bad=options["skip_bad"],
                )
            else:
                counts = import_exemplars(
                    options["file"],
                    create_categories=options["create_categories"],
                    dry_run=options["dry_run"],
                    skip_bad=options["skip_bad"],
                )
        except (TableError, ImproperlyConfigured) as error:
            refuse(error, options)
        if options["json"]:
            print_json(self, {**asdict(counts), "left_out": counts.left_out.as_json()})
            return
        verb = "would be added" if options["dry_run"] else "added"
        self.stdout.write(
            f"{counts.added} exemplars {verb}, {counts.existing} were there already, "
            f"{counts.categories_created} categories created."
        )
        if counts.restored:
            again = "would vote again" if options["dry_run"] else "vote again"
            self.stdout.write(f"{counts.restored} {again}: their category exists again.")
        if counts.new_family:
            verb = "would have" if options["dry_run"] else "have"
            self.stdout.write(
                f"{counts.new_family} that were there already {verb} the family now that the "
                "import names."
            )
        if counts.quarantined:
            self.stdout.write(
                f"{counts.quarantined} were there already and do not vote: quarantined, or of a "
                "deleted category whose key several have now. See Exemplars in the admin."
            )
        if counts.family_sizes:
            self.stdout.write(counts.family_sizes.sentence("texts"))
