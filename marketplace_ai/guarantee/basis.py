"""What a guarantee rests on.

Exemplars are collected, not drawn: what they prove holds for texts like them. A file of labeled
rows is taken to be drawn at random from the stream, because nobody but its author knows. The random
audit is a sample of the stream, with known probabilities.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


class BasisKind(StrEnum):
    """Where the rows came from that prove a guarantee; the values are those of ``calibrated_on``.

    ``NOTHING``: they proved nothing, so nothing is automatic.
    """

    EXEMPLARS = "exemplars"
    FILE = "postings"
    AUDIT = "audits"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class OutOfScope:
    """``rows`` without a category were seen, and ``accepted`` of them given one without a person.

    ``worst_precision`` is a lower bound on the precision of what is automatic if a tenth of the
    stream fits nothing; 1.0 if nothing is automatic. ``precision`` is the same as seen, None if
    no row without a category was. ``rows_needed`` are the rows without a category that would still
    have to be seen, none of them accepted, to prove that at most the allowed error rate of them is.
    """

    rows: int
    accepted: int
    precision: float | None
    worst_precision: float
    rows_needed: int

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> OutOfScope:
        """Read what ``as_dict`` returned. Raises TypeError for anything else."""
        return cls(**values)


@dataclass(frozen=True, slots=True)
class Basis:
    """What the guarantee of one classifier version rests on.

    ``rows`` are the labeled rows it is proven on, predicted out of fold; ``counted`` is how many
    they are when a family counts once. ``only_teach`` are exemplars that are people's answers:
    chosen because the machine was uncertain or wrong, they are none of the rows. With a fine-tuned
    encoder, which knows its exemplars by heart, they are all exemplars. ``proves``: some rule has a
    threshold. ``out_of_scope`` is what is known about postings that fit no category.
    """

    source: BasisKind
    rows: int
    counted: int
    only_teach: int
    proves: bool
    out_of_scope: OutOfScope

    @property
    def kind(self) -> BasisKind:
        return self.source if self.proves else BasisKind.NOTHING

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON, ``kind`` among them."""
        return {
            **asdict(self),
            "kind": self.kind.value,
            "out_of_scope": self.out_of_scope.as_dict(),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Basis:
        """Read what ``as_dict`` returned. Raises KeyError or TypeError for anything else."""
        return cls(
            BasisKind(values["source"]), values["rows"], values["counted"], values["only_teach"],
            values["proves"],
            OutOfScope.from_dict(values["out_of_scope"]),
        )  # fmt: skip
