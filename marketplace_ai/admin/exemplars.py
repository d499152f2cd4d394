"""Exemplars: the labeled texts that vote. Their label may change, their text never does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin, messages
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from marketplace_ai.adapter import get_adapter
from marketplace_ai.imports.common import prepare_text
from marketplace_ai.models import Exemplar, ExemplarSource, ExemplarState, get_job_model
from marketplace_ai.text.normalize import digest, is_blank

from .base import OwnAdmin, can_autocomplete
from .display import NOTHING, TONES, badge, object_link, shortened
from .filters import VoteFilter
from .posting_state import FITS_NONE

if TYPE_CHECKING:
    from django.http import HttpRequest

    ExemplarModelForm = forms.ModelForm[Exemplar]
else:
    ExemplarModelForm = forms.ModelForm


class ExemplarForm(ExemplarModelForm):
    class Meta:
        model = Exemplar
        fields = ("text", "category", "is_none", "family", "state")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.state != ExemplarState.ORPHANED and "state" in self.fields:
            # Only the database makes one so.
            field: Any = self.fields["state"]
            field.choices = [c for c in field.choices if c[0] != ExemplarState.ORPHANED]

    def clean_text(self) -> str:
        """The text as it will be compared; encoders see no other form of it."""
        text = prepare_text(self.cleaned_data["text"])
        if is_blank(text):
            raise forms.ValidationError(gettext("Enter a text with at least one letter or digit."))
        return text

    def clean_family(self) -> str:
        return get_adapter().prepared_family(self.cleaned_data["family"])

    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        # A description's label is no field of the form.
        category = data.get("category", self.instance.category)
        none = data.get("is_none", self.instance.is_none)
        if category is not None and none:
            raise forms.ValidationError(
                gettext("Choose a category or check “fits no category”, not both.")
            )
        active = data.get("state") == ExemplarState.ACTIVE
        if active and category is None and not none and "category" not in self.errors:
            raise forms.ValidationError(
                gettext("An active exemplar needs a category, or “fits no category” checked.")
            )
        if not self.errors:
            self._reject_duplicate(key_of(category))
        return data

    def _reject_duplicate(self, key: str) -> None:
        """Report it on the form; the database's own error would not help anybody."""
        text = self.cleaned_data.get("text", self.instance.text)
        if self.instance.source == ExemplarSource.DESCRIPTION:
            return
        duplicates = Exemplar.objects.filter(
            text_digest=digest(text), category_key=key, posting_id=self.instance.posting_id
        ).exclude(source=ExemplarSource.DESCRIPTION)
        if duplicates.exclude(pk=self.instance.pk).exists():
            raise forms.ValidationError(
                gettext("An exemplar with this text and category already exists.")
            )


def key_of(category: Any | None) -> str:
    return get_adapter().category_key(category) if category is not None else ""


@admin.register(Exemplar)
class ExemplarAdmin(OwnAdmin):
    form = ExemplarForm
    list_display = (
        "text_shown",
        "category_shown",
        "family",
        "source",
        "state_shown",
        "created_at",
    )
    list_filter = (
        "state",
        VoteFilter,
        "source",
        "is_none",
        ("family", admin.EmptyFieldListFilter),
    )
    list_select_related = ("category",)
    search_fields = ("text", "=category_key", "family__exact")
    search_help_text = _("By text, category key or family.")
    ordering = ("-pk",)
    sortable_by = ()
    actions = ("quarantine", "restore")
    fields = (
        "text",
        "category",
        "is_none",
        "family",
        "state",
        "condensed_by",
        "source",
        "made_of",
        "created_by",
        "created_at",
    )
    readonly_fields = ("condensed_by", "source", "made_of", "created_by", "created_at")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        if obj is None:
            return self.readonly_fields
        # A description is its category's: it follows what the category is called.
        own = ("category", "is_none", "family") if obj.source == ExemplarSource.DESCRIPTION else ()
        return ("text", *own, *self.readonly_fields)

    def get_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return (
            self.fields if obj is not None else ("text", "category", "is_none", "family", "state")
        )

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """A description would come back at once: it is quarantined instead."""
        if obj is not None and obj.source == ExemplarSource.DESCRIPTION:
            return False
        return super().has_delete_permission(request, obj)

    def get_autocomplete_fields(self, request: HttpRequest) -> tuple[str, ...]:
        return ("category",) if can_autocomplete(self.admin_site, request) else ()

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        if not change:
            obj.text_digest = digest(obj.text)
            obj.source = ExemplarSource.IMPORTED
            obj.created_by = request.user
        # What a deleted category was called is kept until another one takes its place.
        if obj.category_id is not None or obj.is_none:
            obj.category_key = key_of(obj.category)
        super().save_model(request, obj, form, change)
        self._warn_of_other_labels(request, obj)

    def _warn_of_other_labels(self, request: HttpRequest, exemplar: Exemplar) -> None:
        """Say that another exemplar votes for another label with the same text."""
        if exemplar.state != ExemplarState.ACTIVE:
            return
        others = (
            Exemplar.objects.filter(text_digest=exemplar.text_digest, state=ExemplarState.ACTIVE)
            .exclude(source=ExemplarSource.DESCRIPTION)
            .exclude(category=exemplar.category_id, is_none=exemplar.is_none)
            .select_related("category")
        )
        if names := dict.fromkeys(str(self.category_shown(other)) for other in others):
            text = gettext(
                "The same text is also an exemplar of %(labels)s: each votes for its own. "
                "Quarantine the wrong one."
            )
            messages.warning(request, text % {"labels": ", ".join(names)})

    @admin.display(description=_("text"))
    def text_shown(self, exemplar: Exemplar) -> str:
        return shortened(exemplar.text)

    @admin.display(description=_("category"), empty_value=NOTHING)
    def category_shown(self, exemplar: Exemplar) -> Any:
        if exemplar.is_none:
            return FITS_NONE
        if exemplar.category is None:
            return gettext("%(key)s (deleted)") % {"key": exemplar.category_key or NOTHING}
        return get_adapter().category_name(exemplar.category)

    @admin.display(description=_("state"))
    def state_shown(self, exemplar: Exemplar) -> Any:
        if exemplar.is_condensed:
            return badge(_("teaches, does not vote"))
        return badge(ExemplarState(exemplar.state).label, TONES[exemplar.state])

    @admin.display(description=_("source posting"), empty_value=NOTHING)
    def made_of(self, exemplar: Exemplar) -> Any:
        if exemplar.posting_id is None:
            return None
        label = shortened(str(exemplar.posting)) or exemplar.posting_id
        return object_link(self.admin_site, get_job_model(), exemplar.posting_id, label)

    @admin.action(description=_("Quarantine (no votes)"), permissions=["change"])
    def quarantine(self, request: HttpRequest, queryset: Any) -> None:
        rows = queryset.exclude(state=ExemplarState.QUARANTINED)
        changed = rows.update(state=ExemplarState.QUARANTINED)
        text = ngettext(
            "%(n)d exemplar no longer votes.", "%(n)d exemplars no longer vote.", changed
        )
        messages.success(request, text % {"n": changed})

    @admin.action(description=_("Restore (votes again)"), permissions=["change"])
    def restore(self, request: HttpRequest, queryset: Any) -> None:
        rows = queryset.exclude(state=ExemplarState.ACTIVE, condensed_by=None)
        homeless = rows.filter(category__isnull=True, is_none=False)
        left = homeless.count()
        changed = rows.exclude(pk__in=homeless.values("pk")).update(
            state=ExemplarState.ACTIVE, condensed_by=None
        )
        text = ngettext("%(n)d exemplar votes again.", "%(n)d exemplars vote again.", changed)
        messages.success(request, text % {"n": changed})
        if left:
            text = ngettext(
                "%(n)d exemplar still does not vote: its category was deleted. Open it and "
                "choose another one.",
                "%(n)d exemplars still do not vote: their categories were deleted. Open them "
                "and choose other ones.",
                left,
            )
            messages.warning(request, text % {"n": left})
