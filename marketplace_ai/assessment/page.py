"""The assessment as one page that loads nothing else, in the language that is active."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.template import Context, Engine
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from marketplace_ai.evaluation.whole_file import unwritable, write_whole
from marketplace_ai.text.bad_rows import LeftOut

from . import wording
from .assess import Assessment
from .coverage import TargetCoverage
from .savings import Workload
from .time_section import time_section
from .wording import number, percent

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
        "summary": wording.summary(found, usual),
        "measured": wording.measured(found),
        "coverages": [_coverage(each, found.workload) for each in found.coverages],
        "assumption": wording.assumption(found.workload),
        "by_time": None if found.by_time is None else time_section(found.by_time),
        "out_of_scope": wording.out_of_scope(found),
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
            {
                "label": pair.label,
                "given": pair.given,
                "n": number(pair.n),
                "of": number(pair.of),
            }
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
        "repeats": wording.repeats_sentence(found),
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


def places(found: Sequence[object]) -> str:
    """The first places, with what stands for the others."""
    more = " …" if len(found) > PLACES else ""
    return ", ".join(map(str, found[:PLACES])) + more


def _beginning(text: str) -> str:
    return text if len(text) <= LONGEST_TEXT else f"{text[: LONGEST_TEXT - 1]}…"


def _headline(found: Assessment, usual: TargetCoverage) -> list[tuple[str, str, str]]:
    first = found.first_choice
    low, high = first.interval
    tiles = [
        (
            _("first choice right"),
            percent(first.share),
            _("%(low)s to %(high)s, of %(rows)s postings")
            % {
                "low": percent(low),
                "high": percent(high),
                "rows": number(first.rows),
            },
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
                wording.hours(workload.hours_saved(usual.coverage)),
                _("of %(hours)s") % {"hours": wording.hours(workload.hours_saved(1.0))},
            )
        )
    return tiles


def _coverage(each: TargetCoverage, workload: Workload | None) -> dict[str, Any]:
    low, high = each.interval or (0.0, 0.0)
    return {
        "target": percent(each.target.precision, 0),
        "automatic": percent(each.coverage),
        "width": f"{100 * each.coverage:.1f}",
        "interval": ""
        if each.interval is None
        else _("%(low)s to %(high)s") % {"low": percent(low, 0), "high": percent(high, 0)},
        "precision": percent(each.precision),
        "wrong": _("%(wrong)s wrong of %(automatic)s")
        % {"wrong": number(each.wrong), "automatic": number(each.automatic)},
        "rests_on": wording.rests_on(each),
        "refuted": each.refuted,
        "hours": "" if workload is None else wording.hours(workload.hours_saved(each.coverage)),
    }
