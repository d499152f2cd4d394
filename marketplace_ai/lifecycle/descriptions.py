"""A category's own words as an exemplar of it, for as long as it has few others."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

import psycopg
from django.db import Error as DatabaseError
from django.db import connections, transaction
from django.db.models import Exists, OuterRef, QuerySet

from marketplace_ai import enough
from marketplace_ai.adapter import JobAdapter, get_adapter
from marketplace_ai.imports import clean_text
from marketplace_ai.models import Exemplar, ExemplarSource, ExemplarState, get_category_model
from marketplace_ai.queue.categories import keep_categories
from marketplace_ai.queue.sql import alias
from marketplace_ai.text import digest, is_blank

logger = logging.getLogger(__name__)

#: Transaction-level advisory lock: workers that find the same thing to do, do it once.
LOCK = 0x6D414934


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to change: primary keys of exemplars that go, and texts by category that come."""

    gone: list[int]
    new: dict[Any, str]


def align() -> bool:
    """Bring descriptions in line with the categories; whether anything had to change.

    A category without children whose other active exemplars are fewer than
    ``enough.FOR_A_PATTERN`` has its description as an exemplar; no other has. One with another
    text takes the place of the older one; one that a person quarantined stays so until its
    text changes. Where nothing is to be done this costs two queries. Safe with any number of
    workers at once.
    """
    plan = _plan()
    if not plan.gone and not plan.new:
        return False
    with transaction.atomic(using=alias()):
        with connections[alias()].cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
        # Asked again: another worker may have done it while this one waited.
        plan = _plan()
        # Categories first, as everyone who writes; one that goes meanwhile gets none.
        categories = keep_categories(plan.new)
        Exemplar.objects.using(alias()).filter(pk__in=plan.gone).delete()
        rows = [_exemplar(categories[key], plan.new[key]) for key in categories]
        Exemplar.objects.using(alias()).bulk_create(rows, ignore_conflicts=True)
    return bool(plan.gone or plan.new)


def alone() -> int:
    """How many categories have a description that votes, and no other exemplar that does."""
    voting = Exemplar.objects.using(alias()).filter(state=ExemplarState.ACTIVE)
    others = voting.exclude(source=ExemplarSource.DESCRIPTION)
    described = voting.filter(source=ExemplarSource.DESCRIPTION)
    return described.exclude(Exists(others.filter(category=OuterRef("category")))).count()


def _plan() -> Plan:
    adapter = get_adapter()
    standing = Exemplar.objects.using(alias()).filter(source=ExemplarSource.DESCRIPTION)
    there = [
        (pk, category, bytes(text_digest))
        for pk, category, text_digest in standing.values_list("pk", "category_id", "text_digest")
    ]
    known = {(category, text_digest): pk for pk, category, text_digest in there}
    kept: set[int] = set()
    new: dict[Any, str] = {}
    unreadable: set[Any] = set()
    for category in _few(adapter):
        text = _text(adapter, category)
        if text is None:
            unreadable.add(category.pk)
        elif not is_blank(text):
            found = known.get((category.pk, digest(text)))
            if found is None:
                new[category.pk] = text
            else:
                kept.add(found)
    gone = [pk for pk, category, _ in there if pk not in kept and category not in unreadable]
    return Plan(gone, _without_twins(new))


def _few(adapter: JobAdapter) -> QuerySet[Any]:
    """Categories that could have a description: without children, with few other exemplars."""
    categories: QuerySet[Any] = get_category_model()._base_manager.using(alias())
    if adapter.category_parent_field is not None:
        children = categories.filter(**{adapter.category_parent_field: OuterRef("pk")})
        categories = categories.exclude(Exists(children))
    others = (
        Exemplar.objects.using(alias())
        .filter(category=OuterRef("pk"), state=ExemplarState.ACTIVE)
        .exclude(source=ExemplarSource.DESCRIPTION)
        .order_by()
        .values("pk")
    )
    # The last one that would be enough: counting them all would read every exemplar.
    last = others[enough.FOR_A_PATTERN - 1 : enough.FOR_A_PATTERN]
    return categories.filter(~Exists(last)).order_by("pk")


def _text(adapter: JobAdapter, category: Any) -> str | None:
    """The description as it will be compared; None where the adapter fails on the category."""
    try:
        return clean_text(adapter.category_description(category))
    except (DatabaseError, psycopg.Error):
        raise
    except Exception:
        logger.exception("The adapter fails on the description of category %s", category.pk)
        return None


def _without_twins(new: dict[Any, str]) -> dict[Any, str]:
    """Those that no exemplar of the category says word for word already."""
    if not new:
        return new
    same = Exemplar.objects.using(alias()).filter(
        text_digest__in=[digest(text) for text in new.values()], job__isnull=True
    )
    said = {
        (category, bytes(text_digest))
        for category, text_digest in same.values_list("category_id", "text_digest")
    }
    return {key: text for key, text in new.items() if (key, digest(text)) not in said}


def _exemplar(category: Any, text: str) -> Exemplar:
    return Exemplar(
        text=text,
        text_digest=digest(text),
        category_id=category.pk,
        category_key=get_adapter().category_key(category)[:200],
        source=ExemplarSource.DESCRIPTION,
    )
