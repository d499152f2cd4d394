"""How the promise is watched: audited postings and stops of automation."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

from marketplace_ai.schema import DatabaseForeignKey


class Migration(migrations.Migration):
    dependencies = [
        ('marketplace_ai', '0003_tables'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
        migrations.swappable_dependency(settings.MARKETPLACE_AI_CATEGORY_MODEL),
        migrations.swappable_dependency(settings.MARKETPLACE_AI_JOB_MODEL),
    ]

    operations = [
        migrations.AlterField(
            model_name='classifierversion',
            name='calibrated_on',
            field=models.CharField(choices=[('postings', 'labelled postings'), ('audits', 'audited postings'), ('exemplars', 'cross-validation on exemplars')], max_length=10, verbose_name='calibrated on'),
        ),
        migrations.CreateModel(
            name='AuditedPosting',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('outcome', models.CharField(choices=[('automatic', 'automatic'), ('automatic_parent', 'automatic, parent only'), ('review', 'to review'), ('none', 'fits none'), ('kept', "kept a person's category"), ('confirmed', 'confirmed'), ('corrected', 'corrected')], max_length=16, verbose_name='outcome')),
                ('category_key', models.CharField(blank=True, max_length=200, verbose_name='category key')),
                ('category_name', models.CharField(blank=True, max_length=300, verbose_name='category name')),
                ('probability', models.FloatField(null=True, verbose_name='probability')),
                ('text_digest', models.BinaryField(verbose_name='digest of the text')),
                ('drawn', models.DateTimeField(verbose_name='drawn')),
                ('answered', models.DateTimeField(null=True, verbose_name='answered')),
                ('answer_key', models.CharField(blank=True, db_default='', max_length=200)),
                ('answer_name', models.CharField(blank=True, db_default='', max_length=300)),
                ('right', models.BooleanField(null=True, verbose_name='right')),
                ('answer', models.ForeignKey(db_constraint=False, null=True, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to=settings.MARKETPLACE_AI_CATEGORY_MODEL, verbose_name='answer')),
                ('answered_by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='answered by')),
                ('category', models.ForeignKey(db_constraint=False, null=True, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to=settings.MARKETPLACE_AI_CATEGORY_MODEL, verbose_name='category')),
                ('classifier', models.ForeignKey(db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='marketplace_ai.classifierversion', verbose_name='classifier')),
                ('encoder', models.ForeignKey(db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='marketplace_ai.encoder', verbose_name='encoder')),
                ('job', models.ForeignKey(db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to=settings.MARKETPLACE_AI_JOB_MODEL, verbose_name='posting')),
            ],
            options={
                'verbose_name': 'audited posting',
                'verbose_name_plural': 'audited postings',
                'indexes': [models.Index(condition=models.Q(('answered__isnull', True), ('job__isnull', False)), fields=['drawn', 'id'], name='marketplace_ai_audit_waiting'), models.Index(fields=['classifier', 'outcome', 'drawn', 'id'], name='marketplace_ai_audit_test')],
                'constraints': [models.UniqueConstraint(fields=('job',), name='marketplace_ai_audited_once'), models.CheckConstraint(condition=models.Q(('right__isnull', True), ('answered__isnull', False), _connector='OR'), name='marketplace_ai_audit_right_by_answer')],
            },
        ),
        migrations.CreateModel(
            name='AutomationStop',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('rule', models.CharField(choices=[('automatic', 'a category'), ('automatic_parent', 'its parent only'), ('none', '“fits none”')], max_length=16, verbose_name='rule')),
                ('category_key', models.CharField(blank=True, max_length=200, verbose_name='category key')),
                ('category_name', models.CharField(blank=True, max_length=300, verbose_name='category name')),
                ('stopped', models.DateTimeField(verbose_name='stopped')),
                ('rows', models.PositiveIntegerField(null=True, verbose_name='audited postings')),
                ('errors', models.PositiveIntegerField(null=True, verbose_name='errors')),
                ('e_value', models.FloatField(null=True, verbose_name='e value')),
                ('reason', models.TextField(blank=True, verbose_name='reason')),
                ('lifted', models.DateTimeField(null=True, verbose_name='resumed')),
                ('lift_reason', models.TextField(blank=True, verbose_name='reason to resume')),
                ('category', models.ForeignKey(db_constraint=False, null=True, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to=settings.MARKETPLACE_AI_CATEGORY_MODEL, verbose_name='category')),
                ('classifier', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='stops', to='marketplace_ai.classifierversion', verbose_name='classifier')),
                ('lifted_by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='resumed by')),
                ('stopped_by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='stopped by')),
            ],
            options={
                'verbose_name': 'automation stop',
                'verbose_name_plural': 'automation stops',
                'constraints': [models.UniqueConstraint(condition=models.Q(('lifted__isnull', True)), fields=('classifier', 'rule', 'category_key'), name='marketplace_ai_one_stop')],
            },
        ),
        DatabaseForeignKey("AuditedPosting", "job", "SET NULL"),
        DatabaseForeignKey("AuditedPosting", "category", "SET NULL"),
        DatabaseForeignKey("AuditedPosting", "answer", "SET NULL"),
        DatabaseForeignKey("AutomationStop", "category", "SET NULL"),
    ]
