"""Whose a posting's category is: the machine's to change, or a person's."""

from __future__ import annotations

from enum import Enum
from typing import Any


class Owner(Enum):
    """Who decides about a posting's category now."""

    MACHINE = "machine"  #: nobody has spoken: an automatic decision may be written
    PERSON = "person"  #: a person's category stands: a proposal is only recorded
    CLEARED = "cleared"  #: a person took the category away: propose, but never write


def owner(category: Any | None, machine_category: Any | None, answered: bool) -> Owner:
    """Whose the present ``category`` (a primary key or None) is.

    ``machine_category`` is what the machine last wrote and ``answered`` whether a person ever
    answered, both from the current decision (None and False where there is none). A category
    that is set and is not the machine's last one was set by a person, at creation too.
    """
    if category is not None:
        if answered or category != machine_category:
            return Owner.PERSON
        return Owner.MACHINE
    if answered or machine_category is not None:
        return Owner.CLEARED
    return Owner.MACHINE
