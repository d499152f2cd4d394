"""Scrubbing of exemplars that were stored before a scrubbing rule existed."""

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

#: Exemplars read and replaced in one transaction.
BATCH_SIZE = 1000


@dataclass(frozen=True, slots=True)
class ScrubCounts:
    """Counts of a run; ``scrub_stored --json`` prints them under these names.

    Attributes:
        looked_at: exemplars read.
        found: those with personal data.
        merged: those deleted because, scrubbed, they repeat another exemplar.
        quarantined: those quarantined because nothing is left of them.
    """

    looked_at: int
    found: int
    merged: int = 0
    quarantined: int = 0


def count_unscrubbed(limit: int) -> ScrubCounts:
    """Count the newest ``limit`` exemplars, and those with personal data; writes nothing."""
    scrub = get_adapter().scrub
    newest = _stored().order_by("-pk").values_list("text", flat=True)[:limit]
    changed = [scrub(text) != text for text in newest.iterator(BATCH_SIZE)]
    return ScrubCounts(len(changed), sum(changed))


def scrub_exemplars(
    *, dry_run: bool = False, progress: Callable[[int], None] = lambda looked_at: None
) -> ScrubCounts:
    """Replace each exemplar that holds personal data with a scrubbed one.

    The text of an exemplar never changes in place: one that is being encoded at this moment
    would get the vector of its old text. The old exemplar is deleted with its vectors, and
    workers encode the new one. After an interruption, simply run it again.
    """
    adapter = get_adapter()
    looked_at = found = merged = quarantined = 0
    for batch in _batches():
        with transaction.atomic(using=alias()):
            changed = [row for row in batch if adapter.scrub(row.text) != row.text]
            for row in [] if dry_run else changed:
                new = _replace(row, adapter.prepared(row.text))
                merged += new is None
                quarantined += new is not None and new.state != row.state
        looked_at, found = looked_at + len(batch), found + len(changed)
        progress(len(batch))
    return ScrubCounts(looked_at, found, merged, quarantined)


def _stored() -> QuerySet[Exemplar]:
    # Descriptions are left out: a sync replaces them when their prepared text changes.
    return Exemplar.objects.using(alias()).exclude(source=ExemplarSource.DESCRIPTION)


def _batches() -> Iterator[list[Exemplar]]:
    """All existing exemplars, by primary key; those that replace them have higher keys."""
    end: Any = _stored().order_by("pk").values_list("pk", flat=True).last()
    last = 0
    while end is not None:
        rows = _stored().filter(pk__gt=last, pk__lte=end)
        batch = list(rows.order_by("pk")[:BATCH_SIZE])
        if not batch:
            return
        last = batch[-1].pk
        yield batch


def _replace(old: Exemplar, text: str) -> Exemplar | None:
    """Replace ``old``; returns the new exemplar, or None if another one has the same text."""
    rows = Exemplar.objects.using(alias())
    if not rows.filter(pk=old.pk).delete()[0]:
        return None  # an answer replaced it meanwhile
    same = rows.filter(
        text_digest=digest(text), category_key=old.category_key, posting_id=old.posting_id
    )
    if same.exists():
        same.filter(family="").update(family=old.family)
        return None
    is_empty = is_blank(text)
    new = Exemplar(
        text=text,
        text_digest=digest(text),
        category_id=old.category_id,
        category_key=old.category_key,
        is_none=old.is_none,
        family=old.family,
        source=old.source,
        state=ExemplarState.QUARANTINED if is_empty else old.state,
        posting_id=old.posting_id,
        created_by_id=old.created_by_id,
    )
    new.save(using=alias())
    rows.filter(pk=new.pk).update(created_at=old.created_at)
    return new
