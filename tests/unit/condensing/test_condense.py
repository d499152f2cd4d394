"""Who votes of many labeled texts, and what it costs."""

from __future__ import annotations

import numpy as np
import pytest

from marketplace_ai.classifier import LabeledTexts
from marketplace_ai.condensing import Condensed, condense, steps
from marketplace_ai.condensing.fewest_votes import fewest_within_bound
from marketplace_ai.condensing.held_out_loss import Decided, Loss, loss_of

from .factories import repeated

pytestmark = pytest.mark.slow

#: So few rows prove no smaller loss.
LOOSE = 0.05


@pytest.fixture(scope="module")
def many() -> LabeledTexts:
    return repeated(30, 8)


@pytest.fixture(scope="module")
def found(many: LabeledTexts) -> Condensed:
    return condense(many, bound=LOOSE)


def test_what_stands_for_others_votes_and_the_loss_is_within_the_bound(
    many: LabeledTexts, found: Condensed
) -> None:
    assert found.loss is not None
    assert found.loss.high <= LOOSE
    assert found.limit is not None
    assert found.votes.sum() < len(many) / 3
    for label in set(many.labels):
        kept = [vote for vote, own in zip(found.votes, many.labels, strict=True) if own == label]
        assert 0 < sum(kept) <= found.limit


def test_condensing_again_changes_nothing(many: LabeledTexts, found: Condensed) -> None:
    again = condense(many, bound=LOOSE)
    assert (again.votes == found.votes).all()
    assert again.loss == found.loss


def test_a_rare_category_keeps_all_its_families(many: LabeledTexts) -> None:
    rare = LabeledTexts(
        ["Stemme piano", "Stemme flygel", "Reparere orgel"],
        np.eye(3, many.vectors.shape[1], k=8, dtype=np.float32),
        ["piano"] * 3,
    )
    texts = LabeledTexts(
        [*many.texts, *rare.texts],
        np.vstack([many.vectors, rare.vectors]),
        [*many.labels, *rare.labels],
    )
    found = condense(texts, bound=LOOSE)
    assert found.limit is not None
    assert found.votes[-3:].all()


def test_where_too_few_rows_prove_the_bound_nothing_leaves(many: LabeledTexts) -> None:
    strict = condense(many)
    assert strict.votes.all()
    assert strict.loss is None


def at(high: float) -> Loss:
    return Loss(100, 0.9, 0.9, 0.0, 0.0, high, 0, 0, 0, 0)


def chosen(choosing: list[float], measuring: list[float]) -> tuple[int | None, Loss | None]:
    """Of losses from most votes to fewest: which is chosen where 0.2 is the bound."""
    return fewest_within_bound(
        len(choosing),
        lambda number: at(choosing[number]),
        lambda number: at(measuring[number]),
        lambda loss: loss.high <= 0.2,
    )


def test_votes_leave_while_the_rows_to_choose_by_keep_the_bound() -> None:
    assert chosen([0.0, 0.1, 0.2, 0.3, 0.1], [0.15] * 5) == (2, at(0.15))


def test_where_the_rows_to_measure_by_break_the_bound_fewer_votes_leave() -> None:
    assert chosen([0.1, 0.1, 0.1], [0.0, 0.1, 0.5]) == (1, at(0.1))
    assert chosen([0.1, 0.1, 0.1], [0.9, 0.5, 0.5]) == (None, None)
    assert chosen([0.3, 0.1], [0.0, 0.0]) == (None, None)


def test_nothing_labeled_is_nothing_condensed() -> None:
    empty = LabeledTexts([], np.zeros((0, 4), np.float32), [])
    assert len(condense(empty).votes) == 0


def test_progress_counts_the_steps(many: LabeledTexts) -> None:
    done: list[int] = []
    condense(many, bound=LOOSE, progress=done.append)
    assert 0.8 * steps(len(many)) <= sum(done) <= steps(len(many))


def test_a_loss_has_a_bound_even_where_no_row_differs() -> None:
    same = Decided(np.ones(50, dtype=bool), np.ones(50, dtype=bool))
    measured = loss_of(same, same, np.arange(50))
    assert measured.loss == 0
    assert measured.high == pytest.approx(3 / 50)


def test_less_precise_automatic_decisions_break_the_bound() -> None:
    right = np.ones(100, dtype=bool)
    wrong = right.copy()
    wrong[:10] = False
    before, after = Decided(right, right), Decided(wrong, right)
    measured = loss_of(before, after, np.arange(100))
    assert measured.errors_after == 10
    assert not measured.keeps(1.0, 0.97)
    assert measured.keeps(1.0, 0.9)
    assert loss_of(after, after, np.arange(100)).keeps(1.0, 0.97)
