"""Weight interpolation between the base and the fine-tuned model (WiSE-FT)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from marketplace_ai.encoding.dtype import DtypePlan
from marketplace_ai.encoding.sentence_transformer import load_model
from marketplace_ai.encoding.sources import ModelPath

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer


def interpolate_weights(model: SentenceTransformer, base: ModelPath, alpha: float) -> None:
    """Set every weight to (1 - alpha) * base + alpha * fine-tuned, in place.

    Wortsman et al. (2022), equation 1. Fine-tuning on exemplars overfits them: they lie closer
    together than any posting will lie to them. Interpolated weights keep most of what was learned
    about the categories, and treat exemplars and postings alike.
    """
    if alpha == 1:
        return
    base_model: SentenceTransformer = load_model(base.path, "cpu", DtypePlan("float32", None))
    base_weights = dict(base_model.named_parameters())
    with torch.no_grad():
        for name, weight in model.named_parameters():
            weight.copy_(torch.lerp(base_weights[name].to(weight.device), weight, alpha))
