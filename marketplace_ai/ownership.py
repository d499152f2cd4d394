"""Who owns a posting's category: the machine, which may change it, or a person."""

from __future__ import annotations

from enum import Enum
from typing import Any


class Owner(Enum):
    """Who owns a posting's category."""

    MACHINE = "machine"  #: no person has decided: an automatic decision may be written
    PERSON = "person"  #: a person chose the category: a proposal is only recorded
    CLEARED = "cleared"  #: a person removed the category: propose, but never write


def owner(category: Any | None, machine_category: Any | None, answered: bool) -> Owner:
    """The owner of a posting's present category.

    category: its primary key, or None.
    machine_category: what the machine last wrote, from the current decision; None without one.
    answered: whether a person ever answered, from the current decision; False without one.

    A category other than the machine's last one was set by a person, also at creation.
    """
    if category is not None:
        if answered or category != machine_category:
            return Owner.PERSON
        return Owner.MACHINE
    if answered or machine_category is not None:
        return Owner.CLEARED
    return Owner.MACHINE
