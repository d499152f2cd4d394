"""A plan of labels as lines for people, as keys for programs and as a table."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from django.urls import NoReverseMatch, reverse

from marketplace_ai.fitting.label_plan import (
    FIRST_GUARANTEE,
    HALF,
    SHARE_OF_ALL,
    Goal,
    LabelPlan,
    PlannedPosting,
)
from marketplace_ai.labeling.goals import Needed, Reason
from marketplace_ai.models import get_job_model
from marketplace_ai.text.normalize import one_line

#: Postings and categories that are listed on a terminal; --json and --csv have all.
LISTED = 20
_TEXT = 60

TITLES = {
    SHARE_OF_ALL: "95% of the first choice that all labels would give",
    FIRST_GUARANTEE: "the first guarantee",
    HALF: "50% automatic",
}
REASONS = {
    Reason.EXTRAPOLATED: "the learning curve of fits on ever more of the labels, continued",
    Reason.RESAMPLED: "audits drawn from out-of-fold predictions for the labels",
    Reason.REACHED: "reached",
    Reason.TOO_FEW_LABELS: "too few labels to see a learning curve",
    Reason.DOES_NOT_FALL: "the errors do not become fewer with more of the labels",
    Reason.TOO_FAR: "more than ten times the labels that the curve was seen at",
    Reason.TOO_OFTEN_WRONG: "as often as it is wrong now, hardly an audit would prove it",
}


def lines(plan: LabelPlan) -> Iterator[str]:
    """What there is to do, the next postings first."""
    if plan.encoder is None:
        yield "There is no encoder yet, so nothing can be compared: start a worker first."
    elif not plan.waiting and not plan.audited:
        yield "No posting waits for review."
    else:
        yield _waiting(plan)
    for number, each in enumerate(plan.postings[:LISTED], start=1):
        sure = f"{each.category} {each.probability:.0%}" if each.category else "no proposal"
        yield f"{number:>4}  {sure:<34} {one_line(each.text)[:_TEXT]}  {url(each) or each.posting}"
    if len(plan.postings) > LISTED:
        yield f"      … and {len(plan.postings) - LISTED} more (--json, --csv)"
    yield (
        f"{len(plan.lacking)} of {plan.categories} categories lack rows"
        + (":" if plan.lacking else ".")
    )
    for category in plan.lacking[:LISTED]:
        yield (
            f"  {category.label[:40]:<40} {category.exemplars} labeled, {category.missing} more to "
            f"be learned as the others are; about {category.waiting} wait"
        )
    if len(plan.lacking) > LISTED:
        yield f"  … and {len(plan.lacking) - LISTED} more (--json)"
    yield (
        f"{plan.labeled} labels ({plan.answers} of them answers), {plan.counted} answers of the "
        "random audit that count. More answers needed, with the interval of 90%:"
    )
    for goal in plan.goals:
        yield f"  to {TITLES[goal.name]}"
        yield f"    to teach: {_needed(goal.teach)}"
        if goal.name != SHARE_OF_ALL:
            yield f"    of the audit: {_needed(goal.audit)}"
    yield (
        "The answers that teach are meant at random: those listed here teach more. Only answers of "
        "the random audit count toward a guarantee."
    )


def _waiting(plan: LabelPlan) -> str:
    text = f"{plan.waiting:,} postings wait for review"
    if plan.compared < plan.waiting:
        text += f", {plan.compared:,} of them were compared"
    if plan.audited:
        text += f"; {plan.audited:,} more wait in the audit, and are answered there"
    return f"{text}. These teach most:" if plan.postings else f"{text}."


def _needed(needed: Needed | None) -> str:
    if needed is None:
        return "not known"
    reason = REASONS[needed.reason]
    if needed.answers is None:
        low = "" if needed.low is None else f", at least {needed.low:,}"
        return f"not known{low} ({reason})"
    if needed.reason is Reason.REACHED:
        return "none: reached"
    high = "no end" if needed.high is None else f"{needed.high:,}"
    return f"{needed.answers:,} ({needed.low:,} to {high}; {reason})"


def url(posting: PlannedPosting) -> str | None:
    """The path of the posting's page in admin, from which the next one opens; None without one."""
    meta = get_job_model()._meta
    try:
        name = f"admin:{meta.app_label}_{meta.model_name}_change"
        return f"{reverse(name, args=[posting.posting])}?_review=rank"
    except NoReverseMatch:
        return None


def as_json(plan: LabelPlan) -> dict[str, Any]:
    """Everything, under names that stay."""
    return {
        "encoder": plan.encoder,
        "waiting": plan.waiting,
        "compared": plan.compared,
        "audited": plan.audited,
        "labeled": plan.labeled,
        "answers": plan.answers,
        "answers_counted": plan.counted,
        "next": [_row(number, each) for number, each in enumerate(plan.postings, start=1)],
        "categories": plan.categories,
        "lacking": [
            {**asdict(each), "missing": each.missing,
             "missing_for_guarantee": each.missing_for_guarantee}
            for each in plan.lacking
        ],
        "goals": {goal.name: _goal(goal) for goal in plan.goals},
    }  # fmt: skip


def _goal(goal: Goal) -> dict[str, Any]:
    return {
        name: None if needed is None else {**asdict(needed), "rests_on": REASONS[needed.reason]}
        for name, needed in (("teach", goal.teach), ("audit", goal.audit))
    }


def as_csv(plan: LabelPlan) -> str:
    """The next postings as a table. It holds no text: a text may be a formula to Excel."""
    out = io.StringIO()
    columns = ("rank", "posting", "decision", "category", "probability", "url")
    writer = csv.DictWriter(out, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(_row(number, each) for number, each in enumerate(plan.postings, start=1))
    return out.getvalue()


def _row(number: int, each: PlannedPosting) -> dict[str, Any]:
    return {
        "rank": number,
        "posting": each.posting,
        "decision": each.decision,
        "category": each.category,
        "probability": round(each.probability, 4),
        "url": url(each),
    }
