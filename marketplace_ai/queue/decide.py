"""Proposals into decisions and categories, inside the write's transaction."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from marketplace_ai.db import arrays
from marketplace_ai.models import Outcome
from marketplace_ai.ownership import Owner, owner

from .category_locks import keep_categories

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from marketplace_ai.adapter import JobAdapter

    from .proposal import Encoded, Proposal


class Previous(NamedTuple):
    """What of the decision in force says whose the category is; see ``ownership``."""

    id: int
    machine_category: Any | None
    answered: bool
    has_secondary: bool
    """Whether the host was told of further categories."""
    decided: bytes | memoryview | None
    """Digest of its text, where this encoder and classifier made it after its row was queued."""


class Row(NamedTuple):
    """A new decision, but for its arrays; named as in ``sql.DECIDE``."""

    job: Any
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
    """What a batch comes to: ``rows`` to be added with their ``matches`` (exemplar, similarity,
    share), ``choices`` (category key, probability) and ``further`` category keys; ``to_apply`` the
    categories to be written (None: to be taken away), ``secondary`` those of further jobs that the
    host is told, ``free`` the postings about which no person has spoken."""

    rows: list[Row] = field(default_factory=list)
    matches: list[tuple[tuple[int, float, float], ...]] = field(default_factory=list)
    choices: list[list[tuple[str, float]]] = field(default_factory=list)
    further: list[list[str]] = field(default_factory=list)
    to_apply: dict[Any, Any | None] = field(default_factory=dict)
    secondary: dict[Any, list[Any]] = field(default_factory=dict)
    free: list[Any] = field(default_factory=list)

    def parameters(self) -> dict[str, Any]:
        """The rows as values of ``sql.DECIDE``."""
        matches, choices = list(chain(*self.matches)), list(chain(*self.choices))
        exemplars, similarities, shares = _columns(matches, 3)
        keys, probabilities = _columns(choices, 2)
        return {
            **dict(zip(Row._fields, map(list, _columns(self.rows, len(Row._fields))), strict=True)),
            **_slices("match", self.matches),
            "match_exemplars": arrays.integers(exemplars),
            "match_similarities": arrays.reals(similarities),
            "match_shares": arrays.reals(shares),
            **_slices("choice", self.choices),
            "choice_keys": list(keys),
            "choice_probabilities": arrays.reals(probabilities),
            **_slices("secondary", self.further),
            "secondary_keys": list(chain(*self.further)),
        }


def _slices(name: str, parts: Sequence[Sequence[Any]]) -> dict[str, Any]:
    """Where each row's part lies in all parts put together, counted as PostgreSQL does."""
    counts = np.array([len(part) for part in parts], dtype=np.int64)
    last = np.cumsum(counts)
    return {f"first_{name}": 1 + last - counts, f"last_{name}": last}


def _columns(rows: Sequence[tuple[Any, ...]], width: int) -> list[tuple[Any, ...]]:
    return list(zip(*rows, strict=True)) if rows else [()] * width


def decide(
    adapter: JobAdapter,
    items: list[Encoded],
    jobs: Mapping[Any, Any],
    previous: Mapping[Any, Previous],
) -> Decisions:
    """The decisions about locked postings, by what their rows and last decisions say."""
    result = Decisions()
    categories = keep_categories(_categories(items, previous.values()))
    keys = {pk: adapter.category_key(category) for pk, category in categories.items()}
    proposed = {item.proposal.category for item in items} & categories.keys()
    names = {pk: adapter.category_name(categories[pk])[:300] for pk in proposed}
    for item in items:
        job, before = jobs[item.job_id], previous.get(item.job_id)
        machine_category = before.machine_category if before else None
        if machine_category not in categories:
            machine_category = None  # deleted since: nobody took it away
        answered = before.answered if before else False
        present = adapter.category_id(job)
        proposal = item.proposal
        category = proposal.category if proposal.category in categories else None
        owned_by = owner(present, machine_category, answered)
        outcome = _outcome(proposal, category is not None, owned_by)
        if owned_by is Owner.MACHINE:
            result.free.append(item.job_id)
        if outcome in (Outcome.AUTOMATIC, Outcome.AUTOMATIC_PARENT, Outcome.NONE):
            if category != present:
                result.to_apply[item.job_id] = category
            machine_category = category
        elif outcome == Outcome.HUMAN_OVERRIDE:
            # A person has spoken: even their clearing it later is not for us to undo.
            machine_category, answered = None, True
        elif outcome == Outcome.REVIEW and present is not None:
            # The text changed and the old automatic category no longer holds by itself.
            result.to_apply[item.job_id] = machine_category = None
        further = [
            key for key in proposal.secondary if key in categories and key != proposal.category
        ]
        if owned_by is Owner.MACHINE:
            # Told anew with every automatic decision: an adapter may have learnt to hear it.
            # What a person decided about is for that person to tag, in part as in whole.
            said = further if outcome == Outcome.AUTOMATIC else []
            if said or (before is not None and before.has_secondary):
                result.secondary[item.job_id] = said
        result.rows.append(
            Row(
                job=item.job_id,
                category=category,
                key=keys[category][:200] if category is not None else "",
                name=names[category] if category is not None else "",
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
                (keys[choice] if choice is not None else "", probability)
                for choice, probability in proposal.choices
                if choice is None or choice in categories
            ]
        )
        result.further.append([keys[key] for key in further])
    return result


def _outcome(proposal: Proposal, category_lives: bool, owned_by: Owner) -> Outcome:
    if owned_by is Owner.PERSON:
        return Outcome.HUMAN_OVERRIDE
    if proposal.category is not None and not category_lives:
        return Outcome.REVIEW  # deleted between encoding and now
    if owned_by is Owner.CLEARED:
        return Outcome.REVIEW
    return proposal.outcome


def _categories(items: list[Encoded], before: Iterable[Previous]) -> set[Any]:
    """Keys of all categories that the decisions will name or be compared with."""
    keys = {item.proposal.category for item in items}
    keys |= {key for item in items for key, _ in item.proposal.choices}
    keys |= {key for item in items for key in item.proposal.secondary}
    keys |= {decision.machine_category for decision in before}
    return keys - {None}
