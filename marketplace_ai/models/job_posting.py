"""The shipped posting model. A project may replace it with its own."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from marketplace_ai.conf import conf


class JobPosting(models.Model):
    """An ad for work that somebody wants done, with its category."""

    class SetBy(models.TextChoices):
        NOBODY = "", _("nobody")
        MACHINE = "machine", _("automatic")
        PERSON = "person", _("a person")

    title = models.CharField(_("title"), max_length=300)
    description = models.TextField(_("description"), blank=True, db_default="")
    category = models.ForeignKey(
        conf.category_model,
        verbose_name=_("category"),
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
    )
    category_set_by = models.CharField(
        _("category set by"),
        max_length=10,
        choices=SetBy.choices,
        default=SetBy.NOBODY,
        db_default="",
        blank=True,
        editable=False,
    )
    # Database defaults as well, because postings also arrive by COPY and raw SQL.
    created_at = models.DateTimeField(
        _("created"), auto_now_add=True, db_default=Now(), db_index=True
    )
    updated_at = models.DateTimeField(_("updated"), auto_now=True, db_default=Now())

    class Meta:
        swappable = "MARKETPLACE_AI_JOB_MODEL"
        verbose_name = _("posting")
        verbose_name_plural = _("postings")

    def __str__(self) -> str:
        return self.title
