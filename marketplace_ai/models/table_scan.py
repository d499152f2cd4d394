"""Resumable scans over all postings: backfills, and reconcile runs for missed changes."""

from __future__ import annotations

import datetime as dt

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from .encoder import Encoder


class ScanPurpose(models.TextChoices):
    BACKFILL = "backfill", _("backfill")
    RECONCILE = "reconcile", _("reconcile")


class TableScanQuerySet(models.QuerySet["TableScan"]):
    def unfinished(self) -> TableScanQuerySet:
        """Scans in progress, stopped ones included."""
        return self.filter(finished_at__isnull=True)


class TableScan(models.Model):
    """A keyset scan over the postings and how far it is. Workers take turns to advance it.

    Each step queues postings, at low priority and only while few of them wait. ``last_key`` is
    the key, as text, of the last posting examined; ``locked_keys`` are earlier ones that the
    project had locked. ``total`` is the expected ``queued_count`` of a backfill or
    ``scanned_count`` of a reconcile run, by the planner's estimate if ``is_estimated``. A
    reconcile run has no encoder: it uses the active one.
    """

    purpose = models.CharField(max_length=9, choices=ScanPurpose.choices)
    encoder = models.ForeignKey(
        Encoder, null=True, on_delete=models.CASCADE, db_index=False, related_name="+"
    )
    is_vector_only = models.BooleanField(default=False)
    since = models.DateField(null=True)
    row_limit = models.PositiveBigIntegerField(null=True)
    total = models.BigIntegerField(default=0)
    is_estimated = models.BooleanField(default=False)
    last_key = models.TextField(null=True)
    locked_keys = ArrayField(models.TextField(), default=list)
    scanned_count = models.BigIntegerField(default=0)
    queued_count = models.BigIntegerField(default=0)
    time_spent = models.DurationField(default=dt.timedelta)
    requested_at = models.DateTimeField()
    advanced_at = models.DateTimeField()
    scheduled_at = models.DateTimeField()
    stopped_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    objects = TableScanQuerySet.as_manager()

    class Meta:
        verbose_name = _("table scan")
        verbose_name_plural = _("table scans")
        constraints = [
            # Requesting a backfill that is in progress or stopped resumes it.
            models.UniqueConstraint(
                fields=["encoder", "is_vector_only", "since", "row_limit"],
                condition=Q(purpose=ScanPurpose.BACKFILL, finished_at__isnull=True),
                nulls_distinct=False,
                name="marketplace_ai_one_backfill",
            ),
            models.UniqueConstraint(
                fields=["purpose"],
                condition=Q(purpose=ScanPurpose.RECONCILE),
                name="marketplace_ai_one_reconcile",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_purpose_display()} {self.pk}"
