"""Retry policy: how long to wait after each kind of failure before trying again.

One formula, exponential backoff, with bounds for each thing that can fail. It is written twice,
for Python (``Backoff.seconds``) and for SQL (``Backoff.sql``); a test compares the two. Fixed
pauses are for failures that repeating does not make more likely.
"""

from __future__ import annotations

from dataclasses import dataclass

#: Doublings after which the exponent stops growing: beyond it PostgreSQL raises an overflow.
_MAX_DOUBLINGS = 30


@dataclass(frozen=True, slots=True)
class Backoff:
    """Wait ``first`` seconds after the first failure and twice as long after each further one,
    up to ``longest`` seconds.

    >>> Backoff(first=2.0, longest=60.0).seconds(3)
    8.0
    """

    first: float
    longest: float

    def seconds(self, failures: int) -> float:
        """The wait after ``failures`` failures in a row (1 or more)."""
        return min(self.first * 2.0 ** min(failures - 1, _MAX_DOUBLINGS), self.longest)

    def sql(self, failures: str) -> str:
        """The same wait as an SQL expression; ``failures`` is an SQL expression too."""
        exponent = f"least({failures} - 1, {_MAX_DOUBLINGS})"
        return f"least({self.first!r} * 2 ^ {exponent}, {self.longest!r})"


#: A posting that failed alone, or was lost alone with its worker. Starts at 2 s, so that a few
#: quick restarts do not use up its attempts; ends at 17 minutes, so that a long outage of
#: something the adapter needs does not park it for days.
POSTING = Backoff(first=2.0, longest=1024.0)

#: Errors of the database. Short at first, because most are failovers and restarts; never longer
#: than 10 s, because everything waits for it.
DATABASE = Backoff(first=0.4, longest=10.0)

#: A worker process that ended, before its supervisor starts another one.
WORKER_RESTART = Backoff(first=0.5, longest=30.0)
#: The same after a kill, crash or hang: 2 s at most (three failures). A posting may be the
#: cause, which is marked failed only after several of these; starting takes seconds anyway.
MAX_COUNTED_CRASHES = 3
#: A worker process that ran for this many seconds had started well: failures count from one.
STEADY_SECONDS = 60.0

#: A posting that a mistake in the set-up stops. It costs an encoding each time.
SETUP_SECONDS = 30.0
#: A posting that the project's own code holds locked.
LOCKED_POSTING_SECONDS = 1.0
#: Claims released after an error of the database: another worker may have a working connection.
RELEASED_CLAIM_SECONDS = 1.0
#: A candidate encoder after an error of the database, which the worker's own loop handles.
CANDIDATE_DATABASE_SECONDS = 5.0
#: A candidate encoder that cannot be loaded or does not encode. Trying costs a load.
CANDIDATE_ENCODER_SECONDS = 60.0
#: A table scan whose step failed: a scan must not cost fresh postings anything.
TABLE_SCAN_SECONDS = 60.0
#: The broker, after a wake-up could not be sent: a save must not wait for it.
BROKER_SECONDS = 30.0
