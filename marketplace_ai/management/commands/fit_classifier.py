from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import CommandParser
from django.db import IntegrityError

from marketplace_ai.audit.basis_wording import basis_report
from marketplace_ai.comparison.report import VersionReport
from marketplace_ai.guarantee import minimum_counts
from marketplace_ai.guarantee.target import DEFAULT_TARGET, Target
from marketplace_ai.management import labeled_rows, version_report
from marketplace_ai.management.console import (
    DatabaseCommand,
    print_json,
    progress,
    runtime_error,
    usage_error,
)
from marketplace_ai.management.skip_bad import add_skip_bad, refuse
from marketplace_ai.models import (
    ClassifierVersion,
    EncoderState,
)
from marketplace_ai.text.family_sizes import FamilySizes


class Command(DatabaseCommand):
    help = (
        "Fit the classifier on the exemplars: votes, probabilities and the thresholds for "
        "automatic decisions. Compare it with the active version on the same labeled rows, and "
        "activate it if it is not worse. FILE holds labeled postings like those that come in "
        "(columns category and text, or title and description; 'none' allowed). Without it the "
        "answered audited postings are used, or, if these are too few, "
        "cross-validation on the exemplars."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--calibration", metavar="FILE", help="labeled postings: CSV or .xlsx")
        parser.add_argument(
            "--encoder",
            metavar="NAME",
            help="fit for this registered encoder instead of the active one; the result decides "
            "nothing until that encoder is activated",
        )
        parser.add_argument(
            "--target-precision", type=float, default=DEFAULT_TARGET.precision, metavar="P",
            help="precision of automatic decisions (default %(default)g)",
        )  # fmt: skip
        parser.add_argument(
            "--confidence", type=float, default=DEFAULT_TARGET.confidence_level, metavar="C",
            help="confidence level of the guarantee (default %(default)g)",
        )  # fmt: skip
        parser.add_argument(
            "--force", action="store_true", help="activate it even if the comparison refuses it"
        )
        parser.add_argument("--dry-run", action="store_true", help="fit and compare, store nothing")
        add_skip_bad(parser)
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        for name in ("target_precision", "confidence"):
            if not 0 < options[name] < 1:
                usage_error(
                    f"--{name.replace('_', '-')} must lie between 0 and 1, not {options[name]}."
                )
        target = Target(options["target_precision"], options["confidence"])
        from marketplace_ai.classifier import ArtifactError
        from marketplace_ai.encoding import EncoderError
        from marketplace_ai.fitting import fit_classifier, labeled_postings
        from marketplace_ai.imports.contradictions import CURE, stored_contradictions
        from marketplace_ai.promotion import eligibility
        from marketplace_ai.text.contradictions import contradiction_sentence
        from marketplace_ai.text.csv_files import TableError
        from marketplace_ai.versions import activation

        quiet = options["json"]
        if contradictions := stored_contradictions():
            self.say(contradiction_sentence("Exemplars", contradictions, CURE))
        try:
            encoder = eligibility.find_encoder(options["encoder"]) if options["encoder"] else None
            if options["calibration"]:
                postings = labeled_postings.read_file(
                    options["calibration"], skip_bad=options["skip_bad"]
                )
            else:
                audits = labeled_postings.read_audits(target)
                postings = audits.postings
                if not quiet:
                    for line in labeled_rows.lines(audits):
                        self.stdout.write(line)
            lacking = fit_classifier.exemplars_without_vector(encoder)
            if encoder is not None and lacking and not quiet:
                self.stdout.write(
                    f"{lacking} exemplars have no vector of {encoder} yet: they are encoded first."
                )
            with progress("Encoding", lacking + len(postings), quiet=quiet) as advance:
                version = fit_classifier.fit(
                    postings,
                    encoder=encoder,
                    target=target,
                    progress=advance,
                    force=options["force"],
                    dry_run=options["dry_run"],
                )
        except EncoderError as error:
            runtime_error(str(error))
        except activation.ActivationConflictError as error:
            runtime_error(
                f"{error} It is stored, and was not compared with that one; see use_classifier."
            )
        except activation.VersionError as error:
            usage_error(str(error))
        except ArtifactError as error:
            runtime_error(f"Nothing was stored, and the active version stays: {error}.")
        except IntegrityError:
            runtime_error(
                "Another fit_classifier or a switch of the encoder came in between; this one "
                "activated nothing. Run it again if it is still wanted."
            )
        except (TableError, ImproperlyConfigured, ValueError) as error:
            refuse(error, options)
        if options["json"]:
            found = {"in_force": version.is_active, "comparison": version.comparison}
            found["contradictory_texts"] = {
                "exemplars": len(contradictions), "calibration": postings.num_contradictory,
            }  # fmt: skip
            found["left_out"] = postings.left_out.as_json()
            figures = {**with_aliases(version.figures), "basis": basis_report(version)}
            print_json(self, {"version": version.pk, **found, **figures})
        else:
            self._tell(version)
        if version.comparison["failed_checks"] and not options["force"]:
            runtime_error(_refusal(version))

    def _tell(self, version: ClassifierVersion) -> None:
        name = "What was fitted" if version.pk is None else f"Classifier {version.pk}"
        state = "active" if version.is_active else "not active"
        if version.encoder.state != EncoderState.ACTIVE:
            state += f" for {version.encoder}, which is not the active encoder"
        self.stdout.write(
            f"{name} is {state}: exemplars of generation "
            f"{version.exemplar_generation}, calibrated on {version.get_calibrated_on_display()}."
        )
        for line in (
            *version_report.lines(VersionReport.from_dict(version.comparison)),
            *version_report.basis_lines(version),
            *summary(version.figures),
        ):
            self.stdout.write(line)


def _refusal(version: ClassifierVersion) -> str:
    why = version_report.refusal(VersionReport.from_dict(version.comparison))
    if version.pk is None:
        return f"{why}: it would be stored but not activated (--force activates it)."
    if version.encoder.state != EncoderState.ACTIVE:
        return f"{why}: classifier {version.pk} is stored but not activated for {version.encoder}."
    return (
        f"{why}: classifier {version.pk} is stored but not activated "
        f"(use_classifier {version.pk} activates it anyway)."
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
    """Whether the guarantee over all categories leaves this one out."""
    minimum = minimum_counts.MIN_EXEMPLARS_FOR_GUARANTEE
    return row["exemplars"] is not None and row["exemplars"] < minimum


def summary(figures: dict[str, Any]) -> Iterator[str]:
    """What was measured and is guaranteed, over all categories and for each of them."""
    target, confidence = figures["target_precision"], figures["confidence_level"]
    if figures["first_choice"] is not None:
        yield (
            f"First choice right on {figures['first_choice']:.1%} of the labeled rows that "
            f"have a category ({figures['rows']} rows, out-of-fold)."
        )
    sizes = FamilySizes(**figures["family_sizes"])
    if sizes.families < sizes.rows:
        yield sizes.sentence("labeled rows")
    if len(figures["categories"]) == 1:
        yield "All exemplars with a category have the same one: there is nothing to tell apart."
    if figures["unknown_labels"]:
        yield f"{figures['unknown_labels']} labeled rows have a category without exemplars."
    yield f"Guaranteed: {target:.0%} precision at a confidence level of {confidence:.0%}."
    for name, rule in (("a category", "automatic"), ("its parent", "parent"), ("none", "none")):
        found = figures[rule]
        if found["threshold"] is None:
            yield (
                f"  {name:<11} not automatic: {found['errors']} errors in the {found['rows']} most "
                f"probable rows; {found['rows_needed']} more labeled rows needed, without further "
                "errors."
            )
        else:
            yield (
                f"  {name:<11} automatic from {found['threshold']:.3f}: {found['coverage']:.0%} "
                f"of the rows, {found['errors']} errors in {found['rows']}."
            )
    yield f"{'category':<26}{'labeled':>9}{'automatic':>11}{'errors':>8}  guarantee"
    for row in figures["categories"]:
        if row["has_own_guarantee"]:
            guarantee = "its own"
        elif too_few(row):
            minimum = minimum_counts.MIN_EXEMPLARS_FOR_GUARANTEE
            guarantee = (
                f"none: too few exemplars ({row['exemplars']} of "
                f"{minimum}), needs its own rows; "
                f"{row['rows_needed']} more"
            )
        elif not row["automated"]:
            guarantee = "none: its own rows refute it"
        else:
            guarantee = f"with all others; {row['rows_needed']} more rows for its own"
        counts = f"{row['rows']:>9}{row['automatic']:>11}{row['errors']:>8}"
        yield f"{row['key'][:25]:<26}{counts}  {guarantee}"
    yield from _older_labels(figures)


def _older_labels(figures: dict[str, Any]) -> Iterator[str]:
    """What to do when labels are older than a category: each posting of it counts as an error."""
    unseen = [row for row in figures["categories"] if not row["rows"]]
    if not unseen:
        return
    keys = ", ".join(row["key"] for row in unseen[:10]) + (", ..." if len(unseen) > 10 else "")
    wrong = sum(row["errors"] for row in unseen)
    yield (
        f"No labeled row has {keys}. If the labels are older than a category, rows that belong to "
        f"it count as errors ({wrong} automatic ones here): check the rows labeled none and those "
        "of similar categories, correct them, and fit again."
    )
