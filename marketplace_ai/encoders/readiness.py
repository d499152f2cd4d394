"""Readiness of a candidate encoder: ready once everything that was there has its vector."""

from __future__ import annotations

import logging

from django.db import connections

from marketplace_ai.db.alias import alias
from marketplace_ai.models import Encoder, EncoderState

logger = logging.getLogger(__name__)

# Failed postings do not count: they may fail forever, and a person sees them. Neither do those that
# came after its backfill had finished: on a steady stream some are always in the queue.
MARK_READY = """
UPDATE marketplace_ai_encoder SET state = 'ready'
WHERE id = %(encoder)s AND state = 'building'
  AND NOT EXISTS (
      SELECT FROM marketplace_ai_queuedposting
      WHERE encoder_id = %(encoder)s AND failed_at IS NULL AND queued_at <= (
          SELECT max(finished_at) FROM marketplace_ai_tablescan
          WHERE encoder_id = %(encoder)s AND purpose = 'backfill'))
  AND EXISTS (
      SELECT FROM marketplace_ai_tablescan
      WHERE encoder_id = %(encoder)s AND purpose = 'backfill' AND finished_at IS NOT NULL
        AND since IS NULL AND row_limit IS NULL)
  AND NOT EXISTS (
      SELECT FROM marketplace_ai_tablescan
      WHERE encoder_id = %(encoder)s AND purpose = 'backfill' AND finished_at IS NULL)
  AND NOT EXISTS (
      SELECT FROM marketplace_ai_exemplar AS exemplar
      WHERE exemplar.state = 'active' AND NOT EXISTS (
          SELECT FROM marketplace_ai_exemplarembedding AS embedding
          WHERE embedding.exemplar_id = exemplar.id AND embedding.encoder_id = %(encoder)s))
"""


def mark_ready(encoder: Encoder) -> bool:
    """Mark an encoder ready if everything has its vector; whether it was marked."""
    with connections[alias()].cursor() as cursor:
        cursor.execute(MARK_READY, {"encoder": encoder.pk})
        if not cursor.rowcount:
            return False
    encoder.state = EncoderState.READY
    logger.info("The encoder %s is ready: everything has its vector", encoder)
    return True
