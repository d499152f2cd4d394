"""Comparison reports to JSON and back."""

from __future__ import annotations

import json
from typing import Any

import pytest

from marketplace_ai.comparison.report import (
    ActiveEncoder,
    CategorySlice,
    ChangedRow,
    ComparisonReport,
    Counts,
    EncoderComparison,
    FailedCheck,
    GuaranteeScope,
    HeldOutCheck,
    ModelSummary,
    NotCompared,
    PairedDifference,
    ReportError,
    RowPrediction,
    Slice,
    UnlikeRows,
    VersionComparison,
    VersionReport,
)

COUNTS = Counts(correct=90, automatic=60, errors=1)
SUMMARY = ModelSummary(0.9, 60, 1, 3, 2, HeldOutCheck(55, 1, refuted=False))
PAIR = PairedDifference(90, 91, 2, 3, 0.5, -0.01, -0.04, 0.02)
RESULTS = EncoderComparison(
    rows=100, groups=99, rows_with_parent=80, none_rows=5, new=SUMMARY, old=SUMMARY,
    first_choice=PAIR, parent=PAIR, none_recognized=PAIR, automatic=PAIR,
    categories=(
        CategorySlice(
            "3", 10, COUNTS, COUNTS, 1, 0, 1.0, GuaranteeScope.NONE, GuaranteeScope.OWN, True
        ),
    ),
    kinds=(Slice("app", 50, COUNTS, COUNTS, 0, 1, 0.5),),
    changed=1,
    changes=(
        ChangedRow(
            "Male stue", "3",
            RowPrediction(None, 0.4, "review"), RowPrediction("3", 0.9, "automatic"),
        ),
    ),
    unlike=UnlikeRows(150, 2, first_choice=PAIR, automatic=PAIR, harmless=PAIR),
)  # fmt: skip
REPORT = ComparisonReport(
    encoder="small", compared_at="2026-11-01T12:00:00+00:00", target_precision=0.97,
    confidence=0.95, calibrated_on="postings", active_encoder=ActiveEncoder(1, "bundled", 7),
    results=RESULTS, failed_checks=(FailedCheck.ACCURACY_DROP, FailedCheck.COVERAGE_DROP),
    left_out=4, kinds_given=True, version=8,
)  # fmt: skip
FIRST = ComparisonReport("small", "2026-11-01T12:00:00+00:00", 0.97, 0.95, "exemplars")
VERSIONS = [
    VersionReport(None, not_compared=NotCompared.FIRST_VERSION),
    VersionReport(
        7,
        failed_checks=(FailedCheck.NO_THRESHOLD,),
        results=VersionComparison(100, 0, COUNTS, COUNTS, 1, 2, 0.7, 3, 4, 0.8),
    ),
]


def stored(report: ComparisonReport | VersionReport) -> dict[str, Any]:
    """As a JSON column returns it."""
    return dict(json.loads(json.dumps(report.as_dict())))


@pytest.mark.parametrize("report", [REPORT, FIRST])
def test_a_report_survives_json(report: ComparisonReport) -> None:
    assert ComparisonReport.from_dict(stored(report)) == report


@pytest.mark.parametrize("report", VERSIONS)
def test_a_version_report_survives_json(report: VersionReport) -> None:
    assert VersionReport.from_dict(stored(report)) == report


def test_the_texts_may_be_missing() -> None:
    values = stored(REPORT)
    del values["changes"]
    results = ComparisonReport.from_dict(values).results
    assert results is not None
    assert (results.changed, results.changes) == (1, ())


@pytest.mark.parametrize(
    "change",
    [
        {"failed_checks": ["worse"]},
        {"objections": []},
        {"new": {**stored(REPORT)["new"], "speed": 1}},
        {"kinds": [{"name": "app"}]},
    ],
)
def test_what_no_report_has_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ReportError):
        ComparisonReport.from_dict({**stored(REPORT), **change})


def test_what_a_report_lacks_is_refused() -> None:
    for report in (REPORT, FIRST, *VERSIONS):
        for name in stored(report).keys() - {"changes", "not_compared"}:
            values = {key: value for key, value in stored(report).items() if key != name}
            with pytest.raises(ReportError):
                type(report).from_dict(values)


def test_names_are_filled_in_and_texts_cut() -> None:
    named = RESULTS.named({"3": ("maling", "Painting")}, max_text_length=4)
    assert (named.categories[0].key, named.categories[0].name) == ("maling", "Painting")
    (change,) = named.changes
    assert (change.text, change.label_name) == ("Male", "Painting")
    assert (change.new.name, change.old.name) == (None, "Painting")
