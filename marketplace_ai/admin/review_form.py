"""The buttons on the page of one posting: confirm, another category, none fits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import messages
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from marketplace_ai.models import Decision, get_category_model

from .bulk_review import answer_one
from .posting_state import proposed

if TYPE_CHECKING:
    from django.http import HttpRequest


class AnswerForm(forms.Form):
    """What the buttons send: the decision that was seen, and a category where one is chosen."""

    seen = forms.IntegerField(required=False, widget=forms.HiddenInput)

    def __init__(self, *args: Any, widget: forms.Widget | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        category: Any = forms.ModelChoiceField(
            get_category_model()._base_manager.all(), required=False, widget=widget
        )
        category.widget.attrs.update({"aria-label": _("Another category"), "form": "mai-answer"})
        # Its id must differ from the one of the posting's own form.
        category.widget.attrs["id"] = "id_mai_category"
        self.fields["category"] = category


def take_answer(request: HttpRequest, job_id: Any, widget: forms.Widget | None) -> bool:
    """Record what the pressed button says; whether it was recorded. Messages tell the rest."""
    pressed = request.POST.get("answer")
    data = request.POST.dict()
    # The button next to one of the likeliest categories names that category.
    data["category"] = data.get("choice", data.get("category", ""))
    form = AnswerForm(data, widget=widget)
    if not form.is_valid():
        messages.error(request, gettext("The category no longer exists. Choose another one."))
        return False
    seen, category = form.cleaned_data["seen"], form.cleaned_data["category"]
    if pressed == "none":
        return answer_one(request, job_id, None, seen)
    if pressed == "confirm":
        what = proposed(Decision.objects.filter(pk=seen, posting_id=job_id).first())
        if what is None:
            messages.error(request, gettext("There is no proposed category to confirm."))
            return False
        return answer_one(request, job_id, what.category_id, seen)
    if category is None:
        messages.error(request, gettext("Choose a category first."))
        return False
    return answer_one(request, job_id, category.pk, seen)
