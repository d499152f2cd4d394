from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from marketplace_ai.ownership import Owner, owner

keys = st.none() | st.sampled_from([1, 2]) | st.sampled_from(["plen", "hage"]) | st.uuids()


@given(keys, keys, st.booleans())
def test_the_machine_may_write_only_over_nothing_or_its_own_last_word(
    category: object, machine_category: object, answered: bool
) -> None:
    found = owner(category, machine_category, answered)
    if found is Owner.MACHINE:
        assert not answered
        assert category == machine_category
    if category is None:
        assert found is not Owner.PERSON
    else:
        assert found is not Owner.CLEARED


@given(keys, keys)
def test_an_answer_ends_the_machines_say(category: object, machine_category: object) -> None:
    assert owner(category, machine_category, True) is not Owner.MACHINE


@given(keys.filter(lambda key: key is not None))
def test_a_category_set_at_creation_is_a_persons(category: object) -> None:
    assert owner(category, None, False) is Owner.PERSON


@given(keys)
def test_what_the_machine_wrote_last_is_its_own_to_change(category: object) -> None:
    assert owner(category, category, False) is Owner.MACHINE


@given(keys.filter(lambda key: key is not None))
def test_a_category_taken_away_is_not_written_again(machine_category: object) -> None:
    assert owner(None, machine_category, False) is Owner.CLEARED
