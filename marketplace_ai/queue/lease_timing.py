"""Times that depend on the lease (``MARKETPLACE_AI_LEASE_SECONDS``), derived from it in one place.

The rule behind all of them: a worker that loses its database, or freezes, has let go of
everything before its lease is over and another worker takes its rows.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from marketplace_ai.conf import conf

#: A longer lease does not make these times longer: they also bound how long a worker takes to
#: leave a dead connection, whatever the lease.
LONGEST_LEASE = 30.0
#: The shortest lease that these times can keep: TCP counts keepalives in whole seconds. A shorter
#: one does not make them shorter, and a system check warns of it.
SHORTEST_LEASE = 6.0
#: Probes that go unanswered before TCP gives a connection up.
KEEPALIVE_PROBES = 3
#: A role or a database may have a limit, which would end a worker's lock, and with it its claims.
NEVER_IDLE = "SET idle_session_timeout = 0"


@dataclass(frozen=True, slots=True)
class LeaseTiming:
    """The times for one lease. With the default of 30 seconds:

    >>> timing = LeaseTiming(30)
    >>> timing.renewal_interval, timing.lock_timeout, timing.idle_in_transaction_timeout
    (10.0, 10.0, 15.0)
    >>> timing.read_timeout, timing.connect_timeout
    (25.0, 10)
    """

    lease: float

    @property
    def _base(self) -> float:
        return max(SHORTEST_LEASE, min(self.lease, LONGEST_LEASE))

    @property
    def renewal_interval(self) -> float:
        """A claim is renewed this often: two renewals may fail before the lease is over."""
        return min(self.lease, LONGEST_LEASE) / 3

    @property
    def lock_timeout(self) -> float:
        """Longest wait for a lock: shorter than ``read_timeout``, which is silent meanwhile."""
        return self._base / 3

    @property
    def idle_in_transaction_timeout(self) -> float:
        """The database ends a frozen worker's transaction after this, and with it its locks."""
        return self._base / 2

    @property
    def read_timeout(self) -> float:
        """A connection on which nothing arrives for this long is given up (see
        ``db.read_timeout``); TCP notices a lost peer within the same time."""
        return self._base * 5 / 6

    @property
    def connect_timeout(self) -> int:
        return max(2, math.ceil(self._base / 3))  # libpq takes no less than 2

    def connection_parameters(self) -> dict[str, Any]:
        """Parameters of libpq by which TCP notices a peer that vanished."""
        return {
            "keepalives_idle": max(1, int(self._base / 3)),
            "keepalives_interval": max(1, int(self._base / 6)),
            "keepalives_count": KEEPALIVE_PROBES,
            # Keepalives are silent while an answer is awaited. In milliseconds.
            "tcp_user_timeout": int(self.read_timeout * 1000),
        }

    def session_sql(self) -> str:
        """Limits of a worker's session. A statement of ours takes milliseconds, so these end
        only what has gone wrong. A session is idle while a batch is encoded: it must not end."""
        idle, lock = (
            max(1, int(seconds * 1000))
            for seconds in (self.idle_in_transaction_timeout, self.lock_timeout)
        )
        return (
            f"SET idle_in_transaction_session_timeout = '{idle}ms'; "
            f"SET lock_timeout = '{lock}ms'; {NEVER_IDLE}"
        )


def lease_timing() -> LeaseTiming:
    """The times for the lease that the settings say."""
    return LeaseTiming(float(conf.lease_seconds))
