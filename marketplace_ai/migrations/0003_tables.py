"""All tables but categories and postings, which a project may replace.

A project names this migration in ``run_before`` when its job model is not in the first migration
of its app (0002 for a category model), so its name must not change.
"""

import datetime

import django.contrib.postgres.fields
import django.db.models.deletion
import pgvector.django.halfvec
from django.conf import settings
from django.db import migrations, models

import marketplace_ai.models.fields
from marketplace_ai.schema.operations import (
    CategoryDeletions,
    CreatePartitionedModel,
    DatabaseForeignKey,
    DropPrimaryKeyIndex,
    ExemplarGenerations,
    RequireVector,
    TriggersGoFirst,
)


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("marketplace_ai", "0002_job_posting"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
        migrations.swappable_dependency(settings.MARKETPLACE_AI_CATEGORY_MODEL),
        migrations.swappable_dependency(settings.MARKETPLACE_AI_JOB_MODEL),
    ]

    operations = [
        RequireVector(),
        migrations.CreateModel(
            name='ExemplarGeneration',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('value', models.BigIntegerField(default=0)),
                ('previous', django.contrib.postgres.fields.ArrayField(base_field=models.BigIntegerField(), db_default=[], default=list, size=None)),
            ],
            options={
                'verbose_name': 'exemplar generation',
                'verbose_name_plural': 'exemplar generations',
            },
        ),
        migrations.CreateModel(
            name='Encoder',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.SlugField(max_length=100, unique=True, verbose_name='name')),
                ('source', models.CharField(help_text="'bundled', a directory, or a hub id.", max_length=500, verbose_name='source')),
                ('revision', models.CharField(blank=True, max_length=100, verbose_name='revision')),
                ('dimension', models.PositiveIntegerField(verbose_name='dimension')),
                ('max_tokens', models.PositiveIntegerField(verbose_name='maximum length in tokens')),
                ('prompts', models.JSONField(blank=True, default=dict, verbose_name='prompts')),
                ('dtype', models.CharField(max_length=20, verbose_name='dtype')),
                ('weights_hash', models.CharField(max_length=64, verbose_name='weights hash')),
                ('state', models.CharField(choices=[('building', 'building'), ('ready', 'ready'), ('active', 'active'), ('retired', 'retired')], default='building', max_length=10, verbose_name='state')),
                ('metrics', models.JSONField(blank=True, default=dict, verbose_name='metrics')),
                ('registered_at', models.DateTimeField(auto_now_add=True, verbose_name='registered')),
                ('activated_at', models.DateTimeField(blank=True, null=True, verbose_name='activated')),
                ('replaced_at', models.DateTimeField(blank=True, null=True, verbose_name='replaced')),
                ('retired_at', models.DateTimeField(blank=True, null=True, verbose_name='retired')),
                ('is_shadowing', models.BooleanField(db_default=False, default=False, help_text='It also predicts new postings, without effect, for comparison.', verbose_name='shadow mode')),
                ('last_error', models.TextField(blank=True, db_default='', default='', help_text='Why workers cannot load it; cleared once they can.', verbose_name='last error')),
                ('comparison', models.JSONField(blank=True, db_default={}, default=dict, help_text='Against the encoder that was active at the time, on the same labeled rows.', verbose_name='comparison')),
            ],
            options={
                'verbose_name': 'encoder',
                'verbose_name_plural': 'encoders',
                'constraints': [models.UniqueConstraint(condition=models.Q(('state', 'active')), fields=('state',), name='marketplace_ai_one_active_encoder')],
            },
        ),
        migrations.CreateModel(
            name='ClassifierVersion',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('artifact', models.BinaryField(help_text='safetensors; never pickle', verbose_name='artifact')),
                ('target_precision', models.FloatField(verbose_name='target precision')),
                ('confidence_level', models.FloatField(verbose_name='confidence level')),
                ('calibrated_on', models.CharField(choices=[('postings', 'labeled postings'), ('audits', 'audited postings'), ('exemplars', 'cross-validation on exemplars')], max_length=10, verbose_name='calibrated on')),
                ('figures', models.JSONField(default=dict, verbose_name='metrics')),
                ('exemplar_generation', models.BigIntegerField(verbose_name='exemplar generation')),
                ('comparison', models.JSONField(default=dict, help_text='Against the version that was active when this one was fitted.', verbose_name='comparison')),
                ('is_active', models.BooleanField(default=False, verbose_name='active')),
                ('created_at', models.DateTimeField(auto_now_add=True, verbose_name='created')),
                ('activated_at', models.DateTimeField(null=True, verbose_name='activated')),
                ('replaced_at', models.DateTimeField(null=True, verbose_name='replaced')),
                ('is_discarded', models.BooleanField(default=False, help_text='The artifact was deleted; the row stays because decisions refer to it.', verbose_name='discarded')),
                ('encoder', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='classifiers', to='marketplace_ai.encoder', verbose_name='encoder')),
            ],
            options={
                'verbose_name': 'classifier version',
                'verbose_name_plural': 'classifier versions',
            },
        ),
        migrations.CreateModel(
            name='AuditedPosting',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('outcome', models.CharField(choices=[('automatic', 'automatic'), ('automatic_parent', 'automatic, parent only'), ('review', 'needs review'), ('none', 'fits none'), ('human_override', 'human category kept'), ('confirmed', 'confirmed'), ('corrected', 'corrected')], max_length=16, verbose_name='outcome')),
                ('category_key', models.CharField(blank=True, max_length=200, verbose_name='category key')),
                ('category_name', models.CharField(blank=True, max_length=300, verbose_name='category name')),
                ('probability', models.FloatField(null=True, verbose_name='probability')),
                ('text_digest', models.BinaryField(verbose_name='digest of the text')),
                ('drawn_at', models.DateTimeField(verbose_name='sampled')),
                ('draw_probability', models.FloatField(null=True, verbose_name='probability of the draw')),
                ('answered_at', models.DateTimeField(null=True, verbose_name='answered')),
                ('answer_key', models.CharField(blank=True, db_default='', max_length=200)),
                ('answer_name', models.CharField(blank=True, db_default='', max_length=300)),
                ('is_correct', models.BooleanField(null=True, verbose_name='correct')),
                ('answer', models.ForeignKey(db_constraint=False, null=True, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to=settings.MARKETPLACE_AI_CATEGORY_MODEL, verbose_name='answer')),
                ('answered_by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='answered by')),
                ('category', models.ForeignKey(db_constraint=False, null=True, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to=settings.MARKETPLACE_AI_CATEGORY_MODEL, verbose_name='category')),
                ('posting', models.ForeignKey(db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to=settings.MARKETPLACE_AI_JOB_MODEL, verbose_name='posting')),
                ('classifier', models.ForeignKey(db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='marketplace_ai.classifierversion', verbose_name='classifier')),
                ('encoder', models.ForeignKey(db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='marketplace_ai.encoder', verbose_name='encoder')),
            ],
            options={
                'verbose_name': 'audited posting',
                'verbose_name_plural': 'audited postings',
            },
        ),
        migrations.CreateModel(
            name='Exemplar',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('text', models.TextField(verbose_name='text')),
                ('text_digest', models.BinaryField(verbose_name='digest of the text')),
                ('category_key', models.CharField(blank=True, editable=False, help_text='Kept when the category is deleted.', max_length=200, verbose_name='category key')),
                ('is_none', models.BooleanField(default=False, verbose_name='fits no category')),
                ('family', models.CharField(blank=True, db_default='', default='', help_text="What texts of one origin share, such as a customer's number. None of them is ever judged by a classifier that learned another one.", max_length=200, verbose_name='family')),
                ('source', models.CharField(choices=[('imported', 'imported'), ('posting', "posting's category"), ('reviewed', 'reviewed'), ('description', "category description")], max_length=11, verbose_name='source')),
                ('state', models.CharField(choices=[('active', 'active'), ('quarantined', 'quarantined'), ('orphaned', 'category deleted')], default='active', max_length=12, verbose_name='state')),
                ('created_at', models.DateTimeField(auto_now_add=True, verbose_name='created')),
                ('generation', models.BigIntegerField(db_default=0, db_index=True, default=0, editable=False)),
                ('category', models.ForeignKey(blank=True, db_constraint=False, null=True, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to=settings.MARKETPLACE_AI_CATEGORY_MODEL, verbose_name='category')),
                ('condensed_by', models.ForeignKey(blank=True, db_index=False, editable=False, help_text='It teaches, but others vote in its place from this classifier version on.', null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to='marketplace_ai.classifierversion', verbose_name='condensed by version')),
                ('created_by', models.ForeignKey(blank=True, editable=False, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='created by')),
                ('posting', models.ForeignKey(blank=True, db_constraint=False, editable=False, null=True, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to=settings.MARKETPLACE_AI_JOB_MODEL, verbose_name='source posting')),
            ],
            options={
                'verbose_name': 'exemplar',
                'verbose_name_plural': 'exemplars',
            },
        ),
        migrations.CreateModel(
            name='ExemplarEmbedding',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('vector', pgvector.django.halfvec.HalfVectorField(verbose_name='vector')),
                ('generation', models.BigIntegerField(db_default=0, default=0, editable=False)),
                ('encoder', models.ForeignKey(db_constraint=False, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to='marketplace_ai.encoder')),
                ('exemplar', models.ForeignKey(db_constraint=False, on_delete=django.db.models.deletion.DO_NOTHING, related_name='embeddings', to='marketplace_ai.exemplar')),
            ],
            options={
                'verbose_name': 'exemplar embedding',
                'verbose_name_plural': 'exemplar embeddings',
            },
        ),
        migrations.CreateModel(
            name='PostingChange',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.CharField(choices=[('created', 'created'), ('edited', 'edited'), ('bulk', 'bulk edit'), ('category', 'category deleted'), ('rescan', 'unknown change')], max_length=8, verbose_name='kind')),
                ('logged_at', models.DateTimeField(verbose_name='logged')),
                ('posting', models.ForeignKey(db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to=settings.MARKETPLACE_AI_JOB_MODEL)),
            ],
            options={
                'verbose_name': 'posting change',
                'verbose_name_plural': 'posting changes',
            },
        ),
        CreatePartitionedModel(
            name='PostingEmbedding',
            partition_by='encoder',
            fields=[
                ('pk', models.CompositePrimaryKey('posting_id', 'encoder_id', blank=True, editable=False, primary_key=True, serialize=False)),
                ('vector', pgvector.django.halfvec.HalfVectorField(verbose_name='vector')),
                ('text_digest', models.BinaryField(verbose_name='digest of the encoded text')),
                ('encoder', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='marketplace_ai.encoder')),
                ('posting', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to=settings.MARKETPLACE_AI_JOB_MODEL)),
            ],
            options={
                'verbose_name': 'posting embedding',
                'verbose_name_plural': 'posting embeddings',
            },
        ),
        migrations.CreateModel(
            name='Promotion',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.CharField(choices=[('promoted', 'promoted'), ('forced', 'promoted despite failed checks'), ('rolled_back', 'rolled back')], max_length=11, verbose_name='kind')),
                ('reason', models.TextField(blank=True, verbose_name='reason')),
                ('comparison', models.JSONField(blank=True, default=dict, verbose_name='comparison')),
                ('switched_at', models.DateTimeField(verbose_name='switched')),
                ('encoder', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='promotions', to='marketplace_ai.encoder', verbose_name='encoder')),
                ('previous_encoder', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='marketplace_ai.encoder', verbose_name='previous encoder')),
                ('switched_by', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='switched by')),
            ],
            options={
                'verbose_name': 'promotion',
                'verbose_name_plural': 'promotions',
            },
        ),
        migrations.CreateModel(
            name='QueuedPosting',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('priority', models.SmallIntegerField(choices=[(0, 'backfill'), (100, 'new')], default=100, verbose_name='priority')),
                ('is_vector_only', models.BooleanField(default=False, verbose_name='vector only')),
                ('is_isolated', models.BooleanField(default=False, verbose_name='isolated')),
                ('attempts', models.PositiveSmallIntegerField(default=0, verbose_name='attempts')),
                ('queued_at', models.DateTimeField(verbose_name='queued')),
                ('scheduled_at', models.DateTimeField(verbose_name='scheduled')),
                ('token', models.UUIDField(editable=False, null=True, verbose_name='claim')),
                ('worker', models.IntegerField(editable=False, null=True, verbose_name='worker')),
                ('lease_expires_at', models.DateTimeField(editable=False, null=True, verbose_name='lease expires')),
                ('last_error', models.TextField(blank=True, verbose_name='last error')),
                ('failed_at', models.DateTimeField(blank=True, null=True, verbose_name='failed')),
                ('encoder', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='marketplace_ai.encoder', verbose_name='encoder')),
                ('posting', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to=settings.MARKETPLACE_AI_JOB_MODEL, verbose_name='posting')),
            ],
            options={
                'verbose_name': 'queued posting',
                'verbose_name_plural': 'queued postings',
            },
        ),
        migrations.CreateModel(
            name='ShadowDecision',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('category_key', models.CharField(blank=True, max_length=200, verbose_name='category key')),
                ('category_name', models.CharField(blank=True, max_length=300, verbose_name='category name')),
                ('probability', models.FloatField(null=True, verbose_name='probability')),
                ('outcome', models.CharField(choices=[('automatic', 'automatic'), ('automatic_parent', 'automatic, parent only'), ('review', 'needs review'), ('none', 'fits none'), ('human_override', 'human category kept'), ('confirmed', 'confirmed'), ('corrected', 'corrected')], max_length=16, verbose_name='outcome')),
                ('text_digest', models.BinaryField(verbose_name='digest of the text')),
                ('decided_at', models.DateTimeField(verbose_name='decided')),
                ('category', models.ForeignKey(db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to=settings.MARKETPLACE_AI_CATEGORY_MODEL, verbose_name='category')),
                ('classifier', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='marketplace_ai.classifierversion', verbose_name='classifier')),
                ('encoder', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='marketplace_ai.encoder', verbose_name='encoder')),
                ('posting', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to=settings.MARKETPLACE_AI_JOB_MODEL, verbose_name='posting')),
            ],
            options={
                'verbose_name': 'shadow decision',
                'verbose_name_plural': 'shadow decisions',
            },
        ),
        migrations.CreateModel(
            name='TableScan',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('purpose', models.CharField(choices=[('backfill', 'backfill'), ('reconcile', 'reconcile')], max_length=9)),
                ('is_vector_only', models.BooleanField(default=False)),
                ('since', models.DateField(null=True)),
                ('row_limit', models.PositiveBigIntegerField(null=True)),
                ('total', models.BigIntegerField(default=0)),
                ('is_estimated', models.BooleanField(default=False)),
                ('last_key', models.TextField(null=True)),
                ('locked_keys', django.contrib.postgres.fields.ArrayField(base_field=models.TextField(), default=list, size=None)),
                ('scanned_count', models.BigIntegerField(default=0)),
                ('queued_count', models.BigIntegerField(default=0)),
                ('time_spent', models.DurationField(default=datetime.timedelta)),
                ('requested_at', models.DateTimeField()),
                ('advanced_at', models.DateTimeField()),
                ('scheduled_at', models.DateTimeField()),
                ('stopped_at', models.DateTimeField(null=True)),
                ('finished_at', models.DateTimeField(null=True)),
                ('encoder', models.ForeignKey(db_index=False, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='marketplace_ai.encoder')),
            ],
            options={
                'verbose_name': 'table scan',
                'verbose_name_plural': 'table scans',
            },
        ),
        migrations.CreateModel(
            name='AutomationStop',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('rule', models.CharField(choices=[('automatic', 'category'), ('automatic_parent', 'parent only'), ('none', 'fits none')], max_length=16, verbose_name='rule')),
                ('category_key', models.CharField(blank=True, max_length=200, verbose_name='category key')),
                ('category_name', models.CharField(blank=True, max_length=300, verbose_name='category name')),
                ('stopped_at', models.DateTimeField(verbose_name='stopped')),
                ('rows', models.PositiveIntegerField(null=True, verbose_name='audited postings')),
                ('errors', models.PositiveIntegerField(null=True, verbose_name='errors')),
                ('e_value', models.FloatField(null=True, verbose_name='e-value')),
                ('reason', models.TextField(blank=True, verbose_name='reason')),
                ('resumed_at', models.DateTimeField(null=True, verbose_name='resumed')),
                ('resume_reason', models.TextField(blank=True, verbose_name='reason for resuming')),
                ('category', models.ForeignKey(db_constraint=False, null=True, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to=settings.MARKETPLACE_AI_CATEGORY_MODEL, verbose_name='category')),
                ('resumed_by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='resumed by')),
                ('stopped_by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='stopped by')),
                ('classifier', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='stops', to='marketplace_ai.classifierversion', verbose_name='classifier')),
            ],
            options={
                'verbose_name': 'automation stop',
                'verbose_name_plural': 'automation stops',
                'constraints': [models.UniqueConstraint(condition=models.Q(('resumed_at__isnull', True)), fields=('classifier', 'rule', 'category_key'), name='marketplace_ai_one_stop')],
            },
        ),
        migrations.CreateModel(
            name='Decision',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('category_key', models.CharField(blank=True, max_length=200, verbose_name='category key')),
                ('category_name', models.CharField(blank=True, max_length=300, verbose_name='category name')),
                ('probability', models.FloatField(null=True, verbose_name='probability')),
                ('threshold', models.FloatField(null=True, verbose_name='threshold')),
                ('outcome', models.CharField(choices=[('automatic', 'automatic'), ('automatic_parent', 'automatic, parent only'), ('review', 'needs review'), ('none', 'fits none'), ('human_override', 'human category kept'), ('confirmed', 'confirmed'), ('corrected', 'corrected')], max_length=16, verbose_name='outcome')),
                ('is_answered', models.BooleanField(default=False, verbose_name='answered by a person')),
                ('text_digest', models.BinaryField(verbose_name='digest of the text')),
                ('decided_at', models.DateTimeField(db_index=True, verbose_name='decided')),
                ('is_current', models.BooleanField(default=True, verbose_name='current')),
                ('match_exemplars', django.contrib.postgres.fields.ArrayField(base_field=models.BigIntegerField(), default=list, size=None)),
                ('match_similarities', django.contrib.postgres.fields.ArrayField(base_field=marketplace_ai.models.fields.RealField(), default=list, size=None)),
                ('match_shares', django.contrib.postgres.fields.ArrayField(base_field=marketplace_ai.models.fields.RealField(), default=list, size=None)),
                ('head_share', models.FloatField(default=0.0, verbose_name='share of the linear heads')),
                ('choice_keys', django.contrib.postgres.fields.ArrayField(base_field=models.TextField(), default=list, size=None)),
                ('choice_probabilities', django.contrib.postgres.fields.ArrayField(base_field=marketplace_ai.models.fields.RealField(), default=list, size=None)),
                ('second_category_keys', django.contrib.postgres.fields.ArrayField(base_field=models.TextField(), db_default=[], default=list, size=None)),
                ('category', models.ForeignKey(db_constraint=False, null=True, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to=settings.MARKETPLACE_AI_CATEGORY_MODEL, verbose_name='category')),
                ('classifier', models.ForeignKey(db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='marketplace_ai.classifierversion', verbose_name='classifier')),
                ('decided_by', models.ForeignKey(db_index=False, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='decided by')),
                ('machine_category', models.ForeignKey(db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to=settings.MARKETPLACE_AI_CATEGORY_MODEL)),
                ('posting', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to=settings.MARKETPLACE_AI_JOB_MODEL, verbose_name='posting')),
                ('encoder', models.ForeignKey(db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='marketplace_ai.encoder', verbose_name='encoder')),
            ],
            options={
                'verbose_name': 'decision',
                'verbose_name_plural': 'decisions',
                'indexes': [models.Index(fields=['posting', 'id'], name='marketplace_ai_dec_posting'), models.Index(condition=models.Q(('decided_by__isnull', False)), fields=['decided_by'], name='marketplace_ai_dec_person'), models.Index(condition=models.Q(('is_current', True)), fields=['outcome', '-id'], name='marketplace_ai_dec_outcome'), models.Index(condition=models.Q(('category__isnull', True), models.Q(('category_key', ''), _negated=True), ('is_current', True)), fields=['posting'], name='marketplace_ai_dec_orphaned')],
                'constraints': [models.UniqueConstraint(condition=models.Q(('is_current', True)), fields=('posting',), name='marketplace_ai_one_current')],
            },
        ),
        migrations.AddConstraint(
            model_name='classifierversion',
            constraint=models.UniqueConstraint(condition=models.Q(('is_active', True)), fields=('encoder',), name='marketplace_ai_one_active_version'),
        ),
        migrations.AddIndex(
            model_name='auditedposting',
            index=models.Index(condition=models.Q(('answered_at__isnull', True), ('posting__isnull', False)), fields=['drawn_at', 'id'], name='marketplace_ai_audit_waiting'),
        ),
        migrations.AddIndex(
            model_name='auditedposting',
            index=models.Index(fields=['classifier', 'outcome', 'drawn_at', 'id'], name='marketplace_ai_audit_test'),
        ),
        migrations.AddConstraint(
            model_name='auditedposting',
            constraint=models.UniqueConstraint(fields=('posting',), name='marketplace_ai_audited_once'),
        ),
        migrations.AddConstraint(
            model_name='auditedposting',
            constraint=models.CheckConstraint(condition=models.Q(('is_correct__isnull', True), ('answered_at__isnull', False), _connector='OR'), name='marketplace_ai_audit_correct_by_answer'),
        ),
        migrations.AddConstraint(
            model_name='auditedposting',
            constraint=models.CheckConstraint(condition=models.Q(('draw_probability__gt', 0), ('draw_probability__lte', 1)), name='marketplace_ai_draw_probability'),
        ),
        migrations.AddConstraint(
            model_name='exemplar',
            constraint=models.CheckConstraint(condition=models.Q(('is_none', False), ('category__isnull', True), _connector='OR'), name='marketplace_ai_exemplar_none_or_category', violation_error_message='An exemplar that fits no category cannot have one.'),
        ),
        migrations.AddConstraint(
            model_name='exemplar',
            constraint=models.UniqueConstraint(condition=models.Q(('source', 'description'), _negated=True), fields=('text_digest', 'category_key', 'posting'), name='marketplace_ai_exemplar_once', nulls_distinct=False),
        ),
        migrations.AddConstraint(
            model_name='exemplar',
            constraint=models.UniqueConstraint(condition=models.Q(('source', 'description')), fields=('category', 'text_digest'), name='marketplace_ai_description_once'),
        ),
        migrations.AddIndex(
            model_name='exemplarembedding',
            index=models.Index(fields=['encoder', 'generation'], name='marketplace_ai_exemb_gen'),
        ),
        migrations.AddConstraint(
            model_name='exemplarembedding',
            constraint=models.UniqueConstraint(fields=('exemplar', 'encoder'), name='marketplace_ai_exemplar_encoder'),
        ),
        migrations.AddIndex(
            model_name='queuedposting',
            index=models.Index(models.F('is_isolated'), models.OrderBy(models.F('priority'), descending=True), models.F('id'), condition=models.Q(('encoder__isnull', True), ('failed_at__isnull', True), ('token__isnull', True)), name='marketplace_ai_queue_unclaimed'),
        ),
        migrations.AddIndex(
            model_name='queuedposting',
            index=models.Index(models.F('encoder'), models.F('is_isolated'), models.OrderBy(models.F('priority'), descending=True), models.F('id'), condition=models.Q(('encoder__isnull', False), ('failed_at__isnull', True), ('token__isnull', True)), name='marketplace_ai_queue_candidate'),
        ),
        migrations.AddIndex(
            model_name='queuedposting',
            index=models.Index(condition=models.Q(('failed_at__isnull', False)), fields=['failed_at'], name='marketplace_ai_queue_failed'),
        ),
        migrations.AddIndex(
            model_name='queuedposting',
            index=models.Index(condition=models.Q(('token__isnull', False)), fields=['token'], name='marketplace_ai_queue_claimed'),
        ),
        migrations.AddConstraint(
            model_name='queuedposting',
            constraint=models.UniqueConstraint(fields=('posting', 'encoder'), name='marketplace_ai_queue_once', nulls_distinct=False),
        ),
        migrations.AddIndex(
            model_name='exemplar',
            index=models.Index(condition=models.Q(('category__isnull', True), ('is_none', False)), fields=['category_key'], name='marketplace_ai_ex_orphaned'),
        ),
        migrations.AddIndex(
            model_name='shadowdecision',
            index=models.Index(fields=['encoder', '-decided_at'], name='marketplace_ai_shadow_last'),
        ),
        migrations.AddConstraint(
            model_name='shadowdecision',
            constraint=models.UniqueConstraint(fields=('posting', 'encoder'), name='marketplace_ai_one_shadow'),
        ),
        migrations.AddConstraint(
            model_name='tablescan',
            constraint=models.UniqueConstraint(condition=models.Q(('finished_at__isnull', True), ('purpose', 'backfill')), fields=('encoder', 'is_vector_only', 'since', 'row_limit'), name='marketplace_ai_one_backfill', nulls_distinct=False),
        ),
        migrations.AddConstraint(
            model_name='tablescan',
            constraint=models.UniqueConstraint(condition=models.Q(('purpose', 'reconcile')), fields=('purpose',), name='marketplace_ai_one_reconcile'),
        ),
        migrations.CreateModel(
            name='WorkerHeartbeat',
            fields=[
                ('id', models.UUIDField(primary_key=True, serialize=False)),
                ('name', models.CharField(max_length=300)),
                ('worker', models.IntegerField()),
                ('started_at', models.DateTimeField()),
                ('seen_at', models.DateTimeField()),
                ('last_error', models.TextField(blank=True)),
                ('failing_since', models.DateTimeField(null=True)),
            ],
            options={
                'verbose_name': 'worker heartbeat',
                'verbose_name_plural': 'worker heartbeats',
            },
        ),
        migrations.CreateModel(
            name='Refit',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('triggers', django.contrib.postgres.fields.ArrayField(base_field=models.CharField(choices=[('first', 'nothing was fitted yet'), ('answers', 'new labels'), ('audit', 'the audit suffices'), ('scores', 'scores have drifted'), ('categories', 'categories have drifted'), ('person', 'a person')], max_length=10), default=list, size=None, verbose_name='due by')),
                ('figures', models.JSONField(default=dict, verbose_name='figures')),
                ('exemplar_generation', models.BigIntegerField(null=True, verbose_name='exemplar generation')),
                ('outcome', models.CharField(choices=[('running', 'running'), ('activated', 'activated'), ('proposed', 'proposed'), ('refused', 'refused'), ('failed', 'failed'), ('interrupted', 'interrupted'), ('undone', 'undone')], default='running', max_length=11, verbose_name='outcome')),
                ('error', models.TextField(blank=True, verbose_name='error')),
                ('started_at', models.DateTimeField(verbose_name='started')),
                ('finished_at', models.DateTimeField(null=True, verbose_name='finished')),
                ('encoder', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='marketplace_ai.encoder', verbose_name='encoder')),
                ('previous_version', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='marketplace_ai.classifierversion', verbose_name='version before')),
                ('version', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='marketplace_ai.classifierversion', verbose_name='version')),
            ],
            options={
                'verbose_name': 'refit',
                'verbose_name_plural': 'refits',
            },
        ),
        migrations.CreateModel(
            name='ReviewRank',
            fields=[
                ('decision', models.OneToOneField(db_constraint=False, on_delete=django.db.models.deletion.DO_NOTHING, primary_key=True, related_name='review_rank', serialize=False, to='marketplace_ai.decision')),
                ('rank', models.PositiveIntegerField(db_index=True, verbose_name='teaches most')),
                ('ranked_at', models.DateTimeField(verbose_name='ranked')),
            ],
            options={
                'verbose_name': 'place in the review queue',
                'verbose_name_plural': 'places in the review queue',
            },
        ),
        DropPrimaryKeyIndex("PostingChange"),
        DatabaseForeignKey("PostingEmbedding", "posting", "CASCADE"),
        DatabaseForeignKey("PostingEmbedding", "encoder", "CASCADE"),
        DatabaseForeignKey("QueuedPosting", "posting", "CASCADE"),
        DatabaseForeignKey("Decision", "posting", "CASCADE"),
        DatabaseForeignKey("Decision", "category", "SET NULL"),
        DatabaseForeignKey("ReviewRank", "decision", "CASCADE"),
        DatabaseForeignKey("ShadowDecision", "posting", "CASCADE"),
        DatabaseForeignKey("AuditedPosting", "posting", "SET NULL"),
        DatabaseForeignKey("AuditedPosting", "category", "SET NULL"),
        DatabaseForeignKey("AuditedPosting", "answer", "SET NULL"),
        DatabaseForeignKey("AutomationStop", "category", "SET NULL"),
        DatabaseForeignKey("Exemplar", "posting", "CASCADE"),
        DatabaseForeignKey("Exemplar", "category", "SET NULL"),
        DatabaseForeignKey("ExemplarEmbedding", "exemplar", "CASCADE"),
        DatabaseForeignKey("ExemplarEmbedding", "encoder", "CASCADE"),
        ExemplarGenerations(),
        CategoryDeletions(),
        TriggersGoFirst(),
    ]
