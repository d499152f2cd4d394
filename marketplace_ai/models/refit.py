"""The log of refits: what made each of them due, what it found, and what came of it."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils.translation import gettext_lazy as _

from .classifier_version import ClassifierVersion
from .encoder import Encoder


class RefitTrigger(models.TextChoices):
    FIRST = "first", _("nothing was fitted yet")
    ANSWERS = "answers", _("new labels")
    AUDIT = "audit", _("the audit suffices")
    SCORES = "scores", _("scores have drifted")
    CATEGORIES = "categories", _("categories have drifted")
    PERSON = "person", _("a person")


class RefitOutcome(models.TextChoices):
    RUNNING = "running", _("running")
    ACTIVATED = "activated", _("activated")
    PROPOSED = "proposed", _("proposed")
    REFUSED = "refused", _("refused")
    FAILED = "failed", _("failed")
    INTERRUPTED = "interrupted", _("interrupted")
    UNDONE = "undone", _("undone")


class Refit(models.Model):
    """One refit, or with the outcome *undone* the way back from one. Rows are only added.

    ``version`` is what was fitted, or is active again; ``previous_version`` the active one before.
    ``figures`` are those by which it was due. A row that is *running* while nobody holds the lock
    was killed: the next refit makes it *interrupted*.
    """

    encoder = models.ForeignKey(
        Encoder, verbose_name=_("encoder"), null=True, on_delete=models.PROTECT, related_name="+"
    )
    triggers = ArrayField(
        models.CharField(max_length=10, choices=RefitTrigger.choices), verbose_name=_("due by"),
        default=list,
    )  # fmt: skip
    figures = models.JSONField(_("figures"), default=dict)
    exemplar_generation = models.BigIntegerField(_("exemplar generation"), null=True)
    outcome = models.CharField(
        _("outcome"), max_length=11, choices=RefitOutcome.choices, default=RefitOutcome.RUNNING
    )
    version = models.ForeignKey(
        ClassifierVersion, verbose_name=_("version"), null=True, on_delete=models.PROTECT,
        related_name="+",
    )  # fmt: skip
    previous_version = models.ForeignKey(
        ClassifierVersion, verbose_name=_("version before"), null=True, on_delete=models.PROTECT,
        related_name="+",
    )  # fmt: skip
    error = models.TextField(_("error"), blank=True)
    started_at = models.DateTimeField(_("started"))
    finished_at = models.DateTimeField(_("finished"), null=True)

    class Meta:
        verbose_name = _("refit")
        verbose_name_plural = _("refits")

    def __str__(self) -> str:
        return f"{self.pk}: {self.get_outcome_display()}"
