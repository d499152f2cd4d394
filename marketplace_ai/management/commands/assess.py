from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import CommandParser
from django.utils import translation

from marketplace_ai.conf import conf
from marketplace_ai.encoding import EncoderError
from marketplace_ai.management.console import (
    DatabaseCommand,
    HelpfulCommand,
    print_json,
    progress,
    runtime_error,
    usage_error,
)
from marketplace_ai.management.encoder_options import load_named_encoder
from marketplace_ai.management.skip_bad import add_skip_bad, refuse
from marketplace_ai.text.table_error import TableError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from marketplace_ai.text.labeled_csv import LabeledRows

HELP = """\
Try it on your data: how much of your own categorized postings could be automatic, and what is
wrong with them. Splits them by time and by family, fits on the older ones, and says how often the
first choice is right, how much is automatic at 90, 95, 97 and 99% target precision, what that rests
on, and whether the newest postings agree; which labels look wrong, which categories are confused
or lack rows, and how many hours a month it saves. Nothing is written but the page: no
table, trigger or worker is needed.

FILE is a table (CSV or .xlsx) with a header line: text (or title and description) and category;
"none" marks a text that fits no category. Optional columns: date, family. With --from-jobs the
project's own postings with a category that a person set are read, in a transaction that cannot
write.
"""

EXAMPLES = """\
examples:
  manage.py assess postings.csv --per-month 6000 --html assessment.html
  manage.py assess --from-jobs --html assessment.html --language nb
  python -m marketplace_ai assess postings.csv        # without a project or a database

Ends with 0 when the figures are printed, 1 where the work fails, 2 on bad usage or bad input.
"""


class Command(DatabaseCommand, HelpfulCommand):
    help = HELP
    examples = EXAMPLES
    # A file alone is enough: models and database may have no part in it.
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        add = parser.add_argument
        add("file", nargs="?", metavar="FILE", help="categorized postings: CSV or .xlsx")
        add("--from-jobs", action="store_true", help="take your project's own postings")
        add(
            "--date", metavar="COLUMN",
            help="the column that says when a posting came in (default: date, if there is one)",
        )  # fmt: skip
        add(
            "--limit", type=int, default=5000, metavar="N",
            help="at most N postings: the newest or, without dates, drawn at random (default 5000)",
        )  # fmt: skip
        add(
            "--per-month", type=float, metavar="N",
            help="postings that come in a month (default: at the rate of the dates)",
        )  # fmt: skip
        add(
            "--seconds", type=float, default=20.0, metavar="S",
            help="what one posting takes a person (default 20)",
        )  # fmt: skip
        add(
            "--encoder", metavar="NAME_OR_DIR",
            help="'bundled', a sentence-transformers directory, a hub id, or the name of a "
            "registered encoder (default: MARKETPLACE_AI_ENCODER)",
        )  # fmt: skip
        add_skip_bad(parser)
        add("--vectors", metavar="DIR", help="keep the texts' vectors there for the next run")
        add("--html", metavar="FILE", help="write one page that needs nothing else")
        add("--force", action="store_true", help="replace the file of --html")
        add(
            "--language", choices=("en", "nb"),
            help="of that page (default: LANGUAGE_CODE, if it is one of these)",
        )  # fmt: skip
        add("--json", action="store_true", help="print one JSON object with all figures")

    def handle(self, *args: Any, **options: Any) -> None:
        _check(options)
        # Imported here, so that --help and a mistyped option cost nothing.
        from marketplace_ai.assessment import output, page
        from marketplace_ai.assessment.as_json import as_json
        from marketplace_ai.assessment.assess import assess
        from marketplace_ai.evaluation.vectors import encode

        html = Path(options["html"]).expanduser() if options["html"] else None
        try:
            if html is not None:
                page.check(html, force=options["force"])
            rows = _read(options)
        except (TableError, ImproperlyConfigured, page.PageError) as error:
            refuse(error, options)
        encoder = load_named_encoder(options["encoder"] or conf.encoder, self.say)
        kept_in = Path(options["vectors"]).expanduser() if options["vectors"] else None

        def vectors(of: LabeledRows) -> npt.NDArray[np.float32]:
            return encode(encoder, [of], kept_in=kept_in, progress=progress)[0].vectors

        start = time.perf_counter()
        try:
            found = assess(
                rows,
                vectors,
                per_month=options["per_month"],
                seconds=options["seconds"],
                progress=progress,
            )
        except EncoderError as error:
            runtime_error(str(error))
        except (TableError, ValueError) as error:
            usage_error(str(error))
        setting = page.Setting(rows.path, encoder.name, rows.left_out)
        if html is not None:
            try:
                with translation.override(_language(options["language"])):
                    page.write(html, found, setting)
            except OSError as error:
                runtime_error(f"{html}: the page cannot be written: {error.strerror}.")
        if options["json"]:
            print_json(
                self,
                {
                    "source": rows.path,
                    "encoder": {"name": encoder.name, "dtype": encoder.dtype},
                    **as_json(found),
                    "left_out": rows.left_out.as_json(),
                    "seconds": time.perf_counter() - start,
                },
            )
        else:
            for line in output.lines(found, rows.left_out.unit):
                self.stdout.write(line)
        if html is not None:
            (self.stderr if options["json"] else self.stdout).write(f"Page: {html}")


def _check(options: dict[str, Any]) -> None:
    if bool(options["file"]) == options["from_jobs"]:
        usage_error("Give either a file or --from-jobs.")
    if options["date"] and options["from_jobs"]:
        usage_error("--date is a column of a file; of postings the adapter names the field.")
    if options["limit"] < 1:
        usage_error(f"--limit must be 1 or more, not {options['limit']}.")
    for name in ("per_month", "seconds"):
        if options[name] is not None and not 0 < options[name] < float("inf"):
            usage_error(f"--{name.replace('_', '-')} must be above 0, not {options[name]:g}.")


def _read(options: dict[str, Any]) -> LabeledRows:
    from marketplace_ai.assessment.split import choose_rows
    from marketplace_ai.text.reading_notes import tell

    limit: int = options["limit"]
    if options["from_jobs"]:
        from marketplace_ai.imports.categorized_postings import read_postings

        return read_postings(limit=limit, skip_bad=options["skip_bad"])
    from marketplace_ai.adapter import get_adapter
    from marketplace_ai.text.date_cells import DATE
    from marketplace_ai.text.labeled_csv import read_rows

    rows = read_rows(
        options["file"],
        prepared=get_adapter().prepared,
        skip_bad=options["skip_bad"],
        date_column=options["date"] or DATE,
    )
    if len(rows) <= limit:
        return rows
    which = "the newest" if any(rows.dates) else "drawn at random"
    tell(f"{rows.path}: {limit:,} of {len(rows):,} rows are taken, {which} (--limit).")
    return rows.take(choose_rows(rows.dates, len(rows), limit).tolist())


def _language(chosen: str | None) -> str:
    """The page's language: as chosen, else the project's if the page speaks it."""
    if chosen:
        return chosen
    language = (translation.get_language() or "en").partition("-")[0]
    return "nb" if language in ("nb", "nn", "no") else "en"
