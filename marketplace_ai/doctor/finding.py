"""What ``doctor`` says of one thing that it looked at."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at; ``cure`` is empty where nothing is to be done.

    ``ok`` False makes ``doctor`` fail; a finding may be ok and still suggest a cure.
    """

    name: str
    ok: bool
    message: str
    cure: str = ""

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)
