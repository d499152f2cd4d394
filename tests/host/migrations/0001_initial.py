import uuid

import django.contrib.postgres.functions
import django.db.models.deletion
import django.db.models.functions.datetime
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="Section",
            fields=[
                ("ref", models.CharField(max_length=40, primary_key=True, serialize=False)),
                ("code", models.CharField(max_length=60, unique=True)),
                ("label", models.CharField(max_length=100)),
                (
                    "above",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        to=settings.MARKETPLACE_AI_CATEGORY_MODEL,
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="Job",
            fields=[
                (
                    "ident",
                    models.UUIDField(
                        db_column="job_uuid",
                        db_default=django.contrib.postgres.functions.RandomUUID(),
                        default=uuid.uuid4,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("headline", models.CharField(max_length=80)),
                ("body", models.TextField(blank=True, db_column="body text", db_default="")),
                (
                    "status",
                    models.CharField(
                        choices=[("draft", "Draft"), ("published", "Published")],
                        db_default="published",
                        default="published",
                        max_length=10,
                    ),
                ),
                (
                    "posted_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(),
                        default=django.utils.timezone.now,
                    ),
                ),
                (
                    "section",
                    models.ForeignKey(
                        blank=True,
                        db_column="section_ref",
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        to=settings.MARKETPLACE_AI_CATEGORY_MODEL,
                    ),
                ),
            ],
            options={
                "db_table": "Jobs of the host",
            },
        ),
    ]
