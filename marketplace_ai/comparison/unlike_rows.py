"""Two encoders on texts unlike the exemplars: what an encoder learned by heart is no help there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from marketplace_ai.classifier.classifier import Classifier
from marketplace_ai.classifier.labeled import LabeledTexts
from marketplace_ai.classifier.near_duplicates import near_duplicate_groups

from .paired_tests import Bools, paired_difference
from .report import UnlikeRows
from .scoring import Scored, score_new_rows


@dataclass(frozen=True, eq=False)
class Contender:
    """A fitted classifier with everything in the vectors of its encoder: the exemplars, of which
    ``votes`` bool (n,) vote (None: all), the descriptions, and the ``rows`` to decide."""

    classifier: Classifier
    exemplars: LabeledTexts
    descriptions: LabeledTexts | None
    rows: LabeledTexts
    votes: Bools | None = None

    @property
    def voters(self) -> LabeledTexts:
        """The exemplars that vote."""
        return (
            self.exemplars if self.votes is None else self.exemplars.take(self.votes.nonzero()[0])
        )


def compare_on_unlike(
    new: Contender, old: Contender, labeled: LabeledTexts | None, seed: int = 0
) -> UnlikeRows:
    """Compare two classifiers on the same further rows, which neither was calibrated on.

    Rows that nearly repeat an exemplar or one of the ``labeled`` postings are left out: they are
    not unlike, and a fine-tuned encoder may know them.
    """
    known = [*new.exemplars.texts, *(labeled.texts if labeled else ())]
    groups = near_duplicate_groups([*known, *new.rows.texts])
    known_groups, groups = groups[: len(known)], groups[len(known) :]
    kept = np.flatnonzero(~np.isin(groups, known_groups))
    groups = groups[kept]
    by_new, by_old = (
        score_new_rows(each.classifier, each.voters, each.descriptions, each.rows.take(kept))
        for each in (new, old)
    )
    return UnlikeRows(
        rows=len(kept),
        left_out=len(new.rows) - len(kept),
        first_choice=paired_difference(by_new.correct, by_old.correct, groups, seed),
        automatic=paired_difference(by_new.automatic, by_old.automatic, groups, seed),
        harmless=paired_difference(_harmless(by_new), _harmless(by_old), groups, seed),
    )


def _harmless(scored: Scored) -> Bools:
    return scored.correct | ~scored.automatic
