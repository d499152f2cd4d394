"""The comparison of two encoders, in words for a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

CALIBRATED_ON = {
    "postings": "labelled postings",
    "audits": "audited postings",
    "exemplars": "exemplars, cross-validated",
}
KINDS = {
    "title_only": "title only",
    "with_description": "with description",
    "short": "up to 12 words",
    "long": "more words",
}
PROMISED = {"own": "its own", "pooled": "with all others", "none": "none"}
WIDTH = 24


def lines(found: dict[str, Any]) -> Iterator[str]:
    """Both encoders on the same rows: first over all, then by kind of text and by category."""
    if found["against"] is None:
        yield "It is the first one: there is none to compare it with."
        return
    names = found["encoder"], found["against"]["name"]
    rows, groups = found["rows"], found["groups"]
    near = "" if groups == rows else f" ({groups} that do not nearly repeat each other)"
    yield (
        f"{names[0]} compared with {names[1]}, which is active, on {rows} "
        f"{CALIBRATED_ON[found['calibrated_on']]}{near}:"
    )
    yield from _figures(found, names)
    yield f"In each cell: {names[0]} / {names[1]}."
    yield _head("by kind of text")
    for row in found["kinds"]:
        name = row["name"] if found["kinds_given"] else KINDS[row["name"]]
        yield _slice(name, row)
    yield _head("by category") + "  promise"
    for row in found["categories"]:
        note = PROMISED[row["promised_new"]]
        if row["promise_lost"]:
            note += f" (lost; {names[1]}: {PROMISED[row['promised_old']]})"
        yield f"{_slice(row['key'], row)}  {note}"
    if found["changed"]:
        yield f"{found['changed']} of the rows are decided otherwise; admin shows them."
    else:
        yield "Each row is decided as before."


def _figures(found: dict[str, Any], names: tuple[str, str]) -> Iterator[str]:
    new, old, rows = found["new"], found["old"], found["rows"]
    yield (
        f"{'':<{WIDTH}}{names[0][:14]:>16}{names[1][:14]:>16}   difference (95%), rows gained, lost"
    )
    for title, name, total in (
        ("first choice right", "first", rows),
        ("its parent right", "parent", found["with_parent"]),
        ("\u201cnone\u201d recognized", "recognized", found["fit_none"]),
        ("automatic", "automatic", rows),
    ):
        if total:
            yield _pair(title, found[name], total)
    yield _counts("errors among automatic", new["errors"], old["errors"])
    yield _counts("parent only", new["automatic_parent"], old["automatic_parent"])
    yield _counts("automatic from", _share(new["threshold"]), _share(old["threshold"]))
    yield _counts("held out: errors", _held_out(new), _held_out(old))


def _pair(title: str, pair: dict[str, Any], total: int) -> str:
    shares = f"{pair['new'] / total:>16.1%}{pair['old'] / total:>16.1%}"
    return (
        f"{title:<{WIDTH}}{shares}   {100 * pair['difference']:+.1f} "
        f"({100 * pair['low']:+.1f} to {100 * pair['high']:+.1f}), +{pair['gained']} "
        f"-{pair['lost']} (p = {pair['p']:.2g})"
    )


def _counts(title: str, new: Any, old: Any) -> str:
    return f"{title:<{WIDTH}}{new:>16}{old:>16}"


def _share(threshold: float | None) -> str:
    return "not promised" if threshold is None else f"{threshold:.3f}"


def _held_out(side: dict[str, Any]) -> str:
    shown = side["held_out"]
    return f"{shown['errors']} of {shown['rows']}" + (" (!)" if shown["refuted"] else "")


def _head(title: str) -> str:
    return f"{title:<{WIDTH}}{'rows':>6}{'right':>14}{'automatic':>14}{'errors':>12}"


def _slice(name: str, row: dict[str, Any]) -> str:
    new, old = row["new"], row["old"]
    cells = (f"{new[what]} / {old[what]}" for what in ("right", "automatic", "errors"))
    right, automatic, errors = cells
    return f"{name[: WIDTH - 1]:<{WIDTH}}{row['rows']:>6}{right:>14}{automatic:>14}{errors:>12}"


def objections(found: dict[str, Any]) -> list[str]:
    """Why the candidate should not become active, a sentence without its end each."""
    if not found["objections"]:
        return []
    new, old, rows = found["encoder"], found["against"]["name"], found["rows"]
    first, automatic, held = found["first"], found["automatic"], found["new"]["held_out"]
    target, confidence = found["target_precision"], found["confidence"]
    said = {
        "worse": f"its first choice is right on {first['new'] / rows:.1%} of {rows} rows, that of "
        f"{old} on {first['old'] / rows:.1%} (p = {first['p']:.2g})",
        "no_automation": f"nothing can be promised with it at {target:.1%}, and it is with {old}",
        "learnt": f"{new} was fine-tuned, and too few labelled rows are left that are no "
        "exemplars, which it may have learnt: compare on others (--calibration FILE)",
        "weaker": f"{target:.1%} right with confidence {confidence:.0%} is less than is promised "
        "today",
        "unkept": f"{held['errors']} errors in {held['rows']} rows that took no part in finding "
        f"its threshold refute the promise of {target:.1%} (confidence {confidence:.0%})",
        "fewer": f"it decides {automatic['new'] / rows:.1%} of {rows} rows without a person, "
        f"{old} {automatic['old'] / rows:.1%} (p = {automatic['p']:.2g})",
    }
    return [said.get(code, f"{new}: {code}") for code in found["objections"]]
