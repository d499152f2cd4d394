"""The recipe's defaults are the model card's, and bad values and data are reported."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketplace_ai.training.data.row_files import Pair, ScoredPair, Triplet
from marketplace_ai.training.data.training_data import EpochPlan, TrainingData, plan_epoch
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


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 9)), min_size=1), st.integers(2, 9))
def test_unused_is_what_no_batch_takes(rows: list[tuple[int, int]], size: int) -> None:
    pairs = [Pair(f"a{text}", f"p{row}", str(name)) for row, (name, text) in enumerate(rows)]
    scored = [ScoredPair(f"a{n}", f"p{n}", 0.5) for n in range(2 * size + 1)]
    data = TrainingData(pairs=pairs, scored=scored)
    batches = list(data.pair_batches(size))
    if not batches:
        return
    epoch = plan_epoch(data, size)
    assert epoch.batches == min(len(batches), 3)
    assert epoch.unused["pairs"] == len(pairs) - sum(map(len, batches[: epoch.batches]))
    assert epoch.unused["scored"] == max(0, len(scored) - epoch.batches * size)


def test_pairs_that_find_no_partner_of_another_category_are_counted() -> None:
    pairs = [Pair(f"a{n}", f"p{n}", "male" if n < 60 else str(n)) for n in range(64)]
    epoch = plan_epoch(TrainingData(pairs=pairs), 32)
    assert epoch == EpochPlan(batches=1, unused={"pairs": 59}, pairs_without_batch=59)


@pytest.mark.parametrize(
    ("pairs", "why"),
    [
        ([Pair(f"a{n}", f"p{n}", "male") for n in range(40)], "all pairs are of one category"),
        ([Pair("Hjelp", f"p{n}") for n in range(20)], "'Hjelp' is in 20 of 20"),
        ([Pair("Hjelp", f"p{n}", f"{n}") for n in range(20)], "'Hjelp' is in 20 of 20"),
    ],
)
def test_pairs_of_one_category_are_refused(pairs: list[Pair], why: str) -> None:
    with pytest.raises(ValueError, match=why):
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
