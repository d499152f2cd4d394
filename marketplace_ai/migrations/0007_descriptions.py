from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('marketplace_ai', '0006_secondary'),
    ]

    operations = [
        migrations.AlterField(
            model_name='exemplar',
            name='source',
            field=models.CharField(choices=[('imported', 'imported'), ('host', "a posting's own category"), ('reviewed', 'reviewed'), ('description', "the category's description")], max_length=11, verbose_name='source'),
        ),
        migrations.RemoveConstraint(model_name='exemplar', name='marketplace_ai_exemplar_once'),
        migrations.AddConstraint(
            model_name='exemplar',
            constraint=models.UniqueConstraint(condition=models.Q(('source', 'description'), _negated=True), fields=('text_digest', 'category_key', 'job'), name='marketplace_ai_exemplar_once', nulls_distinct=False),
        ),
        migrations.AddConstraint(
            model_name='exemplar',
            constraint=models.UniqueConstraint(condition=models.Q(('source', 'description')), fields=('category',), name='marketplace_ai_one_description'),
        ),
        # On the way down: what came before knows no descriptions, and one may say what a label
        # says. Their deletion must be through before the table is altered.
        migrations.RunSQL(
            migrations.RunSQL.noop,
            "SET CONSTRAINTS ALL IMMEDIATE; "
            "DELETE FROM marketplace_ai_exemplar WHERE source = 'description'",
        ),
    ]
