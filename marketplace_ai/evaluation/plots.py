"""The report's two plots as inline SVG: real text, and colors that the page decides."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from .metrics import Bin, Curve, interval

# Colors that stand for what the page's style sheet says, in light and in dark.
INK, FAINT, OURS, GUARANTEE, OTHER = "#010203", "#010204", "#010205", "#010206", "#010207"
_OF_PAGE = {
    INK: "currentColor",
    FAINT: "var(--faint)",
    OURS: "var(--ours)",
    GUARANTEE: "var(--guarantee)",
    OTHER: "var(--other)",
}
#: Inches; narrow enough that the text stays readable on a telephone.
SIZE = (4.6, 3.8)
_STYLE: Any = {
    "svg.fonttype": "none",
    "font.size": 10,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "text.color": INK,
    "axes.grid": True,
    "grid.color": FAINT,
    "grid.alpha": 0.35,
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "legend.fontsize": 9,
}


def reliability(found: list[Bin]) -> str:
    """Predicted probability against accuracy, one point per bin, with 95% intervals."""

    def draw(axes: Axes) -> None:
        axes.plot(
            [0, 1], [0, 1], color=FAINT, linestyle="--", linewidth=1, label="perfectly calibrated"
        )
        for part in found:
            low, high = interval(round(part.right * part.n), part.n)
            axes.plot([part.probability] * 2, [low, high], color=OURS, linewidth=1.2, alpha=0.5)
        axes.plot(
            [part.probability for part in found], [part.right for part in found],
            color=OURS, marker="o", markersize=4.5, linestyle="", label="rows, in 15 equal bins",
        )  # fmt: skip
        axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
        axes.set_xlabel("predicted probability")
        axes.set_ylabel("share that was correct")
        axes.legend(loc="upper left")

    return _svg(draw, "reliability", "Reliability: predicted probability against share correct")


def coverage_precision(
    curve: Curve,
    target_precision: float,
    operating: tuple[float, float] | None,
    other: tuple[float, float] | None,
) -> str:
    """Precision of the most probable rows by their share, with the target and what was automatic.

    ``operating`` and ``other`` (FINN's rule) are (coverage, precision), None: nothing answered.
    """

    def draw(axes: Axes) -> None:
        shown = [target_precision, *(point[1] for point in (operating, other) if point)]
        # The first few rows make any curve jump; it starts where a percent is decided.
        steady = curve.coverage >= min(0.01, curve.coverage[-1]) if len(curve.coverage) else []
        coverage, precision = curve.coverage[steady], curve.precision[steady]
        axes.plot(coverage, precision, color=OURS, linewidth=1.6, label="most probable rows first")
        axes.axhline(target_precision, color=GUARANTEE, linestyle="--", linewidth=1.2)
        axes.annotate(
            f"target {target_precision:.0%}", (0.01, target_precision), (0, -11),
            textcoords="offset points", color=GUARANTEE, fontsize=9,
        )  # fmt: skip
        if operating:
            axes.plot(*operating, color=GUARANTEE, marker="o", markersize=7, linestyle="",
                      label="automatic")  # fmt: skip
        if other:
            axes.plot(*other, color=OTHER, marker="s", markersize=6, linestyle="",
                      label="FINN's rule")  # fmt: skip
        lowest = min([*shown, *(precision.tolist() or [1.0])])
        axes.set(xlim=(0, 1.02), ylim=(max(0.0, lowest - 0.06), 1.01))
        axes.set_xlabel("coverage: share of all rows")
        axes.set_ylabel("precision: correct, of these")
        axes.legend(loc="lower left")

    return _svg(draw, "coverage", "Precision by coverage, with the target")


def _svg(draw: Callable[[Axes], None], salt: str, label: str) -> str:
    with mpl.rc_context({**_STYLE, "svg.hashsalt": salt}):
        figure = Figure(figsize=SIZE, layout="constrained")
        figure.patch.set_visible(False)
        axes = figure.add_subplot()
        axes.patch.set_visible(False)
        draw(axes)
        axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        axes.yaxis.set_major_formatter(PercentFormatter(1.0))
        out = io.StringIO()
        figure.savefig(out, format="svg", metadata={"Date": None})
    return for_page(out.getvalue(), label)


def for_page(svg: str, label: str) -> str:
    """A drawing as a part of a page: no header, metadata, style sheet or fixed size; groups
    without ids (two drawings would share them); the page's own colors and typeface."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<(metadata|style)\b.*?</\1>", "", svg, flags=re.S)
    svg = re.sub(r'<g id="[^"]*"', "<g", svg)
    svg = re.sub(r"font: ([\d.]+px) [^;\"]*", r"font-size: \1", svg)
    for color, of_page in _OF_PAGE.items():
        svg = svg.replace(color, of_page)
    box = re.search(r'viewBox="[^"]*"', svg)
    start = f'<svg {box[0] if box else ""} role="img" aria-label="{label}" xmlns:xlink='
    return re.sub(r"<svg\b[^>]*>", f'{start}"http://www.w3.org/1999/xlink">', svg, count=1)
