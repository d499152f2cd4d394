"""The durable queue: the change log that triggers append to, and the postings to encode."""

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
    CATEGORY = "category", _("category deleted")
    RESCAN = "rescan", _("unknown change")


class PostingChange(models.Model):
    """A change of a posting, as the trigger saw it. ``posting`` is empty only for a rescan.

    The table has no primary key, index or foreign key, so that it costs the project's INSERT next
    to nothing.
    """

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
        """Rows that still have to be processed: waiting or claimed."""
        return self.filter(failed_at__isnull=True)

    def failed(self) -> QueuedPostingQuerySet:
        """Rows taken out of the queue after their last attempt."""
        return self.filter(failed_at__isnull=False)


class QueuedPosting(models.Model):
    """A posting to be encoded.

    With ``encoder`` empty it is encoded with the active encoder and decided; otherwise it is
    encoded for that candidate. A claim sets ``token``, ``worker`` and ``lease_expires_at``
    together. ``is_isolated`` marks a row whose batch was lost: it is claimed alone from then on.
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
            # The rows of candidates; those of the active encoder are in the index above.
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
