"""The basis of a fitted classifier: which rows its guarantee is proven on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from marketplace_ai.classifier import Classifier
from marketplace_ai.classifier.basis import find_basis
from marketplace_ai.comparison.held_out_check import check_held_out
from marketplace_ai.guarantee.basis import BasisKind
from marketplace_ai.guarantee.target import Target

from .factories import world


@pytest.fixture(scope="module")
def fitted() -> Classifier:
    return Classifier.fit(world(40, 20, 1), world(40, 20, 2))


def test_it_counts_what_the_guarantee_is_proven_on(fitted: Classifier) -> None:
    basis = find_basis(fitted, BasisKind.FILE)
    assert (basis.rows, basis.counted) == (fitted.guarantee.rows, fitted.guarantee.groups)
    assert basis.only_teach == 0
    none = [label is None for label in world(40, 20, 2).labels]
    assert basis.out_of_scope.rows <= sum(none)
    assert basis.proves == any(
        rule.threshold is not None
        for rule in (fitted.guarantee.automatic, fitted.guarantee.parent, fitted.guarantee.none)
    )


def test_a_template_that_is_tagged_wrongly_many_times_is_as_many_errors(
    fitted: Classifier,
) -> None:
    scored = fitted.out_of_fold
    assert scored is not None
    none = scored.y_true == fitted.classes.index(None)
    tagged = replace(
        scored,
        groups=np.where(none, 0, 1 + np.arange(len(none))),
        first_choice=np.where(none, 0, scored.first_choice),
        probability=np.where(none, 1.0, scored.probability),
    )
    found = find_basis(replace(fitted, out_of_fold=tagged), BasisKind.FILE).out_of_scope
    assert fitted.guarantee.automatic.threshold is not None
    assert found.accepted == none.sum() > 1


def test_a_stored_classifier_no_longer_knows_it(fitted: Classifier) -> None:
    with pytest.raises(ValueError, match="no longer knows"):
        find_basis(replace(fitted, out_of_fold=None), BasisKind.FILE)


@pytest.mark.slow
def test_exemplars_that_only_teach_prove_nothing() -> None:
    """A third of the exemplars is wrong, and only teaches: they are learned from all the same."""
    exemplars = world(40, 20, 1)
    counted = np.arange(len(exemplars)) % 3 > 0
    fit = Classifier.fit(exemplars, counted=counted, target=Target(0.8, 0.8))
    assert fit.guarantee.rows == counted.sum()
    basis = find_basis(fit, BasisKind.EXEMPLARS)
    assert (basis.rows, basis.only_teach) == (counted.sum(), (~counted).sum())
    assert 0 < check_held_out(fit).rows <= counted.sum()
    everything = Classifier.fit(exemplars)
    assert everything.guarantee.rows == len(exemplars)
    assert fit.out_of_fold is not None
    assert everything.out_of_fold is not None
    assert np.array_equal(fit.out_of_fold.probability, everything.out_of_fold.probability)


@pytest.mark.slow
def test_where_all_exemplars_only_teach_nothing_is_guaranteed() -> None:
    exemplars = world(40, 20, 1)
    nothing = np.zeros(len(exemplars), dtype=bool)
    fit = Classifier.fit(exemplars, counted=nothing, target=Target(0.8, 0.8))
    basis = find_basis(fit, BasisKind.EXEMPLARS)
    assert (basis.rows, basis.kind) == (0, BasisKind.NOTHING)
    assert fit.guarantee.automatic.threshold is None
    assert fit.guarantee.first_choice is None
    assert check_held_out(fit).rows == 0


def test_labeled_postings_always_count() -> None:
    exemplars = world(40, 20, 1)
    fit = Classifier.fit(exemplars, world(40, 20, 2), counted=np.zeros(len(exemplars), dtype=bool))
    assert fit.guarantee.rows == len(world(40, 20, 2))
