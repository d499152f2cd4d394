"""What the guarantee of a fitted classifier rests on, from its out-of-fold predictions."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from marketplace_ai.guarantee.basis import Basis, BasisKind
from marketplace_ai.guarantee.out_of_scope import Decided, out_of_scope

from .automatic_rows import automatic_rows
from .classifier import Classifier
from .counted_rows import counted_rows

Bools = npt.NDArray[np.bool_]


def find_basis(classifier: Classifier, source: BasisKind) -> Basis:
    """The basis of a classifier that was just fitted; ``source`` is where its rows came from.

    Raises ValueError for a stored classifier, which no longer knows how its rows were scored.
    """
    if classifier.out_of_fold is None:
        raise ValueError("a stored classifier no longer knows how its rows were scored")
    scored = counted_rows(classifier.out_of_fold, classifier.counted)
    guarantee = classifier.guarantee
    none = classifier.classes.index(None)
    rules = (guarantee.automatic, guarantee.parent, guarantee.none)
    automatic = automatic_rows(
        guarantee, classifier.classes, scored.first_choice, scored.probability
    )
    wrong = automatic & (scored.first_choice != scored.y_true)
    inside = scored.y_true != none
    return Basis(
        source=source,
        rows=guarantee.rows,
        counted=guarantee.groups,
        only_teach=len(classifier.out_of_fold.y_true) - len(scored.y_true),
        proves=any(rule.threshold is not None for rule in rules),
        out_of_scope=out_of_scope(
            _decided(scored.groups, inside, automatic, wrong),
            _decided(scored.groups, ~inside, automatic, wrong),
            guarantee.target,
        ),
    )


def _decided(groups: npt.NDArray[np.intp], rows: Bools, automatic: Bools, wrong: Bools) -> Decided:
    """As a guarantee counts them: right rows of a family once together, wrong rows each."""

    def families(which: Bools) -> int:
        return len(np.unique(groups[rows & which]))

    errors = int((rows & wrong).sum())
    more = errors - families(wrong)
    return Decided(families(rows) + more, families(automatic) + more, errors)
