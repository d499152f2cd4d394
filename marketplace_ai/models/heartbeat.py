"""What each worker says about itself, for ``doctor``."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _


class WorkerHeartbeat(models.Model):
    """A worker's own row: when it last moved, and the error it is waiting out.

    ``worker`` is the number of its advisory lock, which is another one after a reconnect. The row
    is deleted when the worker ends; that of a killed worker, a day later.
    """

    id = models.UUIDField(primary_key=True)
    name = models.CharField(max_length=300)
    worker = models.IntegerField()
    started_at = models.DateTimeField()
    seen_at = models.DateTimeField()
    last_error = models.TextField(blank=True)
    failing_since = models.DateTimeField(null=True)

    class Meta:
        verbose_name = _("worker heartbeat")
        verbose_name_plural = _("worker heartbeats")

    def __str__(self) -> str:
        return self.name
