"""Part of the way from the base to what training made of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from marketplace_ai.encoding.dtype import DtypePlan
from marketplace_ai.encoding.sources import ModelPath
from marketplace_ai.encoding.sentence_transformer import load_model

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer


def blend(model: SentenceTransformer, found: ModelPath, share: float) -> None:
    """Move every weight back towards the base's, in place: ``share`` of the way from there to
    where training took it (1: all of it). Wortsman et al. (2022), equation 1.

    A fine-tuned encoder knows its exemplars by heart: they lie closer together than any posting
    will lie to them. Weights in between keep most of what was learned of the categories, and
    see exemplars and postings alike.
    """
    if share == 1:
        return
    base: SentenceTransformer = load_model(found.path, "cpu", DtypePlan("float32", None))
    before = dict(base.named_parameters())
    with torch.no_grad():
        for name, weight in model.named_parameters():
            weight.copy_(torch.lerp(before[name].to(weight.device), weight, share))
