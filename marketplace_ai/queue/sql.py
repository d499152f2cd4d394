"""Every hand-written SQL statement of the queue, with its reason.

Our own tables have fixed names. The project's job table and its key are written {job_table} and
{job_key}: ``statement`` fills in the model's quoted names. Values are always parameters. A test
runs EXPLAIN on each statement.
"""

from __future__ import annotations

from functools import cache

from django.apps import apps
from django.db import connections

from marketplace_ai.adapter import posting_model_and_pk
from marketplace_ai.db import vector_type
from marketplace_ai.db.alias import alias
from marketplace_ai.models import get_category_model

from . import retry_policy

# Move changes from the log to the queue, without duplicates.
# - Read in physical order from where this pass is (a TID range scan): no index is needed, and
#   rows that must wait do not block those behind them.
# - A posting that the project locks FOR UPDATE stays in the log: the foreign key check would wait.
# - The change of a deleted posting is deleted. Under row level security one that is not seen may
#   just be hidden: it stays, and all that is not locked is returned (see row_security.py).
# - A claimed row keeps its claim: the write compares texts under the posting's lock.
# - A bulk update of decided postings renews the vector only, after all fresh work. Postings of a
#   deleted category are decided anew, after all fresh work too: there may be very many.
# - Each candidate gets a row as well, which is decided only in shadow mode. Its encoder is locked,
#   so that one that is being retired gets no more. Rows are locked one encoder after the other,
#   NULL first (hence the count), each in the order of the postings, as the write does.
QUEUE_CHANGES = """
WITH log AS MATERIALIZED (
    SELECT ctid AS place, posting_id, kind, logged_at
    FROM marketplace_ai_postingchange
    WHERE ctid > %(after)s::tid AND posting_id IS NOT NULL
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
), job AS MATERIALIZED (
    SELECT {job_key} AS id FROM {job_table}
    WHERE {job_key} IN (SELECT posting_id FROM log)
    ORDER BY {job_key}
    FOR KEY SHARE SKIP LOCKED
), done AS (
    DELETE FROM marketplace_ai_postingchange AS change USING log
    WHERE change.ctid = log.place AND (
        log.posting_id IN (SELECT id FROM job)
        OR NOT row_security_active({job_table_literal}::text)
           AND NOT EXISTS (SELECT FROM {job_table} WHERE {job_key} = log.posting_id)
    )
    RETURNING change.posting_id
), change AS MATERIALIZED (
    SELECT log.posting_id, min(log.logged_at) AS logged_at,
           CASE WHEN bool_and(log.kind IN ('bulk', 'category')) THEN 0 ELSE 100 END AS priority,
           bool_and(log.kind = 'bulk') AND EXISTS (
               SELECT FROM marketplace_ai_decision AS decision
               WHERE decision.posting_id = log.posting_id AND decision.is_current) AS is_vector_only
    FROM log JOIN job ON job.id = log.posting_id
    GROUP BY log.posting_id
), queued AS (
    INSERT INTO marketplace_ai_queuedposting AS pending
        (posting_id, priority, is_vector_only, is_isolated, attempts, queued_at, scheduled_at,
         last_error)
    SELECT posting_id, priority, is_vector_only, false, 0, logged_at, now(), ''
    FROM change
    ORDER BY posting_id
    ON CONFLICT (posting_id, encoder_id) DO UPDATE SET
        priority = greatest(pending.priority, excluded.priority),
        is_vector_only = pending.is_vector_only AND excluded.is_vector_only,
        attempts = CASE WHEN pending.failed_at IS NULL THEN pending.attempts ELSE 0 END,
        failed_at = NULL,
        scheduled_at = least(pending.scheduled_at, excluded.scheduled_at)
    RETURNING 1
), candidate AS MATERIALIZED (
    SELECT id, is_shadowing FROM marketplace_ai_encoder
    WHERE state IN ('building', 'ready') AND (SELECT count(*) FROM queued) > 0
    ORDER BY id
    FOR SHARE
), queued_for_candidates AS (
    INSERT INTO marketplace_ai_queuedposting AS pending
        (posting_id, encoder_id, priority, is_vector_only, is_isolated, attempts, queued_at,
         scheduled_at, last_error)
    SELECT change.posting_id, candidate.id, 0, change.is_vector_only OR NOT candidate.is_shadowing,
           false, 0, change.logged_at, now(), ''
    FROM candidate CROSS JOIN change
    ORDER BY candidate.id, change.posting_id
    ON CONFLICT (posting_id, encoder_id) DO UPDATE SET
        is_vector_only = pending.is_vector_only AND excluded.is_vector_only,
        attempts = CASE WHEN pending.failed_at IS NULL THEN pending.attempts ELSE 0 END,
        failed_at = NULL,
        scheduled_at = least(pending.scheduled_at, excluded.scheduled_at)
)
SELECT (SELECT count(*) FROM log), (SELECT max(place)::text FROM log),
       (SELECT count(*) FROM done), (SELECT count(*) FROM queued),
       CASE WHEN row_security_active({job_table_literal}::text) THEN ARRAY(
           SELECT posting_id FROM log WHERE posting_id NOT IN (SELECT id FROM job)
       ) ELSE '{{}}' END
"""

# Whether row level security may hide postings from this session.
ROW_SECURITY_ACTIVE = "SELECT row_security_active({job_table_literal}::text)"

# FOR KEY SHARE shows what policies let this role update as well as see. NOWAIT, because a posting
# that the project holds locked is not hidden: where one is, this fails.
LOCKABLE = """
SELECT {job_key} FROM {job_table} WHERE {job_key} = ANY(%(jobs)s::{job_key_type}[])
FOR KEY SHARE NOWAIT
"""

VISIBLE = "SELECT {job_key} FROM {job_table} WHERE {job_key} = ANY(%(jobs)s::{job_key_type}[])"

# The foreign key is checked by the owner of the postings, from whom nothing is hidden. This table
# is a quiet one: the row is undone, and a dead one in the queue would slow down claims.
REFER_TO = """
INSERT INTO marketplace_ai_auditedposting
    (posting_id, outcome, category_key, category_name, text_digest, drawn_at)
SELECT job, '', '', '', '', now()
FROM unnest(%(jobs)s::{job_key_type}[]) AS job
ON CONFLICT (posting_id) DO NOTHING
"""

DELETE_CHANGES = """
DELETE FROM marketplace_ai_postingchange WHERE posting_id = ANY(%(jobs)s::{job_key_type}[])
"""

# Postings in the log and the queue that this role does not see, wherever they are; and the first
# changes in the log, where those stay that it sees and cannot lock.
UNSEEN = """
(SELECT posting_id FROM marketplace_ai_postingchange AS change
 WHERE posting_id IS NOT NULL
   AND NOT EXISTS (SELECT FROM {job_table} WHERE {job_key} = change.posting_id)
 LIMIT %(bound)s)
UNION
(SELECT posting_id FROM marketplace_ai_queuedposting AS pending
 WHERE NOT EXISTS (SELECT FROM {job_table} WHERE {job_key} = pending.posting_id)
 LIMIT %(bound)s)
UNION
(SELECT posting_id FROM marketplace_ai_postingchange WHERE posting_id IS NOT NULL
 LIMIT %(first)s)
"""

# Claim the next rows of one encoder. Committed before anything is encoded, so it is short, and a
# killed worker leaves a lease behind instead of a lock. {for_encoder} is one of two plain
# predicates, because IS NOT DISTINCT FROM cannot use the index and would sort the queue.
# MATERIALIZED: as a subquery it may be the inner side of a nested loop, evaluated again for each
# row, with other rows each time, and then more than the limit are taken.
# An isolated row needs a worker with nothing in flight, so a claim says whether such rows wait.
CLAIM_QUEUED = """
WITH next AS MATERIALIZED (
    SELECT id FROM marketplace_ai_queuedposting
    WHERE token IS NULL AND failed_at IS NULL AND scheduled_at <= now()
      AND is_isolated = %(isolated)s AND priority > %(above)s AND {for_encoder}
    ORDER BY priority DESC, id
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
)
UPDATE marketplace_ai_queuedposting AS pending
SET token = %(token)s, worker = %(worker)s,
    lease_expires_at = now() + make_interval(secs => %(lease)s)
FROM next WHERE pending.id = next.id
RETURNING pending.id, pending.posting_id, pending.is_vector_only, pending.attempts,
          pending.priority, pending.queued_at,
          (SELECT EXISTS (
              SELECT FROM marketplace_ai_queuedposting
              WHERE token IS NULL AND failed_at IS NULL AND scheduled_at <= now()
                AND is_isolated AND {for_encoder}))
"""

# Whether a row can be claimed now, for the active encoder or one of some others.
HAS_CLAIMABLE = """
SELECT EXISTS (
    SELECT FROM marketplace_ai_queuedposting
    WHERE token IS NULL AND failed_at IS NULL AND scheduled_at <= now()
      AND is_isolated IN (false, true) AND encoder_id IS NULL
) OR EXISTS (
    SELECT FROM marketplace_ai_queuedposting
    WHERE token IS NULL AND failed_at IS NULL AND scheduled_at <= now()
      AND encoder_id = ANY(%(encoders)s::bigint[])
)
"""

ENCODER_PREDICATES = {False: "encoder_id IS NULL", True: "encoder_id = %(encoder)s"}

# Existing rows are locked before they are changed, in the order of their postings, as the intake
# does. A row that a DELETE of the project is just removing is skipped, not waited for: otherwise
# one open transaction of the project would stop the worker, and with it saves of other postings.
OWNED_ROWS = """(
    SELECT id FROM marketplace_ai_queuedposting
    WHERE token = %(token)s AND id = ANY(%(ids)s)
    ORDER BY posting_id FOR UPDATE SKIP LOCKED
)"""

RENEW_LEASE = """
UPDATE marketplace_ai_queuedposting
SET lease_expires_at = now() + make_interval(secs => %(lease)s)
WHERE id IN (
    SELECT id FROM marketplace_ai_queuedposting WHERE token = %(token)s
    ORDER BY posting_id FOR UPDATE SKIP LOCKED
)
"""

# Release the rows of workers that died (their advisory lock is gone) or froze (their lease is
# over). Only an isolated row counts an attempt, and it waits: otherwise a few quick restarts,
# always with the same row first, would use up its attempts.
RELEASE_LOST = """
WITH alive AS MATERIALIZED (
    SELECT objid::bigint AS worker FROM pg_locks
    WHERE locktype = 'advisory' AND granted AND objsubid = 2 AND classid = %(liveness)s::oid
      AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
), lost AS (
    SELECT id FROM marketplace_ai_queuedposting
    WHERE token IS NOT NULL
      AND (lease_expires_at < now() OR worker NOT IN (SELECT worker FROM alive))
    FOR UPDATE SKIP LOCKED
)
UPDATE marketplace_ai_queuedposting AS pending
SET token = NULL, worker = NULL, lease_expires_at = NULL, is_isolated = true,
    attempts = attempts + is_isolated::int,
    scheduled_at = now()
        + make_interval(secs => CASE WHEN is_isolated THEN {retry_delay} ELSE 0 END),
    failed_at = CASE WHEN is_isolated AND attempts + 1 >= %(max_attempts)s THEN now() END,
    last_error = CASE WHEN is_isolated THEN %(reason)s ELSE last_error END
FROM lost WHERE pending.id = lost.id
RETURNING pending.id
"""

# Release claimed rows, uncounted: their posting is locked, or the failure was not theirs.
RELEASE_CLAIMED = """
UPDATE marketplace_ai_queuedposting
SET token = NULL, worker = NULL, lease_expires_at = NULL,
    scheduled_at = now() + make_interval(secs => %(delay)s)
WHERE id IN {owned_rows}
"""

# A batch failed, and it is unknown which row made it fail: each is tried alone, uncounted.
ISOLATE_CLAIMED = """
UPDATE marketplace_ai_queuedposting
SET token = NULL, worker = NULL, lease_expires_at = NULL, is_isolated = true
WHERE id IN {owned_rows}
"""

# A posting failed alone: count it, wait longer each time, mark it failed after the last attempt.
FAIL_CLAIMED = """
UPDATE marketplace_ai_queuedposting
SET token = NULL, worker = NULL, lease_expires_at = NULL, is_isolated = true,
    attempts = attempts + 1,
    failed_at = CASE WHEN attempts + 1 >= %(max_attempts)s THEN now() END,
    scheduled_at = now() + make_interval(secs => {retry_delay}),
    last_error = %(error)s
WHERE id = %(id)s AND token = %(token)s
"""

# A mistake in the set-up stops this row; see retry_policy.SETUP_SECONDS. Earlier attempts may have
# met it too, and do not count: an error without attempts is what a postponed row is known by.
POSTPONE_CLAIMED = """
UPDATE marketplace_ai_queuedposting
SET token = NULL, worker = NULL, lease_expires_at = NULL, is_isolated = true, attempts = 0,
    scheduled_at = now() + make_interval(secs => %(delay)s), last_error = %(error)s
WHERE id = %(id)s AND token = %(token)s
"""

# The second half of the fence: which rows of the claim are still owned, among postings that are
# locked already, whose rows nobody can be deleting. A separate statement after that lock, so that
# it sees what the lock's last holder wrote. It also reads the current decisions. One that is
# younger than its row may have been made from the very edit that queued the row: an earlier claim
# read the text while the edit was still in the log. Not one whose category was deleted since.
LOCK_OWNED_ROWS = """
WITH owned AS MATERIALIZED (
    SELECT id, posting_id, is_vector_only, queued_at FROM marketplace_ai_queuedposting
    WHERE token = %(token)s AND id = ANY(%(ids)s)
    ORDER BY posting_id FOR UPDATE
)
SELECT owned.id, owned.is_vector_only, owned.posting_id,
       decision.id, decision.machine_category_id, decision.is_answered,
       decision.outcome = 'automatic' AND cardinality(decision.second_category_keys) > 0,
       CASE WHEN decision.decided_at > owned.queued_at AND decision.encoder_id = %(encoder)s
                 AND decision.classifier_id IS NOT DISTINCT FROM %(classifier)s
                 AND (decision.category_id IS NOT NULL OR decision.category_key = '')
            THEN decision.text_digest END
FROM owned LEFT JOIN marketplace_ai_decision AS decision
       ON decision.posting_id = owned.posting_id AND decision.is_current
"""

DELETE_CLAIMED = "DELETE FROM marketplace_ai_queuedposting WHERE id IN {owned_rows}"

# Whether an encoder is in one of these states, which it keeps until the transaction ends.
LOCK_ENCODER = """
SELECT activated_at FROM marketplace_ai_encoder
WHERE id = %(encoder)s AND state = ANY(%(states)s::text[])
FOR SHARE
"""

# The write of a batch: the following statements are sent as one pipeline.

UPSERT_EMBEDDINGS = """
INSERT INTO marketplace_ai_postingembedding (posting_id, encoder_id, vector, text_digest)
SELECT new.job, %(encoder)s, new.vector, new.digest
FROM unnest(%(jobs)s::{job_key_type}[], %(vectors)b::{vector_array}, %(digests)b::bytea[])
     AS new(job, vector, digest)
ON CONFLICT (posting_id, encoder_id)
DO UPDATE SET vector = excluded.vector, text_digest = excluded.text_digest
"""

# Before the insert: a partial unique index allows one current decision per posting.
SUPERSEDE_DECISIONS = (
    "UPDATE marketplace_ai_decision SET is_current = false WHERE id = ANY(%(decisions)s::bigint[])"
)

# A row's matches and choices are slices of arrays over the whole batch: unnest would flatten
# arrays of arrays, and one parameter per row would be one round trip per row.
INSERT_DECISIONS = """
INSERT INTO marketplace_ai_decision
    (posting_id, encoder_id, classifier_id, category_id, category_key, category_name,
     probability, threshold, outcome, machine_category_id, is_answered, text_digest, head_share,
     match_exemplars, match_similarities, match_shares, choice_keys, choice_probabilities,
     second_category_keys, decided_at, is_current)
SELECT new.posting, %(encoder)s, %(classifier)s, new.category, new.key, new.name,
       new.probability, new.threshold, new.outcome, new.machine, new.answered, new.digest,
       new.own,
       (%(match_exemplars)b::bigint[])[new.first_match:new.last_match],
       (%(match_similarities)b::real[])[new.first_match:new.last_match],
       (%(match_shares)b::real[])[new.first_match:new.last_match],
       (%(choice_keys)s::text[])[new.first_choice:new.last_choice],
       (%(choice_probabilities)b::real[])[new.first_choice:new.last_choice],
       (%(second_keys)s::text[])[new.first_second:new.last_second],
       now(), true
FROM unnest(
    %(posting)s::{job_key_type}[], %(category)s::{category_key_type}[],
    %(key)s::text[], %(name)s::text[],
    %(probability)s::double precision[], %(threshold)s::double precision[],
    %(outcome)s::text[], %(machine)s::{category_key_type}[], %(answered)s::boolean[],
    %(digest)b::bytea[], %(own)s::double precision[],
    %(first_match)b::bigint[], %(last_match)b::bigint[],
    %(first_choice)b::bigint[], %(last_choice)b::bigint[],
    %(first_second)b::bigint[], %(last_second)b::bigint[]
) AS new(posting, category, key, name, probability, threshold, outcome, machine, answered, digest,
         own, first_match, last_match, first_choice, last_choice,
         first_second, last_second)
"""

# Copy the machine's new decisions about postings of the audit sample. A posting that a person has
# answered about keeps the decision that was judged. A larger share draws what a smaller one does,
# so a text that was decided under several shares was drawn with the probability of the largest.
UPSERT_AUDITED = """
INSERT INTO marketplace_ai_auditedposting AS audit
    (posting_id, encoder_id, classifier_id, outcome, category_id, category_key, category_name,
     probability, text_digest, drawn_at, draw_probability)
SELECT posting_id, encoder_id, classifier_id, outcome, category_id, category_key, category_name,
       probability, text_digest, decided_at, %(share)s::double precision
FROM marketplace_ai_decision
WHERE posting_id = ANY(%(jobs)s::{job_key_type}[]) AND is_current
ORDER BY posting_id
ON CONFLICT (posting_id) DO UPDATE SET
    encoder_id = excluded.encoder_id, classifier_id = excluded.classifier_id,
    outcome = excluded.outcome, category_id = excluded.category_id,
    category_key = excluded.category_key, category_name = excluded.category_name,
    probability = excluded.probability, text_digest = excluded.text_digest,
    drawn_at = excluded.drawn_at,
    draw_probability = CASE WHEN audit.text_digest <> excluded.text_digest
        THEN excluded.draw_probability
        WHEN audit.draw_probability IS NOT NULL  -- unknown stays unknown
        THEN greatest(audit.draw_probability, excluded.draw_probability) END
WHERE audit.answered_at IS NULL
"""

# A candidate's shadow decisions: the last one per posting is kept.
UPSERT_SHADOW_DECISIONS = """
INSERT INTO marketplace_ai_shadowdecision
    (posting_id, encoder_id, classifier_id, category_id, category_key, category_name, probability,
     outcome, text_digest, decided_at)
SELECT new.job, %(encoder)s, %(classifier)s, new.category, new.key, new.name, new.probability,
       new.outcome, new.digest, now()
FROM unnest(
    %(jobs)s::{job_key_type}[], %(categories)s::{category_key_type}[], %(keys)s::text[],
    %(names)s::text[], %(probabilities)s::double precision[], %(outcomes)s::text[],
    %(digests)b::bytea[]
) AS new(job, category, key, name, probability, outcome, digest)
ORDER BY new.job
ON CONFLICT (posting_id, encoder_id) DO UPDATE SET
    classifier_id = excluded.classifier_id, category_id = excluded.category_id,
    category_key = excluded.category_key, category_name = excluded.category_name,
    probability = excluded.probability, outcome = excluded.outcome,
    text_digest = excluded.text_digest, decided_at = excluded.decided_at
"""

# A posting queued before the encoder was activated has no row for the former active encoder, now
# a candidate that must stay up to date: queue it for candidates without a vector of this text.
QUEUE_FOR_CANDIDATES = """
WITH candidate AS MATERIALIZED (
    SELECT id FROM marketplace_ai_encoder WHERE state IN ('building', 'ready')
    ORDER BY id
    FOR SHARE
)
INSERT INTO marketplace_ai_queuedposting
    (posting_id, encoder_id, priority, is_vector_only, is_isolated, attempts, queued_at,
     scheduled_at, last_error)
SELECT new.job, candidate.id, 0, true, false, 0, now(), now(), ''
FROM candidate CROSS JOIN
     unnest(%(jobs)s::{job_key_type}[], %(digests)b::bytea[]) AS new(job, digest)
WHERE NOT EXISTS (
    SELECT FROM marketplace_ai_postingembedding AS known
    WHERE known.posting_id = new.job AND known.encoder_id = candidate.id
      AND known.text_digest = new.digest)
ORDER BY candidate.id, new.job
ON CONFLICT (posting_id, encoder_id) DO NOTHING
"""

# Queue postings after all fresh ones, in the order of their keys, as the intake does. Postings that
# the project holds locked are returned, not waited for; deleted ones look the same and are returned
# once. Nothing is queued for an encoder that was retired meanwhile.
QUEUE_POSTINGS = """
WITH usable_encoder AS MATERIALIZED (
    SELECT FROM marketplace_ai_encoder
    WHERE id = %(queue_encoder)s::bigint AND state <> 'retired'
    FOR SHARE
), locked AS MATERIALIZED (
    SELECT {job_key} AS id FROM {job_table}
    WHERE {job_key} = ANY(%(jobs)s::{job_key_type}[])
    ORDER BY {job_key}
    FOR KEY SHARE SKIP LOCKED
), queued AS (
    INSERT INTO marketplace_ai_queuedposting
        (posting_id, encoder_id, priority, is_vector_only, is_isolated, attempts, queued_at,
         scheduled_at, last_error)
    SELECT id, %(queue_encoder)s, 0, %(vector_only)s, false, 0, now(), now(), ''
    FROM locked
    WHERE %(queue_encoder)s::bigint IS NULL OR EXISTS (SELECT FROM usable_encoder)
    ORDER BY id
    ON CONFLICT (posting_id, encoder_id) DO NOTHING
    RETURNING id
)
SELECT ARRAY(SELECT id FROM queued),
       ARRAY(SELECT wanted.id FROM unnest(%(jobs)s::{job_key_type}[]) AS wanted(id)
             WHERE NOT EXISTS (SELECT FROM locked WHERE locked.id = wanted.id))
"""

# Rows that wait for an encoder that is being retired, some at a time; skips locked ones as
# OWNED_ROWS does.
DELETE_QUEUED = """
DELETE FROM marketplace_ai_queuedposting WHERE id IN (
    SELECT id FROM marketplace_ai_queuedposting WHERE encoder_id = %(encoder)s
    ORDER BY posting_id LIMIT %(limit)s FOR UPDATE SKIP LOCKED
)
"""

# Whether a table scan may queue more: fewer rows wait at low priority than workers take in a few
# batches. Isolated rows do not count, otherwise those that fail would stop the scan; nor do workers
# of another project in this database, which have no row in our table.
HAS_CAPACITY = """
WITH bound AS MATERIALIZED (
    SELECT %(limit)s * greatest(count(*), 1) AS rows FROM pg_locks
    WHERE locktype = 'advisory' AND granted AND objsubid = 2 AND classid = %(liveness)s::oid
      AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
      AND objid::bigint IN (SELECT worker FROM marketplace_ai_workerheartbeat)
), waiting AS (
    SELECT count(*) AS rows FROM (
        SELECT FROM marketplace_ai_queuedposting
        WHERE token IS NULL AND failed_at IS NULL AND {for_encoder} AND NOT is_isolated
          AND priority = 0
        LIMIT (SELECT rows FROM bound)
    ) AS row
)
SELECT waiting.rows < bound.rows FROM waiting, bound
"""


def statement(template: str, *, for_encoder: bool = False) -> str:
    """The statement with the names of the project's tables filled in."""
    model, key = posting_model_and_pk()
    quote = connections[alias()].ops.quote_name
    return template.format(
        job_table=quote(model._meta.db_table),
        job_table_literal="'{}'".format(quote(model._meta.db_table).replace("'", "''")),
        job_key=quote(key),
        job_key_type=_key_type(model._meta.label),
        category_key_type=_key_type(get_category_model()._meta.label),
        owned_rows=OWNED_ROWS,
        retry_delay=retry_policy.POSTING.sql("(attempts + 1)"),
        vector_array=vector_type.SQL_ARRAY,
        for_encoder=ENCODER_PREDICATES[for_encoder],
    )


@cache
def _key_type(label: str) -> str:
    pk = apps.get_model(label)._meta.pk
    assert pk is not None  # noqa: S101 (every model has one)
    return str(pk.rel_db_type(connections[alias()]))
