"""Length buckets: a training batch goes through the model in parts of similar length.

On a CPU padding costs time that a GPU hides.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from marketplace_ai.encoding.backend import ATTENTION_MASK
from marketplace_ai.encoding.token_batches import plan_batches

#: Tokens of a part with padding. Titles have 14 tokens on average and 45 at most, so two thirds
#: of a whole batch is padding; a batch of 32 titles makes two or three parts.
MAX_PADDED_TOKENS = 256

Forward = Callable[..., dict[str, Any]]


def bucket_by_length(forward: Forward) -> Forward:
    """Wrap ``forward`` of a SentenceTransformer so that it takes a batch in parts by length.

    Vectors and gradients equal those of one padded batch; only dropout draws other numbers.
    """

    def bucketed(features: dict[str, Any], *args: Any, **kwargs: Any) -> dict[str, Any]:
        import torch

        mask = features.get(ATTENTION_MASK)
        if mask is None:
            return forward(features, *args, **kwargs)
        parts = plan_batches(mask.sum(dim=1).tolist(), MAX_PADDED_TOKENS, len(mask))
        if len(parts) < 2:
            return forward(features, *args, **kwargs)
        vectors = []
        for rows in parts:
            columns = mask[rows].any(dim=0)
            part = {
                name: value[rows][:, columns]
                if isinstance(value, torch.Tensor) and value.shape == mask.shape
                else value
                for name, value in features.items()
            }
            vectors.append(forward(part, *args, **kwargs)["sentence_embedding"])
        order = torch.tensor([row for rows in parts for row in rows]).argsort()
        return {**features, "sentence_embedding": torch.cat(vectors)[order]}

    return bucketed
