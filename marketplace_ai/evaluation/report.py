"""The report of an evaluation: one HTML file that needs nothing else, and the figures as JSON."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from django.template import Context, Engine
from django.utils.safestring import mark_safe

from . import time_chart, time_output
from .confusions import confused_pairs
from .evaluate import Evaluation
from .figures import ScoredRow, first_choice_probabilities
from .metrics import bins, coverage_curve
from .output import BASELINES, guarantee_sentence, notes, percent
from .time_figures import TimeFigures
from .whole_file import unwritable, write_whole

HTML = "report.html"
JSON = "results.json"
#: Most confused pairs, worst rows, and matches of one row that are shown.
PAIRS, WORST, MATCHES = 25, 40, 5
TEMPLATE = Path(__file__).with_name("report.html")
TIME_WORDS = time_chart.Words(
    title="First choice, automatic share and precision by the months since the fit",
    first_choice="first choice correct",
    automatic="automatic",
    precision="of these correct",
    months="months since the fit",
)

Figures = Mapping[str, Any]


class ReportError(Exception):
    """The report could not be written; the message says why, and the cure."""


def check(folder: Path) -> None:
    """Refuse before any work is done what would fail after all of it."""
    if importlib.util.find_spec("matplotlib") is None:
        raise ReportError(
            "--report draws with matplotlib, which is not installed: "
            'pip install "matplotlib>=3.10" (the extra "report" of this project).'
        )
    if folder.exists() and not folder.is_dir():
        raise ReportError(f"--report {folder}: a file of that name is there. Name a folder.")
    if there := unwritable(folder):
        raise ReportError(f"--report {folder}: {there} cannot be written. Name another folder.")


def write(
    folder: Path, result: Evaluation, figures: Figures, by_time: TimeFigures | None = None
) -> None:
    """``report.html`` and ``results.json`` into ``folder``; each appears whole or not at all."""
    html = render(result, figures, by_time)
    data = json.dumps(figures, ensure_ascii=False, indent=1) + "\n"
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / HTML, html)
    write_whole(folder / JSON, data)


def render(result: Evaluation, figures: Figures, by_time: TimeFigures | None = None) -> str:
    """The page; every text that came from a file is escaped by the template."""
    from . import plots  # the only part that needs matplotlib

    probability, right = first_choice_probabilities(result.rows)
    named = [row.prediction.label is not None for row in result.rows]
    curve = coverage_curve(probability[named], right[named], len(result.rows))
    auto, finn = figures["auto"], figures["baselines"].get("finn", {})
    context = {
        "figures": figures,
        "name": Path(figures["files"]["test"]).name,
        "headline": _headline(figures),
        "guarantee": guarantee_sentence(figures),
        "notes": list(notes(figures)),
        "baselines": _compared(figures),
        "reliability": mark_safe(plots.reliability(bins(probability, right))),  # noqa: S308
        "coverage": mark_safe(  # noqa: S308 - drawn from numbers alone
            plots.coverage_precision(
                curve,
                auto["target_precision"],
                (auto["coverage"], auto["precision"]) if auto["n"] else None,
                (finn["coverage"], finn["precision"]) if finn.get("coverage") else None,
            )
        ),
        "by_time": None if by_time is None else _by_time(by_time),
        "pairs": confusions(result.rows),
        "kinds": _kinds(figures),
        "worst": [_shown(row, result) for row in worst(result.rows)],
        "errors": sum(_wrong(row) for row in result.rows),
        "ece": f"{figures['calibration']['ece']:.3f}",
        "brier": f"{figures['calibration']['brier']:.3f}",
    }
    # An engine of its own: the page must not hang on how a host configured its templates.
    template = Engine().from_string(TEMPLATE.read_text(encoding="utf-8"))
    return str(template.render(Context(context, use_l10n=False)))


def _by_time(found: TimeFigures) -> dict[str, Any]:
    return {
        "chart": mark_safe(time_chart.draw(found, TIME_WORDS, "{:.0%}".format)),  # noqa: S308 - escaped
        "cuts": ", ".join(f"{fit.cut:%Y-%m-%d}" for fit in found.fits),
        "target": f"{found.target.precision:.0%}",
        "conclusion": time_output.conclusion(found),
        "periods": [
            {
                "months": each.period,
                "n": each.rows,
                "accuracy": percent(each.first_choice.share),
                "change": time_output.change(each.first_choice_change),
                "coverage": percent(each.automatic.share),
                "precision": time_output.with_interval(each.precision),
                "support": each.precision.supports(found.target) or "-",
                "new": percent(each.new_category.share),
            }
            for each in found.periods
        ],
    }


def confusions(rows: Sequence[ScoredRow]) -> list[dict[str, Any]]:
    """The most confused categories, as the first of all choices said it."""
    found = confused_pairs(
        [row.true_labels for row in rows], [row.prediction.label for row in rows]
    )
    return [
        {
            "answer": pair.label,
            "given": pair.given,
            "n": pair.n,
            "of": pair.of,
            "share": percent(pair.share),
        }
        for pair in found[:PAIRS]
    ]


def worst(rows: Sequence[ScoredRow]) -> list[ScoredRow]:
    """Rows whose first choice of all is wrong, the surest first."""
    return sorted(
        (row for row in rows if _wrong(row)), key=lambda row: -row.prediction.probability
    )[:WORST]


def _wrong(row: ScoredRow) -> bool:
    return (row.prediction.label or "none") not in (row.true_labels or ("none",))


def _headline(figures: Figures) -> list[tuple[str, str, str]]:
    auto, above, none = figures["auto"], figures["auto_parent"], figures["none"]
    found = [
        ("first choice correct", percent(figures["accuracy"]), "of the rows that have a category"),
        ("among the first three", percent(figures["top3_accuracy"]), "of the same rows"),
        ("automatic", percent(auto["coverage"]), f"{auto['n']:,} of all rows"),
        ("of these correct", percent(auto["precision"]), f"{auto['errors']} errors"),
    ]
    if figures["parent_accuracy"] is not None:
        found.insert(1, ("parent correct", percent(figures["parent_accuracy"]), "of the same rows"))
    if above["n"]:
        found.append(
            ("automatic, parent only", percent(above["coverage"]), f"{above['errors']} errors")
        )
    if none["n"]:
        left = percent(none["rejected"] / none["n"])
        found.append(("fit none, left untagged", left, f"{none['rejected']} of {none['n']} rows"))
    return found


def _compared(figures: Figures) -> list[tuple[str, str, str, str]]:
    auto = figures["auto"]
    ours = (
        "this project", percent(figures["accuracy"]),
        percent(auto["coverage"]), percent(auto["precision"]),
    )  # fmt: skip
    return [
        ours,
        *(
            (
                BASELINES[name],
                percent(row["accuracy"]),
                percent(row["coverage"]) if "coverage" in row else "",
                percent(row["precision"]) if "precision" in row else "",
            )
            for name, row in figures["baselines"].items()
        ),
    ]


def _kinds(figures: Figures) -> list[dict[str, Any]]:
    return [
        {
            "name": kind or "(no kind)",
            "n": row["n"],
            "accuracy": percent(row["accuracy"]),
            "coverage": percent(row["auto"]["coverage"]),
            "precision": percent(row["auto"]["precision"]),
            "errors": row["auto"]["errors"],
        }
        for kind, row in figures["by_kind"].items()
    ]


def _shown(row: ScoredRow, result: Evaluation) -> dict[str, Any]:
    exemplars = result.exemplars
    return {
        "text": row.text,
        "line": row.line,
        "answers": " or ".join(row.true_labels) or "none",
        "given": row.prediction.label or "none",
        "probability": percent(row.prediction.probability),
        "outcome": row.prediction.outcome.replace("_", " "),
        "own": percent(row.prediction.head_share),
        "matches": [
            {
                "text": exemplars.texts[match.exemplar_id],
                "label": match.label or "none",
                "similarity": f"{match.similarity:.2f}",
                "share": percent(match.share),
            }
            for match in row.prediction.matches[:MATCHES]
        ],
    }
