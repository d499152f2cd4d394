from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import CommandParser
from django.db import IntegrityError

from marketplace_ai.guarantee import minimum_counts
from marketplace_ai.guarantee.target import DEFAULT_TARGET, Target
from marketplace_ai.management import labeled_rows, version_report
from marketplace_ai.management.console import DatabaseCommand, fail, print_json, progress, refuse
from marketplace_ai.models import (
    ClassifierVersion,
    EncoderState,
    Exemplar,
    ExemplarSource,
    ExemplarState,
)


class Command(DatabaseCommand):
    help = (
        "Fit how the exemplars vote, the probabilities and the thresholds of what may be "
        "automatic; compare the result with the version in force on the same labelled rows, and "
        "put it in force where it is not worse. FILE holds labelled postings like those that "
        "come in (columns category and text, or title and description; 'none' allowed); "
        "without it the answered audited postings, and where these are too few "
        "cross-validation on the exemplars."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--calibration", metavar="FILE", help="CSV file of labelled postings")
        parser.add_argument(
            "--encoder",
            metavar="NAME",
            help="fit for this registered encoder, not for the active one: what it fits decides "
            "nothing before that encoder is activated",
        )
        parser.add_argument(
            "--target-precision", type=float, default=DEFAULT_TARGET.precision, metavar="P"
        )
        parser.add_argument(
            "--confidence", type=float, default=DEFAULT_TARGET.confidence_level, metavar="C"
        )
        parser.add_argument(
            "--force", action="store_true", help="put it in force whatever the comparison says"
        )
        parser.add_argument(
            "--dry-run", action="store_true", help="fit and compare, store no version"
        )
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        for name in ("target_precision", "confidence"):
            if not 0 < options[name] < 1:
                refuse(f"--{name.replace('_', '-')} must lie between 0 and 1, not {options[name]}.")
        from marketplace_ai.classifier import ArtifactError
        from marketplace_ai.encoding import EncoderError
        from marketplace_ai.fitting import fit_classifier
        from marketplace_ai.promotion import rules
        from marketplace_ai.text.csv_files import TableError
        from marketplace_ai.versions import activation

        target = Target(options["target_precision"], options["confidence"])
        quiet = options["json"]
        voting = Exemplar.objects.filter(state=ExemplarState.ACTIVE)
        if not voting.exclude(source=ExemplarSource.DESCRIPTION).exists():
            refuse("There are no exemplars yet: run import_exemplars first.")
        try:
            encoder = rules.find(options["encoder"]) if options["encoder"] else None
            labelled = fit_classifier.read_labelled(options["calibration"])
            audits = None
            if not options["calibration"]:
                audits = fit_classifier.read_audits(target)
                labelled = audits.labelled
                if not quiet:
                    for line in labeled_rows.lines(audits):
                        self.stdout.write(line)
            lacking = fit_classifier.exemplars_without_vector(encoder)
            if encoder is not None and lacking and not quiet:
                self.stdout.write(
                    f"{lacking} exemplars have no vector of {encoder} yet: they are encoded first."
                )
            with progress("Encoding", lacking + len(labelled), quiet=quiet) as advance:
                version = fit_classifier.fit(
                    labelled,
                    encoder=encoder,
                    audited=audits is not None and bool(labelled),
                    target=target,
                    progress=advance,
                    force=options["force"],
                    dry_run=options["dry_run"],
                )
        except EncoderError as error:
            fail(str(error))
        except activation.Overtaken as error:
            fail(f"{error} It is stored, and was not compared with that one; see use_classifier.")
        except activation.VersionError as error:
            refuse(str(error))
        except ArtifactError as error:
            fail(f"Nothing was stored, and what is in force stays: {error}.")
        except IntegrityError:
            fail(
                "Another fit_classifier, or a change of the encoder, came in between; nothing was "
                "put in force by this one. Run it again if the other did not mean the same."
            )
        except (TableError, ImproperlyConfigured, ValueError) as error:
            refuse(str(error))
        if options["json"]:
            found = {"in_force": version.in_force, "comparison": version.comparison}
            print_json(self, {"version": version.pk, **found, **with_aliases(version.figures)})
        else:
            self._tell(version)
        if version.comparison["objections"] and not options["force"]:
            fail(_refusal(version))

    def _tell(self, version: ClassifierVersion) -> None:
        name = "What was fitted" if version.pk is None else f"Classifier {version.pk}"
        state = "in force" if version.in_force else "not in force"
        if version.encoder.state != EncoderState.ACTIVE:
            state += f" for {version.encoder}, which does not decide yet"
        self.stdout.write(
            f"{name} is {state}: exemplars of generation "
            f"{version.exemplar_generation}, calibrated on {version.get_calibrated_on_display()}."
        )
        for line in (*version_report.lines(version.comparison), *summary(version.figures)):
            self.stdout.write(line)


def _refusal(version: ClassifierVersion) -> str:
    why = version_report.objection(version.comparison)
    if version.pk is None:
        return f"{why}: it would be stored and not put in force (--force puts it in force)."
    if version.encoder.state != EncoderState.ACTIVE:
        return (
            f"{why}: classifier {version.pk} is stored and not put in force for {version.encoder}."
        )
    return (
        f"{why}: classifier {version.pk} is stored and not put in force "
        f"(use_classifier {version.pk} puts it in force all the same)."
    )


def with_aliases(figures: dict[str, Any]) -> dict[str, Any]:
    """The figures of a version, with the keys of ``--json`` that better names have replaced."""
    categories = [{**row, "promised": row["has_own_guarantee"]} for row in figures["categories"]]
    rules = {
        name: {**figures[name], "candidates": figures[name]["eligible_rows"]}
        for name in ("automatic", "none", "parent")
    }
    return {
        **figures,
        **rules,
        "confidence": figures["confidence_level"],
        "secondary": figures["second_category"],
        "categories": categories,
    }


def too_few(row: dict[str, Any]) -> bool:
    """Whether the promise over all categories leaves this one out."""
    return (
        row["exemplars"] is not None
        and row["exemplars"] < minimum_counts.MIN_EXEMPLARS_FOR_GUARANTEE
    )


def summary(figures: dict[str, Any]) -> Iterator[str]:
    """What was found and is promised, first over all, then for each category."""
    target, confidence = figures["target_precision"], figures["confidence_level"]
    if figures["first_choice"] is not None:
        yield (
            f"First choice right on {figures['first_choice']:.1%} of the labelled rows that "
            f"have a category ({figures['rows']} rows, scored by what they did not fit)."
        )
    if figures["unknown_labels"]:
        yield f"{figures['unknown_labels']} labelled rows have a category without exemplars."
    yield f"Promised: {target:.0%} right with confidence {confidence:.0%}."
    for name, rule in (("a category", "automatic"), ("its parent", "parent"), ("none", "none")):
        found = figures[rule]
        if found["threshold"] is None:
            yield (
                f"  {name:<11} not automatic: {found['errors']} errors in the surest "
                f"{found['rows']}; {found['rows_needed']} more labelled rows needed, without "
                "further errors."
            )
        else:
            yield (
                f"  {name:<11} automatic from {found['threshold']:.3f} on: {found['coverage']:.0%} "
                f"of the rows, {found['errors']} errors in {found['rows']}."
            )
    yield f"{'category':<26}{'labelled':>9}{'automatic':>11}{'errors':>8}  promise"
    for row in figures["categories"]:
        if row["has_own_guarantee"]:
            promise = "its own"
        elif too_few(row):
            promise = (
                f"none: too few exemplars ({row['exemplars']} of "
                f"{minimum_counts.MIN_EXEMPLARS_FOR_GUARANTEE}), by its own rows only; "
                f"{row['rows_needed']} more"
            )
        elif not row["automated"]:
            promise = "none: its own rows refute it"
        else:
            promise = f"with all others; {row['rows_needed']} more rows for its own"
        counts = f"{row['rows']:>9}{row['automatic']:>11}{row['errors']:>8}"
        yield f"{row['key'][:25]:<26}{counts}  {promise}"
    yield from _older_labels(figures)


def _older_labels(figures: dict[str, Any]) -> Iterator[str]:
    """What to do where labelled rows are older than a category, for then each posting of it
    counts as an error."""
    unseen = [row for row in figures["categories"] if not row["rows"]]
    if not unseen:
        return
    keys = ", ".join(row["key"] for row in unseen[:10]) + (", ..." if len(unseen) > 10 else "")
    wrong = sum(row["errors"] for row in unseen)
    yield (
        f"No labelled row has {keys}. Where the labels are older than a category, rows that "
        f"belong to it count as errors ({wrong} automatic ones here): go through the rows "
        "labelled none and those of its neighbors, correct them, and fit again."
    )
