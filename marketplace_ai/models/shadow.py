"""Predictions of candidates in shadow mode."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from marketplace_ai.conf import conf

from .classifier_version import ClassifierVersion
from .decision import Outcome
from .encoder import Encoder


class ShadowDecision(models.Model):
    """The latest prediction of a candidate for a posting. It has no effect."""

    posting = models.ForeignKey(
        conf.job_model, verbose_name=_("posting"), on_delete=models.DO_NOTHING,
        db_constraint=False, db_index=False, related_name="+",
    )  # fmt: skip
    encoder = models.ForeignKey(
        Encoder, verbose_name=_("encoder"), on_delete=models.CASCADE, db_index=False,
        related_name="+",
    )  # fmt: skip
    classifier = models.ForeignKey(
        ClassifierVersion, verbose_name=_("classifier"), on_delete=models.CASCADE,
        db_index=False, related_name="+",
    )  # fmt: skip
    # Only compared, never followed: the category may be deleted at any time.
    category = models.ForeignKey(
        conf.category_model, verbose_name=_("category"), null=True, on_delete=models.DO_NOTHING,
        db_constraint=False, db_index=False, related_name="+",
    )  # fmt: skip
    category_key = models.CharField(_("category key"), max_length=200, blank=True)
    category_name = models.CharField(_("category name"), max_length=300, blank=True)
    probability = models.FloatField(_("probability"), null=True)
    outcome = models.CharField(_("outcome"), max_length=16, choices=Outcome.choices)
    text_digest = models.BinaryField(_("digest of the text"))
    decided_at = models.DateTimeField(_("decided"))

    class Meta:
        verbose_name = _("shadow decision")
        verbose_name_plural = _("shadow decisions")
        constraints = [
            models.UniqueConstraint(
                fields=["posting", "encoder"], name="marketplace_ai_one_shadow"
            ),
        ]
        indexes = [
            models.Index(fields=["encoder", "-decided_at"], name="marketplace_ai_shadow_last"),
        ]

    def __str__(self) -> str:
        return f"{self.posting_id}: {self.get_outcome_display()}"
