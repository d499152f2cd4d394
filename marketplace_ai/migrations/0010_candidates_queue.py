"""The index by which rows of encoders that are being built are claimed."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    # Hosts delete postings, and so rows of the queue, while it is made.
    atomic = False

    dependencies = [
        ('marketplace_ai', '0009_encoder_life'),
    ]

    operations = [
        AddIndexConcurrently(
            model_name='queuedposting',
            index=models.Index(models.F('encoder'), models.F('alone'), models.OrderBy(models.F('priority'), descending=True), models.F('id'), condition=models.Q(('encoder__isnull', False), ('set_aside__isnull', True), ('token__isnull', True)), name='marketplace_ai_queue_candidate'),
        ),
    ]
