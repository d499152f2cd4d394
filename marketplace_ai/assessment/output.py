"""An assessment as text for a terminal."""

from __future__ import annotations

from collections.abc import Iterator

from marketplace_ai.evaluation import time_output
from marketplace_ai.evaluation.output import percent
from marketplace_ai.text.bad_rows import places
from marketplace_ai.text.contradictions import shortened

from .assess import Assessment
from .coverage import TargetCoverage
from .savings import Workload

#: Entries of a list that a terminal shows; the page and ``--json`` have more.
SHOWN = 10


def lines(found: Assessment, unit: str) -> Iterator[str]:
    """What could be automatic, then what is wrong; ``unit`` is what a row's place is."""
    yield from _measured(found)
    yield ""
    yield f"{'target':<8}{'automatic':>10}{'(95%)':>16}{'right':>8}{'hours a month':>15}  rests on"
    for each in found.coverages:
        yield _coverage_line(each, found.workload)
    yield _assumption(found.workload)
    yield ""
    yield from _by_time(found)
    yield ""
    yield from _labels(found, unit)
    yield from _categories(found)
    yield from _texts(found, unit)


def _measured(found: Assessment) -> Iterator[str]:
    first, newest = found.first_choice, found.first_choice_held_out
    low, high = first.interval
    part = "drawn at random" if found.since is None else f"since {found.since:%Y-%m-%d}"
    yield (
        f"{found.rows:,} postings of {len(found.categories):,} categories, {found.families:,} if "
        f"kin count once. Each is predicted by a fit without its family; {found.held_out:,} are "
        f"held out ({part}) and judge what was fitted and proven on the others."
    )
    yield (
        f"First choice right: {percent(first.share)} ({percent(low)} to {percent(high)}); of those "
        f"held out {percent(newest.share)}."
    )
    if found.newcomers:
        yield (
            f"{found.newcomers:,} held-out postings have a category that no other posting has; "
            "they count as wrong."
        )


def _coverage_line(each: TargetCoverage, workload: Workload | None) -> str:
    low, high = each.interval or (0.0, 0.0)
    interval = f"{100 * low:.0f} to {100 * high:.0f}%" if each.interval else "-"
    hours = "-" if workload is None else f"{workload.hours_saved(each.coverage):,.1f}"
    rests = f"{each.errors:,} wrong in the {each.rows:,} surest"
    if each.threshold is None:
        rests = f"nothing: {rests}; {each.rows_needed:,} more right ones would prove it"
    if each.refuted:
        rests += "; the held-out postings refute it"
    return (
        f"{each.target.precision:<8.0%}{percent(each.coverage):>10}{interval:>16}"
        f"{percent(each.precision):>8}{hours:>15}  {rests}"
    )


def _assumption(workload: Workload | None) -> str:
    if workload is None:
        return "Hours: say how many postings come in with --per-month N."
    source = "at the rate of these dates" if workload.measured else "as stated"
    return (
        f"Hours: of {workload.per_month:,.0f} postings a month ({source}), each of which takes a "
        f"person {workload.seconds:g} seconds unless it is automatic."
    )


def _by_time(found: Assessment) -> Iterator[str]:
    if found.by_time is not None:
        yield from time_output.lines(found.by_time)
    elif found.untimed:
        yield f"By time: {found.untimed}"
    else:
        yield "By time: no posting has a date; --date COLUMN names the column that has one."


def _labels(found: Assessment, unit: str) -> Iterator[str]:
    if not found.suspects:
        yield "No label looks wrong."
        return
    yield f"{len(found.suspects):,} labels look wrong, the surest first:"
    for each in found.suspects[:SHOWN]:
        yield (
            f"  {unit} {each.place}: {each.label}, looks like {each.suggested} "
            f"({percent(each.probability)}): {shortened(each.text)}"
        )


def _categories(found: Assessment) -> Iterator[str]:
    if found.pairs:
        yield "Most confused:"
        for pair in found.pairs[:SHOWN]:
            yield f"  {pair.label} taken for {pair.given}: {pair.n:,} of {pair.of:,}"
    if lacking := found.lacking:
        named = ", ".join(f"{each.label} ({each.rows})" for each in lacking[:SHOWN])
        more = f" and {len(lacking) - SHOWN:,} more" if len(lacking) > SHOWN else ""
        yield f"{len(lacking):,} categories lack rows: {named}{more}."


def _texts(found: Assessment, unit: str) -> Iterator[str]:
    repeats = found.repeats
    if repeats.rows:
        yield (
            f"{repeats.rows:,} postings are near-duplicates, of {repeats.groups:,} texts; "
            f"{repeats.several_labels:,} of these texts have several labels. Most often, "
            f"{repeats.largest:,} times: {shortened(repeats.text)!r}."
        )
    if found.blank:
        yield f"{len(found.blank):,} say nothing after scrubbing: {places(unit, found.blank)}."
