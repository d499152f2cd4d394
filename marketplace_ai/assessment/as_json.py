"""An assessment as plain values, for ``assess --json``."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from marketplace_ai.evaluation import time_output
from marketplace_ai.text.bad_rows import MAX_LISTED

from .assess import Assessment
from .coverage import TargetCoverage
from .first_choice import FirstChoice
from .savings import Workload


def as_json(found: Assessment) -> dict[str, Any]:
    """The figures; of long lists the counts (``n``) and at most ``MAX_LISTED`` entries."""
    return {
        "rows": found.rows,
        "families": found.families,
        "held_out": found.held_out,
        "since": None if found.since is None else found.since.isoformat(),
        "newcomers": found.newcomers,
        "without_category": found.without_category,
        "first_choice": _first_choice(found.first_choice),
        "first_choice_held_out": _first_choice(found.first_choice_held_out),
        "coverages": [_coverage(each, found.workload) for each in found.coverages],
        "by_time": None if found.by_time is None else time_output.as_json(found.by_time),
        "workload": None if found.workload is None else asdict(found.workload),
        "suspected_labels": _listed([asdict(each) for each in found.suspects]),
        "confused_pairs": _listed([asdict(each) for each in found.pairs]),
        "categories": [{**asdict(each), "missing": each.missing} for each in found.categories],
        "near_duplicates": asdict(found.repeats),
        "contradictions": _listed([str(each) for each in found.contradictions]),
        "blank": _listed(list(found.blank)),
    }


def _listed(values: list[Any]) -> dict[str, Any]:
    return {"n": len(values), "first": values[:MAX_LISTED]}


def _first_choice(found: FirstChoice) -> dict[str, Any]:
    return {**asdict(found), "share": found.share}


def _coverage(found: TargetCoverage, workload: Workload | None) -> dict[str, Any]:
    values = asdict(found)
    target = values.pop("target")
    return {
        "target_precision": target["precision"],
        "confidence": target["confidence_level"],
        **values,
        "coverage": found.coverage,
        "interval": found.interval,
        "precision": found.precision,
        "hours_saved": None if workload is None else workload.hours_saved(found.coverage),
    }
