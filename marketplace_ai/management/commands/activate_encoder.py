from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import CommandParser
from django.db import IntegrityError

from marketplace_ai.guarantee.target import Target
from marketplace_ai.management import encoder_report, labeled_rows
from marketplace_ai.management.console import (
    DatabaseCommand,
    print_json,
    progress,
    runtime_error,
    usage_error,
)
from marketplace_ai.management.encoder_options import registered_name
from marketplace_ai.management.skip_bad import add_skip_bad, refuse
from marketplace_ai.models import EncoderState
from marketplace_ai.promotion import wording

if TYPE_CHECKING:
    from marketplace_ai.fitting.compare_encoders import EvaluatedCandidate
    from marketplace_ai.fitting.labeled_postings import LabeledPostings
    from marketplace_ai.models import Encoder, Promotion


class Command(DatabaseCommand):
    help = (
        "Make a ready encoder the active one if it passes the comparison: a classifier for it and "
        "one for the active encoder are fitted on the same exemplars and predict the same labeled "
        "rows. It is refused, with the table that says why, if its first choice is right less "
        "often, if it decides less without a person, or if its guarantee does not hold. Files are "
        "as for fit_classifier; a column 'kind' adds figures for each kind of text. Workers follow "
        "with their next batch. rollback_encoder is the way back."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("encoder", metavar="NAME")
        parser.add_argument("--calibration", metavar="FILE", help="labeled postings: CSV or .xlsx")
        parser.add_argument(
            "--unlike",
            metavar="FILE",
            help="labeled texts unlike the exemplars (short, other spellings and languages): both "
            "encoders are asked about them, neither is calibrated on them",
        )
        parser.add_argument(
            "--target-precision",
            type=float,
            metavar="P",
            help="target precision of the guarantee (default: that of the active version)",
        )
        parser.add_argument(
            "--confidence",
            type=float,
            metavar="C",
            help="confidence level of the guarantee (default: that of the active version)",
        )
        parser.add_argument(
            "--dry-run",
            action="store_true",
            help="compare, and store the comparison for admin, but change nothing that is active",
        )
        parser.add_argument(
            "--force",
            action="store_true",
            help="activate it even if it fails a check of the comparison; needs --reason",
        )
        parser.add_argument(
            "--reason", default="", metavar="TEXT", help="recorded with the promotion"
        )
        add_skip_bad(parser)
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        _check(options)
        # Imported here: they bring numeric libraries, which a wrong call can do without.
        from marketplace_ai.classifier import ArtifactError
        from marketplace_ai.encoding import EncoderError
        from marketplace_ai.promotion import eligibility
        from marketplace_ai.text.csv_files import TableError
        from marketplace_ai.versions.errors import VersionError

        try:
            encoder = eligibility.find_encoder(registered_name(options["encoder"]))
        except VersionError as error:
            usage_error(str(error))
        if encoder.state == EncoderState.ACTIVE:
            self._already_active(encoder, as_json=options["json"])
            return
        if reason := eligibility.activation_blocker(encoder):
            runtime_error(reason)
        try:
            candidate, promotion = self._compare_and_promote(encoder, options)
        except EncoderError as error:
            runtime_error(str(error))
        except VersionError as error:
            runtime_error(f"{error} Nothing was changed: look at the encoders and compare again.")
        except ArtifactError as error:
            runtime_error(f"Nothing was changed: {error}.")
        except IntegrityError:
            runtime_error(
                "Another change of the encoders came in between; nothing was changed by this one."
            )
        except (TableError, ImproperlyConfigured, ValueError) as error:
            refuse(error, options)
        self._report(candidate, promotion, options)

    def _compare_and_promote(
        self, encoder: Encoder, options: dict[str, Any]
    ) -> tuple[EvaluatedCandidate, Promotion | None]:
        """Compare, and promote unless that is not wanted; the promotion, if there was one."""
        from marketplace_ai.fitting import compare_encoders, labeled_postings

        postings = self._labeled_postings(options)
        unlike = None
        if options["unlike"]:
            unlike = labeled_postings.read_file(options["unlike"], skip_bad=options["skip_bad"])
        total = compare_encoders.texts_to_encode(encoder, postings, unlike)
        with progress("Encoding by both", total, quiet=options["json"]) as advance:
            candidate = compare_encoders.evaluate_candidate(
                encoder,
                postings,
                target=Target(options["target_precision"], options["confidence"]),
                progress=advance,
                unlike=unlike,
            )
        if options["dry_run"] or (candidate.report.failed_checks and not options["force"]):
            return candidate, None
        return candidate, compare_encoders.promote(candidate, reason=options["reason"])

    def _labeled_postings(self, options: dict[str, Any]) -> LabeledPostings:
        """The rows of the file, else the answered audits, else none. Fills in the target that holds
        today where none is asked for."""
        from marketplace_ai.fitting import compare_encoders, labeled_postings
        from marketplace_ai.models import Encoder

        current = compare_encoders.current_target(Encoder.objects.active())
        if options["target_precision"] is None:
            options["target_precision"] = current.precision
        if options["confidence"] is None:
            options["confidence"] = current.confidence_level
        if options["calibration"]:
            return labeled_postings.read_file(options["calibration"], skip_bad=options["skip_bad"])
        audits = labeled_postings.read_audits(
            Target(options["target_precision"], options["confidence"])
        )
        if not options["json"]:
            for line in labeled_rows.lines(audits):
                self.stdout.write(line)
        return audits.postings

    def _already_active(self, encoder: Encoder, *, as_json: bool) -> None:
        if as_json:
            print_json(self, {"encoder": encoder.name, "active": True, "promotion": None})
        else:
            self.stdout.write(f"{encoder} is the active encoder already.")

    def _report(
        self, candidate: EvaluatedCandidate, promotion: Promotion | None, options: dict[str, Any]
    ) -> None:
        name = candidate.encoder.name
        if options["json"]:
            print_json(self, _as_dict(candidate, promotion, options["reason"]))
        else:
            for line in encoder_report.lines(candidate.report):
                self.stdout.write(line)
        failed = wording.failed_checks(candidate.report)
        if promotion is None and failed and not options["force"]:
            runtime_error(
                f"{name} does not become active: {'; '.join(failed)}. "
                "--force --reason TEXT activates it all the same."
            )
        if options["json"]:
            return
        for check in failed:
            self.stdout.write(f"Failed check: {check}.")
        if promotion is None:
            self.stdout.write(f"{name} would become active; nothing was changed.")
        else:
            self.stdout.write(
                f"{name} is active. Workers follow with their next batch. "
                "The way back: rollback_encoder."
            )


def _as_dict(
    candidate: EvaluatedCandidate, promotion: Promotion | None, reason: str
) -> dict[str, Any]:
    return {
        "encoder": candidate.encoder.name,
        "active": promotion is not None,
        "promotion": None if promotion is None else promotion.kind,
        "instead_of": None if candidate.active is None else candidate.active.name,
        "reason": reason,
        "comparison": candidate.report.as_dict(),
    }


def _check(options: dict[str, Any]) -> None:
    for name in ("target_precision", "confidence"):
        if options[name] is not None and not 0 < options[name] < 1:
            usage_error(
                f"--{name.replace('_', '-')} must lie between 0 and 1, not {options[name]}."
            )
    if options["force"] and not options["reason"].strip():
        usage_error("--force needs --reason TEXT, so that others can see why.")
