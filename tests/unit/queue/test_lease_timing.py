"""Times that are derived from the lease: all of them end before it does."""

from __future__ import annotations

import pytest

from marketplace_ai.queue.lease_timing import LONGEST_LEASE, SHORTEST_LEASE, LeaseTiming

LEASES = (SHORTEST_LEASE, 7.0, 10.0, 20.0, LONGEST_LEASE, 3600.0)


def test_the_times_of_the_default_lease() -> None:
    timing = LeaseTiming(30)
    assert timing.connection_parameters() == {
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        "tcp_user_timeout": 25_000,
    }
    assert (timing.renewal_interval, timing.read_timeout, timing.connect_timeout) == (10, 25, 10)
    assert timing.session_sql() == (
        "SET idle_in_transaction_session_timeout = '15000ms'; SET lock_timeout = '10000ms'; "
        "SET idle_session_timeout = 0"
    )


@pytest.mark.parametrize("lease", LEASES)
def test_a_worker_has_let_go_before_its_lease_is_over(lease: float) -> None:
    timing = LeaseTiming(lease)
    tcp = timing.connection_parameters()
    keepalives = tcp["keepalives_idle"] + tcp["keepalives_interval"] * tcp["keepalives_count"]
    assert keepalives <= timing.read_timeout < lease
    assert tcp["tcp_user_timeout"] / 1000 <= timing.read_timeout
    assert timing.idle_in_transaction_timeout < lease
    assert timing.lock_timeout < timing.read_timeout
    assert 3 * timing.renewal_interval <= lease + 1e-9


def test_a_longer_lease_does_not_make_a_dead_connection_last_longer() -> None:
    assert LeaseTiming(3600).read_timeout == LeaseTiming(LONGEST_LEASE).read_timeout


@pytest.mark.parametrize("lease", [0.03, 1.0])
def test_a_shorter_one_is_renewed_in_time_and_ends_no_statement_sooner(lease: float) -> None:
    timing = LeaseTiming(lease)
    assert timing.renewal_interval == pytest.approx(lease / 3)
    assert timing.read_timeout == LeaseTiming(SHORTEST_LEASE).read_timeout
