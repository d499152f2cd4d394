"""The comparison of a new classifier with the one in force, in words for a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

NOT_COMPARED = {
    "first": "It is the first one.",
    "unreadable": "Not compared: the bytes of version {version} cannot be used.",
    "learnt": "Not compared: version {version} has learnt from all of the labelled rows.",
}


def lines(comparison: dict[str, Any]) -> Iterator[str]:
    """Both on the same rows, a line each."""
    if "not_compared" in comparison:
        yield NOT_COMPARED[comparison["not_compared"]].format(**comparison)
        return
    rows = comparison["rows"]
    left_out = comparison["left_out"]
    others = f"; {left_out} more, from which it has learnt, left out" if left_out else ""
    yield f"Compared with version {comparison['version']} on {rows} labelled rows{others}:"
    yield f"{'':<10}{'right':>8}{'automatic':>11}{'errors':>8}"
    for name, title in (("new", "new"), ("old", "in force")):
        shown = comparison[name]
        right, automatic = shown["right"] / rows, shown["automatic"] / rows
        yield f"{title:<10}{right:>8.1%}{automatic:>11.1%}{shown['errors']:>8}"
    yield (
        f"Right where the other is wrong: new {comparison['gained']}, in force "
        f"{comparison['lost']} (p = {comparison['p_worse']:.2g} for so many by chance)."
    )


def objection(comparison: dict[str, Any]) -> str:
    """Why the new one was not put in force, as the beginning of a sentence."""
    version = comparison["version"]
    code = comparison["objections"][0]
    if code == "no_automation":
        return f"It promises no category without a person, and version {version} does"
    rows, new, old = comparison["rows"], comparison["new"], comparison["old"]
    if code == "worse":
        return (
            f"Its first answer is right on {new['right'] / rows:.1%} of {rows} labelled rows, that "
            f"of version {version} on {old['right'] / rows:.1%} (p = {comparison['p_worse']:.2g})"
        )
    return (
        f"It decides {new['automatic'] / rows:.1%} of {rows} labelled rows without a person, "
        f"version {version} {old['automatic'] / rows:.1%} (p = {comparison['p_fewer']:.2g})"
    )
