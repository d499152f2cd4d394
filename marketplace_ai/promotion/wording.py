"""Every sentence about a comparison report, for the terminal and for admin.

A new failed check needs a member of ``FailedCheck``, a rule in ``promotion.checks`` or
``comparison.version_comparison``, and its sentence here.

All strings are translated when they are shown.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from marketplace_ai.comparison.report import (
    ComparisonReport,
    EncoderComparison,
    FailedCheck,
    GuaranteeScope,
    NotCompared,
    PairedDifference,
    TextKind,
    VersionComparison,
    VersionReport,
)

if TYPE_CHECKING:
    from django.utils.functional import Promise as Lazy

    Text = str | Lazy

#: Each failed check as the reason why an encoder or a version should not become active.
FAILED_CHECKS: dict[FailedCheck, Text] = {
    FailedCheck.WEAKER_TARGET: _("its target is weaker than today's"),
    FailedCheck.ACCURACY_DROP: _("its first choice is right less often"),
    FailedCheck.NO_THRESHOLD: _(
        "it would decide nothing without a person, and the active one does"
    ),
    FailedCheck.GUARANTEE_REFUTED: _(
        "rows held out from its threshold search refute its guarantee"
    ),
    FailedCheck.COVERAGE_DROP: _("it decides less without a person"),
    FailedCheck.TRAIN_TEST_OVERLAP: _(
        "it was fine-tuned, and too few labeled rows are left that it cannot have been trained on: "
        "compare on other rows (--calibration FILE)"
    ),
    FailedCheck.UNLIKE_ACCURACY_DROP: _(
        "its first choice is right less often on texts unlike the exemplars"
    ),
    FailedCheck.UNLIKE_COVERAGE_DROP: _(
        "it decides less without a person of texts unlike the exemplars"
    ),
    FailedCheck.UNLIKE_ERRORS: _(
        "it gives texts unlike the exemplars a wrong category more often without a person"
    ),
}
NOT_COMPARED: dict[NotCompared, Text] = {
    NotCompared.FIRST_VERSION: _("It was the first one."),
    NotCompared.UNREADABLE: _("The active version could not be read."),
    NotCompared.TRAIN_TEST_OVERLAP: _("The active version was fitted on all labeled rows."),
}
FIRST_ENCODER = _("It is the first one: there is none to compare it with.")

#: The rows of a comparison, by ``calibrated_on``.
LABELED_ROWS: dict[str, Text] = {
    "postings": _("labeled postings"),
    "audits": _("audited postings"),
    "exemplars": _("exemplars, cross-validated"),
}
TEXT_KINDS: dict[str, Text] = {
    TextKind.TITLE_ONLY: _("title only"),
    TextKind.WITH_DESCRIPTION: _("with description"),
    TextKind.SHORT: _("up to 12 words"),
    TextKind.LONG: _("more than 12 words"),
}
GUARANTEE_SCOPES: dict[GuaranteeScope, Text] = {
    GuaranteeScope.OWN: _("by its own rows"),
    GuaranteeScope.OVERALL: _("with all others"),
    GuaranteeScope.NONE: _("none"),
}

AUTOMATIC_ERRORS = _("errors among automatic")
PARENT_ONLY = _("parent only")
THRESHOLD = _("automatic from")
NO_THRESHOLD = _("no guarantee")
HELD_OUT_ERRORS = _("held out: errors")


def kind_name(report: ComparisonReport, name: str) -> Text:
    """A kind of text as the labeled file has it, or in words where it was derived."""
    return name if report.kinds_given else TEXT_KINDS.get(name, name)


def paired_figures(
    results: EncoderComparison,
) -> Iterator[tuple[Text, PairedDifference, int]]:
    """What is compared row by row: its title, the difference, and the number of rows it is of.

    Figures that no row has are left out.
    """
    for title, difference, rows in (
        (_("first choice correct"), results.first_choice, results.rows),
        (_("its parent right"), results.parent, results.rows_with_parent),
        (_("“none” recognized"), results.none_recognized, results.none_rows),
        (_("automatic"), results.automatic, results.rows),
    ):
        if rows:
            yield title, difference, rows
    if (unlike := results.unlike) and unlike.rows:
        yield _("unlike: first choice"), unlike.first_choice, unlike.rows
        yield _("unlike: automatic"), unlike.automatic, unlike.rows
        yield _("unlike: no false tag"), unlike.harmless, unlike.rows


def failed_checks(report: ComparisonReport | VersionReport) -> list[str]:
    """The failed checks of a report, each as half a sentence with the figures it rests on."""
    return [
        f"{FAILED_CHECKS[check]} ({figures})"
        if (figures := _figures(check, report))
        else str(FAILED_CHECKS[check])
        for check in report.failed_checks
    ]


def _figures(check: FailedCheck, report: ComparisonReport | VersionReport) -> str:
    """The figures behind a failed check; "" for a check without any."""
    if report.results is not None and (shares := _paired_counts(check, report.results)):
        new, old, p_value, rows = shares
        return gettext("%(new)s of %(rows)s labeled rows instead of %(old)s, p = %(p)s") % {
            "new": f"{new / rows:.1%}",
            "old": f"{old / rows:.1%}",
            "rows": rows,
            "p": f"{p_value:.2g}",
        }
    if isinstance(report, VersionReport):
        return ""
    target = gettext("target %(target)s, confidence level %(confidence)s") % {
        "target": f"{report.target_precision:.1%}",
        "confidence": f"{report.confidence:.0%}",
    }
    if check in (FailedCheck.WEAKER_TARGET, FailedCheck.NO_THRESHOLD):
        return target
    if check == FailedCheck.GUARANTEE_REFUTED and report.results is not None:
        held_out = report.results.new.held_out
        counts = {"errors": held_out.errors, "rows": held_out.rows}
        return gettext("%(errors)s errors in %(rows)s rows") % counts + f"; {target}"
    return ""


def _paired_counts(
    check: FailedCheck, results: EncoderComparison | VersionComparison
) -> tuple[int, int, float, int] | None:
    """Rows that count for the new and the old classifier, the p-value of the difference, and of how
    many rows they are."""
    if isinstance(results, EncoderComparison):
        pairs = {
            FailedCheck.ACCURACY_DROP: (results.first_choice, results.rows),
            FailedCheck.COVERAGE_DROP: (results.automatic, results.rows),
        }
        if unlike := results.unlike:
            pairs |= {
                FailedCheck.UNLIKE_ACCURACY_DROP: (unlike.first_choice, unlike.rows),
                FailedCheck.UNLIKE_COVERAGE_DROP: (unlike.automatic, unlike.rows),
                FailedCheck.UNLIKE_ERRORS: (unlike.harmless, unlike.rows),
            }
        if check not in pairs:
            return None
        pair, rows = pairs[check]
        return pair.new, pair.old, pair.p_value, rows
    if check == FailedCheck.ACCURACY_DROP:
        return results.new.correct, results.old.correct, results.p_value, results.rows
    if check == FailedCheck.COVERAGE_DROP:
        p_value = results.automatic_p_value
        return results.new.automatic, results.old.automatic, p_value, results.rows
    return None
