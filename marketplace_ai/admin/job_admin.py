"""Postings, shipped or a host's own: the list, the page of one, the answers given there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import PermissionDenied
from django.db import router, transaction
from django.http import Http404, HttpResponseRedirect
from django.urls import path, reverse
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST

from marketplace_ai.adapter import get_adapter
from marketplace_ai.models import Decision
from marketplace_ai.review.answers import AnswerError, answer

from . import bulk_review
from .audits import AUDITING, after_audit
from .base import LargeTable, category_widget
from .display import STYLES
from .filters import OutcomeFilter
from .posting_columns import SHOWN, PostingColumns, PostingList
from .posting_panel import panel
from .posting_state import decisions_of
from .review import REVIEWING, after_review
from .review_form import AnswerForm, take_answer

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse

#: Rows of the shipped admin's answers in ``get_actions``.
ACTIONS = ("confirm_proposed", "answer_none")


class JobAdminMixin(LargeTable, PostingColumns):
    """Add this before ``ModelAdmin`` in the admin of a host's own job model.

    It adds the columns, the filter and the actions to the list, and to the page of a posting
    the panel with its decision, the matches that voted and the buttons to answer. A category
    that is changed in the form counts as that person's answer.
    """

    change_form_template = "admin/marketplace_ai/posting_change_form.html"

    class Media:
        css = STYLES

    # -- the list --------------------------------------------------------------------------

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[Any]:
        base = super().get_changelist(request, **kwargs)
        return PostingList if base is ChangeList else type("PostingList", (PostingList, base), {})

    def get_list_display(self, request: HttpRequest) -> Any:
        shown = tuple(super().get_list_display(request))
        return (*shown, *(name for name in self.posting_columns if name not in shown))

    def get_list_filter(self, request: HttpRequest) -> Any:
        filters = tuple(super().get_list_filter(request))
        return filters if OutcomeFilter in filters else (OutcomeFilter, *filters)

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        actions: dict[str, Any] = super().get_actions(request)
        if self.actions is not None and self.has_change_permission(request):
            found = (self.get_action(name) for name in ACTIONS)
            actions.update({action[1]: action for action in found if action})
        return actions

    @admin.action(description=_("Confirm the proposed category"), permissions=["change"])
    def confirm_proposed(self, request: HttpRequest, queryset: Any) -> None:
        if rows := self._chosen(request, queryset):
            bulk_review.confirm(request, rows)

    @admin.action(description=_("Answer: none fits"), permissions=["change"])
    def answer_none(self, request: HttpRequest, queryset: Any) -> None:
        if rows := self._chosen(request, queryset):
            bulk_review.fits_none(request, rows)

    def _chosen(
        self, request: HttpRequest, queryset: Any
    ) -> list[tuple[Any, Decision | None, int | None]]:
        """The chosen postings with their decisions, and -1 where another one was on the page."""
        ids = list(queryset.values_list("pk", flat=True)[: bulk_review.LARGEST_BULK + 1])
        if bulk_review.too_many(request, len(ids)):
            return []
        decisions = decisions_of(ids)
        shown = set(request.POST.getlist(SHOWN))
        everything = request.POST.get("select_across") == "1" or not shown
        rows: list[tuple[Any, Decision | None, int | None]] = []
        for job_id in ids:
            decision = decisions.get(job_id)
            changed = decision is not None and not everything and str(decision.pk) not in shown
            rows.append((job_id, decision, -1 if changed else None))
        return rows

    # -- the page of a posting -------------------------------------------------------------

    def get_urls(self) -> list[Any]:
        meta = self.model._meta
        view = self.admin_site.admin_view(require_POST(self.answer_view))
        name = f"{meta.app_label}_{meta.model_name}_answer"
        return [path("<path:object_id>/answer/", view, name=name), *super().get_urls()]

    def answer_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """One button of the panel; back to the posting, or on to the next one to review."""
        job = super().get_object(request, unquote(object_id))
        if job is None:
            raise Http404
        if not self.has_change_permission(request, job):
            raise PermissionDenied
        recorded = take_answer(request, job.pk, category_widget(self.admin_site, request))
        if recorded and REVIEWING in request.GET:
            return after_review(self.admin_site, request)
        if recorded and AUDITING in request.GET:
            return after_audit(self.admin_site, request, job.pk)
        meta = self.model._meta
        url = reverse(
            f"admin:{meta.app_label}_{meta.model_name}_change",
            args=[object_id],
            current_app=self.admin_site.name,
        )
        query = request.GET.urlencode()
        return HttpResponseRedirect(f"{url}?{query}" if query else url)

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> Any:
        job = kwargs.get("obj")
        if job is not None and job.pk is not None and not context.get("is_popup"):
            meta = self.model._meta
            shown = panel(self.admin_site, job)
            form = AnswerForm(
                initial={"seen": shown.decision.pk if shown.decision else ""},
                widget=category_widget(self.admin_site, request),
            )
            context.update(
                mai=shown,
                mai_form=form,
                mai_answer_url=f"admin:{meta.app_label}_{meta.model_name}_answer",
                mai_reviewing=REVIEWING in request.GET,
                mai_auditing=AUDITING in request.GET,
                media=context["media"] + form.media,
            )
        return super().render_change_form(request, context, *args, **kwargs)

    # -- the posting's own form ------------------------------------------------------------

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        field = super().formfield_for_foreignkey(db_field, request, **kwargs)
        if field is not None and db_field.name == get_adapter().category_field:
            # Compared with what was on the page, not with what the machine has written since.
            field.show_hidden_initial = True
            field.help_text = _(
                "A change here is recorded as your answer; leave it empty if no category fits."
            )
        return field

    def get_object(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """The posting; when its form is saved, as it is now and locked until it is saved."""
        job: Any = super().get_object(request, *args, **kwargs)
        alias = router.db_for_write(self.model)
        if job is not None and request.method == "POST":
            connection = transaction.get_connection(alias)
            if connection.in_atomic_block:
                rows = self.model._base_manager.using(alias)
                job.refresh_from_db(from_queryset=rows.select_for_update(of=("self",), no_key=True))
        return job

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().changeform_view(request, *args, **kwargs)
        except AnswerError as error:  # all that was to be saved with it is rolled back
            messages.error(request, str(error))
            return HttpResponseRedirect(request.get_full_path())

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        adapter = get_adapter()
        name = adapter.category_field
        answered = name in form.changed_data and (change or adapter.category_id(obj) is not None)
        if change and not answered and name in form.fields:
            attribute: Any = self.model._meta.get_field(name)
            setattr(obj, attribute.attname, form.initial.get(name))
        super().save_model(request, obj, form, change)
        if answered:
            user: Any = request.user
            answer(obj.pk, adapter.category_id(obj), user)
            written = [name, *([adapter.set_by_field] if adapter.set_by_field else [])]
            obj.refresh_from_db(fields=written)
