"""How long the fault tests take, and the seed that makes their choices; read here only.

FAULTS=long is what `make faults` sets; without it the tests take the short form that is part of
`make test`. FAULTS_SEED replays a run's choices.
"""

from __future__ import annotations

import os
import secrets
from typing import TypeVar

T = TypeVar("T")

LONG = os.environ.get("FAULTS") == "long"
SEED = int(os.environ.get("FAULTS_SEED") or secrets.randbelow(10**6))


def scaled(short: T, long: T) -> T:
    return long if LONG else short
