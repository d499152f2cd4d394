"""The three losses of the recipe, each with the data set that it learns from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from marketplace_ai.training.data.loading import PAIRS, TRIPLETS
from marketplace_ai.training.recipe import Recipe

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer


def losses(model: SentenceTransformer, recipe: Recipe, names: list[str]) -> dict[str, Any]:
    """A loss for each of the data sets named."""
    from sentence_transformers.sentence_transformer import losses as library
    from sentence_transformers.util import cos_sim, pairwise_cos_sim

    made: dict[str, Any] = {}
    for name in names:
        if name == TRIPLETS:
            loss: Any = library.TripletLoss(
                model,
                distance_metric=library.TripletDistanceMetric.EUCLIDEAN,
                triplet_margin=recipe.margin,
            )
        elif name == PAIRS and recipe.cached is not None:
            loss = library.CachedMultipleNegativesRankingLoss(
                model,
                scale=recipe.ranking_scale,
                similarity_fct=cos_sim,
                mini_batch_size=recipe.cached,
            )
        elif name == PAIRS:
            loss = library.MultipleNegativesRankingLoss(
                model, scale=recipe.ranking_scale, similarity_fct=cos_sim
            )
        else:
            loss = library.CoSENTLoss(
                model, scale=recipe.score_scale, similarity_fct=pairwise_cos_sim
            )
        if recipe.matryoshka:
            whole = int(model.get_embedding_dimension() or 0)
            sizes = sorted({whole, *recipe.matryoshka}, reverse=True)
            loss = library.MatryoshkaLoss(model, loss, sizes)
        made[name] = loss
    return made
