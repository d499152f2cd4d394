"""Answers given on the screens: one posting at a time through the one service that records them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from django.contrib import messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from marketplace_ai.models import Decision, Exemplar, get_job_model
from marketplace_ai.models.decision import PERSONS
from marketplace_ai.review.answers import AnswerError, answer

from .posting_state import current_categories, overrules_person, proposed

if TYPE_CHECKING:
    from django.http import HttpRequest

#: Postings answered by one request; each is a transaction of its own.
LARGEST_BULK = 500


@dataclass(slots=True)
class Tally:
    """What became of the chosen postings, and how to say it."""

    recorded: list[Any] = field(default_factory=list)
    already: int = 0
    nothing: int = 0
    blank: int = 0
    persons: int = 0
    refused: list[str] = field(default_factory=list)

    def tell(self, request: HttpRequest) -> None:
        done = len(self.recorded)
        if done:
            messages.success(
                request,
                ngettext(
                    "Your answer for %(n)d posting was recorded.",
                    "Your answers for %(n)d postings were recorded.",
                    done,
                )
                % {"n": done},
            )
        for count, text in (
            (
                self.nothing,
                ngettext(
                    "%(n)d posting was skipped: no category is proposed for it. "
                    "Open it and choose a category.",
                    "%(n)d postings were skipped: no category is proposed for them. "
                    "Open them and choose a category.",
                    self.nothing,
                ),
            ),
            (
                self.blank,
                ngettext(
                    "%(n)d posting has nothing to learn from (no letter or digit outside of "
                    "personal data and web addresses), so it became no exemplar.",
                    "%(n)d postings have nothing to learn from (no letter or digit outside of "
                    "personal data and web addresses), so they became no exemplars.",
                    self.blank,
                ),
            ),
            (
                self.persons,
                ngettext(
                    "%(n)d posting was skipped: a person gave it another category.",
                    "%(n)d postings were skipped: a person gave them another category.",
                    self.persons,
                ),
            ),
            (
                self.already,
                ngettext(
                    "%(n)d posting already had this answer from a person.",
                    "%(n)d postings already had this answer from a person.",
                    self.already,
                ),
            ),
        ):
            if count:
                messages.warning(request, text % {"n": count})
        for reason, count in Counter(self.refused).items():
            text = ngettext(
                "%(n)d posting was skipped: %(reason)s",
                "%(n)d postings were skipped: %(reason)s",
                count,
            )
            messages.error(request, text % {"n": count, "reason": reason})


def too_many(request: HttpRequest, chosen: int) -> bool:
    """Whether more postings were chosen than one request may answer; says so."""
    if chosen <= LARGEST_BULK:
        return False
    messages.error(
        request,
        _("Nothing was recorded: select at most %(n)d postings at a time.") % {"n": LARGEST_BULK},
    )
    return True


def confirm(request: HttpRequest, rows: Iterable[tuple[Any, Decision | None, int | None]]) -> None:
    """Confirm what is proposed for (posting, its decision, the decision that was shown)."""
    rows = list(rows)
    present = current_categories(row[0] for row in rows)
    tally = Tally()
    for job_id, decision, seen in rows:
        what = proposed(decision)
        if decision is None or what is None:
            tally.nothing += 1
        elif decision.outcome in PERSONS:
            tally.already += 1
        elif overrules_person(decision, present.get(job_id)):
            tally.persons += 1
        else:
            _record(request, tally, job_id, what.category_id, seen or decision.pk)
    _finish(request, tally)


def fits_none(
    request: HttpRequest, rows: Iterable[tuple[Any, Decision | None, int | None]]
) -> None:
    """Answer "none fits" about each posting."""
    tally = Tally()
    for job_id, decision, seen in rows:
        what = proposed(decision)
        if decision and decision.outcome in PERSONS and what and what.category_id is None:
            tally.already += 1
        else:
            _record(request, tally, job_id, None, seen or (decision.pk if decision else None))
    _finish(request, tally)


def answer_one(
    request: HttpRequest, job_id: Any, category_id: Any | None, seen: int | None
) -> bool:
    """Record one answer and say what happened; whether it was recorded."""
    tally = Tally()
    _record(request, tally, job_id, category_id, seen)
    _finish(request, tally)
    return bool(tally.recorded)


def _record(
    request: HttpRequest, tally: Tally, job_id: Any, category_id: Any | None, seen: int | None
) -> None:
    user: Any = request.user
    try:
        answer(job_id, category_id, user, seen=seen)
    except AnswerError as error:
        tally.refused.append(str(error))
    else:
        tally.recorded.append(job_id)


def _finish(request: HttpRequest, tally: Tally) -> None:
    if tally.recorded:
        jobs: Any = get_job_model()._base_manager.filter(pk__in=tally.recorded)
        user: Any = request.user
        exemplars = Exemplar.objects.filter(posting_id__in=tally.recorded)
        tally.blank = len(tally.recorded) - exemplars.values("posting_id").distinct().count()
        LogEntry.objects.log_actions(user.pk, jobs, CHANGE, _("Answered: category."))
    tally.tell(request)
