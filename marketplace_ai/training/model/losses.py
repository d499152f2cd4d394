"""The losses of the recipe: one for each data set."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from marketplace_ai.training.data.training_data import PAIRS, TRIPLETS
from marketplace_ai.training.recipe import Recipe

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer


def losses_by_set(
    model: SentenceTransformer, recipe: Recipe, names: Iterable[str]
) -> dict[str, Any]:
    """The loss of each named data set, as the trainer of sentence-transformers takes them."""
    from sentence_transformers.sentence_transformer.losses import MatryoshkaLoss

    losses = {name: _loss(model, recipe, name) for name in names}
    if recipe.matryoshka:
        sizes = sorted(
            {int(model.get_embedding_dimension() or 0), *recipe.matryoshka}, reverse=True
        )
        losses = {name: MatryoshkaLoss(model, loss, sizes) for name, loss in losses.items()}
    return losses


def _loss(model: SentenceTransformer, recipe: Recipe, name: str) -> Any:
    from sentence_transformers.sentence_transformer import losses as library
    from sentence_transformers.util import cos_sim, pairwise_cos_sim

    if name == TRIPLETS:
        return library.TripletLoss(
            model,
            distance_metric=library.TripletDistanceMetric.EUCLIDEAN,
            triplet_margin=recipe.margin,
        )
    if name != PAIRS:
        return library.CoSENTLoss(model, scale=recipe.score_scale, similarity_fct=pairwise_cos_sim)
    if recipe.gradcache_mini_batch_size is None:
        return library.MultipleNegativesRankingLoss(
            model, scale=recipe.ranking_scale, similarity_fct=cos_sim
        )
    return library.CachedMultipleNegativesRankingLoss(
        model,
        scale=recipe.ranking_scale,
        similarity_fct=cos_sim,
        mini_batch_size=recipe.gradcache_mini_batch_size,
    )
