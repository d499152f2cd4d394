"""The postings that wait for review, with their vectors and what the machine makes of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from django.db.models import Count, Exists, OuterRef

from marketplace_ai.db.alias import alias
from marketplace_ai.labeling.teaching_weights import Choices
from marketplace_ai.models import (
    AuditedPosting,
    Decision,
    Encoder,
    Exemplar,
    ExemplarSource,
    ExemplarState,
    PostingEmbedding,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

#: Waiting postings that are compared with each other, drawn at random where more wait. They take
#: 64 MB; a queue of 100,000 is put in order by what is typical of these.
MAX_COMPARED = 4000


@dataclass(frozen=True, eq=False)
class WaitingPostings:
    """n of the ``total`` decisions in review, with a vector of the active encoder.

    ``audited`` more wait in the audit too. They are answered there, and are not among these.
    ``vectors`` are float32 (n, d); ``keys`` (n,) of the best category of each ("": none yet).
    """

    total: int
    audited: int
    decisions: list[int]
    postings: list[Any]
    vectors: NDArray[np.float32]
    keys: list[str]
    probabilities: NDArray[np.float64]

    def choices(self, exemplars: dict[str, int]) -> Choices:
        """The same for ``acquisition_order``, with how many ``exemplars`` each category has."""
        names = list(exemplars)
        place = {name: number for number, name in enumerate(names)}
        return Choices(
            np.array([place.get(key, -1) for key in self.keys], dtype=np.intp),
            self.probabilities,
            np.array([exemplars[name] for name in names], dtype=np.intp),
        )


def read_waiting(encoder: Encoder, limit: int = MAX_COMPARED) -> WaitingPostings:
    """Read at most ``limit`` of those that wait, drawn at random; three queries."""
    in_review = Decision.objects.using(alias()).in_review()
    drawn = AuditedPosting.objects.unanswered().filter(posting_id=OuterRef("posting_id"))
    rows = list(in_review.order_by("pk").values_list("pk", Exists(drawn)))
    keys = [key for key, is_drawn in rows if not is_drawn]
    total, audited = len(keys), len(rows) - len(keys)
    if total > limit:
        order = np.random.default_rng(0).permutation(total)[:limit]
        keys = [keys[place] for place in np.sort(order).tolist()]
    decisions = {
        row.posting_id: row
        for row in in_review.filter(pk__in=keys)
        .only("pk", "posting_id", "choice_keys", "choice_probabilities")
        .order_by("pk")
    }
    stored = dict(
        PostingEmbedding.objects.using(alias())
        .filter(encoder=encoder, posting_id__in=list(decisions))
        .values_list("posting_id", "vector")
    )
    found = [(row, _best(row)) for posting, row in decisions.items() if posting in stored]
    return WaitingPostings(
        total=total,
        audited=audited,
        decisions=[row.pk for row, _ in found],
        postings=[row.posting_id for row, _ in found],
        vectors=np.array([stored[row.posting_id] for row, _ in found], dtype=np.float32).reshape(
            -1, encoder.dimension
        ),
        keys=[key for _, (key, _) in found],
        probabilities=np.array([probability for _, (_, probability) in found]),
    )


def _best(decision: Decision) -> tuple[str, float]:
    """The best category among the stored choices with its probability; ("", 0.0) for none."""
    choices: Sequence[tuple[str, float]] = list(
        zip(decision.choice_keys, decision.choice_probabilities, strict=True)
    )
    return next(((key, min(1.0, chance)) for key, chance in choices if key), ("", 0.0))


def exemplars_by_key(keys: Sequence[str]) -> dict[str, int]:
    """How many active exemplars, descriptions aside, each of these categories has, by key."""
    found = dict.fromkeys(keys, 0)
    active = Exemplar.objects.using(alias()).filter(
        state=ExemplarState.ACTIVE, category__isnull=False
    )
    labels = active.exclude(source=ExemplarSource.DESCRIPTION).order_by()
    counts = labels.values("category_key").annotate(n=Count("pk"))
    return found | {row["category_key"]: row["n"] for row in counts if row["category_key"] in found}
