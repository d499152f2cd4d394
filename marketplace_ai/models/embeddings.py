"""Vectors of postings and of exemplars, one for each encoder."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from marketplace_ai.conf import conf
from marketplace_ai.db.vector_type import VectorField

from .encoder import Encoder
from .exemplar import Exemplar


class PostingEmbedding(models.Model):
    """A posting's vector. The table is partitioned by encoder, so retiring one is a DROP.

    The key starts with the posting, so that the cascade of a deleted posting finds its rows.
    """

    pk = models.CompositePrimaryKey("posting_id", "encoder_id")
    posting = models.ForeignKey(
        conf.job_model, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False,
        related_name="+",
    )  # fmt: skip
    encoder = models.ForeignKey(
        Encoder, on_delete=models.PROTECT, db_index=False, db_constraint=False, related_name="+"
    )
    vector = VectorField(_("vector"))
    text_digest = models.BinaryField(_("digest of the encoded text"))

    class Meta:
        verbose_name = _("posting embedding")
        verbose_name_plural = _("posting embeddings")

    def __str__(self) -> str:
        return f"{self.posting_id} / {self.encoder_id}"


class ExemplarEmbedding(models.Model):
    """An exemplar's vector. A trigger sets ``generation`` at every change."""

    # The database cascades: an exemplar may be deleted together with its source posting.
    exemplar = models.ForeignKey(
        Exemplar, on_delete=models.DO_NOTHING, db_constraint=False, related_name="embeddings"
    )
    encoder = models.ForeignKey(
        Encoder, on_delete=models.DO_NOTHING, db_constraint=False, related_name="+"
    )
    vector = VectorField(_("vector"))
    generation = models.BigIntegerField(default=0, editable=False, db_default=0)

    class Meta:
        verbose_name = _("exemplar embedding")
        verbose_name_plural = _("exemplar embeddings")
        constraints = [
            models.UniqueConstraint(
                fields=["exemplar", "encoder"], name="marketplace_ai_exemplar_encoder"
            )
        ]
        indexes = [models.Index(fields=["encoder", "generation"], name="marketplace_ai_exemb_gen")]

    def __str__(self) -> str:
        return f"{self.exemplar_id} / {self.encoder_id}"
