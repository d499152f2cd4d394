"""The figures of fits of the past as inline SVG, in the page's own colors and typeface."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

from .proportions import Proportion
from .time_figures import TimeFigures

#: Units of the drawing; it is as wide as its column, so these say how large the text is.
WIDTH, HEIGHT = 520, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 44, 12, 40, 44
#: How far the curves stand apart, so that their intervals do not hide each other.
_APART = 9
_STEPS = (0.01, 0.02, 0.05, 0.1, 0.2)


@dataclass(frozen=True, slots=True)
class Words:
    """What the drawing says, in the reader's language."""

    title: str
    first_choice: str
    automatic: str
    precision: str
    months: str


def draw(found: TimeFigures, words: Words, percent: Callable[[float], str]) -> str:
    """Three shares by the time since the fit with their intervals, and the target as a line.

    ``percent`` writes a share in whole percents. The page's style sheet gives --ours, --other,
    --guarantee and --faint.
    """
    curves = [
        (words.first_choice, "--ours", [each.first_choice for each in found.periods]),
        (words.automatic, "--other", [each.automatic for each in found.periods]),
        (words.precision, "--guarantee", [each.precision for each in found.periods]),
    ]
    lowest = min(
        [found.target.precision]
        + [each.interval[0] for _, _, curve in curves for each in curve if each.n]
    )
    step = next((step for step in _STEPS if (1 - lowest) / step <= 6), _STEPS[-1])
    bottom = int(lowest / step) * step

    def y(share: float) -> float:
        return _TOP + (1 - share) / (1 - bottom) * (HEIGHT - _TOP - _BOTTOM)

    places = [
        _LEFT + (number + 0.5) * (WIDTH - _LEFT - _RIGHT) / len(found.periods)
        for number in range(len(found.periods))
    ]
    parts = []
    for number in range(round((1 - bottom) / step) + 1):
        share = bottom + number * step
        parts.append(_line(_LEFT, y(share), WIDTH - _RIGHT, y(share), "--faint", 0.35))
        parts.append(_text(_LEFT - 6, y(share) + 4, percent(share), "end"))
    target = y(found.target.precision)
    parts.append(_line(_LEFT, target, WIDTH - _RIGHT, target, "--guarantee", 1, dashed=True))
    for number, (name, color, curve) in enumerate(curves):
        shift = (number - 1) * _APART
        parts += _curve([place + shift for place in places], curve, color, y)
        parts += _legend(number, name, color)
    parts += [
        _text(place, HEIGHT - _BOTTOM + 18, str(each.period), "middle")
        for place, each in zip(places, found.periods, strict=True)
    ]
    parts.append(_text((_LEFT + WIDTH - _RIGHT) / 2, HEIGHT - 6, words.months, "middle"))
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(words.title)}" '
        f'font-size="12" fill="currentColor">{"".join(parts)}</svg>'
    )


def _curve(
    places: Sequence[float],
    curve: Sequence[Proportion],
    color: str,
    y: Callable[[float], float],
) -> list[str]:
    points = [
        (x, y(each.share), y(each.interval[0]), y(each.interval[1]))
        for x, each in zip(places, curve, strict=True)
        if each.share is not None
    ]
    path = " ".join(f"{x:.1f},{middle:.1f}" for x, middle, _, _ in points)
    return [
        *(_line(x, low, x, high, color, 0.6) for x, _, low, high in points),
        f'<polyline points="{path}" fill="none" style="stroke:var({color})" stroke-width="1.6"/>',
        *(
            f'<circle cx="{x:.1f}" cy="{middle:.1f}" r="3.5" style="fill:var({color})"/>'
            for x, middle, _, _ in points
        ),
    ]


def _legend(number: int, name: str, color: str) -> list[str]:
    x = _LEFT + number * (WIDTH - _LEFT - _RIGHT) / 3
    return [
        f'<circle cx="{x + 4:.1f}" cy="14" r="4" style="fill:var({color})"/>',
        _text(x + 14, 18, name, "start"),
    ]


def _line(
    x: float, y: float, to_x: float, to_y: float, color: str, opacity: float, dashed: bool = False
) -> str:
    dashes = ' stroke-dasharray="5 4"' if dashed else ""
    return (
        f'<line x1="{x:.1f}" y1="{y:.1f}" x2="{to_x:.1f}" y2="{to_y:.1f}" '
        f'style="stroke:var({color})" stroke-opacity="{opacity}" stroke-width="1.3"{dashes}/>'
    )


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'
