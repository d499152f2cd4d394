"""The result of one check of ``doctor``."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found.

    Attributes:
        name: what was checked, such as ``"queue"``; stable, for programs that read ``--json``.
        ok: False makes ``doctor`` fail. A finding may be ok and still suggest a cure.
        message: what was found, in a sentence.
        cure: what to do about it; empty if there is nothing to do.
        details: the same for programs, where a sentence holds numbers.
    """

    name: str
    ok: bool
    message: str
    cure: str = ""
    details: dict[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON; ``details`` only where there are any."""
        values = asdict(self)
        if not self.details:
            del values["details"]
        return values
