from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import CommandParser

from marketplace_ai.comparison.report import VersionReport
from marketplace_ai.management import version_report
from marketplace_ai.management.console import (
    DatabaseCommand,
    print_json,
    progress,
    runtime_error,
    usage_error,
)
from marketplace_ai.management.skip_bad import add_skip_bad, refuse

if TYPE_CHECKING:
    from marketplace_ai.fitting.labeled_postings import LabeledPostings
    from marketplace_ai.models import ClassifierVersion

#: Categories that are listed, those that lose most votes first.
LISTED = 20


class Command(DatabaseCommand):
    help = (
        "Let fewer exemplars vote where that changes next to nothing: one of each family, and of "
        "each category those that stand for the others. The rest stays stored and teaches. What it "
        "costs is measured on held-out exemplars and kept below 0.2 points of the first choices. A "
        "classifier is fitted with the remaining votes and compared with the active version; if it "
        "is activated, the others no longer vote. --undo lets all vote again, by a new fit too."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--dry-run", action="store_true", help="choose and measure; fit and store nothing"
        )
        parser.add_argument("--undo", action="store_true", help="let all exemplars vote again")
        parser.add_argument(
            "--calibration",
            metavar="FILE",
            help="labeled postings for the fit: CSV or .xlsx, as for fit_classifier",
        )
        parser.add_argument(
            "--force", action="store_true", help="activate it even if the comparison refuses it"
        )
        add_skip_bad(parser)
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["undo"] and options["dry_run"]:
            usage_error("Give either --undo or --dry-run.")
        from marketplace_ai.fitting import condense_exemplars

        if options["undo"]:
            with self._fitting(options) as (postings, advance):
                version = condense_exemplars.undo(
                    postings, force=options["force"], progress=advance
                )
            self._tell_undone(version, options)
            return
        from marketplace_ai.condensing import steps
        from marketplace_ai.versions.errors import VersionError

        total = steps(condense_exemplars.count_labeled())
        try:
            with progress("Condensing", total, quiet=options["json"]) as advance:
                choice = condense_exemplars.choose(advance)
        except VersionError as error:
            usage_error(str(error))
        found = choice.as_dict()
        version = None
        if not options["json"]:
            for line in lines(found, condense_exemplars.why_nothing_leaves(choice)):
                self.stdout.write(line)
        if choice.changes_something and not options["dry_run"]:
            if not options["json"]:
                self.stdout.write("A classifier is fitted with these votes ...")
            with self._fitting(options) as (postings, advance):
                version = condense_exemplars.fit_condensed(
                    choice, postings, force=options["force"], progress=advance
                )
        if options["json"]:
            print_json(self, {**found, "changes": choice.changes_something, **_fitted(version)})
        elif version is not None:
            self._tell_version(version)
        elif not choice.changes_something:
            self.stdout.write("These vote already: nothing changes.")
        _check(version, options)

    @contextmanager
    def _fitting(
        self, options: dict[str, Any]
    ) -> Iterator[tuple[LabeledPostings, Callable[[int], None]]]:
        """The labeled postings to calibrate on, and the progress of encoding; errors of a fit end
        the command."""
        from marketplace_ai.classifier import ArtifactError
        from marketplace_ai.encoding import EncoderError
        from marketplace_ai.fitting import fit_classifier, labeled_postings
        from marketplace_ai.fitting.compare_encoders import current_target
        from marketplace_ai.models import Encoder
        from marketplace_ai.text.csv_files import TableError
        from marketplace_ai.versions.errors import ActivationConflictError

        try:
            if options["calibration"]:
                postings = labeled_postings.read_file(
                    options["calibration"], skip_bad=options["skip_bad"]
                )
            else:
                target = current_target(Encoder.objects.active())
                postings = labeled_postings.read_audits(target).postings
            lacking = fit_classifier.exemplars_without_vector()
            with progress("Encoding", lacking + len(postings), quiet=options["json"]) as advance:
                yield postings, advance
        except EncoderError as error:
            runtime_error(str(error))
        except ActivationConflictError as error:
            runtime_error(f"{error} The votes stay as they were.")
        except ArtifactError as error:
            runtime_error(f"Nothing was stored, and the active version stays: {error}.")
        except (TableError, ImproperlyConfigured, ValueError) as error:
            refuse(error, options)

    def _tell_version(self, version: ClassifierVersion) -> None:
        state = "active" if version.is_active else "not active"
        self.stdout.write(f"Classifier {version.pk}, fitted with these votes, is {state}.")
        for line in version_report.lines(VersionReport.from_dict(version.comparison)):
            self.stdout.write(line)

    def _tell_undone(self, version: ClassifierVersion | None, options: dict[str, Any]) -> None:
        if options["json"]:
            print_json(
                self, {"undone": version is not None and version.is_active, **_fitted(version)}
            )
        elif version is None:
            self.stdout.write("All exemplars vote already: nothing changes.")
        else:
            self._tell_version(version)
        _check(version, options)


def lines(found: dict[str, Any], why_nothing: str) -> Iterator[str]:
    """What was chosen, what it costs and what it saves."""
    before, after = found["votes_before"], found["votes_after"]
    yield (
        f"{found['exemplars']:,} exemplars of {found['families']:,} families: {before:,} vote, "
        f"{after:,} are enough."
    )
    if why_nothing:
        yield why_nothing
        return
    loss = found["loss"]
    yield (
        f"First choice right on {loss['after']:.2%} of {loss['rows']:,} held-out exemplars instead "
        f"of {loss['before']:.2%}: a loss of {100 * loss['loss']:.2f} points (95% interval "
        f"{100 * loss['low']:.2f} to {100 * loss['high']:.2f}; bound {100 * found['bound']:.1f})."
    )
    yield (
        f"Automatic: {loss['automatic_after']:,} of them with {loss['errors_after']:,} errors "
        f"instead of {loss['automatic_before']:,} with {loss['errors_before']:,}."
    )
    if after < before:
        yield (
            f"A worker holds {found['bytes_after'] / 1e6:,.0f} MB of exemplars instead of "
            f"{found['bytes_before'] / 1e6:,.0f}, and compares a posting with {after / before:.0%} "
            "of those of before."
        )
    yield f"{'category':<26}{'exemplars':>11}{'votes':>9}{'then':>9}"
    losing = sorted(found["categories"], key=lambda row: row["after"] - row["before"])
    for row in losing[:LISTED]:
        counts = f"{row['exemplars']:>11,}{row['before']:>9,}{row['after']:>9,}"
        yield f"{row['key'][:25]:<26}{counts}"
    if len(losing) > LISTED:
        yield f"... and {len(losing) - LISTED} more categories (--json has all)."


def _fitted(version: ClassifierVersion | None) -> dict[str, Any]:
    if version is None:
        return {"version": None, "in_force": False, "comparison": None}
    return {
        "version": version.pk, "in_force": version.is_active, "comparison": version.comparison,
    }  # fmt: skip


def _check(version: ClassifierVersion | None, options: dict[str, Any]) -> None:
    if version is not None and not version.is_active:
        why = version_report.refusal(VersionReport.from_dict(version.comparison))
        runtime_error(
            f"{why}: classifier {version.pk} is stored but not activated, and all vote that voted "
            "before (--force activates it anyway)."
        )
