"""The evaluator that runs during a training: triplet accuracy as the encoder is served."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sentence_transformers.sentence_transformer.evaluation import TripletEvaluator

from marketplace_ai.training.data.row_files import Triplet

#: The name of the test in the reference model card.
EVALUATOR_NAME = "test-triplet-evaluation"


class ServingTripletEvaluator(TripletEvaluator):
    """Triplet accuracy with every text encoded as postings and exemplars are when served.

    The library's own evaluator takes positives and negatives for documents, with another prompt.
    """

    def __init__(self, triplets: Sequence[Triplet], batch_size: int) -> None:
        super().__init__(
            [row.anchor for row in triplets],
            [row.positive for row in triplets],
            [row.negative for row in triplets],
            name=EVALUATOR_NAME,
            batch_size=batch_size,
            write_csv=False,
            similarity_fn_names=["cosine", "dot", "manhattan", "euclidean"],
        )

    @property
    def description(self) -> str:
        return "Triplet"  # the heading in the model card

    def embed_inputs(
        self, model: Any, sentences: Any, encode_fn_name: str | None = None, **kwargs: Any
    ) -> np.ndarray[Any, Any]:
        positions = {text: position for position, text in enumerate(dict.fromkeys(sentences))}
        vectors: np.ndarray[Any, Any] = model.encode(
            list(positions),
            batch_size=self.batch_size,
            show_progress_bar=False,
            convert_to_numpy=True,
            normalize_embeddings=True,
        )
        return vectors[[positions[text] for text in sentences]]
