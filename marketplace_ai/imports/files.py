"""Files into categories, exemplars and postings: whole or not at all."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.core.exceptions import ValidationError
from django.db import DataError, IntegrityError, OperationalError, ProgrammingError, transaction
from django.db.models import Exists, F, OuterRef

from marketplace_ai.adapter import get_adapter
from marketplace_ai.db.alias import alias
from marketplace_ai.models import (
    Decision,
    Exemplar,
    ExemplarSource,
    get_category_model,
    get_job_model,
)
from marketplace_ai.text.csv_files import Row, TableError, read_csv
from marketplace_ai.text.normalize import digest, is_blank

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from marketplace_ai.adapter import JobAdapter

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
    ordered = _parents_first(path, by_slug, _parent_keys(known))
    with transaction.atomic(using=alias()):
        for row in ordered:
            parent = known.get(row["parent"]) if row["parent"] else None
            with _blaming(path, row):
                known[row["slug"]] = adapter.create_category(row["slug"], parent, row.values)
        # A dry run goes all the way, so that the models and the database have their say.
        transaction.set_rollback(dry_run, using=alias())
    return len(rows)


def _parents_first(path: str, rows: dict[str, Row], elsewhere: dict[str, str]) -> list[Row]:
    """The rows in an order in which they can be written.

    ``elsewhere`` are the parents of the categories that are there: a row that moves a
    category below one of those may close a circle through them.
    """
    parents = {**elsewhere, **{slug: row["parent"] for slug, row in rows.items()}}
    ordered: dict[str, Row] = {}
    for start, row in rows.items():
        chain: list[str] = []
        slug = start
        while slug and slug not in ordered:
            if slug in chain:
                raise TableError(
                    f"{path}, line {rows.get(slug, row).line}: {slug!r} would be its own ancestor. "
                    "Correct the column parent."
                )
            chain.append(slug)
            slug = parents.get(slug, "")
        ordered.update((slug, rows[slug]) for slug in reversed(chain) if slug in rows)
    return list(ordered.values())


def _parent_keys(known: dict[str, Any]) -> dict[str, str]:
    """Each category's parent, by the keys that files use."""
    adapter = get_adapter()
    if adapter.category_parent_field is None:
        return {}
    parents = dict(
        get_category_model()._base_manager.values_list("pk", adapter.category_parent_field)
    )
    keys = {category.pk: key for key, category in known.items()}
    return {key: keys.get(parents.get(category.pk), "") for key, category in known.items()}


@contextmanager
def _blaming(path: str, row: Row) -> Iterator[None]:
    """What the models or the database refuse, said of the row that asked for it."""
    try:
        yield
    except ValidationError as error:
        problems = "; ".join(
            f"{name}: {' '.join(messages)}" for name, messages in _by_field(error).items()
        )
        raise TableError(f"{path}, line {row.line}: {problems}") from None
    except (DataError, IntegrityError) as error:
        problem = " ".join(str(error).split())
        raise TableError(f"{path}, line {row.line}: the database refuses it: {problem}") from None


def _by_field(error: ValidationError) -> dict[str, list[str]]:
    return error.message_dict if hasattr(error, "error_dict") else {"row": error.messages}


def import_exemplars(
    path: str, *, create_categories: bool = False, dry_run: bool = False
) -> ExemplarCounts:
    """Exemplars from CSV; TableError names the first row whose category does not exist."""
    adapter = get_adapter()
    rows = read_csv(path, ("text", "category"))
    texts: list[str] = []
    known = categories_by_key()
    missing: dict[str, Row] = {}
    for row in rows:
        key = row["category"]
        text = _row_text(path, row)
        # "..." is a fair example of what fits no category, and of nothing else.
        if not text or (key != NONE and is_blank(text)):
            raise TableError(f"{path}, line {row.line}: the text has no letter and no digit.")
        texts.append(text)
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
        for key, row in missing.items():
            with _blaming(path, row):
                known[key] = adapter.create_category(key, None, {"name_nb": key})
        added, already = _add(
            (
                _exemplar(
                    text,
                    known.get(row["category"]),
                    row["category"] if row["category"] != NONE else "",
                    ExemplarSource.IMPORTED,
                )
                for row, text in zip(rows, texts, strict=True)
            ),
            dry_run,
        )
        transaction.set_rollback(dry_run, using=alias())
    return ExemplarCounts(added, already, len(missing))


def exemplars_from_jobs(*, per_category: int, dry_run: bool = False) -> ExemplarCounts:
    """Exemplars from postings whose category a person set; never from the machine's own.

    The newest of each category come first, where the adapter says when a posting was made.
    TableError names the posting that the adapter cannot read; then nothing was written.
    """
    adapter = get_adapter()
    newest = [F("pk").desc()]
    if adapter.created_field:
        # PostgreSQL would call those newest that have no date.
        newest.insert(0, F(adapter.created_field).desc(nulls_last=True))
    field = adapter.category_field
    machines = Decision.objects.filter(
        posting_id=OuterRef("pk"), is_current=True, is_answered=False,
        machine_category_id=OuterRef(f"{field}_id"),
    )  # fmt: skip
    added = already = 0
    with transaction.atomic(using=alias()):
        for key, category in categories_by_key().items():
            jobs: Any = adapter.jobs().filter(**{field: category}).exclude(Exists(machines))
            exemplars = []
            for job in jobs.order_by(*newest)[:per_category]:
                text = _job_text(adapter, job)
                if not is_blank(text):
                    exemplars.append(_exemplar(text, category, key, ExemplarSource.POSTING, job.pk))
            new, old = _add(exemplars, dry_run)
            added, already = added + new, already + old
    return ExemplarCounts(added, already, 0)


def import_jobs(path: str, *, dry_run: bool = False) -> list[Any]:
    """Postings from CSV, validated as the host's forms would; all of them or none."""
    adapter = get_adapter()
    rows = read_csv(path, ("title", "description"))
    jobs = [adapter.make_job(row["title"], row["description"]) for row in rows]
    for row, job in zip(rows, jobs, strict=True):
        with _blaming(path, row):
            job.full_clean(exclude=_not_from_file())
    if not dry_run:
        with transaction.atomic(using=alias()):
            for row, job in zip(rows, jobs, strict=True):
                with _blaming(path, row):
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


def clean_text(text: str) -> str:
    """A text from a file or a form as the same words in a posting would be encoded."""
    return get_adapter().prepared(text)


def _row_text(path: str, row: Row) -> str:
    try:
        return clean_text(row["text"])
    except Exception as error:
        raise TableError(
            f"{path}, line {row.line}: the adapter's clean() fails on this text: "
            f"{type(error).__name__}: {error}"
        ) from error


def _job_text(adapter: JobAdapter, job: Any) -> str:
    """The posting's text, "" where it is not eligible."""
    try:
        return adapter.encoder_input(job) if adapter.eligible(job) else ""
    except (OperationalError, ProgrammingError):
        raise  # the database's, not the posting's
    except Exception as error:
        raise TableError(
            f"The adapter fails on the posting {job.pk}: {type(error).__name__}: {error}. "
            "Correct its eligible(), text() or clean()."
        ) from error


def _exemplar(
    text: str, category: Any | None, key: str, source: ExemplarSource, job_id: Any | None = None
) -> Exemplar:
    return Exemplar(
        text=text,
        text_digest=digest(text),
        category_id=category.pk if category is not None else None,
        category_key=key[:200],
        is_none=not key,
        source=source,
        posting_id=job_id,
    )


def _add(exemplars: Iterable[Exemplar], dry_run: bool) -> tuple[int, int]:
    """Add what is not there yet; (added, known)."""
    wanted = list({(e.text_digest, e.category_key, e.posting_id): e for e in exemplars}.values())
    there = {
        (bytes(d), k, j)
        for d, k, j in Exemplar.objects.filter(text_digest__in=[e.text_digest for e in wanted])
        .exclude(source=ExemplarSource.DESCRIPTION)  # nobody's label
        .values_list("text_digest", "category_key", "posting_id")
    }
    new = [e for e in wanted if (e.text_digest, e.category_key, e.posting_id) not in there]
    if not dry_run:
        Exemplar.objects.bulk_create(new, ignore_conflicts=True, batch_size=1000)
    return len(new), len(wanted) - len(new)
