"""Terminal output of a comparison of a new classifier version with the active one."""

from __future__ import annotations

from collections.abc import Iterator

from marketplace_ai.audit.basis_wording import basis_report
from marketplace_ai.comparison.report import NotCompared, VersionReport
from marketplace_ai.models import ClassifierVersion
from marketplace_ai.promotion import wording


def lines(report: VersionReport) -> Iterator[str]:
    """Both versions on the same rows, a line each; or why they were not compared."""
    results = report.results
    if report.not_compared is not None or results is None:
        yield _why_not_compared(report)
        return
    left_out = ""
    if results.left_out:
        left_out = f"; {results.left_out} more, which that version was fitted on, left out"
    yield f"Compared with version {report.version} on {results.rows} labeled rows{left_out}:"
    yield f"{'':<10}{'right':>8}{'automatic':>11}{'errors':>8}"
    for title, counts in (("new", results.new), ("active", results.old)):
        correct, automatic = counts.correct / results.rows, counts.automatic / results.rows
        yield f"{title:<10}{correct:>8.1%}{automatic:>11.1%}{counts.errors:>8}"
    yield (
        f"Right where the other is wrong: new {results.gained}, active {results.lost} "
        f"(p = {results.p_value:.2g})."
    )


def basis_lines(version: ClassifierVersion) -> Iterator[str]:
    """What the guarantee rests on, and what it is worth where postings fit no category."""
    if report := basis_report(version):
        yield report["sentence"]
        if report["only_teach"] and not version.encoder.is_fine_tuned:
            yield (
                f"{report['only_teach']} exemplars are people's answers: they teach, and are not "
                "counted."
            )
        if sentence := report["out_of_scope_sentence"]:
            yield sentence


def _why_not_compared(report: VersionReport) -> str:
    if report.not_compared is None:
        return "Not compared."
    reason = str(wording.NOT_COMPARED[report.not_compared])
    first = report.not_compared == NotCompared.FIRST_VERSION
    return reason if first else f"Not compared with version {report.version}. {reason}"


def refusal(report: VersionReport) -> str:
    """The first failed check, as the beginning of a sentence."""
    reason = wording.failed_checks(report)[0]
    return reason[0].upper() + reason[1:]
