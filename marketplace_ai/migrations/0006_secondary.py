"""Second jobs in one posting: further categories that a decision names."""

import django.contrib.postgres.fields
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ('marketplace_ai', '0005_versions'),
    ]

    operations = [
        migrations.AddField(
            model_name='decision',
            name='secondary_keys',
            field=django.contrib.postgres.fields.ArrayField(base_field=models.TextField(), db_default=[], default=list, size=None),
        ),
    ]
