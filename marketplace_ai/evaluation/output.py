"""The figures of an evaluation as text for a terminal."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

from marketplace_ai.text.family_sizes import FamilySizes

Figures = Mapping[str, Any]

#: The name of each baseline in the table.
BASELINES = {
    "nearest": "single nearest exemplar by embedding",
    "vote": "vote of the exemplars by embedding alone",
    "lexical": "single nearest exemplar by text",
    "finn": "10 nearest by text, answered where 6 agree (FINN)",
    "logistic": "logistic regression on embeddings",
    "logistic_both": "logistic regression on embeddings and text",
}


def percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.1%}"


def notes(figures: Figures) -> Iterator[str]:
    """What a reader of the figures must know, a sentence each."""
    if cut := figures.get("by_time", {}).get("since"):
        yield f"The test rows are those since {cut[:10]}; the fit learned what came before."
    if figures["calibrated_on"] == "exemplars":
        yield (
            "Probabilities and thresholds were cross-fitted on the training rows, for want of "
            "--calibration: they hold for postings that look like those, and for no others."
        )
    sizes = FamilySizes(**figures["calibration_family_sizes"])
    if sizes.families < sizes.rows:
        yield sizes.sentence(_kind(figures))
    if figures["categories"] == 1:
        yield "All training rows with a category have the same one: there is nothing to tell apart."
    if count := figures["unknown_categories"]:
        yield f"{count} test rows have only categories without a training row; they count as wrong."
    if count := figures["several_answers"]:
        yield f"{count} training or calibration rows have several answers; the first counted."
    if count := figures["seen_in_training"]:
        yield (
            f"{count} test rows have a text that is also a training or calibration row, perhaps in "
            "other capitals, blanks or punctuation; such rows flatter the figures."
        )
    if kin := _kin(figures):
        yield kin
    for name, count in figures["contradictory_texts"].items():
        if count and name == "across":
            yield f"{count} texts have another label in one of the files than in another."
        elif count:
            yield (
                f"{count} texts of the {name} rows have several labels, so that not all of them "
                "can be right."
            )


def _kin(figures: Figures) -> str:
    """How many test rows are kin of what was learned from, and the figures of the others."""
    near, family = figures["near_duplicates_of_training"], figures["families_of_training"]
    if not near and not family:
        return ""
    counted = f"{near} test rows are near-duplicates of training or calibration rows"
    if family is not None:
        counted += f", {family} are of their families"
    rest = figures["without_them"]
    if rest is None:
        return f"{counted}; no row is left without them, so these figures say nothing of new texts."
    auto = rest["auto"]
    return (
        f"{counted}; without them, of {rest['n']:,} rows: first choice correct "
        f"{percent(rest['accuracy'])}, automatic {percent(auto['coverage'])}, of these correct "
        f"{percent(auto['precision'])}."
    )


def guarantee_sentence(figures: Figures) -> str:
    """The guarantee before the test rows were seen, and whether they refute it."""
    auto = figures["auto"]
    target = (
        f"{auto['target_precision']:.0%} precision at confidence level {figures['confidence']:.0%}"
    )
    if not figures["promised_coverage"]:
        return f"Guaranteed: nothing. No threshold proves {target} on {_rows(figures)}."
    text = f"Guaranteed: {target}, for {figures['promised_coverage']:.0%} of {_rows(figures)}."
    if auto["n"]:
        verdict = "refute" if auto["p_value"] < 0.05 else "do not refute"
        text += f" The test rows {verdict} it (exact binomial, p = {auto['p_value']:.2g})."
    return text


def _rows(figures: Figures) -> str:
    return f"{figures['calibration_rows']:,} {_kind(figures)}"


def _kind(figures: Figures) -> str:
    return "labeled postings" if figures["calibrated_on"] == "postings" else "training rows"


def summary(figures: Figures, *, width: int = 88) -> str:
    """A table of our figures and the baselines', then what is automatic, guaranteed and noted."""
    text = io.StringIO()
    console = Console(file=text, width=width, highlight=False, markup=False)
    console.print(
        f"{figures['n']:,} test rows; {figures['exemplars']:,} exemplars of "
        f"{figures['categories']} categories; encoder {figures['encoder']['name']}, "
        f"{figures['encoder']['dtype']}"
    )
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("first choice correct, of rows that have a category")
    for title in ("accuracy", "automatic", "of these correct"):
        table.add_column(title, justify="right", no_wrap=True)
    auto = figures["auto"]
    table.add_row(
        "this project", percent(figures["accuracy"]),
        percent(auto["coverage"]), percent(auto["precision"]),
    )  # fmt: skip
    for name, found in figures["baselines"].items():
        cells = (
            [percent(found["coverage"]), percent(found["precision"])] if "coverage" in found else []
        )
        table.add_row(BASELINES[name], percent(found["accuracy"]), *cells)
    console.print(table)
    for line in _lines(figures):
        console.print(line)
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines())


def _lines(figures: Figures) -> Iterator[str]:
    auto, above, none = figures["auto"], figures["auto_parent"], figures["none"]
    parent = (
        f"parent correct {percent(figures['parent_accuracy'])}, "
        if figures["parent_accuracy"] is not None
        else ""
    )
    yield f"{parent}correct among the first three {percent(figures['top3_accuracy'])}"
    yield f"automatic: {auto['n']:,} leaves with {auto['errors']} errors" + (
        f"; {above['n']:,} parents with {above['errors']} errors" if above["n"] else ""
    )
    if none["n"]:
        yield (
            f"rows that fit no category: {none['n']:,}, of them {none['rejected']:,} left untagged "
            f"and {none['recognized']:,} recognized as such"
        )
    found = figures["calibration"]
    yield f"calibration error {found['ece']:.3f} (15 bins), Brier score {found['brier']:.3f}"
    if figures["by_kind"]:
        for kind, row in figures["by_kind"].items():
            yield (
                f"  {kind or '(no kind)'}: {row['n']:,} rows, correct {percent(row['accuracy'])}, "
                f"automatic {percent(row['auto']['coverage'])} with {row['auto']['errors']} errors"
            )
    seconds = figures["seconds"]
    yield (
        f"seconds: encode {seconds['encode']:.1f}, fit {seconds['fit']:.1f}, "
        f"predict {seconds['predict']:.1f}"
    )
    yield guarantee_sentence(figures)
    for note in notes(figures):
        yield f"Note: {note}"
