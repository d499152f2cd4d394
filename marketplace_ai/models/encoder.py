"""Registered encoders, and which one is active."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from marketplace_ai.db.alias import alias


class EncoderState(models.TextChoices):
    BUILDING = "building", _("building")
    READY = "ready", _("ready")
    ACTIVE = "active", _("active")
    RETIRED = "retired", _("retired")


class EncoderQuerySet(models.QuerySet["Encoder"]):
    def candidates(self) -> EncoderQuerySet:
        """The encoders that are not active but whose vectors are kept up to date."""
        return self.filter(state__in=(EncoderState.BUILDING, EncoderState.READY))

    def active(self) -> Encoder | None:
        """The active encoder; None before the first one is registered."""
        # From the database that is written to: a replica may not know of a switch yet.
        return self.using(alias()).filter(state=EncoderState.ACTIVE).first()


class Encoder(models.Model):
    """A version of the model that turns texts into vectors.

    *building*: some postings or exemplars still lack its vectors. *ready*: all have one and new
    ones get one, so it can become *active*. *retired*: its vectors were deleted.
    """

    name = models.SlugField(_("name"), max_length=100, unique=True)
    source = models.CharField(
        _("source"), max_length=500, help_text=_("'bundled', a directory, or a hub id.")
    )
    revision = models.CharField(_("revision"), max_length=100, blank=True)
    dimension = models.PositiveIntegerField(_("dimension"))
    max_tokens = models.PositiveIntegerField(_("maximum length in tokens"))
    prompts = models.JSONField(_("prompts"), default=dict, blank=True)
    dtype = models.CharField(_("dtype"), max_length=20)
    weights_hash = models.CharField(_("weights hash"), max_length=64)
    state = models.CharField(
        _("state"), max_length=10, choices=EncoderState.choices, default=EncoderState.BUILDING
    )
    metrics = models.JSONField(_("metrics"), default=dict, blank=True)
    registered_at = models.DateTimeField(_("registered"), auto_now_add=True)
    # The last time it became active, and the last time another encoder replaced it.
    activated_at = models.DateTimeField(_("activated"), null=True, blank=True)
    replaced_at = models.DateTimeField(_("replaced"), null=True, blank=True)
    retired_at = models.DateTimeField(_("retired"), null=True, blank=True)
    is_shadowing = models.BooleanField(
        _("shadow mode"),
        default=False,
        db_default=False,
        help_text=_("It also predicts new postings, without effect, for comparison."),
    )
    last_error = models.TextField(
        _("last error"),
        blank=True,
        default="",
        db_default="",
        help_text=_("Why workers cannot load it; cleared once they can."),
    )
    comparison = models.JSONField(
        _("comparison"),
        default=dict,
        blank=True,
        db_default={},
        help_text=_("Against the encoder that was active at the time, on the same labeled rows."),
    )

    objects = EncoderQuerySet.as_manager()

    class Meta:
        verbose_name = _("encoder")
        verbose_name_plural = _("encoders")
        constraints = [
            models.UniqueConstraint(
                fields=["state"],
                condition=Q(state=EncoderState.ACTIVE),
                name="marketplace_ai_one_active_encoder",
            )
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def is_fine_tuned(self) -> bool:
        """Whether ``train_encoder`` made it, most likely from the exemplars that are here."""
        return bool(self.metrics.get("training"))

    def is_same_registration(self, other: Encoder | None) -> bool:
        """Whether it is the other's row, and not one that got its key after a restore."""
        return self == other and self.registered_at == getattr(other, "registered_at", None)
