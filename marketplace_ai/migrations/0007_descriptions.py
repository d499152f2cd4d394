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
        migrations.AddConstraint(
            model_name='exemplar',
            constraint=models.UniqueConstraint(condition=models.Q(('source', 'description')), fields=('category',), name='marketplace_ai_one_description'),
        ),
    ]
