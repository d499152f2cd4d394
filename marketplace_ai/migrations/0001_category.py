"""The shipped category tree; by itself, so that a host's job model may point to it."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name='Category',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('slug', models.SlugField(max_length=100, unique=True, verbose_name='slug')),
                ('name', models.CharField(max_length=200, verbose_name='name')),
                ('name_en', models.CharField(blank=True, max_length=200, verbose_name='English name')),
                ('scope', models.TextField(blank=True, help_text="What belongs here, in customers' own words.", verbose_name='scope')),
                # Always to itself, also where a host's model stands in its place: the setting,
                # which makemigrations would write here, names that one.
                ('parent', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='children', to='marketplace_ai.category', verbose_name='parent')),
            ],
            options={
                'verbose_name': 'category',
                'verbose_name_plural': 'categories',
                'ordering': ['name'],
                'swappable': 'MARKETPLACE_AI_CATEGORY_MODEL',
            },
        ),
    ]
