"""Which postings a person audits: a random share of all, drawn before anything is decided."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import connections
from django.utils.crypto import salted_hmac

from marketplace_ai.conf import conf

from . import sql

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
    digest = salted_hmac(_SALT, str(job_id), algorithm="sha256").digest()
    number = int.from_bytes(digest[: _BITS // 8])
    return bool(number < conf.audit_share * 2**_BITS)


def record(job_ids: Iterable[Any]) -> None:
    """Note what the current decisions say of those of the postings that are in the sample.

    Inside the transaction that has written the decisions; no query where none is drawn.
    """
    sample = [job_id for job_id in job_ids if drawn(job_id)]
    if sample:
        with connections[sql.alias()].cursor() as cursor:
            cursor.execute(sql.statement(sql.AUDIT), {"jobs": sample})
