"""The one small class by which a host says how its postings and categories are read.

Name a subclass in ``MARKETPLACE_AI_ADAPTER``. Fields are declared, never guessed: the
system checks say which declared field does not exist.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast, final

from django.core.exceptions import ImproperlyConfigured
from django.db import connections, router
from django.utils.module_loading import import_string

from marketplace_ai.conf import conf
from marketplace_ai.models import Category, JobPosting, get_category_model, get_job_model
from marketplace_ai.scrub import LONGEST_ITEM, scrub
from marketplace_ai.text.normalize import description, prepare

if TYPE_CHECKING:
    from django.db.models import Field, Model, QuerySet


class JobAdapter:
    """How to read a posting's text, who may be tagged, and where a category goes."""

    #: Fields of the job model whose change leads to a new decision, in the order of the text.
    text_columns: tuple[str, ...] = ("title", "description")
    #: Further fields that ``eligible`` looks at; their change lets a posting in again.
    eligible_columns: tuple[str, ...] = ()
    #: The foreign key of the job model to the category model.
    category_field: str = "category"
    #: A field that records who set the category ("machine" or "person"); None without one.
    set_by_field: str | None = "category_set_by"
    #: When a posting was created, for ``backfill_embeddings --since``; None without one.
    created_field: str | None = "created_at"
    #: A unique field of the category model that files and people use.
    category_key_field: str = "slug"
    #: The category model's foreign key to itself; None where categories have no parents.
    category_parent_field: str | None = "parent"
    #: Longest text that is encoded, in characters: about the 512 tokens of small encoders
    #: several times over, and a bound on what one posting can cost.
    max_chars: int = 4000

    # -- postings ------------------------------------------------------------------------

    def jobs(self) -> QuerySet[Any]:
        """The postings this app may look at; a backfill walks exactly these."""
        return cast("QuerySet[Any]", get_job_model()._base_manager.all())

    def text(self, job: Any) -> str:
        """What is encoded: by default the text columns, a line each, empty ones left out."""
        parts = (
            " ".join(str(getattr(job, name) or "")[: 8 * self.max_chars].split())
            for name in self.text_columns
        )
        return "\n".join(part for part in parts if part)

    def clean(self, text: str) -> str:
        """A hook that takes out what must not be encoded beyond what ``scrub`` does."""
        return text

    def scrub(self, text: str) -> str:
        """Personal data out of a text; it has the last word, after ``clean``.

        Override it to leave out a rule, or to ``return text`` where nothing is to be removed.
        """
        return scrub(text)

    @final
    def prepared(self, text: str) -> str:
        """A text as it is encoded, kept and compared, whatever characters it holds.

        The one road of every text, of a posting, a file or a form. It is read a little further
        than it is kept, so that its end never is half a phone number. A prepared text comes
        back as it is, where ``clean`` leaves what it returned alone.
        """
        longer = prepare(text, self.max_chars + LONGEST_ITEM)
        return prepare(self.scrub(self.clean(longer)), self.max_chars)

    def eligible(self, job: Any) -> bool:
        """Whether this posting is to be tagged now (no draft, not deleted)."""
        return True

    # -- categories ----------------------------------------------------------------------

    def category_key(self, category: Any) -> str:
        return str(getattr(category, self.category_key_field))

    def category_name(self, category: Any) -> str:
        return str(category)

    def category_description(self, category: Any) -> str:
        """What belongs in a category, in words: they propose it until it has exemplars enough.

        "" for none. By default the name, in English too, and the scope of a shipped category;
        of a host's own the name. Postings are compared with it, so it should use their words.
        """
        if not isinstance(category, Category):
            return self.category_name(category)
        return description((category.name, category.name_en), category.scope)

    def create_category(self, key: str, parent: Any | None, names: Mapping[str, str]) -> Any:
        """Make or update one category for ``import_catalog``; ``names`` are the CSV's columns.

        The shipped categories only; a host with its own tree fills it its own way. A column
        that the file lacks leaves what is there. Raises ValidationError for what the model
        does not allow.
        """
        model: Any = get_category_model()
        if model is not Category:
            raise self._not_said("create_category", model)
        category = model.objects.filter(slug=key).first() or model(slug=key)
        category.parent, category.name = parent, names["name_nb"]
        for column, field in (("name_en", "name_en"), ("scope_nb", "scope")):
            if column in names:
                setattr(category, field, names[column])
        category.full_clean()
        category.save()
        return category

    def make_job(self, title: str, description: str) -> Any:
        """An unsaved posting for ``import_jobs``, labelled files and the demo."""
        model = get_job_model()
        if model is not JobPosting:
            raise self._not_said("make_job", model)
        return model(title=title, description=description)

    def _not_said(self, method: str, model: type[Model]) -> ImproperlyConfigured:
        return ImproperlyConfigured(
            f"{type(self).__name__} must say how: override {method}() for {model._meta.label}."
        )

    def apply_categories(self, categories: Mapping[Any, Any], *, by: str) -> None:
        """Write categories to postings: primary key of the job → of the category, or None.

        Called inside the transaction that records the decisions, with the postings locked.
        One statement, so the job model's ``save()`` and signals are not involved; listen to
        ``marketplace_ai.signals.jobs_decided`` or override this method.
        """
        if not categories:
            return
        model = get_job_model()
        key = _column(model._meta.pk)
        category: Any = model._meta.get_field(self.category_field)
        connection = connections[router.db_for_write(model)]
        quote = connection.ops.quote_name
        assignments = f"{quote(category.column)} = new.category"
        params: list[Any] = [list(categories), list(categories.values())]
        if self.set_by_field:
            field: Any = model._meta.get_field(self.set_by_field)
            # Nobody's, where the category was taken back.
            assignments += (
                f", {quote(field.column)} = CASE WHEN new.category IS NULL THEN '' ELSE %s END"
            )
            params.insert(0, by)
        job_type = cast("Any", model._meta.pk).rel_db_type(connection)
        category_type = category.db_type(connection)
        # Only names from the model's own definition are put into the statement.
        statement = (
            f"UPDATE {quote(model._meta.db_table)} AS job SET {assignments} "  # noqa: S608
            f"FROM unnest(%s::{job_type}[], %s::{category_type}[]) AS new(job, category) "
            f"WHERE job.{quote(key)} = new.job"
        )
        with connection.cursor() as cursor:
            cursor.execute(statement, params)

    def apply_secondary(self, categories: Mapping[Any, Sequence[Any]]) -> None:
        """Write further categories of postings with two jobs; by default nothing is written.

        Primary key of the job → those of all its further categories now (at present at
        most one); empty where a posting that had some has none any more. What is given
        replaces what was there, so the same may come twice.

        Called after ``apply_categories``, inside the same transaction and with the postings
        locked, so that a host never holds the one without the other; not called for a batch
        that has none. Only for postings with the outcome *automatic*, and to take back what
        was written for one: while a person is yet to choose the first category, a second has
        nothing to be second to. Never for a posting whose category is a person's: whoever
        chose one has read the whole text, and left out what they did not want.
        """

    # -- derived -------------------------------------------------------------------------

    def watched_columns(self) -> Sequence[str]:
        """Database columns whose change the trigger logs."""
        meta = get_job_model()._meta
        return [_column(meta.get_field(n)) for n in (*self.text_columns, *self.eligible_columns)]

    def category_id(self, job: Any) -> Any | None:
        """Primary key of the posting's present category, without a query."""
        field: Any = get_job_model()._meta.get_field(self.category_field)
        return getattr(job, field.attname)


def get_adapter() -> JobAdapter:
    """The adapter named by ``MARKETPLACE_AI_ADAPTER``."""
    return cast("JobAdapter", import_string(conf.adapter)())


def _column(field: Field[Any, Any] | Any) -> str:
    return str(field.column)


def job_model_and_pk() -> tuple[type[Model], str]:
    """The job model and the column of its primary key."""
    model = get_job_model()
    return model, _column(model._meta.pk)
