"""Files into categories, exemplars and postings: whole or not at all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Exists, F, OuterRef

from marketplace_ai.adapter import get_adapter
from marketplace_ai.models import (
    Decision,
    Exemplar,
    ExemplarSource,
    get_category_model,
    get_job_model,
)
from marketplace_ai.queue.sql import alias
from marketplace_ai.queue.write import prepared_text
from marketplace_ai.tables import Row, TableError, read_csv
from marketplace_ai.text import digest, is_blank, prepare

if TYPE_CHECKING:
    from collections.abc import Iterable

#: The category of a text that fits no category, in files.
NONE = "none"


@dataclass(frozen=True, slots=True)
class ExemplarCounts:
    added: int
    known: int
    categories_created: int


def import_catalog(path: str, *, dry_run: bool = False) -> int:
    """Categories from CSV, parents before children; how many rows the file has."""
    rows = read_csv(path, ("slug", "parent", "name_nb"), ("name_en", "scope_nb"))
    by_slug: dict[str, Row] = {}
    for row in rows:
        if not row["slug"] or not row["name_nb"]:
            raise TableError(f"{path}, line {row.line}: slug and name_nb must not be empty.")
        if row["slug"] == NONE:
            raise TableError(
                f"{path}, line {row.line}: the slug 'none' is kept for texts that fit no category."
            )
        if row["slug"] in by_slug:
            raise TableError(
                f"{path}, line {row.line}: the slug {row['slug']!r} stands in line "
                f"{by_slug[row['slug']].line} already."
            )
        by_slug[row["slug"]] = row
    adapter = get_adapter()
    known = categories_by_key()
    for row in rows:
        if row["parent"] and row["parent"] not in by_slug and row["parent"] not in known:
            raise TableError(
                f"{path}, line {row.line}: the parent {row['parent']!r} is neither in the file "
                "nor in the catalogue."
            )
    ordered = list(_parents_first(path, by_slug))
    if dry_run:
        return len(rows)
    with transaction.atomic(using=alias()):
        for row in ordered:
            parent = known.get(row["parent"]) if row["parent"] else None
            try:
                known[row["slug"]] = adapter.create_category(row["slug"], parent, row.values)
            except ValidationError as error:
                raise TableError(f"{path}, line {row.line}: {'; '.join(error.messages)}") from None
    return len(rows)


def _parents_first(path: str, rows: dict[str, Row]) -> Iterable[Row]:
    done: set[str] = set()
    for start in rows.values():
        chain: list[Row] = []
        row: Row | None = start
        while row is not None and row["slug"] not in done:
            if row in chain:
                raise TableError(
                    f"{path}, line {row.line}: {row['slug']!r} is its own ancestor. "
                    "Correct the column parent."
                )
            chain.append(row)
            row = rows.get(row["parent"])
        for ancestor in reversed(chain):
            done.add(ancestor["slug"])
            yield ancestor


def import_exemplars(
    path: str, *, create_categories: bool = False, dry_run: bool = False
) -> ExemplarCounts:
    """Exemplars from CSV; TableError names the first row whose category does not exist."""
    adapter = get_adapter()
    rows = read_csv(path, ("text", "category"))
    known = categories_by_key()
    missing: dict[str, Row] = {}
    for row in rows:
        if not row["text"]:
            raise TableError(f"{path}, line {row.line}: the text is empty.")
        key = row["category"]
        if not key:
            raise TableError(
                f"{path}, line {row.line}: the category is empty; "
                "write 'none' for a text that fits no category."
            )
        if key != NONE and key not in known:
            missing.setdefault(key, row)
    if missing and not create_categories:
        key, row = next(iter(missing.items()))
        raise TableError(
            f"{path}, line {row.line}: there is no category {key!r}. Import the catalogue that "
            "has it first, correct the row, or use --create-categories."
        )
    with transaction.atomic(using=alias()):
        if not dry_run:
            for key in missing:
                known[key] = adapter.create_category(key, None, {"name_nb": key})
        added, already = _add(
            (
                _exemplar(
                    prepare(row["text"], adapter.max_chars),
                    known.get(row["category"]),
                    row["category"] if row["category"] != NONE else "",
                    ExemplarSource.IMPORTED,
                )
                for row in rows
            ),
            dry_run,
        )
    return ExemplarCounts(added, already, len(missing))


def exemplars_from_jobs(*, per_category: int, dry_run: bool = False) -> ExemplarCounts:
    """Exemplars from postings whose category a person set; never from the machine's own."""
    adapter = get_adapter()
    field = adapter.category_field
    machines = Decision.objects.filter(
        job_id=OuterRef("pk"), current=True, answered=False,
        machine_category_id=OuterRef(f"{field}_id"),
    )  # fmt: skip
    added = already = 0
    for key, category in categories_by_key().items():
        jobs: Any = adapter.jobs().filter(**{field: category}).exclude(Exists(machines))
        exemplars = []
        for job in jobs.order_by(F("pk").desc())[:per_category]:
            text = prepared_text(adapter, job)
            if adapter.eligible(job) and not is_blank(text):
                exemplars.append(_exemplar(text, category, key, ExemplarSource.HOST, job.pk))
        new, old = _add(exemplars, dry_run)
        added, already = added + new, already + old
    return ExemplarCounts(added, already, 0)


def import_jobs(path: str, *, dry_run: bool = False) -> list[Any]:
    """Postings from CSV, validated as the host's forms would; all of them or none."""
    adapter = get_adapter()
    jobs = []
    for row in read_csv(path, ("title", "description")):
        job = adapter.make_job(row["title"], row["description"])
        try:
            job.full_clean(exclude=_not_from_file())
        except ValidationError as error:
            problems = "; ".join(
                f"{name}: {' '.join(messages)}" for name, messages in error.message_dict.items()
            )
            raise TableError(f"{path}, line {row.line}: {problems}") from None
        jobs.append(job)
    if not dry_run:
        with transaction.atomic(using=alias()):
            for job in jobs:
                job.save()
    return jobs


def _not_from_file() -> list[str]:
    """Fields that the file cannot fill and the database may."""
    return [
        field.name
        for field in get_job_model()._meta.fields
        if field.has_default() or field.null or not field.editable
    ]


def categories_by_key() -> dict[str, Any]:
    """All categories by the key that files use."""
    adapter = get_adapter()
    model: Any = get_category_model()
    return {adapter.category_key(category): category for category in model._base_manager.all()}


def _exemplar(
    text: str, category: Any | None, key: str, source: ExemplarSource, job_id: Any | None = None
) -> Exemplar:
    return Exemplar(
        text=text,
        text_digest=digest(text),
        category_id=category.pk if category is not None else None,
        category_key=key,
        is_none=not key,
        source=source,
        job_id=job_id,
    )


def _add(exemplars: Iterable[Exemplar], dry_run: bool) -> tuple[int, int]:
    """Add what is not there yet; (added, known)."""
    wanted = list({(e.text_digest, e.category_key, e.job_id): e for e in exemplars}.values())
    there = {
        (bytes(d), k, j)
        for d, k, j in Exemplar.objects.filter(
            text_digest__in=[e.text_digest for e in wanted]
        ).values_list("text_digest", "category_key", "job_id")
    }
    new = [e for e in wanted if (e.text_digest, e.category_key, e.job_id) not in there]
    if not dry_run:
        Exemplar.objects.bulk_create(new, ignore_conflicts=True, batch_size=1000)
    return len(new), len(wanted) - len(new)
