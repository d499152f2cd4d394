"""Terminal output of a comparison of two encoders."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from marketplace_ai.comparison.report import (
    CategorySlice,
    ComparisonReport,
    EncoderComparison,
    ModelSummary,
    PairedDifference,
    Slice,
)
from marketplace_ai.promotion import wording

WIDTH = 24


def lines(report: ComparisonReport) -> Iterator[str]:
    """Both encoders on the same rows: over all rows, then by kind of text and by category."""
    results, active = report.results, report.active_encoder
    if results is None or active is None:
        yield str(wording.FIRST_ENCODER)
        return
    new, old = report.encoder, active.name
    distinct = ""
    if results.groups != results.rows:
        distinct = f" ({results.groups} families)"
    yield (
        f"{new} compared with {old}, which is active, on {results.rows} "
        f"{wording.LABELED_ROWS[report.calibrated_on]}{distinct}:"
    )
    yield (f"{'':<{WIDTH}}{new[:14]:>16}{old[:14]:>16}   difference (95%), rows gained, lost")
    yield from _figures(results)
    yield f"In each cell: {new} / {old}."
    yield _slice_header("by kind of text")
    for kind in results.kinds:
        yield _slice_line(str(wording.kind_name(report, kind.name)), kind)
    yield _slice_header("by category") + "  guarantee"
    for category in results.categories:
        note = str(wording.GUARANTEE_SCOPES[category.guarantee_new])
        if category.guarantee_lost:
            note += f" (lost; {old}: {wording.GUARANTEE_SCOPES[category.guarantee_old]})"
        yield f"{_slice_line(category.key, category)}  {note}"
    if results.changed:
        yield f"{results.changed} of the rows are decided differently; admin shows them."
    else:
        yield "Each row is decided as before."


def _figures(results: EncoderComparison) -> Iterator[str]:
    for title, difference, rows in wording.paired_figures(results):
        yield _difference_line(str(title), difference, rows)
    new, old = results.new, results.old
    for title, new_value, old_value in (
        (wording.AUTOMATIC_ERRORS, new.errors, old.errors),
        (wording.PARENT_ONLY, new.automatic_parent, old.automatic_parent),
        (wording.THRESHOLD, _threshold(new), _threshold(old)),
        (wording.HELD_OUT_ERRORS, _held_out(new), _held_out(old)),
    ):
        values: tuple[Any, Any] = (new_value, old_value)
        yield f"{title!s:<{WIDTH}}{values[0]:>16}{values[1]:>16}"


def _difference_line(title: str, pair: PairedDifference, rows: int) -> str:
    shares = f"{pair.new / rows:>16.1%}{pair.old / rows:>16.1%}"
    interval = f"{100 * pair.low:+.1f} to {100 * pair.high:+.1f}"
    return (
        f"{title:<{WIDTH}}{shares}   {100 * pair.difference:+.1f} ({interval}), "
        f"+{pair.gained} -{pair.lost} (p = {pair.p_value:.2g})"
    )


def _threshold(summary: ModelSummary) -> str:
    none = str(wording.NO_THRESHOLD)
    return none if summary.threshold is None else f"{summary.threshold:.3f}"


def _held_out(summary: ModelSummary) -> str:
    check = summary.held_out
    return f"{check.errors} of {check.rows}" + (" (!)" if check.refuted else "")


def _slice_header(title: str) -> str:
    return f"{title:<{WIDTH}}{'rows':>6}{'right':>14}{'automatic':>14}{'errors':>12}"


def _slice_line(name: str, part: Slice | CategorySlice) -> str:
    new, old = part.new, part.old
    correct, automatic, errors = (
        f"{a} / {b}"
        for a, b in (
            (new.correct, old.correct),
            (new.automatic, old.automatic),
            (new.errors, old.errors),
        )
    )
    return f"{name[: WIDTH - 1]:<{WIDTH}}{part.rows:>6}{correct:>14}{automatic:>14}{errors:>12}"
