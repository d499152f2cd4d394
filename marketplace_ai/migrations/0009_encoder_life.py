"""The life of an encoder: promotions, what a candidate decides in the shadow, its queue."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

from marketplace_ai.schema import DatabaseForeignKey


class Migration(migrations.Migration):

    dependencies = [
        ('marketplace_ai', '0008_walks'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
        migrations.swappable_dependency(settings.MARKETPLACE_AI_CATEGORY_MODEL),
        migrations.swappable_dependency(settings.MARKETPLACE_AI_JOB_MODEL),
    ]

    operations = [
        # Workers and the host wait behind whoever waits for a lock: it gives up soon, is undone, and is
        # run again.
        migrations.RunSQL(DatabaseForeignKey.LOCK_TIMEOUT, migrations.RunSQL.noop),
        migrations.CreateModel(
            name='Promotion',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.CharField(choices=[('promoted', 'promoted'), ('forced', 'promoted against the comparison'), ('rolled_back', 'rolled back')], max_length=11, verbose_name='kind')),
                ('reason', models.TextField(blank=True, verbose_name='reason')),
                ('comparison', models.JSONField(blank=True, default=dict, verbose_name='comparison')),
                ('switched', models.DateTimeField(verbose_name='switched')),
            ],
            options={
                'verbose_name': 'promotion',
                'verbose_name_plural': 'promotions',
            },
        ),
        migrations.CreateModel(
            name='ShadowDecision',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('category_key', models.CharField(blank=True, max_length=200, verbose_name='category key')),
                ('category_name', models.CharField(blank=True, max_length=300, verbose_name='category name')),
                ('probability', models.FloatField(null=True, verbose_name='probability')),
                ('outcome', models.CharField(choices=[('automatic', 'automatic'), ('automatic_parent', 'automatic, parent only'), ('review', 'to review'), ('none', 'fits none'), ('kept', "kept a person's category"), ('confirmed', 'confirmed'), ('corrected', 'corrected')], max_length=16, verbose_name='outcome')),
                ('text_digest', models.BinaryField(verbose_name='digest of the text')),
                ('decided', models.DateTimeField(verbose_name='decided')),
            ],
            options={
                'verbose_name': 'shadow decision',
                'verbose_name_plural': 'shadow decisions',
            },
        ),
        migrations.AddField(
            model_name='encoder',
            name='comparison',
            field=models.JSONField(blank=True, db_default={}, default=dict, help_text='With the encoder that was active then, on the same labelled rows.', verbose_name='comparison'),
        ),
        migrations.AddField(
            model_name='encoder',
            name='replaced',
            field=models.DateTimeField(blank=True, null=True, verbose_name='replaced'),
        ),
        migrations.AddField(
            model_name='encoder',
            name='retired',
            field=models.DateTimeField(blank=True, null=True, verbose_name='retired'),
        ),
        migrations.AddField(
            model_name='encoder',
            name='shadow',
            field=models.BooleanField(db_default=False, default=False, help_text='It decides what comes in as well, without effect, to be compared.', verbose_name='decides in the shadow'),
        ),
        migrations.AddField(
            model_name='encoder',
            name='trouble',
            field=models.TextField(blank=True, db_default='', default='', help_text='Why a worker cannot work with it now; empty once one can again.', verbose_name='trouble'),
        ),
        migrations.AddField(
            model_name='promotion',
            name='before',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='marketplace_ai.encoder', verbose_name='instead of'),
        ),
        migrations.AddField(
            model_name='promotion',
            name='encoder',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='promotions', to='marketplace_ai.encoder', verbose_name='encoder'),
        ),
        migrations.AddField(
            model_name='promotion',
            name='switched_by',
            field=models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='switched by'),
        ),
        migrations.AddField(
            model_name='shadowdecision',
            name='category',
            field=models.ForeignKey(db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to=settings.MARKETPLACE_AI_CATEGORY_MODEL, verbose_name='category'),
        ),
        migrations.AddField(
            model_name='shadowdecision',
            name='classifier',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='marketplace_ai.classifierversion', verbose_name='classifier'),
        ),
        migrations.AddField(
            model_name='shadowdecision',
            name='encoder',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='marketplace_ai.encoder', verbose_name='encoder'),
        ),
        migrations.AddField(
            model_name='shadowdecision',
            name='job',
            field=models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to=settings.MARKETPLACE_AI_JOB_MODEL, verbose_name='posting'),
        ),
        migrations.AddIndex(
            model_name='shadowdecision',
            index=models.Index(fields=['encoder', '-decided'], name='marketplace_ai_shadow_last'),
        ),
        migrations.AddConstraint(
            model_name='shadowdecision',
            constraint=models.UniqueConstraint(fields=('job', 'encoder'), name='marketplace_ai_one_shadow'),
        ),
        DatabaseForeignKey("ShadowDecision", "job", "CASCADE"),
    ]
