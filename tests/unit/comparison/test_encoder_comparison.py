"""Two encoders' classifiers on the same rows: what is counted, and what speaks against one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from marketplace_ai.classifier import Classifier, LabeledTexts
from marketplace_ai.comparison.encoder_comparison import CHANGES, Contest, contest, objections
from marketplace_ai.comparison.held_out import HeldOut, held_out
from marketplace_ai.comparison.intervals import interval, paired
from marketplace_ai.comparison.labeled_predictions import say
from marketplace_ai.comparison.scoring import out_of_fold
from marketplace_ai.comparison.slices import LONG, SHORT, TITLE_ONLY, WITH_DESCRIPTION, kinds_of
from tests.unit.classifier.factories import PARENTS, world
from marketplace_ai.guarantee.target import Target


def blurred(rows: LabeledTexts, seed: int = 9, share: float = 1.0) -> LabeledTexts:
    """The same texts by an encoder that tells trades apart in all but a ``share`` of them."""
    random = np.random.default_rng(seed)
    vectors = rows.vectors.copy()
    lost = random.random(len(rows)) < share
    vectors[lost] = random.standard_normal((int(lost.sum()), vectors.shape[1]))
    return LabeledTexts(rows.texts, vectors, rows.labels)


def wordless(rows: LabeledTexts) -> LabeledTexts:
    """Without the trades' words, so that the vectors alone speak."""
    texts = [f"Hjelp {text.rsplit(' ', 1)[1]}" for text in rows.texts]
    return LabeledTexts(texts, rows.vectors, rows.labels)


def fit(exemplars: LabeledTexts, rows: LabeledTexts | None, **options: Any) -> Classifier:
    options = {"target": Target(0.9), "parents": PARENTS, **options}
    return Classifier.fit(exemplars, rows, **options)


@pytest.fixture(scope="module")
def rows() -> LabeledTexts:
    return wordless(world(60, 30, 2, noise=0.25))


@pytest.fixture(scope="module")
def good(rows: LabeledTexts) -> Classifier:
    return fit(wordless(world(30, 15, 1, noise=0.25)), rows)


@pytest.fixture(scope="module")
def bad(rows: LabeledTexts) -> Classifier:
    return fit(blurred(wordless(world(30, 15, 1, noise=0.25)), share=0.6), blurred(rows, share=0.6))


@pytest.fixture(scope="module")
def found(good: Classifier, bad: Classifier, rows: LabeledTexts) -> Contest:
    return contest(bad, good, rows)


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 10_000), st.integers(8, 25), st.floats(0.3, 2.0), st.booleans())
def test_an_encoder_held_against_itself_changes_nothing(
    seed: int, each: int, noise: float, file: bool
) -> None:
    exemplars = world(each, 5, seed, noise=noise)
    labelled = world(each, 5, seed + 1, noise=noise) if file else None
    new, old = (Classifier.fit(exemplars, labelled, target=Target(0.9)) for _ in range(2))
    same = contest(new, old, exemplars if labelled is None else labelled)
    assert not [*objections(new.guarantee, old.guarantee, same, serving=old.guarantee)]
    assert (same.changed, same.changes) == (0, ())
    for pair in (same.first, same.automatic, same.parent, same.recognized):
        assert (pair.gained, pair.lost, pair.p) == (0, 0, 1)
        assert (pair.difference, pair.low, pair.high) == (0, 0, 0)
    assert same.new == same.old
    assert not any(row.promise_lost for row in same.categories)


class TestFigures:
    def test_a_worse_encoder_is_worse_in_all(self, found: Contest, rows: LabeledTexts) -> None:
        assert (found.rows, found.fit_none) == (len(rows), 30)
        assert found.first.new < found.first.old
        assert found.first.lost > found.first.gained
        assert found.first.low <= found.first.difference <= found.first.high < 0
        assert found.automatic.new < found.automatic.old
        assert found.parent.new < found.parent.old <= found.with_parent == 3 * 60

    def test_they_are_those_of_each_fit(
        self, found: Contest, good: Classifier, rows: LabeledTexts
    ) -> None:
        answers = out_of_fold(good, rows)
        assert found.first.old == answers.right.sum()
        assert found.automatic.old == answers.automatic.sum()
        assert found.old.errors == (answers.automatic & ~answers.right).sum()
        assert found.old.threshold == good.guarantee.automatic.threshold is not None

    def test_categories_add_up(self, found: Contest) -> None:
        for side in ("new", "old"):
            automatic = sum(getattr(row, side).automatic for row in found.categories)
            errors = sum(getattr(row, side).errors for row in found.categories)
            assert automatic == getattr(found.automatic, side)
            assert errors == getattr(found, side).errors
        assert sum(row.rows for row in found.categories) == found.rows - found.fit_none
        assert any(row.promise_lost for row in found.categories)

    def test_what_changes_is_told_and_losses_come_first(
        self, found: Contest, rows: LabeledTexts
    ) -> None:
        assert found.changed >= len(found.changes) > 0
        told = [(c.new.label == c.right, c.old.label == c.right) for c in found.changes]
        losses = [pair == (False, True) for pair in told]
        assert losses == sorted(losses, reverse=True)
        for change in found.changes:
            assert rows.labels[list(rows.texts).index(change.text)] == change.right
            now, was = change.new, change.old
            assert (now.label, now.outcome) != (was.label, was.outcome)

    def test_at_most_so_many_changes_are_kept(
        self, good: Classifier, bad: Classifier, rows: LabeledTexts, monkeypatch: Any
    ) -> None:
        monkeypatch.setattr("marketplace_ai.comparison.encoder_comparison.CHANGES", 5)
        few = contest(bad, good, rows)
        assert len(few.changes) == 5 < few.changed
        assert CHANGES == 200

    def test_it_is_what_a_worker_would_say(self, good: Classifier, rows: LabeledTexts) -> None:
        """Of rows that repeat no exemplar, the stored classifier says nearly the same."""
        said = say(good, rows)
        index = good.exemplar_model.index(wordless(world(30, 15, 1, noise=0.25)))
        verdicts = good.predict(index, rows.vectors, rows.texts)
        same = [
            (verdict.outcome, verdict.parent or verdict.label) == pair
            for verdict, pair in zip(
                verdicts, zip(said.outcomes, said.decided, strict=True), strict=True
            )
        ]
        assert np.mean(same) > 0.9


class TestKinds:
    def test_the_kinds_that_are_told_apart(self) -> None:
        assert kinds_of("Male stue") == (TITLE_ONLY, SHORT)
        assert kinds_of("Male stue\n\nCirka 40 kvm") == (WITH_DESCRIPTION, SHORT)
        assert kinds_of("Male stue\n" + "ord " * 11) == (WITH_DESCRIPTION, LONG)
        assert kinds_of("ord " * 12) == (TITLE_ONLY, SHORT)

    def test_of_a_file_and_of_the_text(
        self, good: Classifier, bad: Classifier, rows: LabeledTexts
    ) -> None:
        derived = {row.name: row.rows for row in contest(bad, good, rows).kinds}
        assert derived == {TITLE_ONLY: len(rows), SHORT: len(rows)}
        kinds = [("app",) if n % 3 else ("",) for n in range(len(rows))]
        (app,) = contest(bad, good, rows, kinds).kinds
        answers = out_of_fold(good, rows)
        part = np.arange(len(rows)) % 3 > 0
        assert (app.name, app.rows) == ("app", part.sum())
        assert app.old.right == answers.right[part].sum()
        assert app.old.automatic == answers.automatic[part].sum()


class TestInterval:
    @given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=30))
    @settings(max_examples=30, deadline=None)
    def test_it_holds_the_difference_and_stays_the_same(self, pairs: Any) -> None:
        new, old = (np.array([pair[i] for pair in pairs]) for i in (0, 1))
        groups = np.arange(len(pairs))
        both = paired(new, old, groups)
        assert -1 <= both.low <= both.high <= 1
        assert both == paired(new, old, groups)
        assert paired(old, new, groups).difference == -both.difference
        if len(pairs) >= 20:
            assert both.low <= both.difference <= both.high

    def test_it_is_near_the_formula_for_independent_rows(self) -> None:
        """Wald's, which many rows make a good one: Agresti, Categorical Data Analysis, 10.1."""
        random = np.random.default_rng(3)
        new, old = random.random(2000) < 0.8, random.random(2000) < 0.75
        lead = new.astype(float) - old
        half = 1.96 * lead.std() / np.sqrt(len(lead))
        low, high = interval(new, old, np.arange(2000))
        assert low == pytest.approx(lead.mean() - half, abs=0.003)
        assert high == pytest.approx(lead.mean() + half, abs=0.003)

    def test_near_duplicates_make_it_wider(self) -> None:
        random = np.random.default_rng(4)
        new, old = (np.repeat(random.random(40) < 0.6, 10) for _ in range(2))
        low, high = interval(new, old, np.repeat(np.arange(40), 10))
        narrow = interval(new, old, np.arange(400))
        assert high - low > 2 * (narrow[1] - narrow[0])

    def test_groups_of_unequal_size_stay_shares_of_rows(self) -> None:
        groups = np.repeat(np.arange(6), [1, 1, 1, 2, 15, 40])
        always = np.ones(len(groups), dtype=bool)
        assert interval(always, ~always, groups) == (1, 1)

    def test_nothing_to_compare(self) -> None:
        empty = np.zeros(0, dtype=bool)
        nothing = paired(empty, empty, np.zeros(0, dtype=np.intp))
        assert (nothing.p, nothing.low, nothing.high) == (1, 0, 0)


class TestHeldOut:
    def test_a_promise_that_holds_is_not_refuted(self, good: Classifier, rows: LabeledTexts) -> None:
        kept = held_out(good)
        assert kept.rows > 0.3 * len(rows)
        assert not kept.refuted

    def test_a_template_that_nobody_foresaw_refutes_it(self, good: Classifier) -> None:
        """Its rows are one group, so the threshold is found without any of them."""
        scored = good.out_of_fold
        assert scored is not None
        first = good.classes.index("maling")
        n = len(scored.first_choice)
        groups = np.arange(n)
        wrong = np.zeros(n, dtype=bool)
        wrong[100:140], groups[100:140] = True, 100  # neither the surest nor the least sure
        planted = replace(
            scored, groups=groups, first_choice=np.full(n, first),
            y_true=np.where(wrong, first + 1, first), probability=np.linspace(0.5, 0.99, n),
        )  # fmt: skip
        found = held_out(replace(good, out_of_fold=planted))
        assert found.refuted
        assert found.errors == 40
        spread = replace(planted, groups=np.arange(n))
        assert not held_out(replace(good, out_of_fold=spread)).refuted

    def test_only_after_a_fit(self, good: Classifier) -> None:
        with pytest.raises(ValueError, match="not just fitted"):
            held_out(replace(good, out_of_fold=None))


class TestObjections:
    @staticmethod
    def none(promise: Any, **other: Any) -> Any:
        return replace(promise, automatic=replace(promise.automatic, threshold=None), **other)

    @pytest.fixture
    def alike(self, good: Classifier, rows: LabeledTexts) -> Contest:
        return contest(good, good, rows)

    def test_of_the_worse_encoder(
        self, good: Classifier, bad: Classifier, found: Contest, rows: LabeledTexts
    ) -> None:
        said = [*objections(bad.guarantee, good.guarantee, found)]
        assert said[0] == "worse"
        assert said[1] in ("no_automation", "fewer")
        assert not [*objections(good.guarantee, bad.guarantee, contest(good, bad, rows))]

    def test_worse(self, good: Classifier, alike: Contest) -> None:
        for p, expected in ((0.049, ["worse"]), (0.051, [])):
            shown = replace(alike, first=replace(alike.first, p=p))
            assert [*objections(good.guarantee, good.guarantee, shown)] == expected

    def test_no_automation(self, good: Classifier, alike: Contest) -> None:
        full, none = good.guarantee, self.none(good.guarantee)
        assert [*objections(none, full, alike)] == ["no_automation"]
        assert not [*objections(none, none, alike)]
        assert not [*objections(full, none, alike)]

    def test_what_is_promised_today_is_not_given_up_for_want_of_rows(
        self, good: Classifier, alike: Contest
    ) -> None:
        none = self.none(good.guarantee)
        assert [*objections(none, none, alike, good.guarantee)] == ["no_automation"]
        assert not [*objections(none, none, alike, none)]
        for stricter in (Target(0.99), Target(0.9, 0.99)):
            asked = self.none(good.guarantee, target=stricter)
            assert not [*objections(asked, asked, alike, good.guarantee)]

    def test_unkept(self, good: Classifier, alike: Contest) -> None:
        broken = replace(alike.new, held_out=HeldOut(100, 30, True))
        shown = replace(alike, new=broken)
        assert [*objections(good.guarantee, good.guarantee, shown)] == ["unkept"]
        assert not [*objections(good.guarantee, good.guarantee, replace(shown, old=broken))]

    def test_fewer(self, good: Classifier, alike: Contest) -> None:
        def said(automatic: int, p: float) -> list[str]:
            pair = replace(alike.automatic, new=automatic, old=100, p=p)
            shown = replace(alike, automatic=pair)
            return [*objections(good.guarantee, good.guarantee, shown)]

        assert said(79, 0.5) == ["fewer"]
        assert said(80, 0.5) == []
        assert said(94, 0.049) == ["fewer"]
        assert said(94, 0.051) == []
        # A threshold that lies a step stricter gives up many rows at once, and gains none.
        assert said(96, 1e-6) == []

    def test_weaker(self, good: Classifier, alike: Contest) -> None:
        for lower in (Target(0.6), Target(0.9, 0.5)):
            asked = replace(good.guarantee, target=lower)
            assert [*objections(asked, asked, alike, good.guarantee)] == ["weaker"]
            assert not [*objections(good.guarantee, asked, alike, asked)]


def test_two_fits_of_other_texts_are_not_compared(good: Classifier, rows: LabeledTexts) -> None:
    other = wordless(world(60, 30, 5))
    alien = fit(wordless(world(30, 15, 1, noise=0.25)), other)
    with pytest.raises(ValueError, match=r"not fitted on the same|not just fitted"):
        contest(alien, good, rows.take(np.arange(10)))
    assert alien.out_of_fold is not None
    moved = replace(alien.out_of_fold, groups=alien.out_of_fold.groups[::-1].copy())
    with pytest.raises(ValueError, match="not fitted on the same texts"):
        contest(replace(alien, out_of_fold=moved), good, rows)
