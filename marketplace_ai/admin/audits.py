"""The audit: postings of the random sample that a person answers about, oldest first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.db.models import Q
from django.http import HttpResponseRedirect
from django.urls import reverse
from django.utils.formats import date_format
from django.utils.timezone import localtime
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from marketplace_ai.models import AuditedPosting, Outcome, get_job_model

from .base import ReadOnlyAdmin, job_admin, visible
from .category_names import stored_category_name
from .display import NOTHING, admin_url, badge, object_link, outcome_badge, percent, shortened
from .posting_state import FITS_NONE
from .review import shown_number

if TYPE_CHECKING:
    from django.contrib.admin import AdminSite
    from django.http import HttpRequest, HttpResponse

#: The mark in an address that says: after the answer, go on to the next audited posting.
AUDITING = "_audit"

WAITING, RIGHT, WRONG, UNJUDGED, GONE, ALL = "waiting", "right", "wrong", "unjudged", "gone", "all"


def audit_count() -> str:
    """How many audited postings wait for a person: ``5`` or ``1000+``."""
    return shown_number(AuditedPosting.objects.unanswered())


def audits_url(site: AdminSite) -> str:
    return reverse("admin:marketplace_ai_auditedposting_changelist", current_app=site.name)


def after_audit(site: AdminSite, request: HttpRequest, job_id: Any) -> HttpResponse:
    """The audited posting that was drawn next after the one just answered, else the oldest."""
    waiting = visible(site, request, AuditedPosting.objects.unanswered())
    waiting = waiting.order_by("drawn_at", "pk").only("pk", "posting_id")
    done = AuditedPosting.objects.filter(posting_id=job_id).only("drawn_at").first()
    later = (
        Q(drawn_at__gt=done.drawn_at) | Q(drawn_at=done.drawn_at, pk__gt=done.pk) if done else Q()
    )
    following = waiting.filter(later).first() or waiting.first()
    url = admin_url(site, get_job_model(), "change", following.posting_id) if following else None
    return HttpResponseRedirect(f"{url}?{AUDITING}=1" if url else audits_url(site))


class AuditFilter(admin.SimpleListFilter):
    """What waits, unless something else is asked for."""

    title = _("answer")
    parameter_name = "answer"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [
            (RIGHT, _("right")),
            (WRONG, _("wrong")),
            (UNJUDGED, _("not comparable")),
            (GONE, _("deleted before it was answered")),
            (ALL, _("all")),
        ]

    def choices(self, changelist: Any) -> Any:
        first, *others = super().choices(changelist)
        yield {**first, "display": _("waiting")}
        yield from others

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        conditions = {
            RIGHT: Q(is_correct=True),
            WRONG: Q(is_correct=False),
            UNJUDGED: Q(answered_at__isnull=False, is_correct__isnull=True),
            GONE: Q(answered_at__isnull=True, posting__isnull=True),
            ALL: Q(),
        }
        waiting = Q(answered_at__isnull=True, posting__isnull=False)
        return queryset.filter(conditions.get(self.value() or "", waiting))


class AuditList(ChangeList):
    """Leads to the posting, where the matches and the buttons are."""

    def url_for_result(self, result: Any) -> str:
        url = None
        if result.posting_id is not None:
            url = admin_url(
                self.model_admin.admin_site, get_job_model(), "change", result.posting_id
            )
        waits = result.answered_at is None
        return f"{url}?{AUDITING}=1" if url and waits else super().url_for_result(result)


@admin.register(AuditedPosting)
class AuditedPostingAdmin(ReadOnlyAdmin):
    """No actions: an audit that is answered in bulk has not been looked at."""

    list_display = (
        "posting_text",
        "decided",
        "outcome_shown",
        "probability_shown",
        "drawn_on",
        "answer_shown",
    )
    list_filter = (AuditFilter,)
    list_select_related = ("posting", "category", "answer")
    ordering = ("drawn_at", "pk")
    sortable_by = ()
    actions = None
    change_list_template = "admin/marketplace_ai/auditedposting/change_list.html"
    fields = (
        "posting_link", "decided", "outcome_shown", "probability_shown", "drawn_at", "answer_shown",
        "answered_at", "answered_by", "version",
    )  # fmt: skip
    readonly_fields = fields

    def get_queryset(self, request: HttpRequest) -> Any:
        rows = super().get_queryset(request)
        if job_admin(self.admin_site) is None:
            return rows
        there = visible(self.admin_site, request, AuditedPosting.objects.order_by())
        return rows.filter(Q(posting__isnull=True) | Q(pk__in=there.values("pk")))

    def get_list_display(self, request: HttpRequest) -> tuple[str, ...]:
        # What waits has no answer to show.
        return (
            self.list_display
            if AuditFilter.parameter_name in request.GET
            else (self.list_display[:-1])
        )

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[AuditList]:
        return AuditList

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> Any:
        context = {"title": gettext("Audit"), **(extra_context or {})}
        return super().changelist_view(request, context)

    @admin.display(description=_("posting"))
    def posting_text(self, row: AuditedPosting) -> Any:
        if row.posting_id is None:
            return gettext("deleted")
        return shortened(str(row.posting)) or row.posting_id

    @admin.display(description=_("posting"))
    def posting_link(self, row: AuditedPosting) -> Any:
        if row.posting_id is None:
            return gettext("deleted")
        return object_link(self.admin_site, get_job_model(), row.posting_id, self.posting_text(row))

    @admin.display(description=_("decided"), empty_value=NOTHING)
    def decided(self, row: AuditedPosting) -> Any:
        if name := stored_category_name(row):
            return name
        return FITS_NONE if row.outcome == Outcome.NONE or row.probability is not None else None

    @admin.display(description=_("outcome"))
    def outcome_shown(self, row: AuditedPosting) -> Any:
        return outcome_badge(row.outcome)

    @admin.display(description=_("probability"), empty_value=NOTHING)
    def probability_shown(self, row: AuditedPosting) -> Any:
        return percent(row.probability) or None

    @admin.display(description=_("sampled"))
    def drawn_on(self, row: AuditedPosting) -> str:
        return date_format(localtime(row.drawn_at), "SHORT_DATETIME_FORMAT")

    @admin.display(description=_("answer"), empty_value=NOTHING)
    def answer_shown(self, row: AuditedPosting) -> Any:
        if row.answered_at is None:
            return badge(_("waiting"), "attention") if row.posting_id is not None else None
        if row.is_correct:
            return badge(_("right"), "good")
        if row.is_correct is None:
            return badge(_("not comparable"))
        name = stored_category_name(row, "answer") or gettext("fits none")
        return badge(gettext("wrong: %(name)s") % {"name": name}, "bad")

    @admin.display(description=_("classifier"), empty_value=NOTHING)
    def version(self, row: AuditedPosting) -> Any:
        model = AuditedPosting._meta.get_field("classifier").related_model
        key = row.classifier_id
        return object_link(self.admin_site, model, key, key) if key else None
