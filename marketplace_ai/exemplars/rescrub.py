"""Exemplars that were stored before scrubbing was, or before it knew a rule."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.db import transaction

from marketplace_ai.adapter import get_adapter
from marketplace_ai.db.alias import alias
from marketplace_ai.models import Exemplar, ExemplarSource, ExemplarState
from marketplace_ai.text.normalize import digest, is_blank

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from django.db.models import QuerySet

#: Exemplars read, and replaced, in one transaction.
STEP = 1000


@dataclass(frozen=True, slots=True)
class Scrubbed:
    """Exemplars ``looked_at``, and those of them with personal data.

    ``merged`` of them said the same as another exemplar once they were scrubbed, and
    ``quarantined`` said nothing any more.
    """

    looked_at: int
    found: int
    merged: int = 0
    quarantined: int = 0


def look(limit: int) -> Scrubbed:
    """How many of the newest ``limit`` exemplars hold personal data; writes nothing."""
    scrub = get_adapter().scrub
    newest = _stored().order_by("-pk").values_list("text", flat=True)[:limit]
    changed = [scrub(text) != text for text in newest.iterator(STEP)]
    return Scrubbed(len(changed), sum(changed))


def scrub_exemplars(
    *, dry_run: bool = False, progress: Callable[[int], None] = lambda looked_at: None
) -> Scrubbed:
    """Put a scrubbed exemplar in the place of each that holds personal data.

    A text never changes: an exemplar that is being encoded right now would be given a vector
    of the old one. So the old one goes, with its vectors, and workers encode the new one.
    Stopped anywhere, it can simply be run again.
    """
    adapter = get_adapter()
    looked_at = found = merged = quarantined = 0
    for step in _steps():
        with transaction.atomic(using=alias()):
            changed = [row for row in step if adapter.scrub(row.text) != row.text]
            for row in [] if dry_run else changed:
                new = _replace(row, adapter.prepared(row.text))
                merged += new is None
                quarantined += new is not None and new.state != row.state
        looked_at, found = looked_at + len(step), found + len(changed)
        progress(len(step))
    return Scrubbed(looked_at, found, merged, quarantined)


def _stored() -> QuerySet[Exemplar]:
    # A category's description is made anew where its text is prepared in another way.
    return Exemplar.objects.using(alias()).exclude(source=ExemplarSource.DESCRIPTION)


def _steps() -> Iterator[list[Exemplar]]:
    """All that are there now, in the order of their keys; what takes their place is newer."""
    end: Any = _stored().order_by("pk").values_list("pk", flat=True).last()
    last = 0
    while end is not None:
        rows = _stored().filter(pk__gt=last, pk__lte=end)
        step = list(rows.order_by("pk")[:STEP])
        if not step:
            return
        last = step[-1].pk
        yield step


def _replace(old: Exemplar, text: str) -> Exemplar | None:
    """The exemplar that takes the place of ``old``; None where another one says the same."""
    rows = Exemplar.objects.using(alias())
    if not rows.filter(pk=old.pk).delete()[0]:
        return None  # an answer has replaced it meanwhile
    same = rows.filter(
        text_digest=digest(text), category_key=old.category_key, posting_id=old.posting_id
    )
    if same.exists():
        return None
    says_nothing = is_blank(text) and not old.is_none
    new = Exemplar(
        text=text,
        text_digest=digest(text),
        category_id=old.category_id,
        category_key=old.category_key,
        is_none=old.is_none,
        source=old.source,
        state=ExemplarState.QUARANTINED if says_nothing else old.state,
        posting_id=old.posting_id,
        created_by_id=old.created_by_id,
    )
    new.save(using=alias())
    rows.filter(pk=new.pk).update(created_at=old.created_at)
    return new
