"""The history of the active encoder. Rows are only added."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from .encoder import Encoder


class PromotionKind(models.TextChoices):
    PROMOTED = "promoted", _("promoted")
    FORCED = "forced", _("promoted despite failed checks")
    ROLLED_BACK = "rolled_back", _("rolled back")


class Promotion(models.Model):
    """One switch of the active encoder, with the comparison report known at that time."""

    kind = models.CharField(_("kind"), max_length=11, choices=PromotionKind.choices)
    encoder = models.ForeignKey(
        Encoder, verbose_name=_("encoder"), on_delete=models.PROTECT, related_name="promotions"
    )
    previous_encoder = models.ForeignKey(
        Encoder,
        verbose_name=_("previous encoder"),
        null=True,
        on_delete=models.PROTECT,
        related_name="+",
    )
    reason = models.TextField(_("reason"), blank=True)
    comparison = models.JSONField(_("comparison"), default=dict, blank=True)
    switched_at = models.DateTimeField(_("switched"))
    switched_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, verbose_name=_("switched by"), null=True, blank=True,
        on_delete=models.SET_NULL, related_name="+",
    )  # fmt: skip

    class Meta:
        verbose_name = _("promotion")
        verbose_name_plural = _("promotions")

    def __str__(self) -> str:
        return f"{self.encoder}: {self.get_kind_display()}"
