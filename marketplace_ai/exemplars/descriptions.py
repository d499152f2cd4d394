"""Descriptions: a category's name and scope, and the parts of both, as exemplars, while it has few
others."""

from __future__ import annotations

import datetime as dt
import logging
from dataclasses import dataclass
from typing import Any, NamedTuple

import psycopg
from django.db import Error as DatabaseError
from django.db import connections, transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from marketplace_ai.adapter import JobAdapter, get_adapter
from marketplace_ai.db import advisory_locks
from marketplace_ai.db.alias import alias
from marketplace_ai.db.error_kind import describe
from marketplace_ai.guarantee import minimum_counts
from marketplace_ai.imports.common import prepare_text
from marketplace_ai.models import Exemplar, ExemplarSource, ExemplarState, get_category_model
from marketplace_ai.queue.category_locks import lock_categories
from marketplace_ai.text.description_parts import description_parts
from marketplace_ai.text.normalize import digest, is_blank

logger = logging.getLogger(__name__)

#: Postings wait during a step, so it gives up soon on rows that the project has locked.
LOCK_TIMEOUT = "200ms"
#: Categories compared in one step, and new texts from which on it ends: about as many as an encoder
#: takes at once, so that a replaced description is missing for a moment only.
STEP, NEW_AT_A_TIME = 128, 64


@dataclass(frozen=True, slots=True)
class Plan:
    """The changes of a step: exemplars to delete, and texts to add, by category; ``last`` is the
    key of its last category, None at the end."""

    obsolete: list[int]
    new: dict[Any, list[str]]
    last: Any | None

    @property
    def changes_something(self) -> bool:
        return bool(self.obsolete or self.new)


class Sync:
    """A sync in steps of some categories, between which postings are decided.

    Until ``is_done`` each call of ``step`` takes the next categories. Several may be under way
    in different workers.
    """

    def __init__(self, min_age: float = 0.0) -> None:
        """For ``min_age`` see ``sync``."""
        self.is_done = False
        #: Whether an error has ended it early.
        self.has_failed = False
        self._min_age = min_age
        self._after: Any | None = None

    def step(self) -> bool:
        """Sync the next categories; whether anything was changed. Raises as ``sync`` does."""
        self.is_done = True  # if it raises, too
        plan = _plan(self._min_age, self._after)
        if plan.changes_something:
            written = _write(self._min_age, self._after)
            if written is None:
                return False  # another worker is doing it, and all will see what it writes
            plan = written
        self._after, self.is_done = plan.last, plan.last is None
        return plan.changes_something

    def step_safely(self) -> None:
        """``step``; an error is logged and ends the sync.

        Postings can be decided with the existing descriptions, so neither a long transaction of
        the project nor an adapter that fails may keep a worker from deciding.
        """
        try:
            self.step()
        except (DatabaseError, psycopg.Error) as error:
            logger.warning("Descriptions are left as they are: %s", describe(error))
            self.has_failed = True
        except Exception:
            logger.exception("Descriptions are left as they are: the adapter fails")
            self.has_failed = True


def sync(min_age: float = 0.0) -> bool:
    """Add, replace and delete descriptions so that they match the categories.

    A category without children has its description and the parts of it (``description_parts``) as
    exemplars while it has fewer than ``minimum_counts.MIN_EXEMPLARS_FOR_HEAD`` other active ones.
    Texts of a changed description replace the older ones. One that a person quarantined stays
    quarantined as long as the description has it.

    Parameters:
        min_age: seconds for which a new description is not replaced. Otherwise a text that is
            different at each call would be encoded again and again by all workers.

    Returns whether anything was changed. Takes two queries a step if there is nothing to do. Any
    number of workers may call it at once: one does the work, the others continue. Raises Django's
    ``OperationalError`` if rows that have to be written stay locked.
    """
    steps, changed = Sync(min_age), False
    while not steps.is_done:
        changed |= steps.step()
    return changed


def _write(min_age: float, after: Any | None) -> Plan | None:
    """Write what the categories after a key need; None where another worker is writing."""
    with transaction.atomic(using=alias()):
        with connections[alias()].cursor() as cursor:
            cursor.execute("SELECT set_config('lock_timeout', %s, true)", [LOCK_TIMEOUT])
            if not advisory_locks.try_lock(cursor, advisory_locks.DESCRIPTION_SYNC):
                return None
        # Planned again, now under the lock: another worker may have just finished.
        plan = _plan(min_age, after)
        # All writers lock categories first. A category deleted meanwhile gets no description.
        categories = lock_categories(plan.new)
        Exemplar.objects.using(alias()).filter(pk__in=plan.obsolete).delete()
        rows = [_exemplar(categories[key], text) for key in categories for text in plan.new[key]]
        Exemplar.objects.using(alias()).bulk_create(rows, ignore_conflicts=True)
    return plan


def count_description_only() -> int:
    """Count the categories whose only active exemplar is their description."""
    voting = Exemplar.objects.using(alias()).filter(state=ExemplarState.ACTIVE)
    others = voting.exclude(source=ExemplarSource.DESCRIPTION)
    described = voting.filter(source=ExemplarSource.DESCRIPTION)
    alone = described.exclude(Exists(others.filter(category=OuterRef("category"))))
    return alone.values("category").distinct().count()


def _plan(min_age: float, after: Any | None) -> Plan:
    adapter = get_adapter()
    categories = list(_with_few_exemplars(adapter, after)[:STEP])
    last = categories[-1].pk if len(categories) == STEP else None
    descriptions = Exemplar.objects.using(alias()).filter(source=ExemplarSource.DESCRIPTION)
    if last is not None:
        # The first step also has those whose category is gone.
        descriptions = descriptions.filter(Q(category__lte=last) | Q(category=None))
    if after is not None:
        descriptions = descriptions.filter(category__gt=after)
    same_text = _labels().filter(text_digest=OuterRef("text_digest"), category=OuterRef("category"))
    rows = list(
        descriptions.annotate(is_duplicate=Exists(same_text)).values_list(
            "pk", "category_id", "text_digest", "created_at", "is_duplicate"
        )
    )
    existing: dict[Any, list[_Row]] = {}
    for row in map(_Row._make, rows):
        existing.setdefault(row.category, []).append(row)
    since = timezone.now() - dt.timedelta(seconds=min_age)
    kept: set[int] = set()
    new: dict[Any, list[str]] = {}
    for position, category in enumerate(categories):
        if sum(map(len, new.values())) >= NEW_AT_A_TIME:
            last = categories[position - 1].pk
            waiting = [row for left in categories[position:] for row in existing.get(left.pk, [])]
            kept.update(row.pk for row in waiting)
            break
        texts = _texts(adapter, category)
        own = existing.get(category.pk, [])
        if texts is None:
            kept.update(row.pk for row in own)
            continue
        if texts and any(row.created_at > since for row in own):
            kept.update(row.pk for row in own if not row.is_duplicate)
            continue
        has = {bytes(row.text_digest) for row in own}
        missing = [text for text in texts if digest(text) not in has]
        if missing and _texts(adapter, category) != texts:
            logger.warning(
                "The adapter describes category %s otherwise each time it is called: its "
                "description is left as it is",
                category.pk,
            )
            kept.update(row.pk for row in own)
            continue
        wanted = {digest(text) for text in texts}
        kept.update(
            row.pk for row in own if bytes(row.text_digest) in wanted and not row.is_duplicate
        )
        if missing:
            new[category.pk] = missing
    obsolete = [row[0] for row in rows if row[0] not in kept]
    return Plan(obsolete, _without_duplicates(new), last)


class _Row(NamedTuple):
    """A text of a description that is among the exemplars."""

    pk: int
    category: Any
    text_digest: bytes
    created_at: dt.datetime
    #: A labeled exemplar of the category says the same.
    is_duplicate: bool


def _with_few_exemplars(adapter: JobAdapter, after: Any | None) -> QuerySet[Any]:
    """Categories that may have a description: without children, with few other exemplars; by
    key, those after ``after``."""
    categories: QuerySet[Any] = get_category_model()._base_manager.using(alias())
    if adapter.category_parent_field is not None:
        children = categories.filter(**{adapter.category_parent_field: OuterRef("pk")})
        categories = categories.exclude(Exists(children))
    if after is not None:
        categories = categories.filter(pk__gt=after)
    others = (
        Exemplar.objects.using(alias())
        .filter(category=OuterRef("pk"), state=ExemplarState.ACTIVE)
        .exclude(source=ExemplarSource.DESCRIPTION)
        .order_by()
        .values("pk")
    )
    # Checks for the last exemplar needed, since counting would read all of them.
    last = others[minimum_counts.MIN_EXEMPLARS_FOR_HEAD - 1 : minimum_counts.MIN_EXEMPLARS_FOR_HEAD]
    return categories.filter(~Exists(last)).order_by("pk")


def _texts(adapter: JobAdapter, category: Any) -> list[str] | None:
    """The prepared description of the category and its parts; None if the adapter fails on it."""
    try:
        parts = description_parts(adapter.category_description(category))
        prepared = dict.fromkeys(prepare_text(part) for part in parts)
    except (DatabaseError, psycopg.Error):
        raise
    except Exception:
        logger.exception("The adapter fails on the description of category %s", category.pk)
        return None
    return [text for text in prepared if not is_blank(text)]


def _without_duplicates(new: dict[Any, list[str]]) -> dict[Any, list[str]]:
    """The texts that no labeled exemplar of the same category repeats word for word."""
    if not new:
        return new
    digests = [digest(text) for texts in new.values() for text in texts]
    same_texts = _labels().filter(text_digest__in=digests)
    duplicates = {
        (category, bytes(text_digest))
        for category, text_digest in same_texts.values_list("category_id", "text_digest")
    }
    kept = {
        key: [text for text in texts if (key, digest(text)) not in duplicates]
        for key, texts in new.items()
    }
    return {key: texts for key, texts in kept.items() if texts}


def _labels() -> QuerySet[Exemplar]:
    """Exemplars that people gave, without those that come from their answers about postings."""
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
