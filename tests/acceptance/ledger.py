"""What must be true in the database at the end, whatever happened before."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

import psycopg

QUEUE = """
SELECT (SELECT count(*) FROM marketplace_ai_postingchange),
       count(*) FILTER (WHERE failed_at IS NULL), count(*) FILTER (WHERE failed_at IS NOT NULL)
FROM marketplace_ai_queuedposting
"""

# One row a posting: its decisions, those that are current, equal ones beyond the first (not of a
# category deleted since: those are decided again), its vectors of the encoder that decided, whether
# vector and decision are of one text, whether the category is the decision's, decisions by a
# classifier of another encoder than theirs, and encoders that are ready and lack the vector of this
# text.
POSTINGS = """
SELECT job.id, count(decision.id), count(decision.id) FILTER (WHERE decision.is_current),
       count(decision.id) FILTER (WHERE NOT orphaned.is_so)
       - count(DISTINCT decision.text_digest) FILTER (WHERE NOT orphaned.is_so),
       (SELECT count(*) FROM marketplace_ai_postingembedding AS vector
        JOIN marketplace_ai_decision AS latest
            ON latest.posting_id = vector.posting_id AND latest.is_current
        WHERE vector.posting_id = job.id AND vector.encoder_id = latest.encoder_id),
       (SELECT count(*) FROM marketplace_ai_postingembedding AS vector
        JOIN marketplace_ai_decision AS latest
            ON latest.posting_id = vector.posting_id AND latest.is_current
        WHERE vector.posting_id = job.id AND vector.encoder_id = latest.encoder_id
          AND vector.text_digest = latest.text_digest),
       bool_and((SELECT id FROM marketplace_ai_category WHERE id = decision.machine_category_id)
                IS NOT DISTINCT FROM job.category_id AND NOT orphaned.is_so)
           FILTER (WHERE decision.is_current),
       count(*) FILTER (WHERE classifier.encoder_id <> decision.encoder_id),
       (SELECT count(*) FROM marketplace_ai_encoder AS encoder WHERE encoder.state = 'ready'
        AND NOT EXISTS (
            SELECT FROM marketplace_ai_postingembedding AS vector
            JOIN marketplace_ai_decision AS latest
                 ON latest.posting_id = vector.posting_id AND latest.is_current
            WHERE vector.posting_id = job.id AND vector.encoder_id = encoder.id
              AND vector.text_digest = latest.text_digest))
FROM marketplace_ai_jobposting AS job
LEFT JOIN marketplace_ai_decision AS decision ON decision.posting_id = job.id
LEFT JOIN LATERAL (
    SELECT decision.category_id IS NULL AND decision.category_key <> '' AS is_so
) AS orphaned ON true
LEFT JOIN marketplace_ai_classifierversion AS classifier ON classifier.id = decision.classifier_id
GROUP BY job.id, job.category_id
ORDER BY job.id
"""

# Effects of postings that are gone.
STRAY = """
SELECT posting_id FROM marketplace_ai_decision
WHERE posting_id NOT IN (SELECT id FROM marketplace_ai_jobposting)
UNION ALL
SELECT posting_id FROM marketplace_ai_postingembedding
WHERE posting_id NOT IN (SELECT id FROM marketplace_ai_jobposting)
"""


@dataclass(frozen=True, slots=True)
class Queue:
    """Rows left in the change log and in the queue, and postings that failed."""

    logged: int
    queued: int
    failed: int

    @property
    def settled(self) -> bool:
        return self.logged == self.queued == 0


@dataclass(slots=True)
class Ledger:
    """Keys of postings by what is wrong with them; all lists are empty where nothing is."""

    postings: int = 0
    lost: list[int] = field(default_factory=list)
    decided_again: list[int] = field(default_factory=list)
    not_one_current: list[int] = field(default_factory=list)
    not_one_vector: list[int] = field(default_factory=list)
    other_text: list[int] = field(default_factory=list)
    other_category: list[int] = field(default_factory=list)
    mixed: list[int] = field(default_factory=list)
    not_current: list[int] = field(default_factory=list)
    stray: list[int] = field(default_factory=list)

    def faults(self) -> dict[str, list[int]]:
        return {name: value for name, value in asdict(self).items() if isinstance(value, list)}


def queue(url: str) -> Queue:
    with psycopg.connect(url) as connection:
        row: Any = connection.execute(QUEUE).fetchone()
    return Queue(*row)


def read(url: str) -> Ledger:
    """The postings of the shipped model in the database at ``url``, checked one by one."""
    ledger = Ledger()
    with psycopg.connect(url) as connection:
        rows = connection.execute(POSTINGS).fetchall()
        ledger.stray = [row[0] for row in connection.execute(STRAY)]
    for job, decisions, current, again, vectors, matching, category, mixed, behind in rows:
        ledger.postings += 1
        if not decisions:
            ledger.lost.append(job)
            continue
        if again:
            ledger.decided_again.append(job)
        if current != 1:
            ledger.not_one_current.append(job)
        if vectors != 1:
            ledger.not_one_vector.append(job)
        elif matching != 1:
            ledger.other_text.append(job)
        if not category:
            ledger.other_category.append(job)
        if mixed:
            ledger.mixed.append(job)
        if behind:
            ledger.not_current.append(job)
    return ledger


def assert_exactly_once(url: str, postings: int) -> None:
    """Every posting decided exactly once for each of its texts, by one encoder with its own
    classifier and vector, those that are ready current too, nothing left over."""
    assert queue(url) == Queue(0, 0, 0)
    ledger = read(url)
    assert ledger.postings == postings
    assert not any(ledger.faults().values()), ledger.faults()
