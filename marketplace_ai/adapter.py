"""The adapter: how a project says what its postings and categories are.

Subclass ``JobAdapter`` and name the class in ``MARKETPLACE_AI_ADAPTER``::

    class Adapter(JobAdapter):
        text_columns = ("headline", "body")
        eligible_columns = ("status",)
        category_field = "section"
        set_by_field = None
        created_field = "posted_at"
        category_key_field = "code"
        category_parent_field = "above"

        def eligible(self, job):
            return job.status == "published"

Fields are declared, never guessed. The system checks name a declared field that does not exist.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast, final

from django.core.exceptions import ImproperlyConfigured
from django.db import connections, router
from django.utils.crypto import salted_hmac
from django.utils.module_loading import import_string

from marketplace_ai.conf import conf
from marketplace_ai.models import Category, JobPosting, get_category_model, get_job_model
from marketplace_ai.scrub import LONGEST_ITEM, scrub
from marketplace_ai.text.family_cells import LONGEST_FAMILY
from marketplace_ai.text.normalize import description, normalize

if TYPE_CHECKING:
    from django.db.models import Field, Model, QuerySet


class CategoryRefusedError(ValueError):
    """The project's table did not take a category, and no statement failed: a trigger of its own
    skipped the row or put the old category back."""


class JobAdapter:
    """What a project's postings and categories are, and how categories are written.

    The attributes name fields of the project's models; the methods can be overridden. ``job`` is
    always an instance of the job model, ``category`` one of the category model.
    """

    #: Fields of the job model that make up the text, in order. A change leads to a new decision.
    text_columns: tuple[str, ...] = ("title", "description")
    #: Further fields that ``eligible`` reads. A change makes a posting eligible again.
    eligible_columns: tuple[str, ...] = ()
    #: The job model's foreign key to the category model.
    category_field: str = "category"
    #: A field that records who set the category ("machine" or "person"); None if there is none.
    set_by_field: str | None = "category_set_by"
    #: A field with the time of creation, for ``backfill_embeddings --since``; None without one.
    created_field: str | None = "created_at"
    #: A unique field of the category model: what files and people call a category.
    category_key_field: str = "slug"
    #: The category model's foreign key to itself; None if categories have no parents.
    category_parent_field: str | None = "parent"
    #: Longest text that is encoded, in characters: several times the 512 tokens of small encoders,
    #: and a bound on what one posting can cost.
    max_chars: int = 4000

    # -- postings ------------------------------------------------------------------------

    def jobs(self) -> QuerySet[Any]:
        """The postings the app may process, as a queryset. A backfill scans exactly these."""
        return cast("QuerySet[Any]", get_job_model()._base_manager.all())

    def text(self, job: Any) -> str:
        """The text to encode. By default one line for each text column that is not empty."""
        parts = (
            " ".join(str(getattr(job, name) or "")[: 8 * self.max_chars].split())
            for name in self.text_columns
        )
        return "\n".join(part for part in parts if part)

    def clean(self, text: str) -> str:
        """A hook to remove what must not be encoded, beyond what ``scrub`` removes.

        Applied twice, it must return what it returned the first time.
        """
        return text

    def scrub(self, text: str) -> str:
        """Remove personal data from a text, after ``clean``.

        Override it to leave out a rule, or ``return text`` to remove nothing.
        """
        return scrub(text)

    @final
    def prepared(self, text: str) -> str:
        """The text as it is encoded, stored and compared: cleaned, scrubbed and cut.

        Every text goes through here, whether it comes from a posting, a file or a form. A little
        more is read than kept, so that the end is never half a phone number. Preparing a
        prepared text changes nothing.
        """
        longer = normalize(text, self.max_chars + LONGEST_ITEM)
        return normalize(self.scrub(self.clean(longer)), self.max_chars)

    @final
    def prepared_family(self, name: object) -> str:
        """A family's name as it is stored and compared, from a posting, a file or a form.

        A name that holds personal data, or is longer than its column, becomes a digest, equal for
        equal names and keyed with SECRET_KEY: whoever has the table alone cannot try all telephone
        numbers. None is no family.
        """
        text = " ".join(normalize("" if name is None else str(name)).split())
        if len(text) <= LONGEST_FAMILY and self.scrub(text) == text:
            return text
        return f"family-{salted_hmac('marketplace_ai.family', text).hexdigest()[:32]}"

    @final
    def encoder_input(self, job: Any) -> str:
        """The text of a posting exactly as the encoder gets it, and as digests are made of it."""
        return self.prepared(self.text(job))

    def eligible(self, job: Any) -> bool:
        """Whether this posting should be decided now: False for drafts and deleted ones."""
        return True

    def posting_family(self, job: Any) -> str:
        """What this posting shares with others of one origin, in any words; "" if it has none.

        Postings of one customer, or one that was posted again, say the same in the same words. What
        decides about one of them must not have learned another one, or it would look better than it
        is. It is asked when a posting becomes an exemplar or a labeled posting. Files of labeled
        texts name families in a column ``family``: equal names are one family there and here.

        The name is stored with the exemplar, so return a number rather than a name or an address.
        A name that holds personal data, or is long, is stored as a digest.

        Example::

            def posting_family(self, job):
                return f"customer-{job.customer_id}"
        """
        return ""

    # -- categories ----------------------------------------------------------------------

    def category_key(self, category: Any) -> str:
        """The unique key by which files and people call a category."""
        return str(getattr(category, self.category_key_field))

    def category_name(self, category: Any) -> str:
        """The name shown in admin, in the language that is active."""
        return str(category)

    def category_description(self, category: Any) -> str:
        """What belongs in a category, in words. It stands in until there are enough exemplars.

        Returns "" for no description. The default is the name, also in English, and the scope of a
        shipped category, and the name of a category of the project's own. Postings are compared
        with it, so it should use their words.
        """
        if not isinstance(category, Category):
            return self.category_name(category)
        return description((category.name, category.name_en), category.scope)

    def create_category(self, key: str, parent: Any | None, names: Mapping[str, str]) -> Any:
        """Create or update a category for ``import_catalog``.

        key: the category's key.
        parent: the parent category, or None.
        names: the columns of the CSV file. A column that the file lacks changes nothing.

        Returns the saved category. Raises ValidationError for values the model does not allow, and
        ImproperlyConfigured for a category model of the project's own: override it there.
        """
        model: Any = get_category_model()
        if model is not Category:
            raise self._override_needed("create_category", model)
        category = model.objects.filter(slug=key).first() or model(slug=key)
        category.parent, category.name = parent, names["name_nb"]
        for column, field in (("name_en", "name_en"), ("scope_nb", "scope")):
            if column in names:
                setattr(category, field, names[column])
        category.full_clean()
        category.save()
        return category

    def make_job(self, title: str, description: str) -> Any:
        """An unsaved posting, for ``import_jobs``, files of labeled postings and the demo.

        Raises ImproperlyConfigured for a job model of the project's own: override it there.
        """
        model = get_job_model()
        if model is not JobPosting:
            raise self._override_needed("make_job", model)
        return model(title=title, description=description)

    def _override_needed(self, method: str, model: type[Model]) -> ImproperlyConfigured:
        return ImproperlyConfigured(
            f"{type(self).__name__} must say how: override {method}() for {model._meta.label}."
        )

    def apply_categories(self, categories: Mapping[Any, Any], *, by: str) -> None:
        """Write a batch of categories to postings.

        categories: the posting's primary key → the category's primary key, or None to clear it.
        by: "machine" or "person".

        Called in the transaction that records the decisions, with the postings locked. One
        UPDATE, so the job model's ``save()`` and its signals are not involved: listen to
        ``marketplace_ai.signals.jobs_decided``, or override this method. An exception undoes the
        batch's decisions. Raises CategoryRefusedError if a posting has another category afterwards:
        a decision that says otherwise would be a lie.
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
            # Nobody set it if the category was cleared.
            assignments += (
                f", {quote(field.column)} = CASE WHEN new.category IS NULL THEN '' ELSE %s END"
            )
            params.insert(0, by)
        job_type = cast("Any", model._meta.pk).rel_db_type(connection)
        category_type = category.db_type(connection)
        # Only names from the model's definition are formatted into the statement.
        statement = (
            f"UPDATE {quote(model._meta.db_table)} AS job SET {assignments} "  # noqa: S608
            f"FROM unnest(%s::{job_type}[], %s::{category_type}[]) AS new(job, category) "
            f"WHERE job.{quote(key)} = new.job "
            f"RETURNING job.{quote(category.column)} IS NOT DISTINCT FROM new.category"
        )
        with connection.cursor() as cursor:
            cursor.execute(statement, params)
            taken = sum(is_taken for (is_taken,) in cursor.fetchall())
        if taken < len(categories):
            raise CategoryRefusedError(
                f"A trigger on {model._meta.db_table} keeps the category that was written from "
                "being stored. Let it pass, or have the adapter's eligible() leave the posting out."
            )

    def apply_secondary(self, categories: Mapping[Any, Sequence[Any]]) -> None:
        """Write second categories. By default nothing is written.

        categories: the posting's primary key → the primary keys of all its second categories (at
            present at most one). Empty if a posting that had some has none any more. Replace what
            is stored: the same call may come twice.

        Called after ``apply_categories`` in the same transaction, with the postings locked, and
        only if a batch has such postings: those with the outcome *automatic*, and those from which
        a second category must be removed. Never called for a posting whose category a person
        chose: that person has read the whole text.

        Example::

            def apply_secondary(self, categories):
                Tag.objects.filter(job__in=categories).delete()
                Tag.objects.bulk_create(
                    Tag(job_id=job, section_id=section)
                    for job, sections in categories.items()
                    for section in sections
                )
        """

    # -- derived -------------------------------------------------------------------------

    def watched_columns(self) -> Sequence[str]:
        """The database columns whose changes the trigger logs."""
        meta = get_job_model()._meta
        return [_column(meta.get_field(n)) for n in (*self.text_columns, *self.eligible_columns)]

    def category_id(self, job: Any) -> Any | None:
        """The primary key of the posting's category, without a query."""
        field: Any = get_job_model()._meta.get_field(self.category_field)
        return getattr(job, field.attname)


def get_adapter() -> JobAdapter:
    """An instance of the class that ``MARKETPLACE_AI_ADAPTER`` names."""
    return cast("JobAdapter", import_string(conf.adapter)())


def _column(field: Field[Any, Any] | Any) -> str:
    return str(field.column)


def posting_model_and_pk() -> tuple[type[Model], str]:
    """The job model and the column of its primary key."""
    model = get_job_model()
    return model, _column(model._meta.pk)
