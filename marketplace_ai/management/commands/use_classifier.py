from __future__ import annotations

import datetime as dt
from typing import Any

from django.core.management.base import CommandParser
from django.utils import timezone

from marketplace_ai.management.console import DatabaseCommand, runtime_error, print_json, usage_error
from marketplace_ai.models import ClassifierVersion

#: JSON keys of a version that a program gets as they are, by the field they come from.
PLAIN = {
    "in_force": "is_active",
    "discarded": "is_discarded",
    "calibrated_on": "calibrated_on",
    "target_precision": "target_precision",
    "confidence": "confidence_level",
}


class Command(DatabaseCommand):
    help = (
        "Put a stored classifier version in force: an older one, to go back, or one that "
        "fit_classifier has stored only. Workers follow with their next batch, and what waits "
        "for review is decided anew. --list shows the versions."
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
            self._use(options["version"], as_json=options["json"])

    def _use(self, version: int, *, as_json: bool) -> None:
        # Imported here: they bring numeric libraries, which --list can do without.
        from marketplace_ai.classifier import ArtifactError
        from marketplace_ai.versions import activation

        try:
            before = activation.use(version)
        except ArtifactError as error:
            runtime_error(f"Version {version} cannot be used, and nothing was changed: {error}.")
        except activation.VersionError as error:
            usage_error(str(error))
        if as_json:
            print_json(self, {"version": version, "instead_of": before})
        elif before == version:
            self.stdout.write(f"Classifier {version} is in force already.")
        elif before is None:
            self.stdout.write(f"Classifier {version} is in force.")
        else:
            self.stdout.write(
                f"Classifier {version} is in force instead of {before}. "
                f"The way back: use_classifier {before}."
            )

    def _list(self, *, as_json: bool) -> None:
        rows = ClassifierVersion.objects.select_related("encoder").defer("artifact")
        found = [_row(version) for version in rows.order_by("-pk")]
        if as_json:
            print_json(self, {"versions": found})
            return
        if not found:
            self.stdout.write("There is none yet: run fit_classifier.")
            return
        self.stdout.write(
            f"{'version':>7}  {'fitted':<16}  {'encoder':<20}  {'calibrated on':<13}  "
            f"{'promise':>7}  {'first':>6}  {'auto':>6}"
        )
        for row in found:
            self.stdout.write(_line(row))


def _row(version: ClassifierVersion) -> dict[str, Any]:
    figures = version.figures
    return {
        "version": version.pk,
        "encoder": version.encoder.name,
        "created": _moment(version.created_at),
        "activated": _moment(version.activated_at),
        "replaced": _moment(version.replaced_at),
        **{key: getattr(version, field) for key, field in PLAIN.items()},
        "rows": figures.get("rows"),
        "first_choice": figures.get("first_choice"),
        "automatic": figures.get("automatic", {}).get("coverage"),
        "comparison": version.comparison,
    }


def _moment(moment: dt.datetime | None) -> str | None:
    """In the project's time zone."""
    if moment is None:
        return None
    # A host with USE_TZ = False has local times anyway.
    return (moment if timezone.is_naive(moment) else timezone.localtime(moment)).isoformat()


def _line(row: dict[str, Any]) -> str:
    if row["in_force"]:
        state = "in force"
    elif row["discarded"]:
        state = "no longer stored"
    elif row["activated"] is None and row["comparison"].get("objections"):
        state = "never in force: " + ", ".join(row["comparison"]["objections"])
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
