"""Walks over the postings: backfills, and the search for what the triggers missed."""

import datetime
import django.contrib.postgres.fields
import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('marketplace_ai', '0007_descriptions'),
    ]

    operations = [
        migrations.CreateModel(
            name='TableScan',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('purpose', models.CharField(choices=[('backfill', 'backfill'), ('reconcile', 'search for what was missed')], max_length=9)),
                ('vectors_only', models.BooleanField(default=False)),
                ('since', models.DateField(null=True)),
                ('at_most', models.PositiveBigIntegerField(null=True)),
                ('total', models.BigIntegerField(default=0)),
                ('estimated', models.BooleanField(default=False)),
                ('last_key', models.TextField(null=True)),
                ('held', django.contrib.postgres.fields.ArrayField(base_field=models.TextField(), default=list, size=None)),
                ('walked', models.BigIntegerField(default=0)),
                ('queued', models.BigIntegerField(default=0)),
                ('busy', models.DurationField(default=datetime.timedelta)),
                ('requested', models.DateTimeField()),
                ('stepped', models.DateTimeField()),
                ('not_before', models.DateTimeField()),
                ('stopped', models.DateTimeField(null=True)),
                ('finished', models.DateTimeField(null=True)),
                ('encoder', models.ForeignKey(db_index=False, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='marketplace_ai.encoder')),
            ],
            options={
                'verbose_name': 'table scan',
                'verbose_name_plural': 'table scans',
                'constraints': [models.UniqueConstraint(condition=models.Q(('finished__isnull', True), ('purpose', 'backfill')), fields=('encoder', 'vectors_only', 'since', 'at_most'), name='marketplace_ai_one_backfill', nulls_distinct=False), models.UniqueConstraint(condition=models.Q(('purpose', 'reconcile')), fields=('purpose',), name='marketplace_ai_one_reconcile')],
            },
        ),
    ]
