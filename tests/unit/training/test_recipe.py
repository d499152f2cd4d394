"""The defaults are the model card's, and what cannot be trained is said in words."""

from __future__ import annotations

import dataclasses

import pytest

from marketplace_ai.training.data.datasets import Pair, Scored, Triplet
from marketplace_ai.training.data.loading import Data, plan
from marketplace_ai.training.recipe import POSITIVE_PROMPT, Recipe

#: As the card gives them, and the defaults of the trainer that it was made with.
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
    assert off.pop("blend") == 0.5  # not the card's: docs/training.md says why
    assert not any(off.values())


@pytest.mark.parametrize(
    "changed",
    [
        {"epochs": 0}, {"batch_size": 1}, {"margin": -1}, {"learning_rate": float("nan")},
        {"max_tokens": 0}, {"cached": 0}, {"lora": 0}, {"patience": 0}, {"matryoshka": (0,)},
        {"warmup": 1.0}, {"seed": -1}, {"blend": 0.0}, {"blend": 1.5},
    ],
)  # fmt: skip
def test_what_cannot_be_trained_is_said(changed: dict[str, float]) -> None:
    assert not Recipe().problems()
    assert len(dataclasses.replace(Recipe(), **changed).problems()) == 1  # type: ignore[arg-type]


def test_the_smallest_set_ends_the_turns() -> None:
    data = Data(
        [Triplet(f"a{n}", f"p{n}", f"n{n}") for n in range(100)],
        [Pair(f"a{n}", f"p{n}", str(n % 20)) for n in range(60)],
        [Scored(f"a{n}", f"p{n}", 0.5) for n in range(33)],
    )
    found = plan(data, 10)
    # 10, 6 and 4 batches: 4 of each.
    assert (found.batches, found.steps) == (4, 12)
    assert found.unused == {"triplets": 60, "pairs": 20, "scored": 0}


def test_fewer_categories_than_a_batch_has_rows_make_smaller_batches() -> None:
    pairs = [Pair(f"a{n}", f"p{n}", str(n % 4)) for n in range(40)]
    assert plan(Data(pairs=pairs), 32).batches == 10


def test_pairs_of_one_category_are_refused() -> None:
    pairs = [Pair(f"a{n}", f"p{n}", "male") for n in range(40)]
    with pytest.raises(ValueError, match="one category"):
        plan(Data(pairs=pairs), 32)


def test_pairs_with_and_without_a_category_are_told_apart_together() -> None:
    pairs = [Pair("a", "b", "male"), Pair("c", "d", "male"), Pair("d", "e"), Pair("f", "g", "tak")]
    found = Data(pairs=pairs).categories()
    assert found[0] == found[1] == found[2] != found[3]


def test_a_text_of_the_test_that_is_learned_from_is_found() -> None:
    test = [Triplet("a", "b", "c"), Triplet("d", "e", "f")]
    assert Data(pairs=[Pair("x", "y"), Pair("e", "z")], test=test).leaked() == ["e"]
    assert Data(scored=[Scored("c", "y", 0.1)], test=test).leaked() == ["c"]
    assert Data(triplets=[Triplet("x", "y", "z")], test=test).leaked() == []


def test_what_says_nearly_the_same_leaks_as_well() -> None:
    text = "Male stue, gang og to soverom i leilighet på Grünerløkka, cirka 80 kvm"
    test = [Triplet(text, "Male soverom", "Klippe plen")]
    assert Data(pairs=[Pair(f"{text.upper()}!", "x")], test=test).leaked() == [text]
