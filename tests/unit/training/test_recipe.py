"""The recipe's defaults are the model card's, and bad values and data are reported."""

from __future__ import annotations

import dataclasses

import pytest

from marketplace_ai.training.data.row_files import Pair, ScoredPair, Triplet
from marketplace_ai.training.data.training_data import TrainingData, plan_epoch
from marketplace_ai.training.recipe import POSITIVE_PROMPT, Recipe

#: The values of the reference model card, and the defaults of the trainer it was made with.
CARD = {
    "epochs": 1, "batch_size": 32, "margin": 5, "ranking_scale": 20, "score_scale": 20,
    "learning_rate": 5e-5, "warmup": 0, "weight_decay": 0, "max_grad_norm": 1, "seed": 42,
}  # fmt: skip


def test_the_defaults_are_the_cards() -> None:
    recipe = Recipe().as_dict()
    assert {name: recipe[name] for name in CARD} == CARD
    assert POSITIVE_PROMPT == "query: "
    off = {name: value for name, value in recipe.items() if name not in CARD}
    assert off.pop("embeddings") == "auto"
    assert off.pop("interpolation_alpha") == 0.5  # not the card's: see docs/training.md
    assert not any(off.values())


@pytest.mark.parametrize(
    "changed",
    [
        {"epochs": 0}, {"batch_size": 1}, {"margin": -1}, {"learning_rate": float("nan")},
        {"max_tokens": 0}, {"gradcache_mini_batch_size": 0}, {"lora": 0}, {"patience": 0},
        {"matryoshka": (0,)}, {"warmup": 1.0}, {"seed": -1},
        {"interpolation_alpha": 0.0}, {"interpolation_alpha": 1.5},
    ],
)  # fmt: skip
def test_bad_values_are_reported(changed: dict[str, float]) -> None:
    assert not Recipe().problems()
    assert len(dataclasses.replace(Recipe(), **changed).problems()) == 1  # type: ignore[arg-type]


def test_the_smallest_set_ends_the_epoch() -> None:
    data = TrainingData(
        [Triplet(f"a{n}", f"p{n}", f"n{n}") for n in range(100)],
        [Pair(f"a{n}", f"p{n}", str(n % 20)) for n in range(60)],
        [ScoredPair(f"a{n}", f"p{n}", 0.5) for n in range(33)],
    )
    epoch = plan_epoch(data, 10)
    # 10, 6 and 4 batches: 4 of each.
    assert (epoch.batches, epoch.steps) == (4, 12)
    assert epoch.unused == {"triplets": 60, "pairs": 20, "scored": 0}


def test_fewer_categories_than_a_batch_has_rows_make_smaller_batches() -> None:
    pairs = [Pair(f"a{n}", f"p{n}", str(n % 4)) for n in range(40)]
    assert plan_epoch(TrainingData(pairs=pairs), 32).batches == 10


def test_pairs_of_one_category_are_refused() -> None:
    pairs = [Pair(f"a{n}", f"p{n}", "male") for n in range(40)]
    with pytest.raises(ValueError, match="one category"):
        plan_epoch(TrainingData(pairs=pairs), 32)


def test_pairs_with_and_without_a_category_are_grouped_together() -> None:
    pairs = [Pair("a", "b", "male"), Pair("c", "d", "male"), Pair("d", "e"), Pair("f", "g", "tak")]
    categories = TrainingData(pairs=pairs).categories()
    assert categories[0] == categories[1] == categories[2] != categories[3]


def test_a_test_text_in_the_training_data_is_found() -> None:
    test = [Triplet("a", "b", "c"), Triplet("d", "e", "f")]
    assert TrainingData(pairs=[Pair("x", "y"), Pair("e", "z")], test=test).leaked() == ["e"]
    assert TrainingData(scored=[ScoredPair("c", "y", 0.1)], test=test).leaked() == ["c"]
    assert TrainingData(triplets=[Triplet("x", "y", "z")], test=test).leaked() == []


def test_a_near_duplicate_is_a_leak_too() -> None:
    text = "Male stue, gang og to soverom i leilighet på Grünerløkka, cirka 80 kvm"
    test = [Triplet(text, "Male soverom", "Klippe plen")]
    assert TrainingData(pairs=[Pair(f"{text.upper()}!", "x")], test=test).leaked() == [text]
