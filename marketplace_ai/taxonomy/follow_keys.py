"""Exemplars follow their categories: a renamed one takes them along, one that comes back gets them.

A category may be renamed, deleted and made anew by any client, so workers look every half minute;
imports look before they count, and a category that is saved is looked at after its commit.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import psycopg
from django.db import Error as DatabaseError
from django.db import connections, transaction

from marketplace_ai.db import advisory_locks
from marketplace_ai.db.alias import alias
from marketplace_ai.db.error_kind import describe
from marketplace_ai.models import get_category_model
from marketplace_ai.queue.category_locks import lock_categories

from . import sql
from .category_keys import stored_key
from .changes import Changes

if TYPE_CHECKING:
    from django.db.models import Model

logger = logging.getLogger(__name__)

#: A worker's postings wait for it, and so does whoever saved a category.
LOCK_TIMEOUT = "200ms"
#: Categories that a worker follows between two batches: some thousand exemplars.
CATEGORIES_AT_ONCE = 20


@dataclass(frozen=True, slots=True)
class Followed:
    """What was changed.

    Attributes:
        renamed: exemplars that got the new key of their category.
        merged: exemplars deleted because another one of their category has their text.
        restored: ids of exemplars that vote again, because a category of their key exists again.
    """

    renamed: int = 0
    merged: int = 0
    restored: frozenset[int] = frozenset()


def follow_keys() -> Followed:
    """Give exemplars the present keys of their categories, and categories their exemplars back.

    Exemplars of a deleted category belong to the one category that has its key now. Descriptions
    do not come back, and nothing follows a key that several categories share.

    Waits for others that do the same. Two queries if there is nothing to do. Raises Django's
    ``DatabaseError``, and whatever the adapter's ``category_key`` raises.
    """
    wanted = Changes.read()
    return _follow(wanted.keys) if wanted.keys else Followed()


def lock_taxonomy() -> None:
    """Keep others from following keys until this transaction ends; before it writes categories."""
    with connections[alias()].cursor() as cursor:
        advisory_locks.lock(cursor, advisory_locks.TAXONOMY)


def follow_safely(first: Any | None = None) -> bool:
    """``follow_keys`` for workers and web processes; whether there is more to do, and it goes on.

    It follows a few categories at a time, or ``first`` (a primary key) with those whose keys it
    takes, waits for nobody, and logs its errors.
    """
    try:
        changes = Changes.read()
        some = changes.some(CATEGORIES_AT_ONCE) if first is None else changes.with_holders(first)
        followed = _follow(some, lock_timeout=LOCK_TIMEOUT) if some else Followed()
        return followed != Followed() and len(some) < len(changes.keys)
    except (DatabaseError, psycopg.Error) as error:
        logger.warning("Exemplars keep the keys they have: %s", describe(error))
    except Exception:
        logger.exception("Exemplars keep the keys they have: the adapter fails")
    return False


def after_save(sender: type[Model], instance: Any, using: str, raw: bool, **kwargs: Any) -> None:
    """Receiver of ``post_save`` of every model; acts on categories only."""
    if raw or using != alias() or sender._meta.concrete_model is not get_category_model():
        return
    transaction.on_commit(lambda: _after_commit(instance), using=using, robust=True)


def _after_commit(category: Any) -> None:
    values = {"category": category.pk, "key": stored_key(category)}
    with connections[alias()].cursor() as cursor:
        cursor.execute(sql.MUST_FOLLOW, values)
        must_follow = cursor.fetchone()[0]
    if must_follow:
        follow_safely(category.pk)


def _follow(wanted: dict[Any, str], lock_timeout: str | None = None) -> Followed:
    with transaction.atomic(using=alias()), connections[alias()].cursor() as cursor:
        if lock_timeout is None:
            lock_taxonomy()
        else:
            cursor.execute("SELECT set_config('lock_timeout', %s, true)", [lock_timeout])
            if not advisory_locks.try_lock(cursor, advisory_locks.TAXONOMY):
                return Followed()
        lock_categories(wanted)  # all writers lock categories first
        # Read again, now under the locks: others may have changed them meanwhile.
        still = Changes.read().keys.items() & wanted.items()
        values = {"categories": [c for c, _ in still], "keys": [key for _, key in still]}
        _execute(cursor, sql.LOCK_EXEMPLARS, values)
        renamed = _execute(cursor, sql.PARK_OLD_KEYS, values)
        _execute(cursor, sql.PASS_FAMILIES_ON, values)
        merged = _execute(cursor, sql.DELETE_DUPLICATES, values)
        _execute(cursor, sql.WRITE_KEYS, values)
        _execute(cursor, sql.RELINK, values)
        restored = frozenset(pk for pk, state in cursor.fetchall() if state == "active")
        _execute(cursor, sql.PARK_STOPS, values)
        _execute(cursor, sql.WRITE_STOPS, values)
        _execute(cursor, sql.DELETE_PARKED_STOPS, values)
        _execute(cursor, sql.RELINK_STOPS, values)
    if renamed or restored:
        logger.info(
            "Categories changed: %d exemplars have a new key, %d vote again, %d were the same "
            "as another and are deleted",
            renamed, len(restored), merged,
        )  # fmt: skip
    return Followed(renamed, merged, restored)


def _execute(cursor: Any, statement: str, values: dict[str, Any]) -> int:
    pk: Any = get_category_model()._meta.pk
    cursor.execute(statement.format(category_type=pk.rel_db_type(connections[alias()])), values)
    return int(cursor.rowcount)
