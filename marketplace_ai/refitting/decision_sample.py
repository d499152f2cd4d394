"""Two samples of the stream as one version decided it: from its first week, and from the last.

A sample takes a few postings of each hour, so that both have the same hours and days of the week,
however many postings came; it reads an index from the beginning of each hour, and stops.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from django.db import connections

from marketplace_ai.db.alias import alias

from .drift import MIN_ROWS, DecidedPosting, DriftReport, compare

if TYPE_CHECKING:
    from marketplace_ai.models import ClassifierVersion

DAY = dt.timedelta(days=1)
#: Days of a sample, and postings of an hour: weeks, so that no weekday is in one sample only. The
#: second is for few postings.
WINDOWS = ((7, 6), (28, 2))
#: Decisions of an hour looked at: those after them are left out of the sample.
EXAMINED = 100

# A posting counts once, when it is first decided: what is decided again after a fit waited for
# review, so it is harder than others. Hours in which a backfill was decided are left out, because
# it has older postings (its last ones are decided within an hour after it is queued).
SAMPLE = """
SELECT first.text_digest, first.choice_keys, first.choice_probabilities
FROM generate_series(%(start)s::timestamptz, %(stop)s::timestamptz - interval '1 hour',
                     interval '1 hour') AS hour
CROSS JOIN LATERAL (
    SELECT text_digest, choice_keys, choice_probabilities FROM (
        SELECT id, posting_id, classifier_id, text_digest, choice_keys, choice_probabilities
        FROM marketplace_ai_decision
        WHERE decided_at >= hour AND decided_at < hour + interval '1 hour'
        ORDER BY decided_at, id
        LIMIT %(examined)s
    ) AS decided
    WHERE classifier_id = %(version)s AND cardinality(choice_keys) > 0
      AND NOT EXISTS (
          SELECT FROM marketplace_ai_decision AS earlier
          WHERE earlier.posting_id = decided.posting_id AND earlier.id < decided.id)
    LIMIT %(per_hour)s
) AS first
WHERE NOT EXISTS (
    SELECT FROM marketplace_ai_tablescan AS scan
    WHERE scan.purpose = 'backfill' AND NOT scan.is_vector_only
      AND scan.requested_at < hour + interval '1 hour'
      AND coalesce(scan.finished_at, scan.stopped_at, 'infinity') > hour - interval '1 hour')
"""


def find_drift(version: ClassifierVersion, now: dt.datetime) -> DriftReport | None:
    """Whether what the active version decides has changed since it was activated.

    It looks once a day, at whole days since the activation, so that all calls of a day have the
    same result. None in the first two weeks: the samples would overlap.
    """
    start = version.activated_at or version.created_at
    if version.encoder.activated_at is not None:
        start = max(start, version.encoder.activated_at)
    day = (now - start).days
    stop = start + day * DAY
    report = None
    for days, per_hour in WINDOWS:
        if day < 2 * days:
            break
        before = read_sample(version.pk, start, start + days * DAY, per_hour)
        after = read_sample(version.pk, stop - days * DAY, stop, per_hour)
        report = compare(before, after, look=day - 2 * WINDOWS[0][0] + 1)
        if min(len(before), len(after)) >= MIN_ROWS:
            break
    return report


def read_sample(
    version_id: int, start: dt.datetime, stop: dt.datetime, per_hour: int
) -> list[DecidedPosting]:
    """Up to ``per_hour`` postings that the version decided in each hour. Equal texts count once."""
    with connections[alias()].cursor() as cursor:
        cursor.execute(
            SAMPLE,
            {"version": version_id, "start": start, "stop": stop, "per_hour": per_hour,
             "examined": EXAMINED},
        )  # fmt: skip
        rows = {bytes(digest): (keys, shares) for digest, keys, shares in cursor.fetchall()}
    return [DecidedPosting(tuple(zip(keys, shares, strict=True))) for keys, shares in rows.values()]
