"""Which postings a person audits: a random share of all, drawn before anything is decided."""

from __future__ import annotations

import hashlib
import hmac
from functools import cache
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.utils.encoding import force_bytes

from marketplace_ai.conf import conf

from . import sql
from .statements import Step, send

if TYPE_CHECKING:
    from collections.abc import Iterable

_SALT = "marketplace_ai.audit"
_BITS = 64


def drawn(job_id: Any) -> bool:
    """Whether a posting belongs to the sample.

    By a hash of its primary key under the project's SECRET_KEY: the same at every retry and for
    every later decision, independent of what is decided, and no poster can foresee it.
    A larger share keeps the postings of a smaller one.
    """
    return bool(sample([job_id]))


def sample(job_ids: Iterable[Any]) -> list[Any]:
    """Those of the postings that are ``drawn``."""
    key, bound = _key(settings.SECRET_KEY), conf.audit_share * 2**_BITS
    return [
        job_id
        for job_id in job_ids
        if int.from_bytes(hmac.digest(key, str(job_id).encode(), "sha256")[: _BITS // 8]) < bound
    ]


@cache
def _key(secret: str) -> bytes:
    """The key of ``salted_hmac``, which would derive it for every posting anew."""
    return hashlib.sha256(_SALT.encode() + force_bytes(secret)).digest()


def recorded(job_ids: Iterable[Any]) -> list[Step]:
    """What notes the current decisions of those of the postings that are in the sample.

    For the transaction that writes the decisions, behind them; nothing where none is drawn.
    """
    chosen = sample(job_ids)
    return [(sql.AUDIT, {"jobs": chosen})] if chosen else []


def record(job_ids: Iterable[Any]) -> None:
    """Note it now, of decisions that are written already; no query where none is drawn."""
    send(recorded(job_ids))
