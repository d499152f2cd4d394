from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from marketplace_ai.management.console import (
    DatabaseCommand,
    print_json,
    progress,
    runtime_error,
    usage_error,
)
from marketplace_ai.models import Refit, RefitOutcome
from marketplace_ai.refitting import log, wording

#: Outcomes after which nothing needs a person.
FINE = (RefitOutcome.ACTIVATED, RefitOutcome.PROPOSED, RefitOutcome.UNDONE)


class Command(DatabaseCommand):
    help = (
        "Fit the classifier again with the target of the active version, compare both on the same "
        "labeled rows, activate the new one if it is not worse, and log it. --if-due does so only "
        "if enough labels are new, the random audit suffices for the first time, or the stream "
        "has drifted; run it every hour, from Celery beat or cron. --undo goes back."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        what = parser.add_mutually_exclusive_group()
        what.add_argument("--if-due", action="store_true", help="do nothing unless it is due")
        what.add_argument(
            "--dry-run", action="store_true", help="say whether it is due and why, and fit nothing"
        )
        what.add_argument(
            "--undo",
            action="store_true",
            help="activate the version that the last refit replaced",
        )
        parser.add_argument(
            "--calibration", metavar="FILE", help="labeled postings: CSV or .xlsx (default: audit)"
        )
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["undo"] and options["calibration"]:
            usage_error("--undo fits nothing, so it takes no --calibration.")
        try:
            if options["dry_run"]:
                self._tell_due(has_file=bool(options["calibration"]), as_json=options["json"])
            elif options["undo"]:
                self._undo(as_json=options["json"])
            else:
                self._refit(options)
        except log.AlreadyRunningError as error:
            if not options["if_due"]:
                runtime_error(str(error))
            self._say({"due": None, "refit": None, "running": True}, [str(error)], options["json"])

    def _tell_due(self, *, has_file: bool, as_json: bool) -> None:
        from marketplace_ai.refitting.read_state import read_due

        due = read_due(has_file=has_file)
        self._say(_due_keys(due), wording.due_lines(due), as_json)

    def _undo(self, *, as_json: bool) -> None:
        # Imported here: it brings numeric libraries, which --help can do without.
        from marketplace_ai.classifier import ArtifactError
        from marketplace_ai.refitting.refit import NothingToUndoError, undo
        from marketplace_ai.versions.errors import VersionError

        try:
            row = undo()
        except (NothingToUndoError, VersionError) as error:
            runtime_error(str(error))
        except ArtifactError as error:
            runtime_error(f"The version before cannot be used, and nothing was changed: {error}.")
        sentence = wording.outcome_sentence(row, is_running=False)
        back = f"The way forward: use_classifier {row.previous_version_id}."
        self._say({"refit": _row_keys(row)}, [f"{sentence} {back}"], as_json)

    def _refit(self, options: dict[str, Any]) -> None:
        from marketplace_ai.refitting.refit import refit
        from marketplace_ai.text.csv_files import TableError

        try:
            with progress("Encoding", None, quiet=options["json"] or options["if_due"]) as advance:
                due, row = refit(
                    if_due=options["if_due"],
                    calibration=options["calibration"],
                    progress=advance,
                )
        except TableError as error:
            usage_error(str(error))
        if row is None:
            self._say({**_due_keys(due), "refit": None}, wording.due_lines(due), options["json"])
            return
        sentence = wording.outcome_sentence(row, is_running=False)
        is_fine = row.outcome in FINE
        self._say(
            {**_due_keys(due), "refit": _row_keys(row)},
            [*wording.due_lines(due), sentence] if is_fine else wording.due_lines(due),
            options["json"],
        )
        if not is_fine:
            runtime_error(sentence)

    def _say(self, keys: dict[str, Any], lines: Any, as_json: bool) -> None:
        if as_json:
            print_json(self, keys)
            return
        for line in lines:
            self.stdout.write(line)


def _due_keys(due: Any) -> dict[str, Any]:
    return {
        "due": due.is_due,
        "triggers": list(due.triggers),
        "hindrance": due.hindrance,
        **due.figures(),
    }


def _row_keys(row: Refit) -> dict[str, Any]:
    return {
        "id": row.pk,
        "outcome": row.outcome,
        "triggers": row.triggers,
        "version": row.version_id,
        "previous_version": row.previous_version_id,
        "error": row.error,
        "started": row.started_at,
        "finished": row.finished_at,
    }
