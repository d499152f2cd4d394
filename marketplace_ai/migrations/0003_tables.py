"""Everything that belongs to the app itself. A host whose job model is not in the first migration
of its app names this one in ``run_before``; for a category model it is 0002."""

import django.contrib.postgres.fields
import django.db.models.deletion
import pgvector.django.halfvec
from django.conf import settings
from django.db import migrations, models

import marketplace_ai.models.fields
from marketplace_ai.schema import (
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
                ('removals', models.BigIntegerField(default=0)),
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
                ('source', models.CharField(help_text="'embedded', a directory, or a hub id.", max_length=500, verbose_name='source')),
                ('revision', models.CharField(blank=True, max_length=100, verbose_name='revision')),
                ('dimension', models.PositiveIntegerField(verbose_name='dimension')),
                ('max_tokens', models.PositiveIntegerField(verbose_name='longest text, in tokens')),
                ('prompts', models.JSONField(blank=True, default=dict, verbose_name='prompts')),
                ('precision', models.CharField(max_length=20, verbose_name='precision')),
                ('weights_hash', models.CharField(max_length=64, verbose_name='hash of the weights')),
                ('state', models.CharField(choices=[('building', 'building'), ('ready', 'ready'), ('active', 'active'), ('retired', 'retired')], default='building', max_length=10, verbose_name='state')),
                ('metrics', models.JSONField(blank=True, default=dict, verbose_name='metrics')),
                ('registered', models.DateTimeField(auto_now_add=True, verbose_name='registered')),
                ('activated', models.DateTimeField(blank=True, null=True, verbose_name='activated')),
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
                ('target_precision', models.FloatField(verbose_name='promised precision')),
                ('confidence', models.FloatField(verbose_name='confidence of the promise')),
                ('calibrated_on', models.CharField(choices=[('postings', 'labelled postings'), ('exemplars', 'cross-validation on exemplars')], max_length=10, verbose_name='calibrated on')),
                ('figures', models.JSONField(default=dict, verbose_name='figures')),
                ('exemplar_generation', models.BigIntegerField(verbose_name='fitted at exemplar generation')),
                ('in_force', models.BooleanField(default=False, verbose_name='in force')),
                ('created', models.DateTimeField(auto_now_add=True, verbose_name='created')),
                ('encoder', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='classifiers', to='marketplace_ai.encoder', verbose_name='encoder')),
            ],
            options={
                'verbose_name': 'classifier version',
                'verbose_name_plural': 'classifier versions',
            },
        ),
        migrations.CreateModel(
            name='Exemplar',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('text', models.TextField(verbose_name='text')),
                ('text_digest', models.BinaryField(verbose_name='digest of the text')),
                ('category_key', models.CharField(blank=True, editable=False, help_text='The category as it was, readable when it is gone.', max_length=200, verbose_name='category key')),
                ('is_none', models.BooleanField(default=False, verbose_name='fits no category')),
                ('source', models.CharField(choices=[('imported', 'imported'), ('host', "a posting's own category"), ('reviewed', 'reviewed')], max_length=10, verbose_name='source')),
                ('state', models.CharField(choices=[('active', 'active'), ('quarantined', 'quarantined')], default='active', max_length=12, verbose_name='state')),
                ('created', models.DateTimeField(auto_now_add=True, verbose_name='created')),
                ('generation', models.BigIntegerField(db_default=0, db_index=True, default=0, editable=False)),
                ('category', models.ForeignKey(blank=True, db_constraint=False, null=True, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to=settings.MARKETPLACE_AI_CATEGORY_MODEL, verbose_name='category')),
                ('created_by', models.ForeignKey(blank=True, editable=False, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='created by')),
                ('job', models.ForeignKey(blank=True, db_constraint=False, editable=False, null=True, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to=settings.MARKETPLACE_AI_JOB_MODEL, verbose_name='made of')),
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
                ('kind', models.CharField(choices=[('created', 'created'), ('edited', 'edited'), ('bulk', 'bulk edit'), ('rescan', 'something changed, it is not known what')], max_length=8, verbose_name='kind')),
                ('logged', models.DateTimeField(verbose_name='logged')),
                ('job', models.ForeignKey(db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to=settings.MARKETPLACE_AI_JOB_MODEL)),
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
                ('pk', models.CompositePrimaryKey('job_id', 'encoder_id', blank=True, editable=False, primary_key=True, serialize=False)),
                ('vector', pgvector.django.halfvec.HalfVectorField(verbose_name='vector')),
                ('text_digest', models.BinaryField(verbose_name='digest of the encoded text')),
                ('encoder', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='marketplace_ai.encoder')),
                ('job', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to=settings.MARKETPLACE_AI_JOB_MODEL)),
            ],
            options={
                'verbose_name': 'posting embedding',
                'verbose_name_plural': 'posting embeddings',
            },
        ),
        migrations.CreateModel(
            name='QueuedPosting',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('priority', models.SmallIntegerField(choices=[(0, 'backfill'), (100, 'fresh')], default=100, verbose_name='priority')),
                ('vector_only', models.BooleanField(default=False, verbose_name='vector only')),
                ('alone', models.BooleanField(default=False, verbose_name='claimed alone')),
                ('attempts', models.PositiveSmallIntegerField(default=0, verbose_name='attempts')),
                ('queued', models.DateTimeField(verbose_name='queued')),
                ('not_before', models.DateTimeField(verbose_name='not before')),
                ('token', models.UUIDField(editable=False, null=True, verbose_name='claim')),
                ('worker', models.IntegerField(editable=False, null=True, verbose_name='worker')),
                ('lease_until', models.DateTimeField(editable=False, null=True, verbose_name='lease until')),
                ('last_error', models.TextField(blank=True, verbose_name='last error')),
                ('set_aside', models.DateTimeField(blank=True, null=True, verbose_name='set aside')),
                ('encoder', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='marketplace_ai.encoder', verbose_name='for encoder')),
                ('job', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to=settings.MARKETPLACE_AI_JOB_MODEL, verbose_name='posting')),
            ],
            options={
                'verbose_name': 'queued posting',
                'verbose_name_plural': 'queued postings',
            },
        ),
        migrations.CreateModel(
            name='Decision',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('category_key', models.CharField(blank=True, max_length=200, verbose_name='category key')),
                ('category_name', models.CharField(blank=True, max_length=300, verbose_name='category name')),
                ('probability', models.FloatField(null=True, verbose_name='probability')),
                ('threshold', models.FloatField(null=True, verbose_name='threshold in force')),
                ('outcome', models.CharField(choices=[('automatic', 'automatic'), ('automatic_parent', 'automatic, parent only'), ('review', 'to review'), ('none', 'fits none'), ('kept', "kept a person's category"), ('confirmed', 'confirmed'), ('corrected', 'corrected')], max_length=16, verbose_name='outcome')),
                ('answered', models.BooleanField(default=False, verbose_name='answered by a person')),
                ('text_digest', models.BinaryField(verbose_name='digest of the text')),
                ('decided', models.DateTimeField(db_index=True, verbose_name='decided')),
                ('current', models.BooleanField(default=True, verbose_name='current')),
                ('match_exemplars', django.contrib.postgres.fields.ArrayField(base_field=models.BigIntegerField(), default=list, size=None)),
                ('match_similarities', django.contrib.postgres.fields.ArrayField(base_field=marketplace_ai.models.fields.RealField(), default=list, size=None)),
                ('match_shares', django.contrib.postgres.fields.ArrayField(base_field=marketplace_ai.models.fields.RealField(), default=list, size=None)),
                ('own_share', models.FloatField(default=0.0, verbose_name="the category's own share")),
                ('choice_keys', django.contrib.postgres.fields.ArrayField(base_field=models.TextField(), default=list, size=None)),
                ('choice_probabilities', django.contrib.postgres.fields.ArrayField(base_field=marketplace_ai.models.fields.RealField(), default=list, size=None)),
                ('category', models.ForeignKey(db_constraint=False, null=True, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to=settings.MARKETPLACE_AI_CATEGORY_MODEL, verbose_name='category')),
                ('classifier', models.ForeignKey(db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='marketplace_ai.classifierversion', verbose_name='classifier')),
                ('decided_by', models.ForeignKey(db_index=False, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='decided by')),
                ('job', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to=settings.MARKETPLACE_AI_JOB_MODEL, verbose_name='posting')),
                ('machine_category', models.ForeignKey(db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to=settings.MARKETPLACE_AI_CATEGORY_MODEL)),
                ('encoder', models.ForeignKey(db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='marketplace_ai.encoder', verbose_name='encoder')),
            ],
            options={
                'verbose_name': 'decision',
                'verbose_name_plural': 'decisions',
                'indexes': [models.Index(fields=['job', 'id'], name='marketplace_ai_dec_posting'), models.Index(condition=models.Q(('decided_by__isnull', False)), fields=['decided_by'], name='marketplace_ai_dec_person'), models.Index(condition=models.Q(('current', True)), fields=['outcome', '-id'], name='marketplace_ai_dec_outcome')],
                'constraints': [models.UniqueConstraint(condition=models.Q(('current', True)), fields=('job',), name='marketplace_ai_one_current')],
            },
        ),
        migrations.AddConstraint(
            model_name='classifierversion',
            constraint=models.UniqueConstraint(condition=models.Q(('in_force', True)), fields=('encoder',), name='marketplace_ai_one_classifier_in_force'),
        ),
        migrations.AddConstraint(
            model_name='exemplar',
            constraint=models.CheckConstraint(condition=models.Q(('is_none', False), ('category__isnull', True), _connector='OR'), name='marketplace_ai_exemplar_none_or_category', violation_error_message='An exemplar that fits none has no category.'),
        ),
        migrations.AddConstraint(
            model_name='exemplar',
            constraint=models.UniqueConstraint(fields=('text_digest', 'category_key', 'job'), name='marketplace_ai_exemplar_once', nulls_distinct=False),
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
            index=models.Index(models.F('alone'), models.OrderBy(models.F('priority'), descending=True), models.F('id'), condition=models.Q(('encoder__isnull', True), ('set_aside__isnull', True), ('token__isnull', True)), name='marketplace_ai_queue_unclaimed'),
        ),
        migrations.AddIndex(
            model_name='queuedposting',
            index=models.Index(condition=models.Q(('set_aside__isnull', False)), fields=['set_aside'], name='marketplace_ai_queue_failed'),
        ),
        migrations.AddIndex(
            model_name='queuedposting',
            index=models.Index(condition=models.Q(('token__isnull', False)), fields=['token'], name='marketplace_ai_queue_claimed'),
        ),
        migrations.AddConstraint(
            model_name='queuedposting',
            constraint=models.UniqueConstraint(fields=('job', 'encoder'), name='marketplace_ai_queue_once', nulls_distinct=False),
        ),
        DropPrimaryKeyIndex("PostingChange"),
        DatabaseForeignKey("PostingEmbedding", "job", "CASCADE"),
        DatabaseForeignKey("PostingEmbedding", "encoder", "CASCADE"),
        DatabaseForeignKey("QueuedPosting", "job", "CASCADE"),
        DatabaseForeignKey("Decision", "job", "CASCADE"),
        DatabaseForeignKey("Decision", "category", "SET NULL"),
        DatabaseForeignKey("Exemplar", "job", "CASCADE"),
        DatabaseForeignKey("ExemplarEmbedding", "exemplar", "CASCADE"),
        DatabaseForeignKey("ExemplarEmbedding", "encoder", "CASCADE"),
        DatabaseForeignKey("Exemplar", "category", "SET NULL"),
        ExemplarGenerations(),
        TriggersGoFirst(),
    ]
