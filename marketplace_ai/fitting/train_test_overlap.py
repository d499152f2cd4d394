"""Train-test overlap: labeled rows that a fine-tuned encoder may have been trained on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from marketplace_ai.classifier.families import find_families
from marketplace_ai.classifier.near_duplicates import near_duplicate_groups
from marketplace_ai.db.alias import alias
from marketplace_ai.models import Encoder, Exemplar, ExemplarSource

if TYPE_CHECKING:
    from .labeled_postings import LabeledPostings


def is_fine_tuned(*encoders: Encoder | None) -> bool:
    """Whether any of them was trained with ``train_encoder``."""
    return any(each is not None and each.is_fine_tuned for each in encoders)


def without_exemplar_families(postings: LabeledPostings) -> LabeledPostings:
    """The labeled postings that are of no exemplar's family, and nearly repeat no exemplar.

    A fine-tuned encoder was most likely trained on the exemplars, and answered audits become
    exemplars. Rows of their families would flatter it, as the candidate or as the active encoder.
    """
    exemplars = Exemplar.objects.using(alias()).exclude(source=ExemplarSource.DESCRIPTION)
    rows = list(exemplars.values_list("text", "family"))
    texts = [text for text, _ in rows]
    asked = [text for text, _ in postings.rows]
    given = [*(name for _, name in rows), *(postings.families or [""] * len(asked))]
    by_text = near_duplicate_groups([*texts, *asked])
    families = find_families([*texts, *asked], given=given, by_text=by_text)
    overlaps = [
        np.isin(groups[len(texts) :], groups[: len(texts)]) for groups in (families, by_text)
    ]
    return postings.take(np.flatnonzero(~np.logical_or.reduce(overlaps)).tolist())
