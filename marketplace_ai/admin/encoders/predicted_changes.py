"""Predicted changes: what a candidate encoder would decide differently, in the labeled rows of its
comparison and in postings that it predicted in shadow mode."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.http import Http404
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _

from marketplace_ai.admin.base import CappedPaginator, ReadOnlyAdmin, visible
from marketplace_ai.admin.category_names import category_names, label_names
from marketplace_ai.admin.display import object_link, outcome_badge, percent, shortened
from marketplace_ai.comparison.report import ComparisonReport
from marketplace_ai.models import Encoder, get_job_model

from . import shadow

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse

    from marketplace_ai.comparison.report import ChangedRow, RowPrediction

PER_PAGE = 50
ROWS, SHADOW = "rows", "shadow"


class PredictedChangesMixin(ReadOnlyAdmin):
    """The page of what an encoder would decide differently, for the admin of encoders."""

    def changes_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """List labeled rows (``of=rows``) or postings (``of=shadow``), a page at a time.

        ``old`` and ``new`` limit the list to changes from one category to another.
        """
        encoder = self.get_object(request, unquote(object_id))
        if encoder is None:
            raise Http404
        may_see = request.user.has_perm("marketplace_ai.view_decision")
        if not (self.has_view_permission(request, encoder) and may_see):
            raise PermissionDenied
        of = request.GET.get("of") or (ROWS if encoder.comparison.get("changed") else SHADOW)
        if of == ROWS:
            listed = self._labeled_rows(request, encoder)
        else:
            listed = self._postings(request, encoder)
        context = {
            **self.admin_site.each_context(request),
            "title": _("Predicted changes with %(name)s") % {"name": encoder},
            "opts": self.opts,
            "encoder": encoder,
            "of": of,
            "media": self.media,
            "query": _query(request, of),
            **listed,
        }
        template = "admin/marketplace_ai/encoder/changes.html"
        return TemplateResponse(request, template, context)

    def _labeled_rows(self, request: HttpRequest, encoder: Encoder) -> dict[str, Any]:
        report = ComparisonReport.from_dict(encoder.comparison) if encoder.comparison else None
        changes = _visible_changes(request, report)
        old, new = request.GET.get("old"), request.GET.get("new")
        matching = [
            change
            for change in changes
            if (old is None or (change.old.label or "") == old)
            and (new is None or (change.new.label or "") == new)
        ]
        page = Paginator(matching, PER_PAGE).get_page(request.GET.get("p"))
        names = label_names(_labels(changes))
        active = report.active_encoder if report else None
        return {
            "page": page,
            "pairs": _links(ROWS, _frequent_pairs(changes, names), request),
            "lines": [
                {
                    "text": change.text,
                    "right": _name(names, change.label, change.label_name),
                    "old": _prediction(names, change.old, change.label),
                    "new": _prediction(names, change.new, change.label),
                }
                for change in page
            ],
            "total": report.results.changed if report and report.results else 0,
            "kept": len(changes),
            "before": active.name if active else "",
        }

    def _postings(self, request: HttpRequest, encoder: Encoder) -> dict[str, Any]:
        rows = visible(self.admin_site, request, shadow.last(encoder))
        differing = shadow.differing(rows)
        pairs = shadow.pairs(differing)
        old, new = request.GET.get("old"), request.GET.get("new")
        if old is not None:
            differing = differing.filter(was_key=old)
        if new is not None:
            differing = differing.filter(category_key=new)
        pages = CappedPaginator(differing.select_related("posting"), PER_PAGE)
        page = pages.get_page(request.GET.get("p"))
        names = category_names(key for row in page for key in (row.was_category, row.category_id))
        return {
            "page": page,
            "pairs": _links(SHADOW, pairs, request),
            "lines": [self._posting_line(row, names) for row in page],
            "agreement": shadow.agreement(encoder),
            "before": Encoder.objects.active() or "",
        }

    def _posting_line(self, row: Any, names: Mapping[Any, str]) -> dict[str, Any]:
        label = shortened(str(row.posting)) or row.posting_id
        return {
            "text": object_link(self.admin_site, get_job_model(), row.posting_id, label),
            "old": _decision(
                names.get(row.was_category, row.was_name), row.was_outcome, row.was_probability
            ),
            "new": _decision(
                names.get(row.category_id, row.category_name), row.outcome, row.probability
            ),
        }


def _visible_changes(
    request: HttpRequest, report: ComparisonReport | None
) -> tuple[ChangedRow, ...]:
    """The changed rows that a user may see: audited postings became exemplars when they were
    answered, so their texts need the right to view exemplars."""
    if report is None or report.results is None:
        return ()
    are_exemplars = report.calibrated_on == "audits"
    if are_exemplars and not request.user.has_perm("marketplace_ai.view_exemplar"):
        return ()
    return report.results.changes


def _labels(changes: tuple[ChangedRow, ...]) -> set[str | None]:
    """The labels of changed rows and of both predictions for them."""
    return {
        label for change in changes for label in (change.label, change.old.label, change.new.label)
    }


def _frequent_pairs(
    changes: tuple[ChangedRow, ...], current_names: Mapping[str | None, str]
) -> list[shadow.Pair]:
    """The most frequent changes from one category to another."""
    counts = Counter((change.old.label or "", change.new.label or "") for change in changes)
    names = {
        prediction.label or "": _name(current_names, prediction.label, prediction.name)
        for change in changes
        for prediction in (change.old, change.new)
    }
    return [
        shadow.Pair(old, new, names[old], names[new], number)
        for (old, new), number in counts.most_common(shadow.PAIRS)
    ]


def _name(names: Mapping[str | None, str], label: str | None, stored: str | None) -> Any:
    """The current name of a label's category; the stored one for a deleted category."""
    return names.get(label, stored) if label is not None else shadow.NO_CATEGORY


def _prediction(
    names: Mapping[str | None, str], prediction: RowPrediction, label: str | None
) -> dict[str, Any]:
    name = _name(names, prediction.label, prediction.name)
    decision = _decision(name, prediction.outcome, prediction.probability)
    return {**decision, "right": prediction.label == label}


def _decision(name: Any, outcome: str, probability: float | None) -> dict[str, Any]:
    return {
        "name": name or shadow.NO_CATEGORY,
        "outcome": outcome_badge(outcome),
        "probability": percent(probability),
    }


def _links(
    of: str, pairs: list[shadow.Pair], request: HttpRequest
) -> list[tuple[shadow.Pair, str, bool]]:
    """Each pair with the query string of its rows, and whether these are listed now."""
    selected = request.GET.get("old"), request.GET.get("new")
    return [
        (
            pair,
            urlencode({"of": of, "old": pair.old, "new": pair.new}),
            selected == (pair.old, pair.new),
        )
        for pair in pairs
    ]


def _query(request: HttpRequest, of: str) -> str:
    """The query string of the other pages of the same list."""
    chosen = {name: request.GET[name] for name in ("old", "new") if name in request.GET}
    return urlencode({"of": of, **chosen})
