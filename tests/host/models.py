from __future__ import annotations

import uuid

from django.contrib.postgres.functions import RandomUUID
from django.db import models
from django.db.models.functions import Now
from django.utils import timezone


class Section(models.Model):
    """A category with a text key, a tree of its own and a key for people."""

    ref = models.CharField(primary_key=True, max_length=40)
    code = models.CharField(max_length=60, unique=True)
    label = models.CharField(max_length=100)
    above = models.ForeignKey("self", null=True, blank=True, on_delete=models.CASCADE)

    def __str__(self) -> str:
        return f"Section {self.label}"


class Job(models.Model):
    """A posting with a UUID key; column names differ from the fields' names."""

    class Status(models.TextChoices):
        DRAFT = "draft"
        PUBLISHED = "published"

    ident = models.UUIDField(
        primary_key=True, default=uuid.uuid4, db_default=RandomUUID(), db_column="job_uuid"
    )
    headline = models.CharField(max_length=80)
    body = models.TextField(blank=True, db_default="", db_column="body text")
    section = models.ForeignKey(
        Section, null=True, blank=True, on_delete=models.SET_NULL, db_column="section_ref"
    )
    status = models.CharField(
        max_length=10, choices=Status.choices, default=Status.PUBLISHED, db_default="published"
    )
    posted_at = models.DateTimeField(default=timezone.now, db_default=Now())

    class Meta:
        db_table = "Jobs of the host"

    def __str__(self) -> str:
        return self.headline
