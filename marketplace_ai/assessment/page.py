"""The assessment as one page that loads nothing else, in the language that is active."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.template import Context, Engine
from django.utils.formats import date_format, number_format
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from marketplace_ai.evaluation.whole_file import unwritable, write_whole
from marketplace_ai.text.bad_rows import LeftOut
from marketplace_ai.text.contradictions import shortened

from .assess import Assessment
from .coverage import TargetCoverage
from .savings import Workload

TEMPLATE = Path(__file__).with_name("page.html")
#: Entries that the page shows of each list.
SUSPECTS, PAIRS, CONTRADICTIONS, PLACES = 60, 25, 10, 30
#: Characters of a text that it shows.
LONGEST_TEXT = 280


class PageError(Exception):
    """The page cannot be written; the message says why, and the cure."""


@dataclass(frozen=True, slots=True)
class Setting:
    """What was assessed, and with which encoder."""

    source: str
    encoder: str
    left_out: LeftOut


def check(file: Path, *, force: bool) -> None:
    """Refuse before any work is done what would fail after all of it."""
    if file.is_dir():
        raise PageError(f"--html {file}: a folder of that name is there. Name a file.")
    if file.exists() and not force:
        raise PageError(f"--html {file}: it is there already. Name another file, or add --force.")
    if there := unwritable(file.parent):
        raise PageError(f"--html {file}: {there} cannot be written. Name another folder.")


def write(file: Path, found: Assessment, setting: Setting) -> None:
    """Write the page whole; OSError where it cannot be written."""
    html = render(found, setting)
    file.parent.mkdir(parents=True, exist_ok=True)
    write_whole(file, html)


def render(found: Assessment, setting: Setting) -> str:
    """The page; every text that came from a file is escaped by the template."""
    usual, first = found.usual, found.first_choice
    context = {
        "language": get_language() or "en",
        "name": Path(setting.source).name,
        "setting": setting,
        "is_line": setting.left_out.unit == "line",
        "found": found,
        "rows": number(found.rows),
        "headline": _headline(found, usual),
        "summary": _summary(found, usual),
        "measured": _measured(found),
        "coverages": [_coverage(each, found.workload) for each in found.coverages],
        "assumption": _assumption(found.workload),
        "out_of_scope": _out_of_scope(found),
        "suspects": [
            {
                "place": each.place,
                "text": _beginning(each.text),
                "label": each.label,
                "suggested": each.suggested,
                "probability": percent(each.probability),
            }
            for each in found.suspects[:SUSPECTS]
        ],
        "num_suspects": number(len(found.suspects)),
        "suspect_share": percent(len(found.suspects) / found.rows),
        "more_suspects": len(found.suspects) > SUSPECTS,
        "pairs": [
            {"label": pair.label, "given": pair.given, "n": number(pair.n), "of": number(pair.of)}
            for pair in found.pairs[:PAIRS]
        ],
        "categories": [
            {
                "label": each.label,
                "rows": number(each.rows),
                "right": percent(each.right / each.rows),
                "automatic": percent(each.automatic / each.rows),
                "suspected": number(each.suspected),
                "missing": each.missing,
                "few": not each.can_be_automatic,
            }
            for each in found.categories
        ],
        "num_lacking": len(found.lacking),
        "first": first,
        "repeats": _repeats(found),
        "contradictions": [str(each) for each in found.contradictions[:CONTRADICTIONS]],
        "num_contradictions": number(len(found.contradictions)),
        "blank": places(found.blank),
        "num_blank": number(len(found.blank)),
        "num_bad": number(len(setting.left_out.bad)),
    }
    # An engine of its own: the page must not hang on how a host configured its templates.
    engine = Engine(libraries={"i18n": "django.templatetags.i18n"})
    template = engine.from_string(TEMPLATE.read_text(encoding="utf-8"))
    return str(template.render(Context(context)))


def number(value: float, decimals: int = 0) -> str:
    """A number as the page's language writes it."""
    # Django cuts off what it does not show.
    return str(number_format(round(value, decimals), decimals, force_grouping=True))


def percent(share: float | None, decimals: int = 1) -> str:
    """A share as the page's language writes it; a dash for a share of nothing."""
    if share is None:
        return "-"
    return _("%(number)s%%") % {"number": number(100 * share, decimals)}


def places(found: Sequence[object]) -> str:
    """The first places, with what stands for the others."""
    more = " …" if len(found) > PLACES else ""
    return ", ".join(map(str, found[:PLACES])) + more


def _beginning(text: str) -> str:
    return text if len(text) <= LONGEST_TEXT else f"{text[: LONGEST_TEXT - 1]}…"


def _hours(hours: float) -> str:
    return number(hours, 0 if hours >= 10 else 1)


def _headline(found: Assessment, usual: TargetCoverage) -> list[tuple[str, str, str]]:
    first = found.first_choice
    low, high = first.interval
    tiles = [
        (
            _("first choice right"),
            percent(first.share),
            _("%(low)s to %(high)s, of %(rows)s postings")
            % {"low": percent(low), "high": percent(high), "rows": number(first.rows)},
        ),
        (
            _("automatic"),
            percent(usual.coverage, 0),
            _("at a target precision of %(target)s")
            % {"target": percent(usual.target.precision, 0)},
        ),
        (
            _("of these right"),
            percent(usual.precision),
            _("%(wrong)s wrong of %(automatic)s held out")
            % {"wrong": number(usual.wrong), "automatic": number(usual.automatic)},
        ),
    ]
    if workload := found.workload:
        tiles.append(
            (
                _("hours saved a month"),
                _hours(workload.hours_saved(usual.coverage)),
                _("of %(hours)s") % {"hours": _hours(workload.hours_saved(1.0))},
            )
        )
    return tiles


def _summary(found: Assessment, usual: TargetCoverage) -> str:
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


def _measured(found: Assessment) -> str:
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


def _coverage(each: TargetCoverage, workload: Workload | None) -> dict[str, Any]:
    low, high = each.coverage_interval
    return {
        "target": percent(each.target.precision, 0),
        "automatic": percent(each.coverage),
        "width": f"{100 * each.coverage:.1f}",
        "interval": ""
        if each.threshold is None
        else _("%(low)s to %(high)s") % {"low": percent(low, 0), "high": percent(high, 0)},
        "precision": percent(each.precision),
        "wrong": _("%(wrong)s wrong of %(automatic)s")
        % {"wrong": number(each.wrong), "automatic": number(each.automatic)},
        "rests_on": _rests_on(each),
        "refuted": each.refuted,
        "hours": "" if workload is None else _hours(workload.hours_saved(each.coverage)),
    }


def _rests_on(each: TargetCoverage) -> str:
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
            "%(errors)s wrong in %(rows)s of the other postings: at most %(bound)s are, at a "
            "confidence level of %(level)s."
        )
        % values
    )


def _assumption(workload: Workload | None) -> str:
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


def _out_of_scope(found: Assessment) -> str:
    if not found.without_category:
        return _(
            "All of this is about postings that have a category. What would be made of those that "
            "fit none is unknown, because none is among these."
        )
    return _("Among them are %(n)s postings that fit no category.") % {
        "n": number(found.without_category)
    }


def _repeats(found: Assessment) -> str:
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
