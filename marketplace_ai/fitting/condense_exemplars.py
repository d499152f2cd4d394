"""Condense the exemplars: choose who votes, fit with these votes, and the way back."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from django.utils.translation import gettext

from marketplace_ai.condensing import MAX_LOSS, MIN_FAMILIES, Condensed, condense
from marketplace_ai.models import Encoder, Exemplar
from marketplace_ai.versions import create
from marketplace_ai.versions.errors import VersionError
from marketplace_ai.versions.exemplar_set import ExemplarSet, load_exemplars

from .compare_encoders import current_target
from .fit_classifier import fit

if TYPE_CHECKING:
    from collections.abc import Callable

    from marketplace_ai.models import ClassifierVersion

    from .labeled_postings import LabeledPostings

#: Bytes of an exemplar in a worker's memory beside its vector and its n-grams.
_OTHER_BYTES = 64
#: Texts whose n-grams are counted to know what one takes.
_SAMPLE = 256


@dataclass(frozen=True)
class Choice:
    """Who shall vote among the labeled ``exemplars``: ``condensed.votes``."""

    exemplars: ExemplarSet
    condensed: Condensed
    dimension: int

    @property
    def changes_something(self) -> bool:
        return bool((self.condensed.votes != self.exemplars.votes()).any())

    @property
    def ids(self) -> create.CondensedIds:
        """Those that shall not vote."""
        ids = self.exemplars.train_ids[~self.condensed.votes].tolist()
        return create.CondensedIds(ids, self.exemplars.generation)

    def as_dict(self) -> dict[str, Any]:
        """Plain values: votes before and after, also by category, the loss and the memory."""
        before, after = int(self.exemplars.votes().sum()), int(self.condensed.votes.sum())
        each = self._bytes_each()
        loss = self.condensed.loss
        return {
            "exemplars": len(self.exemplars.train),
            "votes_before": before,
            "votes_after": after,
            "families": self.condensed.families,
            "limit": self.condensed.limit,
            "bound": MAX_LOSS,
            "loss": None if loss is None else loss.as_dict(),
            "bytes_before": before * each,
            "bytes_after": after * each,
            "categories": self._categories(),
        }

    def _bytes_each(self) -> int:
        from marketplace_ai.classifier.ngrams import count_ngrams

        step = max(1, len(self.exemplars.train) // _SAMPLE)
        texts = self.exemplars.train.texts[::step]
        grams = count_ngrams(texts).nnz / max(len(texts), 1)
        return int(4 * self.dimension + 8 * grams + _OTHER_BYTES)

    def _categories(self) -> list[dict[str, Any]]:
        """Votes of each category, most exemplars first."""
        labels = np.array([label or "" for label in self.exemplars.train.labels])
        counts = {
            name: Counter(labels[chosen].tolist())
            for name, chosen in (
                ("exemplars", slice(None)),
                ("before", self.exemplars.votes()),
                ("after", self.condensed.votes),
            )
        }
        names = create.category_names(label for label in counts["exemplars"] if label)
        names[""] = ("none", gettext("fits none"))
        return [
            {
                "key": names[label][0],
                "name": names[label][1],
                **{name: counts[name][label] for name in counts},
            }
            for label, _ in counts["exemplars"].most_common()
        ]


def count_labeled() -> int:
    """How many exemplars people have labeled, for a progress bar."""
    return Exemplar.objects.labeled().count()


def choose(progress: Callable[[int], None]) -> Choice:
    """Choose who votes among the exemplars that have a vector of the active encoder.

    Raises VersionError where none is active.
    """
    encoder = Encoder.objects.active()
    if encoder is None:
        raise VersionError(gettext("No encoder is active: run fit_classifier first."))
    exemplars = load_exemplars(encoder)
    condensed = condense(
        exemplars.train, bound=MAX_LOSS, target=current_target(encoder), progress=progress
    )
    return Choice(exemplars, condensed, encoder.dimension)


def fit_condensed(
    choice: Choice,
    postings: LabeledPostings,
    *,
    force: bool,
    progress: Callable[[int], None],
) -> ClassifierVersion:
    """Fit a version with the votes of ``choice``; where it is activated, the others no longer vote.

    For what is raised see ``fit_classifier.fit``.
    """
    target = current_target(Encoder.objects.active())
    return fit(postings, target=target, progress=progress, force=force, condensed=choice.ids)


def undo(
    postings: LabeledPostings, *, force: bool, progress: Callable[[int], None]
) -> ClassifierVersion | None:
    """Fit a version with the votes of all; where it is activated, all vote again. None where all
    vote already. For what is raised see ``fit_classifier.fit``."""
    if not Exemplar.objects.condensed().exists():
        return None
    target = current_target(Encoder.objects.active())
    everyone = create.CondensedIds((), 0)
    return fit(postings, target=target, progress=progress, force=force, condensed=everyone)


def why_nothing_leaves(choice: Choice) -> str:
    """Why all exemplars vote, in a sentence; "" where some do not."""
    if choice.condensed.loss is not None and not choice.condensed.votes.all():
        return ""
    families = choice.condensed.families
    if families < MIN_FAMILIES:
        return (
            f"Nothing leaves: {families:,} families of labeled texts are too few to prove that at "
            f"most {MAX_LOSS:.1%} of the first choices are lost ({MIN_FAMILIES:,} are needed), and "
            "so few cost next to nothing."
        )
    if choice.condensed.loss is None:
        return (
            f"Nothing leaves: with fewer votes more than {MAX_LOSS:.1%} of the first choices might "
            "be lost, or automatic decisions would be less precise."
        )
    return "Nothing leaves: no family has several votes, and every category has few."
