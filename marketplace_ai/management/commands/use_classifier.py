from __future__ import annotations

import datetime as dt
from typing import Any

from django.core.management.base import CommandParser
from django.utils import timezone

from marketplace_ai.management.console import (
    DatabaseCommand,
    print_json,
    runtime_error,
    usage_error,
)
from marketplace_ai.models import ClassifierVersion

#: JSON keys of a version that --json prints unchanged, and the fields they come from.
PLAIN_FIELDS = {
    "in_force": "is_active",
    "discarded": "is_discarded",
    "calibrated_on": "calibrated_on",
    "target_precision": "target_precision",
    "confidence": "confidence_level",
}


class Command(DatabaseCommand):
    help = (
        "Activate a stored classifier version: an older one, to go back, or one that "
        "fit_classifier stored without activating it. Workers follow with their next batch, and "
        "postings in review are decided again. --list shows the versions."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("version", type=int, nargs="?", metavar="VERSION")
        parser.add_argument("--list", action="store_true", help="show the versions, newest first")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        if (options["version"] is None) != options["list"]:
            usage_error("Give either the number of a version or --list.")
        if options["list"]:
            self._list(as_json=options["json"])
        else:
            self._activate(options["version"], as_json=options["json"])

    def _activate(self, version: int, *, as_json: bool) -> None:
        # Imported here: they bring numeric libraries, which --list can do without.
        from marketplace_ai.classifier import ArtifactError
        from marketplace_ai.versions import activation

        try:
            before = activation.activate(version)
        except ArtifactError as error:
            runtime_error(f"Version {version} cannot be used, and nothing was changed: {error}.")
        except activation.VersionError as error:
            usage_error(str(error))
        if as_json:
            print_json(self, {"version": version, "instead_of": before})
        elif before == version:
            self.stdout.write(f"Classifier {version} is active already.")
        elif before is None:
            self.stdout.write(f"Classifier {version} is active.")
        else:
            self.stdout.write(
                f"Classifier {version} is active instead of {before}. "
                f"The way back: use_classifier {before}."
            )

    def _list(self, *, as_json: bool) -> None:
        rows = ClassifierVersion.objects.select_related("encoder").defer("artifact")
        versions = [_row(version) for version in rows.order_by("-pk")]
        if as_json:
            print_json(self, {"versions": versions})
            return
        if not versions:
            self.stdout.write("There is none yet: run fit_classifier.")
            return
        self.stdout.write(
            f"{'version':>7}  {'fitted':<16}  {'encoder':<20}  {'calibrated on':<13}  "
            f"{'target':>7}  {'first':>6}  {'auto':>6}"
        )
        for row in versions:
            self.stdout.write(_line(row))


def _row(version: ClassifierVersion) -> dict[str, Any]:
    figures = version.figures
    return {
        "version": version.pk,
        "encoder": version.encoder.name,
        **{
            name: _local_time(getattr(version, f"{name}_at"))
            for name in ("created", "activated", "replaced")
        },
        **{name: getattr(version, field) for name, field in PLAIN_FIELDS.items()},
        "rows": figures.get("rows"),
        "first_choice": figures.get("first_choice"),
        "automatic": figures.get("automatic", {}).get("coverage"),
        "comparison": version.comparison,
    }


def _local_time(moment: dt.datetime | None) -> str | None:
    """In the project's time zone."""
    if moment is None:
        return None
    # A project with USE_TZ = False has local times anyway.
    return (moment if timezone.is_naive(moment) else timezone.localtime(moment)).isoformat()


def _line(row: dict[str, Any]) -> str:
    if row["in_force"]:
        state = "active"
    elif row["discarded"]:
        state = "no longer stored"
    elif row["activated"] is None and row["comparison"].get("failed_checks"):
        state = "never active: " + ", ".join(row["comparison"]["failed_checks"])
    else:
        state = ""
    first, automatic = (
        "" if row[name] is None else f"{row[name]:.1%}" for name in ("first_choice", "automatic")
    )
    fitted = row["created"][:16].replace("T", " ")
    return (
        f"{row['version']:>7}  {fitted:<16}  {row['encoder'][:20]:<20}  "
        f"{row['calibrated_on']:<13}  {row['target_precision']:>7.0%}  {first:>6}  "
        f"{automatic:>6}  {state}"
    ).rstrip()
