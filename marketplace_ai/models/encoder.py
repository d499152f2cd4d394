"""Registered encoder versions, and which one is in force."""

from __future__ import annotations

from django.db import models, router
from django.db.models import Q
from django.utils.translation import gettext_lazy as _


class EncoderState(models.TextChoices):
    BUILDING = "building", _("building")
    READY = "ready", _("ready")
    ACTIVE = "active", _("active")
    RETIRED = "retired", _("retired")


class EncoderQuerySet(models.QuerySet["Encoder"]):
    def candidates(self) -> EncoderQuerySet:
        """Those whose vectors are kept current beside the active one's."""
        return self.filter(state__in=(EncoderState.BUILDING, EncoderState.READY))

    def active(self) -> Encoder | None:
        """The one encoder in force, or None before the first was registered."""
        # From the database that is written to: a replica may not know of a switch yet.
        return self.using(router.db_for_write(self.model)).filter(state=EncoderState.ACTIVE).first()


class Encoder(models.Model):
    """One version of the model that turns texts into vectors.

    *building*: what is there still lacks its vectors; *ready*: everything has one, and what
    comes in gets one, so that it may become *active*; *retired*: its vectors are gone.
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
    # The last time that it was put in force, and that another one took its place.
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
