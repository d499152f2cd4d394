"""The shipped job posting; by itself, so that its category may be a host's."""

import django.db.models.deletion
import django.db.models.functions.datetime
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("marketplace_ai", "0001_category"),
        migrations.swappable_dependency(settings.MARKETPLACE_AI_CATEGORY_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='JobPosting',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('title', models.CharField(max_length=300, verbose_name='title')),
                ('description', models.TextField(blank=True, db_default='', verbose_name='description')),
                ('category_set_by', models.CharField(blank=True, choices=[('', 'nobody'), ('machine', 'automatic'), ('person', 'a person')], db_default='', default='', editable=False, max_length=10, verbose_name='category set by')),
                ('created_at', models.DateTimeField(auto_now_add=True, db_default=django.db.models.functions.datetime.Now(), db_index=True, verbose_name='created')),
                ('updated_at', models.DateTimeField(auto_now=True, db_default=django.db.models.functions.datetime.Now(), verbose_name='updated')),
                ('category', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.MARKETPLACE_AI_CATEGORY_MODEL, verbose_name='category')),
            ],
            options={
                'verbose_name': 'posting',
                'verbose_name_plural': 'postings',
                'swappable': 'MARKETPLACE_AI_JOB_MODEL',
            },
        ),
    ]
