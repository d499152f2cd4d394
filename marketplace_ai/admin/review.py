"""The review queue: decisions that wait for a person, and the way from one to the next."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import PermissionDenied
from django.http import HttpResponseRedirect
from django.urls import reverse
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from marketplace_ai.adapter import get_adapter
from marketplace_ai.models import Decision, ReviewRank, get_job_model

from . import bulk_review
from .base import ReadOnlyAdmin, may_answer, visible
from .display import NOTHING, admin_url, percent, shortened
from .posting_state import ARRAYS, proposed

if TYPE_CHECKING:
    from django.contrib.admin import AdminSite
    from django.http import HttpRequest, HttpResponse

#: The mark in an address that says: after the answer, go on to the next one.
REVIEWING = "_review"
#: Its value where the next one is that which teaches most, not the one that has waited longest.
BY_RANK = "rank"
#: By this the list is ordered then.
RANK = "review_rank__rank"
#: Waiting decisions counted for the index; beyond it the number is of no use to anyone.
LARGEST_NUMBER = 1000


def waiting_number() -> str:
    """How many postings wait for a person, for the index: ``37`` or ``1000+``."""
    return shown_number(Decision.objects.in_review())


def shown_number(rows: Any) -> str:
    """The number of rows for people, counted no further than is of use."""
    number = rows.order_by()[: LARGEST_NUMBER + 1].count()
    return str(number) if number <= LARGEST_NUMBER else f"{LARGEST_NUMBER}+"


def review_url(site: AdminSite) -> str:
    return reverse("admin:marketplace_ai_decision_review", current_app=site.name)


def after_review(site: AdminSite, request: HttpRequest) -> HttpResponse:
    """The posting that has waited longest of those after the one just answered or, where the list
    was opened by rank, the one that teaches most."""
    try:
        seen = int(request.POST.get("seen") or 0)
    except ValueError:
        seen = 0
    waiting = visible(site, request, Decision.objects.in_review())
    waiting = waiting.order_by("pk").only("pk", "posting_id")
    following, mark = None, "1"
    if request.GET.get(REVIEWING) == BY_RANK:
        following, mark = _next_ranked(waiting, seen), BY_RANK
    following = following or waiting.filter(pk__gt=seen).first() or waiting.first()
    url = admin_url(site, get_job_model(), "change", following.posting_id) if following else None
    if url is None:
        return HttpResponseRedirect(review_url(site))
    return HttpResponseRedirect(f"{url}?{REVIEWING}={mark}")


def _next_ranked(waiting: Any, seen: int) -> Decision | None:
    """The waiting decision whose rank follows that of the one just answered; else the first."""
    ranked = waiting.filter(review_rank__isnull=False).order_by(RANK)
    answered = ReviewRank.objects.filter(decision_id=seen).values("rank")
    found: Decision | None = ranked.filter(review_rank__rank__gt=answered).first()
    return found or ranked.first()


class ReviewList(ChangeList):
    """Leads to the posting, where the matches and the buttons are."""

    #: When the order was computed by which the list is shown; None where it is another one.
    ranked_at: Any = None
    is_by_rank = False

    def get_ordering(self, request: HttpRequest, queryset: Any) -> Any:
        ordering = super().get_ordering(request, queryset)
        self.is_by_rank = ordering[0] == RANK
        return (RANK, "pk") if self.is_by_rank else ordering

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        if self.is_by_rank:
            first = next(iter(self.result_list), None)
            self.ranked_at = getattr(getattr(first, "review_rank", None), "ranked_at", None)

    @property
    def rank_column(self) -> int:
        """The number by which an address orders by rank."""
        return list(self.list_display).index("rank_shown")

    def url_for_result(self, result: Any) -> str:
        url = admin_url(self.model_admin.admin_site, get_job_model(), "change", result.posting_id)
        mark = BY_RANK if self.is_by_rank else "1"
        return f"{url}?{REVIEWING}={mark}" if url else super().url_for_result(result)


class ReviewQueue(ReadOnlyAdmin):
    """A second list of decisions, not registered: what waits, oldest first."""

    list_display = (
        "posting_text", "proposal", "probability_shown", "needed", "decided_at", "rank_shown",
    )  # fmt: skip
    list_select_related = ("posting", "category", "review_rank")
    ordering = ("pk",)
    sortable_by = ("probability_shown", "decided_at", "rank_shown")
    change_list_template = "admin/marketplace_ai/review_change_list.html"
    search_help_text = _("By posting or proposed category.")
    actions = ("confirm_proposed", "answer_none")

    def get_queryset(self, request: HttpRequest) -> Any:
        rows = Decision.objects.in_review().defer(*ARRAYS)
        return visible(self.admin_site, request, rows)

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ReviewList]:
        return ReviewList

    def get_search_fields(self, request: HttpRequest) -> tuple[str, ...]:
        return (f"posting__{get_adapter().text_columns[0]}", "category_name")

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> Any:
        context = {"title": gettext("Review queue"), **(extra_context or {})}
        return super().changelist_view(request, context)

    def has_answer_permission(self, request: HttpRequest) -> bool:
        return may_answer(self.admin_site, request)

    @admin.display(description=_("posting"))
    def posting_text(self, decision: Decision) -> Any:
        return shortened(str(decision.posting)) or decision.posting_id

    @admin.display(description=_("proposed category"))
    def proposal(self, decision: Decision) -> Any:
        what = proposed(decision)
        return what.name if what else _("none")

    @admin.display(description=_("probability"), ordering="probability", empty_value=NOTHING)
    def probability_shown(self, decision: Decision) -> Any:
        return percent(decision.probability) or None

    @admin.display(description=_("threshold"))
    def needed(self, decision: Decision) -> Any:
        return percent(decision.threshold) or _("no guarantee")

    @admin.display(description=_("teaches most"), ordering=RANK, empty_value=NOTHING)
    def rank_shown(self, decision: Decision) -> Any:
        ranked = getattr(decision, "review_rank", None)
        return ranked.rank if ranked else None

    @admin.action(description=_("Confirm the proposed category"), permissions=["answer"])
    def confirm_proposed(self, request: HttpRequest, queryset: Any) -> None:
        if rows := self._chosen(request, queryset):
            bulk_review.confirm(request, rows)

    @admin.action(description=_("Answer: none fits"), permissions=["answer"])
    def answer_none(self, request: HttpRequest, queryset: Any) -> None:
        if rows := self._chosen(request, queryset):
            bulk_review.fits_none(request, rows)

    def _chosen(self, request: HttpRequest, queryset: Any) -> list[tuple[Any, Decision, int]]:
        """The chosen decisions; a message counts those that no longer wait for review."""
        decisions = list(queryset[: bulk_review.LARGEST_BULK + 1])
        if bulk_review.too_many(request, len(decisions)):
            return []
        if not all(may_answer(self.admin_site, request, row.posting) for row in decisions):
            raise PermissionDenied
        if request.POST.get("select_across") != "1":
            gone = len(request.POST.getlist(ACTION_CHECKBOX_NAME)) - len(decisions)
            if gone > 0:
                text = ngettext(
                    "%(n)d posting was answered or decided again in the meantime.",
                    "%(n)d postings were answered or decided again in the meantime.",
                    gone,
                )
                messages.warning(request, text % {"n": gone})
        return [(decision.posting_id, decision, decision.pk) for decision in decisions]
