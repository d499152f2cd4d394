"""What is judged was taught by nothing of its family: cross-fitting, comparisons, baselines."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from marketplace_ai.classifier import Classifier, LabeledTexts, cross_fitting
from marketplace_ai.classifier.labeled import families_of, find_kin, given_families
from marketplace_ai.comparison.version_comparison import compare_versions
from marketplace_ai.evaluation.baselines import held_out_folds
from marketplace_ai.guarantee.target import Target
from marketplace_ai.text.family_sizes import FamilySizes

from .factories import world


def in_families(rows: LabeledTexts, size: int, name: str = "f") -> LabeledTexts:
    """``size`` texts after one another are of one family."""
    return replace(rows, families=[f"{name}{number // size}" for number in range(len(rows))])


def test_families_are_one_name_space_of_all_parts() -> None:
    first, second = world(3, 0, 1), world(3, 0, 2)
    first = replace(first, families=[*"abc", *[""] * 9])
    second = replace(second, families=[*"cdd", *[""] * 9])
    assert given_families(first, second)[11:14] == ["", "c", "d"]
    assert given_families(world(3, 0, 1)) == []
    assert given_families(world(3, 0, 1), second)[12] == "c"
    numbers = families_of(first, second)
    assert numbers[2] == numbers[12] != numbers[13] == numbers[14]
    assert FamilySizes.count(numbers.tolist()) == FamilySizes(24, 22, 2)


def test_the_sizes_are_said() -> None:
    said = FamilySizes(1730, 12, 1050).sentence("labeled rows")
    assert said.startswith("The 1,730 labeled rows count as 12 families, the largest of 1,050:")
    assert (
        FamilySizes(2, 2, 1)
        .sentence("rows")
        .endswith("2 families: no two are of one origin or near-duplicates.")
    )
    assert FamilySizes.count([]) == FamilySizes(0, 0, 0)


@pytest.fixture
def fitted_on(monkeypatch: pytest.MonkeyPatch) -> list[tuple[set[str], set[str]]]:
    """For each fold of a cross-fit: the families that it learned, and those that it judged."""
    pairs: list[tuple[set[str], set[str]]] = []
    real = cross_fitting.ExemplarModel.score_rows

    def noted(self: object, index: object, rows: LabeledTexts) -> object:
        pairs[-1][1].update(rows.families)
        return real(self, index, rows)  # type: ignore[arg-type]

    def index(self: object, exemplars: LabeledTexts, *rest: object) -> object:
        pairs.append((set(exemplars.families), set()))
        return indexed(self, exemplars, *rest)  # type: ignore[arg-type]

    indexed = cross_fitting.ExemplarModel.index
    monkeypatch.setattr(cross_fitting.ExemplarModel, "score_rows", noted)
    monkeypatch.setattr(cross_fitting.ExemplarModel, "index", index)
    return pairs


def test_a_fold_is_scored_without_its_families(
    fitted_on: list[tuple[set[str], set[str]]],
) -> None:
    exemplars = in_families(world(12, 4, 1), 4)
    Classifier.fit(exemplars, target=Target(0.9))
    judged = [pair for pair in fitted_on if pair[1]]
    assert len(judged) == cross_fitting.FOLDS_OF_EXEMPLARS
    assert not any(taught & asked for taught, asked in judged)


def test_a_calibration_row_is_scored_without_the_exemplars_of_its_family(
    fitted_on: list[tuple[set[str], set[str]]],
) -> None:
    exemplars, rows = in_families(world(12, 4, 1), 4), in_families(world(9, 3, 2), 4)
    Classifier.fit(exemplars, rows, target=Target(0.9))
    judged = [pair for pair in fitted_on if pair[1]]
    assert {name for _, asked in judged for name in asked} == set(rows.families)
    assert not any(taught & asked for taught, asked in judged)


def test_a_guarantee_counts_families() -> None:
    rows = in_families(world(30, 0, 2, noise=0.1), 30, "r")
    exemplars = world(12, 0, 1, noise=0.1)
    free = Classifier.fit(exemplars, replace(rows, families=()), target=Target(0.9)).guarantee
    bound = Classifier.fit(exemplars, rows, target=Target(0.9)).guarantee
    assert (bound.rows, bound.groups) == (120, 4)
    assert free.automatic.threshold is not None
    assert bound.automatic.threshold is None


@pytest.mark.slow
def test_versions_are_compared_without_the_families_that_the_old_one_learned() -> None:
    first, later = in_families(world(12, 4, 1), 4), in_families(world(6, 2, 4), 4)
    old = Classifier.fit(first)
    both = LabeledTexts(
        [*first.texts, *later.texts],
        np.concatenate([first.vectors, later.vectors]),
        [*first.labels, *later.labels],
        given_families(first, later),
    )
    new = Classifier.fit(both)
    seen = np.arange(len(both)) < len(first)
    assert compare_versions(new, old, both, None, seen).rows == 0
    others = replace(both, families=[*first.families, *(f"new {x}" for x in later.families)])
    assert compare_versions(Classifier.fit(others), old, others, None, seen).rows == len(later)


def test_versions_are_compared_without_texts_that_another_family_repeats() -> None:
    """Two customers wrote the same: it gives the label away, though they are two families."""
    exemplars, rows = (in_families(world(6, 2, 1), 1, name) for name in ("first", "second"))
    families, (_, by_text) = find_kin(exemplars, rows)
    assert not np.isin(families[: len(exemplars)], families[len(exemplars) :]).any()
    assert np.isin(by_text[: len(exemplars)], by_text[len(exemplars) :]).all()
    new = Classifier.fit(exemplars, rows)
    seen = np.ones(len(exemplars), dtype=bool)
    assert compare_versions(new, new, exemplars, rows, seen).rows == 0
    assert compare_versions(new, new, exemplars, rows, ~seen).rows == len(rows)


def test_baselines_are_tuned_in_whole_families() -> None:
    exemplars = in_families(world(12, 0, 1), 3)
    codes = np.array([sorted(set(exemplars.labels)).index(x) for x in exemplars.labels])  # type: ignore[type-var]
    for fold in held_out_folds(exemplars, codes, 0):
        inside = {exemplars.families[i] for i in fold}
        outside = {exemplars.families[i] for i in np.setdiff1d(np.arange(len(exemplars)), fold)}
        assert inside
        assert not inside & outside
