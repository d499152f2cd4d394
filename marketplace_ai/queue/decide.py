"""Turns proposals into decisions and categories, inside the transaction of the write."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from marketplace_ai.db import arrays
from marketplace_ai.models import Outcome
from marketplace_ai.ownership import Owner, owner

from .category_locks import lock_categories

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from marketplace_ai.adapter import JobAdapter

    from .proposal import EncodedPosting, Proposal


class PreviousDecision(NamedTuple):
    """What the current decision says about who owns the category; see ``ownership``."""

    id: int
    machine_category: Any | None
    answered: bool
    has_second_categories: bool
    """Whether second categories were written to the project."""
    decided: bytes | memoryview | None
    """Digest of its text, if this encoder and classifier made it after its row was queued."""


class DecisionRow(NamedTuple):
    """A new decision without its arrays; fields are named as in ``sql.INSERT_DECISIONS``."""

    posting: Any
    category: Any | None
    key: str
    name: str
    probability: float | None
    threshold: float | None
    outcome: str
    machine: Any | None
    answered: bool
    digest: bytes
    own: float


@dataclass(slots=True)
class Decisions:
    """The decisions about a batch.

    ``rows`` to insert, with their ``matches`` (exemplar, similarity, share), ``choices`` (category
    key, probability) and ``further`` category keys; ``to_apply``: categories to write to postings
    (None clears one); ``second_categories``: second categories to write to the project; ``free``:
    postings about which no person has answered.
    """

    rows: list[DecisionRow] = field(default_factory=list)
    matches: list[tuple[tuple[int, float, float], ...]] = field(default_factory=list)
    choices: list[list[tuple[str, float]]] = field(default_factory=list)
    further: list[list[str]] = field(default_factory=list)
    to_apply: dict[Any, Any | None] = field(default_factory=dict)
    second_categories: dict[Any, list[Any]] = field(default_factory=dict)
    free: list[Any] = field(default_factory=list)

    def parameters(self) -> dict[str, Any]:
        """The rows as parameters of ``sql.INSERT_DECISIONS``."""
        matches, choices = list(chain(*self.matches)), list(chain(*self.choices))
        exemplars, similarities, shares = _columns(matches, 3)
        keys, probabilities = _columns(choices, 2)
        return {
            **dict(
                zip(
                    DecisionRow._fields,
                    map(list, _columns(self.rows, len(DecisionRow._fields))),
                    strict=True,
                )
            ),
            **_slices("match", self.matches),
            "match_exemplars": arrays.integers(exemplars),
            "match_similarities": arrays.reals(similarities),
            "match_shares": arrays.reals(shares),
            **_slices("choice", self.choices),
            "choice_keys": list(keys),
            "choice_probabilities": arrays.reals(probabilities),
            **_slices("second", self.further),
            "second_keys": list(chain(*self.further)),
        }


def _slices(name: str, parts: Sequence[Sequence[Any]]) -> dict[str, Any]:
    """First and last index of each row's part in the concatenation of all parts, from 1."""
    counts = np.array([len(part) for part in parts], dtype=np.int64)
    last = np.cumsum(counts)
    return {f"first_{name}": 1 + last - counts, f"last_{name}": last}


def _columns(rows: Sequence[tuple[Any, ...]], width: int) -> list[tuple[Any, ...]]:
    return list(zip(*rows, strict=True)) if rows else [()] * width


def decide(
    adapter: JobAdapter,
    items: list[EncodedPosting],
    jobs: Mapping[Any, Any],
    previous: Mapping[Any, PreviousDecision],
) -> Decisions:
    """The decisions about locked postings, from their proposals and previous decisions.

    ``jobs`` are the postings by key and ``previous`` their current decisions. Locks the
    categories that the decisions name, until the transaction ends.
    """
    categories = lock_categories(_named_categories(items, previous.values()))
    names = _CategoryNames.read(adapter, items, categories)
    result = Decisions()
    for item in items:
        present = adapter.category_id(jobs[item.posting_id])
        _decide_one(item, present, previous.get(item.posting_id), names, result)
    return result


@dataclass(frozen=True, slots=True)
class _CategoryNames:
    """What decisions store about categories that exist: their keys, and names of proposed ones."""

    keys: dict[Any, str]
    names: dict[Any, str]

    @classmethod
    def read(
        cls, adapter: JobAdapter, items: list[EncodedPosting], categories: Mapping[Any, Any]
    ) -> _CategoryNames:
        keys = {pk: adapter.category_key(category) for pk, category in categories.items()}
        proposed = {item.proposal.category for item in items} & categories.keys()
        names = {pk: adapter.category_name(categories[pk])[:300] for pk in proposed}
        return cls(keys, names)


def _decide_one(
    item: EncodedPosting,
    present: Any | None,
    before: PreviousDecision | None,
    names: _CategoryNames,
    result: Decisions,
) -> None:
    """Add the decision about one posting, which has the category ``present`` now."""
    proposal = item.proposal
    category = proposal.category if proposal.category in names.keys else None
    machine_category = before.machine_category if before else None
    is_deleted = machine_category is not None and machine_category not in names.keys
    if is_deleted:
        # Nobody took it away. Where the project's own key left it there, it is the machine's still.
        present = None if present == machine_category else present
        machine_category = None
    answered = before.answered if before else False
    owned_by = owner(present, machine_category, answered)
    outcome = _outcome(proposal, category is not None, owned_by)
    if outcome in (Outcome.AUTOMATIC, Outcome.AUTOMATIC_PARENT, Outcome.NONE):
        if category != present:
            result.to_apply[item.posting_id] = category
        machine_category = category
    elif outcome == Outcome.HUMAN_OVERRIDE:
        # A person chose the category: even if they clear it later, that is not ours to undo.
        machine_category, answered = None, True
    elif outcome == Outcome.REVIEW and present is not None:
        # The text changed, and the earlier automatic category no longer holds.
        result.to_apply[item.posting_id] = machine_category = None
    if is_deleted and owned_by is Owner.MACHINE:
        # The project's field still says that the machine set it, though nothing is set any more.
        result.to_apply.setdefault(item.posting_id, None)
    second = [key for key in proposal.second_categories if key in names.keys and key != category]
    if owned_by is Owner.MACHINE:
        result.free.append(item.posting_id)
        _apply_second_categories(item, outcome, second, before, result)
    result.rows.append(
        DecisionRow(
            posting=item.posting_id,
            category=category,
            key=names.keys[category][:200] if category is not None else "",
            name=names.names[category] if category is not None else "",
            probability=proposal.probability,
            threshold=proposal.threshold,
            outcome=str(outcome),
            machine=machine_category,
            answered=answered,
            digest=item.digest,
            own=proposal.own_share,
        )
    )
    result.matches.append(proposal.matches)
    result.choices.append(
        [
            (names.keys[choice] if choice is not None else "", probability)
            for choice, probability in proposal.choices
            if choice is None or choice in names.keys
        ]
    )
    result.further.append([names.keys[key] for key in second])


def _apply_second_categories(
    item: EncodedPosting,
    outcome: Outcome,
    second: list[Any],
    before: PreviousDecision | None,
    result: Decisions,
) -> None:
    """Write second categories to the project, or clear those written before.

    Repeated with every automatic decision: the adapter may have begun to store them. Only for
    postings without a person's answer: who answered tags it, first and second category alike.
    """
    applied = second if outcome == Outcome.AUTOMATIC else []
    if applied or (before is not None and before.has_second_categories):
        result.second_categories[item.posting_id] = applied


def _outcome(proposal: Proposal, category_exists: bool, owned_by: Owner) -> Outcome:
    if owned_by is Owner.PERSON:
        return Outcome.HUMAN_OVERRIDE
    if proposal.category is not None and not category_exists:
        return Outcome.REVIEW  # deleted between encoding and now
    if owned_by is Owner.CLEARED:
        return Outcome.REVIEW
    return proposal.outcome


def _named_categories(items: list[EncodedPosting], before: Iterable[PreviousDecision]) -> set[Any]:
    """Keys of all categories that the decisions name, or are compared with."""
    keys = {item.proposal.category for item in items}
    keys |= {key for item in items for key, _ in item.proposal.choices}
    keys |= {key for item in items for key in item.proposal.second_categories}
    keys |= {decision.machine_category for decision in before}
    return keys - {None}
