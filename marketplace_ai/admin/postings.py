"""Postings: the shipped model's screen, and the mixin that gives a host's own the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import connections
from django.http import HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import path, reverse
from django.utils.decorators import method_decorator
from django.utils.translation import gettext as _t
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST

from marketplace_ai.adapter import get_adapter
from marketplace_ai.lifecycle.answers import AnswerError, answer
from marketplace_ai.models import Decision, JobPosting, get_category_model

from . import answering
from .base import CappedPaginator, LargeTable, ModelAdmin, category_widget, may_answer
from .columns import JobColumns, PostingList
from .current import decisions_of, proposed
from .display import STYLES, admin_url
from .filters import OutcomeFilter
from .panel import panel
from .review import REVIEWING, next_waiting

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse

    Base = ModelAdmin
else:
    Base = object


class AnswerForm(forms.Form):
    """A person's answer on the page of one posting."""

    seen = forms.IntegerField(required=False, widget=forms.HiddenInput)

    def __init__(self, *args: Any, widget: forms.Widget | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["category"] = forms.ModelChoiceField(
            get_category_model()._base_manager.all(),
            label=_("Another category"),
            required=False,
            widget=widget,
        )
        self.fields["category"].widget.attrs["aria-label"] = _("Another category")
