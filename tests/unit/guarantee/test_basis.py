"""What a guarantee rests on: answers that are missing, thinning, and postings out of scope."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketplace_ai.guarantee.basis import Basis, BasisKind
from marketplace_ai.guarantee.bounds import error_upper_bound
from marketplace_ai.guarantee.out_of_scope import TENTH, Decided, out_of_scope
from marketplace_ai.guarantee.rows_needed import MAX_ANSWERS, AuditEvidence, answers_missing
from marketplace_ai.guarantee.target import Target
from marketplace_ai.guarantee.thinning import start_of_sample, thin


class TestMissingAnswers:
    def test_99_without_an_error(self) -> None:
        assert answers_missing(AuditEvidence(0, 0), Target()) == 99
        assert answers_missing(AuditEvidence(98, 0), Target()) == 1
        assert answers_missing(AuditEvidence(500, 0), Target()) == 0

    def test_an_error_rate_that_nothing_proves(self) -> None:
        assert answers_missing(AuditEvidence(40, 2), Target()) is None
        assert answers_missing(AuditEvidence(1, 1), Target()) is None
        assert answers_missing(AuditEvidence(1000, 29), Target()) is None

    @given(st.integers(1, 400), st.integers(0, 8), st.sampled_from([0.9, 0.97]))
    def test_it_is_the_smallest_number_that_the_exact_bound_accepts_at_the_rate_seen(
        self, answers: int, errors: int, precision: float
    ) -> None:
        errors = min(errors, answers)
        target = Target(precision)
        missing = answers_missing(AuditEvidence(answers, errors), target)

        def proven(total: int) -> bool:
            expected = -(-errors * total // answers)  # rounded up
            bound = error_upper_bound(expected, total, target.confidence_level)
            return bound <= target.max_error_rate

        if missing is None:
            assert not any(proven(total) for total in range(answers, MAX_ANSWERS, 97))
        else:
            assert proven(answers + missing)
            before = range(max(answers, answers + missing - 40), answers + missing)
            assert not any(proven(total) for total in before)

    def test_impossible_counts_are_refused(self) -> None:
        with pytest.raises(ValueError, match="errors lie between"):
            answers_missing(AuditEvidence(1, 2), Target())


class TestThinning:
    def test_rows_of_one_probability_all_stay(self) -> None:
        assert thin(["a", "b", "c"], [0.01] * 3) == [True] * 3
        assert thin([], []) == []

    @given(
        st.dictionaries(
            st.text(max_size=5), st.floats(0.001, 1, allow_subnormal=False), min_size=1, max_size=30
        )
    )
    def test_the_least_probable_always_stay_and_the_order_changes_nothing(
        self, rows: dict[str, float]
    ) -> None:
        keys, shares = list(rows), list(rows.values())
        kept = thin(keys, shares)
        assert all(keep for keep, share in zip(kept, shares, strict=True) if share == min(shares))
        assert thin(keys[::-1], shares[::-1]) == kept[::-1]

    @pytest.mark.parametrize("share", [0.0, -0.1, 1.5])
    def test_an_impossible_probability_is_refused(self, share: float) -> None:
        with pytest.raises(ValueError, match="draw probability"):
            thin(["a"], [share])

    @pytest.mark.parametrize("shares", [(0.02, 0.20), (0.20, 0.02)])
    def test_a_share_that_changed_does_not_bias_the_error_rate(
        self, shares: tuple[float, float]
    ) -> None:
        """Two periods of as many postings: 10% wrong in one, 1% in the other."""
        rates, postings = (0.10, 0.01), 20_000
        random = np.random.default_rng(3)
        thinned, raw = [], []
        for run in range(40):
            wrong, drawn = [], []
            for rate, share in zip(rates, shares, strict=True):
                audited = int((random.random(postings) < share).sum())
                wrong += (random.random(audited) < rate).tolist()
                drawn += [share] * audited
            kept = np.array(thin([f"{run}-{n}" for n in range(len(wrong))], drawn))
            thinned.append(np.mean(np.array(wrong)[kept]))
            raw.append(np.mean(wrong))
        true = sum(rates) / 2
        assert abs(np.mean(thinned) - true) < 0.004
        assert abs(np.mean(raw) - true) > 0.03  # as it is without thinning

    @pytest.mark.slow
    def test_the_exact_bound_holds_on_what_is_kept(self) -> None:
        """The bound lies below the true rate in at most a twentieth of the draws."""
        random = np.random.default_rng(5)
        missed, runs = 0, 1000
        for run in range(runs):
            shares = np.where(random.random(8000) < 0.5, 0.02, 0.20)
            drawn = shares[random.random(8000) < shares]
            kept = np.array(thin([f"{run}-{n}" for n in range(len(drawn))], drawn.tolist()))
            rate = np.where(drawn == 0.02, 0.10, 0.01)[kept]
            errors = int((random.random(len(rate)) < rate).sum())
            missed += error_upper_bound(errors, len(rate), 0.95) < 0.055
        assert missed / runs <= 0.05 + 3 * (0.05 * 0.95 / runs) ** 0.5


class TestTheStartOfTheSample:
    def test_one_share_takes_all(self) -> None:
        assert start_of_sample([0.01] * 500) == 0
        assert start_of_sample([]) == 0

    def test_a_backfill_at_a_tiny_share_does_not_thin_what_comes_after(self) -> None:
        assert start_of_sample([0.0001] * 20 + [0.01] * 300) == 20

    def test_a_higher_share_at_first_is_thinned_and_not_left_out(self) -> None:
        assert start_of_sample([0.2] * 400 + [0.02] * 160) == 0

    @given(st.lists(st.sampled_from([0.01, 0.02, 0.2, 1.0]), min_size=1, max_size=60))
    def test_no_other_start_keeps_more(self, shares: list[float]) -> None:
        def kept(start: int) -> float:
            return sum(min(shares[start:]) / share for share in shares[start:])

        start = start_of_sample(shares)
        most = max(map(kept, range(len(shares))))
        assert kept(start) == pytest.approx(most)
        assert all(kept(before) < most - 1e-9 for before in range(start))


counts = st.integers(0, 300).flatmap(
    lambda rows: st.integers(0, rows).flatmap(
        lambda automatic: st.integers(0, automatic).map(
            lambda errors: Decided(rows, automatic, errors)
        )
    )
)


class TestOutOfScope:
    def test_without_such_rows_it_is_unknown_and_the_worst_is_that_all_are_accepted(self) -> None:
        found = out_of_scope(Decided(1000, 700, 7), Decided(0, 0, 0), Target())
        assert (found.rows, found.precision, found.rows_needed) == (0, None, 99)
        # 66% of the rows automatic at least, 2.2% of them wrong at most, and every stranger.
        assert found.worst_precision == pytest.approx(0.839, abs=0.002)

    def test_rows_that_were_seen(self) -> None:
        found = out_of_scope(Decided(900, 600, 6), Decided(200, 10, 10), Target())
        inside, outside = 0.9 * 600 / 900, 0.1 * 10 / 200
        assert found.precision == pytest.approx(inside * 0.99 / (inside + outside))
        assert (found.rows, found.accepted) == (200, 10)
        assert found.worst_precision < found.precision
        assert out_of_scope(Decided(9, 0, 0), Decided(9, 0, 0), Target()).worst_precision == 1

    @given(counts, counts)
    def test_the_worst_case_is_never_better_than_what_was_seen(
        self, inside: Decided, outside: Decided
    ) -> None:
        found = out_of_scope(inside, outside, Target())
        assert 0 <= found.worst_precision <= 1
        if found.precision is not None and inside.automatic + outside.automatic:
            assert found.worst_precision <= found.precision + 1e-9

    def test_the_worst_case_holds_at_the_confidence_level(self) -> None:
        """Of samples of one stream, at most one in twenty promises more than is true."""
        automatic, wrong, accepted = 0.6, 0.02, 0.05
        inside = (1 - TENTH) * automatic
        true = inside * (1 - wrong) / (inside + TENTH * accepted)
        random = np.random.default_rng(1)
        broken = 0
        for _ in range(500):
            decided, strangers = random.binomial(500, automatic), random.binomial(60, accepted)
            errors = random.binomial(decided, wrong)
            found = out_of_scope(
                Decided(500, int(decided), int(errors)),
                Decided(60, int(strangers), int(strangers)),
                Target(),
            )
            broken += found.worst_precision > true
        assert broken / 500 <= 0.05


@given(st.sampled_from([BasisKind.EXEMPLARS, BasisKind.FILE, BasisKind.AUDIT]), st.booleans())
def test_a_basis_survives_json(source: BasisKind, proves: bool) -> None:
    basis = Basis(
        source, 100, 90, 3, proves, out_of_scope(Decided(9, 5, 0), Decided(3, 0, 0), Target())
    )
    assert Basis.from_dict(basis.as_dict()) == basis
    assert basis.kind is (source if proves else BasisKind.NOTHING)
    assert basis.as_dict()["kind"] == basis.kind
