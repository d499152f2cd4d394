"""A category's own words as an exemplar of it, for as long as it has few others."""

from __future__ import annotations

import datetime as dt
import logging
from dataclasses import dataclass
from typing import Any

import psycopg
from django.db import Error as DatabaseError
from django.db import connections, transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone

from marketplace_ai.adapter import JobAdapter, get_adapter
from marketplace_ai.guarantee import minimum_counts
from marketplace_ai.imports.common import prepare_text
from marketplace_ai.models import Exemplar, ExemplarSource, ExemplarState, get_category_model
from marketplace_ai.queue.category_locks import keep_categories
from marketplace_ai.queue.sql import alias
from marketplace_ai.text.normalize import digest, is_blank

logger = logging.getLogger(__name__)

#: Transaction-level advisory lock: workers that find the same thing to do, do it once.
LOCK = 0x6D414934
#: Postings wait while descriptions are looked after, so rows that a host holds are not waited for.
LOCK_TIMEOUT = "200ms"


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to change: primary keys of exemplars that go, and texts by category that come."""

    gone: list[int]
    new: dict[Any, str]


def look_after(settled: float = 0.0) -> bool:
    """``align`` where nothing stands in its way; False, with a log line, where something does.

    Postings are decided with the descriptions that are there, so a host's long transaction or
    an adapter that fails must not keep a worker from deciding.
    """
    try:
        align(settled)
    except (DatabaseError, psycopg.Error) as error:
        logger.warning("Descriptions are left as they are: %s", " ".join(str(error).split()))
        return False
    except Exception:
        logger.exception("Descriptions are left as they are: the adapter fails")
        return False
    return True


def align(settled: float = 0.0) -> bool:
    """Bring descriptions in line with the categories; whether anything was changed.

    A category without children whose other active exemplars are fewer than
    ``enough.FOR_A_PATTERN`` has its description as an exemplar; no other has. One with another
    text takes the place of the older one; one that a person quarantined stays so until its
    text changes. One that came in the last ``settled`` seconds is not replaced yet: a
    text that is never twice the same would otherwise be encoded again and again, by all workers.

    Where nothing is to be done this costs two queries. Safe with any number of workers at
    once: one does it, the others go on. Raises Django's OperationalError where rows that have to
    be written stay locked.
    """
    plan = _plan(settled)
    if not plan.gone and not plan.new:
        return False
    with transaction.atomic(using=alias()):
        with connections[alias()].cursor() as cursor:
            cursor.execute("SELECT set_config('lock_timeout', %s, true)", [LOCK_TIMEOUT])
            cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [LOCK])
            if not cursor.fetchone()[0]:
                return False  # another worker is at it, and what it writes is seen by all
        # Asked again: another worker may have done it just now.
        plan = _plan(settled)
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


def _plan(settled: float) -> Plan:
    adapter = get_adapter()
    descriptions = Exemplar.objects.using(alias()).filter(source=ExemplarSource.DESCRIPTION)
    said = _labels().filter(text_digest=OuterRef("text_digest"), category=OuterRef("category"))
    rows = list(
        descriptions.annotate(said=Exists(said)).values_list(
            "pk", "category_id", "text_digest", "created_at", "said"
        )
    )
    there = {row[1]: row for row in rows if row[1] is not None}
    since = timezone.now() - dt.timedelta(seconds=settled)
    kept: set[Any] = set()
    new: dict[Any, str] = {}
    for category in _few(adapter):
        text = _text(adapter, category)
        _, _, known, created, is_said = there.get(category.pk, (None, None, b"", None, False))
        if text is None:
            kept.add(category.pk)
        elif is_blank(text) or is_said:
            pass
        elif (created is not None and created > since) or digest(text) == bytes(known):
            kept.add(category.pk)
        elif _text(adapter, category) != text:
            logger.warning(
                "The adapter describes category %s otherwise each time it is asked: its "
                "description is left as it is",
                category.pk,
            )
            kept.add(category.pk)
        else:
            new[category.pk] = text
    gone = [row[0] for row in rows if row[1] not in kept]
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
    last = others[minimum_counts.FOR_A_PATTERN - 1 : minimum_counts.FOR_A_PATTERN]
    return categories.filter(~Exists(last)).order_by("pk")


def _text(adapter: JobAdapter, category: Any) -> str | None:
    """The description as it will be compared; None where the adapter fails on the category."""
    try:
        return prepare_text(adapter.category_description(category))
    except (DatabaseError, psycopg.Error):
        raise
    except Exception:
        logger.exception("The adapter fails on the description of category %s", category.pk)
        return None


def _without_twins(new: dict[Any, str]) -> dict[Any, str]:
    """Those that no exemplar of the category says word for word already."""
    if not new:
        return new
    same = _labels().filter(text_digest__in=[digest(text) for text in new.values()])
    said = {
        (category, bytes(text_digest))
        for category, text_digest in same.values_list("category_id", "text_digest")
    }
    return {key: text for key, text in new.items() if (key, digest(text)) not in said}


def _labels() -> QuerySet[Exemplar]:
    """What people gave as examples, without the postings that they were asked about."""
    labels = Exemplar.objects.using(alias()).filter(posting__isnull=True)
    return labels.exclude(source=ExemplarSource.DESCRIPTION)


def _exemplar(category: Any, text: str) -> Exemplar:
    return Exemplar(
        text=text,
        text_digest=digest(text),
        category_id=category.pk,
        category_key=get_adapter().category_key(category)[:200],
        source=ExemplarSource.DESCRIPTION,
    )
