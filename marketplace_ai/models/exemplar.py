"""Labeled texts that vote. Labels come from people and descriptions, never from the machine."""

from __future__ import annotations

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from marketplace_ai.conf import conf
from marketplace_ai.db.alias import alias


class ExemplarSource(models.TextChoices):
    IMPORTED = "imported", _("imported")
    POSTING = "posting", _("posting's category")
    REVIEWED = "reviewed", _("reviewed")
    DESCRIPTION = "description", _("category description")


class ExemplarState(models.TextChoices):
    ACTIVE = "active", _("active")
    QUARANTINED = "quarantined", _("quarantined")
    ORPHANED = "orphaned", _("category deleted")


class ExemplarQuerySet(models.QuerySet["Exemplar"]):
    def labeled(self) -> ExemplarQuerySet:
        """Those that people labeled, and that teach."""
        rows = self.using(alias()).filter(state=ExemplarState.ACTIVE)
        return rows.exclude(source=ExemplarSource.DESCRIPTION)

    def condensed(self) -> ExemplarQuerySet:
        """Those that teach and do not vote."""
        return self.labeled().exclude(condensed_by=None)


class Exemplar(models.Model):
    """A text and the category a person gave it; ``is_none`` marks a text that fits none.

    A trigger makes an active exemplar *orphaned* when its category is deleted, because an empty
    category alone must never mean "fits none", and active again when it gets one. The text is
    scrubbed and never changes. ``family`` is empty where it is unknown. A category with few
    exemplars has one made of its name and scope (``exemplars.descriptions``).

    A *condensed* one teaches, and votes in no version from ``condensed_by`` on. A trigger lets it
    vote again when its label changes, or when it becomes active again.
    """

    text = models.TextField(_("text"))
    text_digest = models.BinaryField(_("digest of the text"), editable=False)
    category = models.ForeignKey(
        conf.category_model,
        verbose_name=_("category"),
        null=True,
        blank=True,
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        related_name="+",
    )
    category_key = models.CharField(
        _("category key"), max_length=200, blank=True, editable=False,
        help_text=_("Kept when the category is deleted."),
    )  # fmt: skip
    is_none = models.BooleanField(_("fits no category"), default=False)
    family = models.CharField(
        _("family"), max_length=200, blank=True, default="", db_default="",
        help_text=_(
            "What texts of one origin share, such as a customer's number. None of them is ever "
            "judged by a classifier that learned another one."
        ),
    )  # fmt: skip
    source = models.CharField(_("source"), max_length=11, choices=ExemplarSource.choices)
    state = models.CharField(
        _("state"), max_length=12, choices=ExemplarState.choices, default=ExemplarState.ACTIVE
    )
    posting = models.ForeignKey(
        conf.job_model,
        verbose_name=_("source posting"),
        null=True,
        blank=True,
        editable=False,
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        related_name="+",
    )
    condensed_by = models.ForeignKey(
        "marketplace_ai.ClassifierVersion",
        verbose_name=_("condensed by version"),
        help_text=_("It teaches, but others vote in its place from this classifier version on."),
        null=True,
        blank=True,
        editable=False,
        db_index=False,
        on_delete=models.SET_NULL,
        related_name="+",
    )
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("created by"),
        null=True,
        blank=True,
        editable=False,
        on_delete=models.SET_NULL,
        related_name="+",
    )
    created_at = models.DateTimeField(_("created"), auto_now_add=True)
    generation = models.BigIntegerField(default=0, editable=False, db_default=0, db_index=True)

    objects = ExemplarQuerySet.as_manager()

    class Meta:
        verbose_name = _("exemplar")
        verbose_name_plural = _("exemplars")
        constraints = [
            models.CheckConstraint(
                name="marketplace_ai_exemplar_none_or_category",
                condition=Q(is_none=False) | Q(category__isnull=True),
                violation_error_message=_("An exemplar that fits no category cannot have one."),
            ),
            # One label for each text and source: a second import adds nothing, and a changed
            # answer replaces the exemplar of the same posting. A description is no label: it
            # comes and goes, and must not keep a label out.
            models.UniqueConstraint(
                fields=["text_digest", "category_key", "posting"],
                condition=~Q(source=ExemplarSource.DESCRIPTION),
                nulls_distinct=False,
                name="marketplace_ai_exemplar_once",
            ),
            # Several workers may sync descriptions at the same time.
            models.UniqueConstraint(
                fields=["category", "text_digest"],
                condition=Q(source=ExemplarSource.DESCRIPTION),
                name="marketplace_ai_description_once",
            ),
        ]
        indexes = [
            # Looked up by the key of each category that is saved.
            models.Index(
                fields=["category_key"],
                condition=Q(category__isnull=True, is_none=False),
                name="marketplace_ai_ex_orphaned",
            ),
        ]

    def __str__(self) -> str:
        return self.text if len(self.text) <= 80 else self.text[:79] + "…"

    @property
    def is_condensed(self) -> bool:
        """Whether it teaches without a vote."""
        return self.state == ExemplarState.ACTIVE and self.condensed_by_id is not None


class ExemplarGeneration(models.Model):
    """One row with a number that triggers renew at every change of exemplars or their vectors.

    Its row lock orders the changes by commit, so a worker that has seen generation *g* has
    missed nothing up to *g*. ``previous`` has the numbers since the last removal, newest first:
    see ``schema.generations``.
    """

    value = models.BigIntegerField(default=0)
    previous = ArrayField(models.BigIntegerField(), default=list, db_default=[])

    class Meta:
        verbose_name = _("exemplar generation")
        verbose_name_plural = _("exemplar generations")

    def __str__(self) -> str:
        return str(self.value)
