"""The project's own postings whose category a person set, never the machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import DatabaseError, connections, transaction
from django.db.models import Exists, F, OuterRef

from marketplace_ai.adapter import get_adapter
from marketplace_ai.db.alias import alias
from marketplace_ai.imports.common import categories_by_key
from marketplace_ai.models import Decision
from marketplace_ai.text.bad_rows import BadRows
from marketplace_ai.text.date_forms import without_zone
from marketplace_ai.text.labeled_csv import LabeledRows
from marketplace_ai.text.labeled_notes import tell_notes
from marketplace_ai.text.table_error import TableError

if TYPE_CHECKING:
    from django.db.models import QuerySet

    from marketplace_ai.adapter import JobAdapter

#: What messages call them.
SOURCE = "Your postings"


def not_set_by_machine(postings: QuerySet[Any], adapter: JobAdapter) -> QuerySet[Any]:
    """Without the postings whose category is the machine's own, which nobody answered."""
    set_by_machine = Decision.objects.filter(
        posting_id=OuterRef("pk"), is_current=True, is_answered=False,
        machine_category_id=OuterRef(f"{adapter.category_field}_id"),
    )  # fmt: skip
    return postings.exclude(Exists(set_by_machine))


def newest_first(postings: QuerySet[Any], adapter: JobAdapter) -> QuerySet[Any]:
    """By the adapter's time of creation if it names one, then by key."""
    order = [F("pk").desc()]
    if adapter.created_field:
        # Without nulls_last PostgreSQL puts postings without a date first.
        order.insert(0, F(adapter.created_field).desc(nulls_last=True))
    return postings.order_by(*order)


def text_and_family(bad: BadRows, adapter: JobAdapter, posting: Any) -> tuple[str | None, str]:
    """The posting's prepared text, None if it is not eligible or bad, and its family."""
    try:
        text = adapter.encoder_input(posting) if adapter.eligible(posting) else None
        return text, adapter.prepared_family(adapter.posting_family(posting))
    except DatabaseError:
        raise  # the transaction has failed, whatever else could be read
    except Exception as error:  # noqa: BLE001 (the project's own code)
        bad.total += 1
        bad.add(
            posting.pk,
            f"the adapter fails on it: {type(error).__name__}: {error}. Correct its eligible(), "
            "text(), clean() or posting_family().",
        )
        return None, ""


def read_postings(*, limit: int, skip_bad: bool = False) -> LabeledRows:
    """The newest ``limit`` of them as labeled rows, read in a transaction that cannot write.

    The app's own tables need not exist: without them the machine has set no category. Texts
    without anything to go by are among them. Raises TableError where there is no such posting, and
    names those that the adapter cannot read, unless ``skip_bad`` leaves them out.
    """
    adapter = get_adapter()
    bad = BadRows(SOURCE, skip_bad, "posting")
    found: list[tuple[Any, str, str, str, Any]] = []
    with transaction.atomic(using=alias()):
        connection = connections[alias()]
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION READ ONLY")
            has_tables = Decision._meta.db_table in connection.introspection.table_names(cursor)
        keys = {category.pk: key for key, category in categories_by_key().items()}
        postings = adapter.jobs().filter(**{f"{adapter.category_field}__isnull": False})
        if has_tables:
            postings = not_set_by_machine(postings, adapter)
        for posting in newest_first(postings, adapter).iterator(chunk_size=2000):
            text, family = text_and_family(bad, adapter, posting)
            key = keys.get(adapter.category_id(posting))
            if text is None or key is None:
                continue
            created = getattr(posting, adapter.created_field) if adapter.created_field else None
            found.append((posting.pk, text, key, family, created))
            if len(found) == limit:
                break
    bad.total += len(found)
    left_out = bad.check()
    if not found:
        raise TableError(
            f"{SOURCE}: none has a category that a person set. Set some, or name a file of texts "
            "and categories."
        )
    rows = LabeledRows(
        SOURCE,
        [pk for pk, _, _, _, _ in found],
        [text for _, text, _, _, _ in found],
        [(key,) for _, _, key, _, _ in found],
        None,
        {},
        [family for _, _, _, family, _ in found] if any(row[3] for row in found) else (),
        left_out,
        [created and without_zone(created) for _, _, _, _, created in found]
        if adapter.created_field
        else (),
    )
    tell_notes(SOURCE, rows.texts, rows.true_labels, (f"posting {pk}" for pk in rows.lines))
    return rows
