from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('marketplace_ai', '0004_audit'),
    ]

    operations = [
        migrations.AddField(
            model_name='classifierversion',
            name='activated',
            field=models.DateTimeField(null=True, verbose_name='put in force'),
        ),
        migrations.AddField(
            model_name='classifierversion',
            name='comparison',
            field=models.JSONField(default=dict, help_text='With the version in force when it was fitted.', verbose_name='comparison'),
        ),
        migrations.AddField(
            model_name='classifierversion',
            name='discarded',
            field=models.BooleanField(default=False, help_text='The artifact was deleted; the row stays, for decisions name it.', verbose_name='no longer stored'),
        ),
        migrations.AddField(
            model_name='classifierversion',
            name='replaced',
            field=models.DateTimeField(null=True, verbose_name='replaced'),
        ),
    ]
