"""Train-test overlap: labeled rows that a fine-tuned encoder may have been trained on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from marketplace_ai.db.alias import alias
from marketplace_ai.models import Encoder, Exemplar, ExemplarSource
from marketplace_ai.text.normalize import same_text_key

if TYPE_CHECKING:
    from .labeled_postings import LabeledPostings


def is_fine_tuned(*encoders: Encoder | None) -> bool:
    """Whether any of them was trained with ``train_encoder``."""
    return any(each is not None and bool(each.metrics.get("training")) for each in encoders)


def without_exemplar_texts(postings: LabeledPostings) -> LabeledPostings:
    """The labeled postings whose text is not an exemplar.

    A fine-tuned encoder was most likely trained on the exemplars, and answered audits become
    exemplars. Rows that repeat one would flatter it, as the candidate or as the active encoder.
    """
    exemplars = Exemplar.objects.using(alias()).exclude(source=ExemplarSource.DESCRIPTION)
    seen = {same_text_key(text) for text in exemplars.values_list("text", flat=True).iterator()}
    return postings.take(
        [n for n, (text, _) in enumerate(postings.rows) if same_text_key(text) not in seen]
    )
