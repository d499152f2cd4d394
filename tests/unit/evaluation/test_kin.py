"""Test rows that are kin of training rows are counted, and the figures are given without them."""

from __future__ import annotations

import numpy as np

from marketplace_ai.classifier.near_duplicates import has_near_duplicate
from marketplace_ai.evaluation.evaluate import BLANK_PREDICTION
from marketplace_ai.evaluation.figures import ScoredRow
from marketplace_ai.evaluation.kin import kin_figures
from marketplace_ai.evaluation.output import notes
from marketplace_ai.guarantee.target import DEFAULT_TARGET
from marketplace_ai.text.labeled_csv import LabeledRows

TAUGHT = [
    "Skal male stue og gang, omtrent førti kvadratmeter med tak",
    "Klippe plenen hver uke gjennom hele sommeren",
    "...",
]


def rows(texts: list[str], families: list[str] | None = None) -> LabeledRows:
    lines = range(2, len(texts) + 2)
    return LabeledRows("x.csv", lines, texts, [("a",)] * len(texts), None, {}, families or [])


def kin(test: LabeledRows, *learned: LabeledRows) -> dict[str, object]:
    scored = [
        ScoredRow(text, line, ("a",), None, BLANK_PREDICTION)
        for text, line in zip(test.texts, test.lines, strict=True)
    ]
    return kin_figures(test, learned, scored, {}, DEFAULT_TARGET)


def test_capitals_marks_and_typos_make_no_new_text() -> None:
    texts = [
        TAUGHT[0].upper(),
        TAUGHT[0].replace(" ", "  "),
        f"{TAUGHT[0]}!!",
        TAUGHT[0].replace("stue", "stua"),
        f"{TAUGHT[1]} 2026",
        "Legge fliser på badet",
        "Klippe",
    ]
    assert has_near_duplicate(texts, TAUGHT).tolist() == [True] * 5 + [False] * 2
    found = kin(rows(texts), rows(TAUGHT))
    assert found["seen_in_training"] == 3
    assert found["near_duplicates_of_training"] == 5
    assert found["families_of_training"] is None
    assert found["without_them"]["n"] == 2  # type: ignore[index]


def test_near_duplicates_in_the_calibration_file_and_named_families_count() -> None:
    test = rows(["Beskjære epletre", "Prune the apple tree", "Rør"], ["f1", "f1", "f2"])
    found = kin(test, rows(["Elbil"], ["f3"]), rows(["Beskjære epletre!"], ["f1"]))
    assert found["near_duplicates_of_training"] == 1
    assert found["families_of_training"] == 2
    assert found["without_them"]["n"] == 1  # type: ignore[index]
    assert kin(test, rows(["Elbil"], ["f3"]))["families_of_training"] == 0


def test_blank_texts_are_no_kin_and_kin_alone_leave_nothing() -> None:
    found = kin(rows(["???", "...", "Legge fliser"]), rows(TAUGHT))
    assert (found["near_duplicates_of_training"], found["without_them"]) == (0, None)
    found = kin(rows(TAUGHT[:2]), rows(TAUGHT))
    assert (found["near_duplicates_of_training"], found["without_them"]) == (2, None)


def test_the_comparison_runs_in_blocks_and_over_nothing() -> None:
    many = [f"tekst nummer {number}" for number in range(1200)]
    assert has_near_duplicate(many, [many[1100]])[1100]
    assert not has_near_duplicate([], many).size
    assert not has_near_duplicate(["a"], []).any()
    assert np.array_equal(has_near_duplicate(["?"], [""]), [False])


def test_the_note_has_the_figures_without_them() -> None:
    figures = {
        "calibrated_on": "postings", "calibration_groups": 1, "calibration_rows": 1,
        "calibration_family_sizes": {"rows": 1, "families": 1, "largest": 1},
        "categories": 2, "unknown_categories": 0, "several_answers": 0, "seen_in_training": 0,
        "near_duplicates_of_training": 36, "families_of_training": 2, "contradictory_texts": {},
        "without_them": {
            "n": 60, "accuracy": 0.85, "auto": {"coverage": 0.4, "precision": 0.975},
        },
    }  # fmt: skip
    [note] = notes(figures)
    assert note == (
        "36 test rows are near-duplicates of training or calibration rows, 2 are of their "
        "families; without them, of 60 rows: first choice correct 85.0%, automatic 40.0%, of these "
        "correct 97.5%."
    )
