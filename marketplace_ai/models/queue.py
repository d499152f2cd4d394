"""The durable queue: a log that triggers append to, and the work that is left to do."""

from __future__ import annotations

from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from marketplace_ai.conf import conf

from .encoder import Encoder


class ChangeKind(models.TextChoices):
    CREATED = "created", _("created")
    EDITED = "edited", _("edited")
    BULK = "bulk", _("bulk edit")
    RESCAN = "rescan", _("unknown change")


class PostingChange(models.Model):
    """What the trigger saw. No key, index or foreign key in the database: it must cost a
    host's INSERT next to nothing. ``job`` is empty only for a rescan."""

    posting = models.ForeignKey(
        conf.job_model, null=True, on_delete=models.DO_NOTHING, db_constraint=False,
        db_index=False, related_name="+",
    )  # fmt: skip
    kind = models.CharField(_("kind"), max_length=8, choices=ChangeKind.choices)
    logged_at = models.DateTimeField(_("logged"))

    class Meta:
        verbose_name = _("posting change")
        verbose_name_plural = _("posting changes")

    def __str__(self) -> str:
        return f"{self.kind} {self.posting_id}"


class Priority(models.IntegerChoices):
    BACKFILL = 0, _("backfill")
    FRESH = 100, _("new")


class QueuedPostingQuerySet(models.QuerySet["QueuedPosting"]):
    def remaining(self) -> QueuedPostingQuerySet:
        """Waiting or being worked on."""
        return self.filter(failed_at__isnull=True)

    def failed(self) -> QueuedPostingQuerySet:
        return self.filter(failed_at__isnull=False)


class QueuedPosting(models.Model):
    """One posting to be encoded: with the active encoder and decided (``encoder`` empty),
    or for an encoder that is being built (its vector only).

    A claim sets ``token``, ``worker`` and ``lease_until`` together. ``alone`` says that a
    batch with this row in it was lost, so it is claimed by itself from then on.
    """

    posting = models.ForeignKey(
        conf.job_model, verbose_name=_("posting"), on_delete=models.DO_NOTHING,
        db_constraint=False, db_index=False, related_name="+",
    )  # fmt: skip
    encoder = models.ForeignKey(
        Encoder, verbose_name=_("encoder"), null=True, blank=True, on_delete=models.CASCADE,
        related_name="+",
    )  # fmt: skip
    priority = models.SmallIntegerField(
        _("priority"), choices=Priority.choices, default=Priority.FRESH
    )
    is_vector_only = models.BooleanField(_("vector only"), default=False)
    is_isolated = models.BooleanField(_("isolated"), default=False)
    attempts = models.PositiveSmallIntegerField(_("attempts"), default=0)
    queued_at = models.DateTimeField(_("queued"))
    scheduled_at = models.DateTimeField(_("scheduled"))
    token = models.UUIDField(_("claim"), null=True, editable=False)
    worker = models.IntegerField(_("worker"), null=True, editable=False)
    lease_expires_at = models.DateTimeField(_("lease expires"), null=True, editable=False)
    last_error = models.TextField(_("last error"), blank=True)
    failed_at = models.DateTimeField(_("failed"), null=True, blank=True)

    objects = QueuedPostingQuerySet.as_manager()

    class Meta:
        verbose_name = _("queued posting")
        verbose_name_plural = _("queued postings")
        constraints = [
            models.UniqueConstraint(
                fields=["posting", "encoder"],
                nulls_distinct=False,
                name="marketplace_ai_queue_once",
            )
        ]
        indexes = [
            models.Index(
                "is_isolated",
                F("priority").desc(),
                "id",
                condition=Q(token__isnull=True, failed_at__isnull=True, encoder__isnull=True),
                name="marketplace_ai_queue_unclaimed",
            ),
            # Few, but for the time in which an encoder is built; those of the active one are above.
            models.Index(
                "encoder",
                "is_isolated",
                F("priority").desc(),
                "id",
                condition=Q(token__isnull=True, failed_at__isnull=True, encoder__isnull=False),
                name="marketplace_ai_queue_candidate",
            ),
            models.Index(
                fields=["failed_at"],
                condition=Q(failed_at__isnull=False),
                name="marketplace_ai_queue_failed",
            ),
            models.Index(
                fields=["token"],
                condition=Q(token__isnull=False),
                name="marketplace_ai_queue_claimed",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.posting_id}"
