from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from marketplace_ai.guarantee.target import DEFAULT_TARGET, Target
from marketplace_ai.management.console import (
    DatabaseCommand,
    HelpfulCommand,
    print_json,
    progress,
    runtime_error,
    usage_error,
)

HELP = """\
Which labels next: the postings in review whose answers teach most, the categories that lack rows,
and how many more answers it takes to 95% of what all labels would give, to the first guarantee and
to 50% automatic, each with an interval and what it rests on. Writes nothing.

With --store the order is kept, and the review queue in admin can show it: "What teaches most
first". Run it again after answers or a fit, such as every night.
"""

EXAMPLES = """\
examples:
  manage.py plan_labels
  manage.py plan_labels --count 200 --csv next.csv
  manage.py plan_labels --count 500 --store
"""


class Command(DatabaseCommand, HelpfulCommand):
    help = HELP
    examples = EXAMPLES

    def add_arguments(self, parser: CommandParser) -> None:
        add = parser.add_argument
        add("--count", type=int, default=50, metavar="N", help="postings to name (default 50)")
        add("--store", action="store_true", help="keep the order for the review queue in admin")
        add("--csv", metavar="FILE", help="write the postings to answer as a table, without texts")
        add(
            "--target-precision", type=float, default=DEFAULT_TARGET.precision, metavar="P",
            help="precision of automatic decisions (default %(default)g)",
        )  # fmt: skip
        add(
            "--confidence", type=float, default=DEFAULT_TARGET.confidence_level, metavar="C",
            help="confidence level of the guarantee (default %(default)g)",
        )  # fmt: skip
        add("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["count"] < 1:
            usage_error(f"--count must be 1 or more, not {options['count']}.")
        try:
            target = Target(options["target_precision"], options["confidence"])
        except ValueError as error:
            usage_error(f"{error}.")
        # Imported here: they bring numeric libraries, which --help can do without.
        from marketplace_ai.fitting import label_plan
        from marketplace_ai.management import label_plan_report
        from marketplace_ai.review import ranks

        with progress("Planning", label_plan.STEPS, quiet=options["json"]) as advance:
            found = label_plan.plan(options["count"], target, advance)
        if options["csv"]:
            path = Path(options["csv"]).expanduser()
            try:
                path.write_text(label_plan_report.as_csv(found), encoding="utf-8")
            except OSError as error:
                runtime_error(f"{path}: the table cannot be written: {error.strerror}.")
        stored = None
        if options["store"]:
            stored = ranks.store([each.decision for each in found.postings])
        if options["json"]:
            print_json(self, {**label_plan_report.as_json(found), "stored": stored})
            return
        for line in label_plan_report.lines(found):
            self.stdout.write(line)
        if stored is not None:
            self.stdout.write(f"Stored: {stored} postings are ranked in the review queue.")
