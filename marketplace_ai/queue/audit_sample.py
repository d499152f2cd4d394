"""The audit sample: a random share of all postings, drawn before anything is decided."""

from __future__ import annotations

import hashlib
import hmac
from functools import cache
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.utils.encoding import force_bytes

from marketplace_ai.conf import conf

from . import sql
from .statements import Statement, execute_pipelined

if TYPE_CHECKING:
    from collections.abc import Iterable

_SALT = "marketplace_ai.audit"
_BITS = 64


def is_sampled(posting_id: Any) -> bool:
    """Whether a posting belongs to the sample.

    By a hash of its primary key under the project's SECRET_KEY: the same at every retry and for
    every later decision, independent of what is decided, and unpredictable for whoever posts.
    A larger sample contains every smaller one.
    """
    return bool(sample([posting_id]))


def sample(posting_ids: Iterable[Any]) -> list[Any]:
    """Those of the postings that belong to the sample."""
    key, bound = _key(settings.SECRET_KEY), conf.audit_sample_rate * 2**_BITS
    return [
        posting_id
        for posting_id in posting_ids
        if int.from_bytes(hmac.digest(key, str(posting_id).encode(), "sha256")[: _BITS // 8])
        < bound
    ]


@cache
def _key(secret: str) -> bytes:
    """The key that ``salted_hmac`` would derive again for every posting."""
    return hashlib.sha256(_SALT.encode() + force_bytes(secret)).digest()


def record_statements(posting_ids: Iterable[Any]) -> list[Statement]:
    """Statements that record the current decisions of sampled postings for the audit.

    For the transaction that writes the decisions, after them; none if no posting is sampled.
    """
    sampled = sample(posting_ids)
    values = {"jobs": sampled, "share": conf.audit_sample_rate}
    return [(sql.UPSERT_AUDITED, values)] if sampled else []


def record(posting_ids: Iterable[Any]) -> None:
    """Record decisions that are written already; no query if no posting is sampled."""
    execute_pipelined(record_statements(posting_ids))
