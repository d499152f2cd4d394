"""Import of exemplars, from CSV or from postings that a person labeled."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from django.db import transaction

from marketplace_ai.adapter import get_adapter
from marketplace_ai.db.alias import alias
from marketplace_ai.imports.categorized_postings import (
    newest_first,
    not_set_by_machine,
    text_and_family,
)
from marketplace_ai.imports.common import categories_by_key, noting_errors, prepare_text
from marketplace_ai.imports.contradictions import ImportedText, tell_contradictions
from marketplace_ai.models import Exemplar, ExemplarSource, ExemplarState
from marketplace_ai.taxonomy.follow_keys import follow_keys, lock_taxonomy
from marketplace_ai.text.bad_rows import NOTHING_LEFT_OUT, BadRows, LeftOut
from marketplace_ai.text.category_cells import single_categories
from marketplace_ai.text.csv_files import Row, TableError, read_csv
from marketplace_ai.text.family_cells import FAMILY, family_cells
from marketplace_ai.text.family_sizes import FamilySizes
from marketplace_ai.text.normalize import digest, is_blank
from marketplace_ai.text.row_texts import text_to_learn

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True, slots=True)
class ExemplarCounts:
    """What an import did; each text of it is counted once.

    Attributes:
        added: exemplars that are new.
        existing: those that were there already, and vote.
        categories_created: new categories.
        quarantined: those that were there already and do not vote: a person quarantined them, or
            their category was deleted and several have its key now.
        restored: those that were there already, did not vote because their category was deleted,
            and vote again because it exists again.
        new_family: those that were there already, and now have the family that the import names.
        family_sizes: how many families the texts count as, if it is a dry run.
        contradictory_texts: texts with several labels, also in exemplars that there were.
        left_out: the rows or postings that were bad, or are nothing after scrubbing.
    """

    added: int
    existing: int
    categories_created: int
    quarantined: int = 0
    restored: int = 0
    new_family: int = 0
    family_sizes: FamilySizes | None = None
    contradictory_texts: int = 0
    left_out: LeftOut = NOTHING_LEFT_OUT


def import_exemplars(
    path: str, *, create_categories: bool = False, dry_run: bool = False, skip_bad: bool = False
) -> ExemplarCounts:
    """Add the labeled texts of a CSV file as exemplars.

    Parameters:
        path: a file with the columns text, category and, if known, family; the category is a
            category's key, or ``none`` for a text that fits no category.
        create_categories: create categories that do not exist; otherwise they are errors.
        dry_run: check and count, write nothing.
        skip_bad: leave bad rows out instead of refusing the file.

    A text that is nothing after scrubbing is left out and counted. Raises ``TableError`` with the
    lines of all bad rows; then nothing was written.

    Example::

        counts = import_exemplars("exemplars.csv", create_categories=True)
    """
    adapter = get_adapter()
    bad = BadRows(path, skip_bad)
    rows = read_csv(path, ("text", "category"), (FAMILY,), bad)
    categories = categories_by_key()
    learned: list[tuple[Row, str | None, str]] = []
    missing: dict[str, list[Row]] = {}
    for row, key in single_categories(bad, rows, categories.keys()):
        if key is not None and key not in categories:
            if not create_categories:
                bad.add(
                    row.line,
                    f"there is no category {key!r}. Import the catalog that has it first, correct "
                    "the row, or use --create-categories.",
                )
                continue
            missing.setdefault(key, []).append(row)
        text = text_to_learn(bad, row, lambda row: prepare_text(row["text"]))
        if text is not None:
            learned.append((row, key, text))
    families = family_cells(bad, [row for row, _, _ in learned])
    with transaction.atomic(using=alias()):
        lock_taxonomy()
        categories = categories_by_key()  # again: another import may have made some meanwhile
        created = 0
        for key in dict.fromkeys(key for row, key, _ in learned if row.line not in bad):
            if key is not None and key not in categories:
                if key not in missing:  # it was deleted since the first look
                    raise TableError(
                        f"{path}: the category {key!r} was deleted just now. Try again."
                    )
                with noting_errors(bad, *missing[key]):
                    categories[key] = adapter.create_category(key, None, {"name_nb": key})
                    created += 1
        left_out = bad.check()
        learned = [each for each in learned if each[0].line not in bad]
        contradictory = tell_contradictions(
            path, ((text, key, f"line {row.line}") for row, key, text in learned)
        )
        restored = follow_keys().restored
        counts = _add(
            (
                _exemplar(
                    text,
                    categories[key] if key else None,
                    key or "",
                    ExemplarSource.IMPORTED,
                    adapter.prepared_family(families[row.line]),
                )
                for row, key, text in learned
            ),
            restored,
            with_families=dry_run,
        )
        transaction.set_rollback(dry_run, using=alias())
    return replace(
        counts,
        categories_created=created,
        contradictory_texts=contradictory,
        left_out=left_out,
    )


def exemplars_from_postings(
    *, per_category: int, dry_run: bool = False, skip_bad: bool = False
) -> ExemplarCounts:
    """Add postings with a category that a person set, never the machine's own, as exemplars.

    At most ``per_category`` of each category: the newest, if the adapter names a field with the
    time of creation. Texts that are nothing after scrubbing are left out and counted. Raises
    ``TableError`` naming the postings that the adapter cannot read, and then nothing was written;
    with ``skip_bad`` those are left out.
    """
    adapter = get_adapter()
    exemplars = []
    labeled: list[ImportedText] = []
    bad = BadRows("Your postings", skip_bad, "posting")
    with transaction.atomic(using=alias()):
        restored = follow_keys().restored
        for key, category in categories_by_key().items():
            postings = adapter.jobs().filter(**{adapter.category_field: category})
            newest = newest_first(not_set_by_machine(postings, adapter), adapter)
            for posting in newest[:per_category]:
                text, family = text_and_family(bad, adapter, posting)
                if text is None:
                    continue
                bad.total += 1
                if is_blank(text):
                    bad.blank.append(posting.pk)
                else:
                    exemplars.append(
                        _exemplar(text, category, key, ExemplarSource.POSTING, family, posting.pk)
                    )
                    labeled.append((text, key, f"posting {posting.pk}"))
        left_out = bad.check()
        counts = _add(exemplars, restored, with_families=dry_run)
        transaction.set_rollback(dry_run, using=alias())
    contradictory = tell_contradictions(bad.source, labeled)
    return replace(counts, contradictory_texts=contradictory, left_out=left_out)


def _exemplar(
    text: str,
    category: Any | None,
    key: str,
    source: ExemplarSource,
    family: str,
    posting_id: Any | None = None,
) -> Exemplar:
    return Exemplar(
        text=text,
        text_digest=digest(text),
        category_id=category.pk if category is not None else None,
        category_key=key[:200],
        is_none=not key,
        family=family,
        source=source,
        posting_id=posting_id,
    )


def _add(
    exemplars: Iterable[Exemplar], restored: frozenset[int], *, with_families: bool
) -> ExemplarCounts:
    """Add the exemplars that do not exist yet; ``restored`` are ids of those that vote again.

    Those that exist get the families that the new ones name. ``with_families``: count them.
    """
    unique: dict[tuple[Any, str, Any], Exemplar] = {}
    for new in exemplars:
        one = unique.setdefault((new.text_digest, new.category_key, new.posting_id), new)
        one.family = one.family or new.family
    sizes = _family_sizes(list(unique.values())) if with_families else None
    known: Counter[str] = Counter()
    renamed: list[Exemplar] = []
    rows = Exemplar.objects.using(alias()).exclude(source=ExemplarSource.DESCRIPTION)
    rows = rows.filter(text_digest__in=[text_digest for text_digest, _, _ in unique])
    for pk, text_digest, key, posting_id, state, family in rows.values_list(
        "pk", "text_digest", "category_key", "posting_id", "state", "family"
    ):
        again = unique.pop((bytes(text_digest), key, posting_id), None)
        if again is not None:
            known["restored" if pk in restored else state] += 1
            if again.family not in ("", family):
                renamed.append(Exemplar(pk=pk, family=again.family))
    Exemplar.objects.using(alias()).bulk_update(renamed, ["family"], batch_size=1000)
    Exemplar.objects.bulk_create(unique.values(), ignore_conflicts=True, batch_size=1000)
    return ExemplarCounts(
        added=len(unique),
        existing=known[ExemplarState.ACTIVE],
        categories_created=0,
        quarantined=known[ExemplarState.QUARANTINED] + known[ExemplarState.ORPHANED],
        restored=known["restored"],
        new_family=len(renamed),
        family_sizes=sizes,
    )


def _family_sizes(exemplars: list[Exemplar]) -> FamilySizes:
    from marketplace_ai.classifier.families import (
        find_families,  # numeric libraries, for this alone
    )

    texts, given = [each.text for each in exemplars], [each.family for each in exemplars]
    return FamilySizes.count(find_families(texts, given=given).tolist())
