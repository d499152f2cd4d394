"""What would change with another encoder: labelled rows of the comparison, and postings that it
has decided in the shadow."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.http import Http404
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _

from marketplace_ai.admin.base import CappedPaginator, ReadOnlyAdmin, visible
from marketplace_ai.admin.display import object_link, outcome_badge, percent, shortened
from marketplace_ai.models import Encoder, get_job_model

from . import shadow

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse

PER_PAGE = 50
ROWS, SHADOW = "rows", "shadow"


class Changing(ReadOnlyAdmin):
    """Base of the encoders' admin: the page of what an encoder would decide otherwise."""

    def changes_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Of labelled rows (``of=rows``) or of postings (``of=shadow``), a page at a time;
        ``old`` and ``new`` narrow it to a change from one category to another."""
        encoder = self.get_object(request, unquote(object_id))
        if encoder is None:
            raise Http404
        may_see = request.user.has_perm("marketplace_ai.view_decision")
        if not (self.has_view_permission(request, encoder) and may_see):
            raise PermissionDenied
        of = request.GET.get("of") or (ROWS if encoder.comparison.get("changed") else SHADOW)
        shown = self._rows(request, encoder) if of == ROWS else self._shadow(request, encoder)
        context = {
            **self.admin_site.each_context(request),
            "title": _("What would change with %(name)s") % {"name": encoder},
            "opts": self.opts,
            "encoder": encoder,
            "of": of,
            "media": self.media,
            "query": _query(request, of),
            **shown,
        }
        template = "admin/marketplace_ai/encoder/changes.html"
        return TemplateResponse(request, template, context)

    def _rows(self, request: HttpRequest, encoder: Encoder) -> dict[str, Any]:
        comparison = encoder.comparison
        changes = comparison.get("changes", [])
        if comparison.get("calibrated_on") == "audits" and not request.user.has_perm(
            "marketplace_ai.view_exemplar"
        ):
            changes = []  # texts of postings, which became exemplars when they were answered
        counts = Counter((_label(row["old"]), _label(row["new"])) for row in changes)
        names = {_label(row[side]): _name(row[side]) for row in changes for side in ("old", "new")}
        pairs = [
            shadow.Pair(old, new, names[old], names[new], number)
            for (old, new), number in counts.most_common(shadow.PAIRS)
        ]
        old, new = request.GET.get("old"), request.GET.get("new")
        wanted = [
            row
            for row in changes
            if (old is None or _label(row["old"]) == old)
            and (new is None or _label(row["new"]) == new)
        ]
        page = Paginator(wanted, PER_PAGE).get_page(request.GET.get("p"))
        against = comparison.get("against") or {}
        return {
            "page": page,
            "pairs": _links(ROWS, pairs, request),
            "lines": [
                {
                    "text": row["text"],
                    "right": _name({"label": row["right"], "name": row["right_name"]}),
                    "old": _said(row["old"], row["right"]),
                    "new": _said(row["new"], row["right"]),
                }
                for row in page
            ],
            "total": comparison.get("changed", 0),
            "kept": len(changes),
            "before": against.get("name", ""),
        }

    def _shadow(self, request: HttpRequest, encoder: Encoder) -> dict[str, Any]:
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
        return {
            "page": page,
            "pairs": _links(SHADOW, pairs, request),
            "lines": [self._line(row) for row in page],
            "agreement": shadow.agreement(encoder),
            "before": Encoder.objects.active() or "",
        }

    def _line(self, row: Any) -> dict[str, Any]:
        label = shortened(str(row.posting)) or row.posting_id
        return {
            "text": object_link(self.admin_site, get_job_model(), row.posting_id, label),
            "old": _decided(row.was_name, row.was_outcome, row.was_probability),
            "new": _decided(row.category_name, row.outcome, row.probability),
        }


def _label(said: dict[str, Any]) -> str:
    return said["label"] or ""


def _name(said: dict[str, Any]) -> Any:
    return said["name"] if said["label"] is not None else shadow.NO_CATEGORY


def _said(said: dict[str, Any], right: str | None) -> dict[str, Any]:
    shown = _decided(_name(said), said["outcome"], said["probability"])
    return {**shown, "right": said["label"] == right}


def _decided(name: Any, outcome: str, probability: float | None) -> dict[str, Any]:
    return {
        "name": name or shadow.NO_CATEGORY,
        "outcome": outcome_badge(outcome),
        "probability": percent(probability),
    }


def _links(
    of: str, pairs: list[shadow.Pair], request: HttpRequest
) -> list[tuple[shadow.Pair, str, bool]]:
    """Each change with what its rows are asked for with, and whether they are shown now."""
    asked = request.GET.get("old"), request.GET.get("new")
    return [
        (
            pair,
            urlencode({"of": of, "old": pair.old, "new": pair.new}),
            asked == (pair.old, pair.new),
        )
        for pair in pairs
    ]


def _query(request: HttpRequest, of: str) -> str:
    """What the other pages of the same list are asked with."""
    chosen = {name: request.GET[name] for name in ("old", "new") if name in request.GET}
    return urlencode({"of": of, **chosen})
