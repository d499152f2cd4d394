"""Numbers and sentences of the page, in the language that is active."""

from __future__ import annotations

from django.utils.formats import date_format, number_format
from django.utils.translation import gettext as _

from marketplace_ai.text.contradictions import shortened

from .assess import Assessment
from .coverage import TargetCoverage
from .savings import Workload


def number(value: float, decimals: int = 0) -> str:
    """A number as the page's language writes it."""
    # Django cuts off what it does not show.
    return str(number_format(round(value, decimals), decimals, force_grouping=True))


def percent(share: float | None, decimals: int = 1) -> str:
    """A share as the page's language writes it; a dash for a share of nothing."""
    if share is None:
        return "-"
    return _("%(number)s%%") % {"number": number(100 * share, decimals)}


def hours(value: float) -> str:
    """Hours, to a tenth where they are few."""
    return number(value, 0 if value >= 10 else 1)


def summary(found: Assessment, usual: TargetCoverage) -> str:
    """The answer in two sentences."""
    target = percent(usual.target.precision, 0)
    if usual.threshold is None:
        text = _(
            "At a target precision of %(target)s nothing can be automatic yet: of the %(rows)s "
            "surest postings %(errors)s have another label."
        ) % {"target": target, "rows": number(usual.rows), "errors": number(usual.errors)}
        return f"{text} {_cure(found)}"
    return _(
        "Of 100 new postings like these, about %(automatic)s need no person, and a guarantee says "
        "that %(target)s of those or more are right. The others come with a proposal."
    ) % {"automatic": number(100 * usual.coverage), "target": target}


def _cure(found: Assessment) -> str:
    lacking, categories = len(found.lacking), len(found.categories)
    if 2 * lacking > categories:
        return _(
            "%(lacking)s of %(categories)s categories have too few postings to learn from: add "
            "some."
        ) % {"lacking": number(lacking), "categories": number(categories)}
    return _("Correct the labels below that are wrong, or add postings.")


def measured(found: Assessment) -> str:
    """How the postings were divided, and who judges whom."""
    values = {
        "held_out": number(found.held_out),
        "older": number(found.rows - found.held_out),
        "families": number(found.families),
    }
    if found.since is None:
        text = _(
            "Every posting is predicted by a fit that saw neither it nor anything of its family; "
            "%(families)s are left if kin count once. %(held_out)s postings, drawn at random "
            "with their families, judge what was fitted and proven on the other %(older)s: no "
            "dates were given that could tell the newest."
        )
        return text % values
    return _(
        "Every posting is predicted by a fit that saw neither it nor anything of its family; "
        "%(families)s are left if kin count once. The newest %(held_out)s postings, since "
        "%(since)s, judge what was fitted and proven on the other %(older)s."
    ) % {**values, "since": date_format(found.since, "DATE_FORMAT")}


def rests_on(each: TargetCoverage) -> str:
    """What proves a target, or what is missing."""
    values = {
        "rows": number(each.rows), "errors": number(each.errors),
        "bound": percent(each.error_bound), "needed": number(each.rows_needed),
        "level": percent(each.target.confidence_level, 0),
    }  # fmt: skip
    if each.threshold is None:
        return (
            _(
                "Nothing: %(errors)s wrong in the %(rows)s surest; %(needed)s more right ones "
                "would prove it."
            )
            % values
        )
    return (
        _(
            "%(errors)s wrong in the %(rows)s surest: at most %(bound)s are, at a confidence level "
            "of %(level)s."
        )
        % values
    )


def assumption(workload: Workload | None) -> str:
    """What the saved hours assume."""
    if workload is None:
        return _("Say with --per-month how many postings come in to see the hours saved.")
    values = {
        "n": number(workload.per_month),
        "seconds": number(workload.seconds, 0 if workload.seconds == int(workload.seconds) else 1),
    }
    if workload.measured:
        text = _(
            "Assumed: %(n)s postings a month, the rate of these dates; a person takes "
            "%(seconds)s seconds for each, and none for one that is automatic."
        )
    else:
        text = _(
            "Assumed: %(n)s postings a month, as stated; a person takes %(seconds)s seconds for "
            "each, and none for one that is automatic."
        )
    return text % values


def out_of_scope(found: Assessment) -> str:
    """What is known about postings that fit no category."""
    if not found.without_category:
        return _(
            "All of this is about postings that have a category. What would be made of those that "
            "fit none is unknown, because none is among these."
        )
    return _("Among them are %(n)s postings that fit no category.") % {
        "n": number(found.without_category)
    }


def repeats_sentence(found: Assessment) -> str:
    """The near-duplicates; empty where there are none."""
    repeats = found.repeats
    if not repeats.rows:
        return ""
    return _(
        "%(rows)s postings nearly repeat each other, in %(groups)s texts; %(several)s of these "
        "texts have several labels. Most often, %(largest)s times: “%(text)s”."
    ) % {
        "rows": number(repeats.rows), "groups": number(repeats.groups),
        "several": number(repeats.several_labels), "largest": number(repeats.largest),
        "text": shortened(repeats.text),
    }  # fmt: skip
