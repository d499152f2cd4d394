"""The retry policy's formula in Python: first wait, doubling, and the upper bound."""

from __future__ import annotations

import pytest

from marketplace_ai.queue import retry_policy
from marketplace_ai.queue.retry_policy import Backoff


@pytest.mark.parametrize(
    ("policy", "seconds"),
    [
        (retry_policy.POSTING, [2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 1024, 1024]),
        (retry_policy.DATABASE, [0.4, 0.8, 1.6, 3.2, 6.4, 10, 10]),
        (retry_policy.WORKER_RESTART, [0.5, 1, 2, 4, 8, 16, 30, 30]),
    ],
)
def test_the_wait_doubles_up_to_its_bound(policy: Backoff, seconds: list[float]) -> None:
    waits = [policy.seconds(failures) for failures in range(1, len(seconds) + 1)]
    assert waits == pytest.approx(seconds)


def test_many_failures_do_not_overflow() -> None:
    assert retry_policy.POSTING.seconds(32767) == 1024


def test_a_worker_that_crashes_waits_for_two_seconds_at_most() -> None:
    assert retry_policy.WORKER_RESTART.seconds(retry_policy.MAX_COUNTED_CRASHES) == 2.0
