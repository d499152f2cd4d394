"""Fitted classifiers, stored as versions of an encoder."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from marketplace_ai.db.alias import alias
from marketplace_ai.guarantee.basis import BasisKind

from .encoder import Encoder


class ClassifierVersionQuerySet(models.QuerySet["ClassifierVersion"]):
    def active(self, encoder: Encoder | None) -> ClassifierVersion | None:
        """The active version of an encoder, without its artifact; None where it has none.

        Example::

            version = ClassifierVersion.objects.active(Encoder.objects.active())
        """
        return self._active(encoder).defer("artifact").first()

    def active_id(self, encoder: Encoder | None) -> int | None:
        """The primary key of the active version, without reading its figures."""
        return self._active(encoder).values_list("pk", flat=True).first()

    def _active(self, encoder: Encoder | None) -> ClassifierVersionQuerySet:
        return self.using(alias()).filter(encoder=encoder, is_active=True)


class ClassifierVersion(models.Model):
    """A fitted classifier with its figures. At most one version of an encoder is active."""

    class Calibration(models.TextChoices):
        POSTINGS = BasisKind.FILE.value, _("labeled postings")
        AUDITS = BasisKind.AUDIT.value, _("audited postings")
        EXEMPLARS = BasisKind.EXEMPLARS.value, _("cross-validation on exemplars")

    encoder = models.ForeignKey(
        Encoder, verbose_name=_("encoder"), on_delete=models.PROTECT, related_name="classifiers"
    )
    artifact = models.BinaryField(_("artifact"), help_text=_("safetensors; never pickle"))
    target_precision = models.FloatField(_("target precision"))
    confidence_level = models.FloatField(_("confidence level"))
    calibrated_on = models.CharField(_("calibrated on"), max_length=10, choices=Calibration.choices)
    figures = models.JSONField(_("metrics"), default=dict)
    exemplar_generation = models.BigIntegerField(_("exemplar generation"))
    comparison = models.JSONField(
        _("comparison"),
        default=dict,
        help_text=_("Against the version that was active when this one was fitted."),
    )
    is_active = models.BooleanField(_("active"), default=False)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)
    # The last time it became active, and the last time another version replaced it.
    activated_at = models.DateTimeField(_("activated"), null=True)
    replaced_at = models.DateTimeField(_("replaced"), null=True)
    is_discarded = models.BooleanField(
        _("discarded"),
        default=False,
        help_text=_("The artifact was deleted; the row stays because decisions refer to it."),
    )

    objects = ClassifierVersionQuerySet.as_manager()

    class Meta:
        verbose_name = _("classifier version")
        verbose_name_plural = _("classifier versions")
        constraints = [
            models.UniqueConstraint(
                fields=["encoder"],
                condition=Q(is_active=True),
                name="marketplace_ai_one_active_version",
            )
        ]

    def __str__(self) -> str:
        return f"{self.pk}"
