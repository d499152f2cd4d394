"""Every hand-written statement of the queue, once, with its reason.

Our own tables have fixed names. The host's job table and key stand as {job_table} and
{job_key}, which are quoted names of the model, filled in by ``statement``; values are always
parameters. A test runs EXPLAIN on each statement.
"""

from __future__ import annotations

from functools import cache

from django.apps import apps
from django.db import connections

from marketplace_ai.adapter import job_model_and_pk
from marketplace_ai.db import vector_type
from marketplace_ai.db.alias import alias
from marketplace_ai.models import get_category_model

# Move changes from the log to the queue, duplicates folded.
# - Read in physical order from where this pass is (a TID range scan): no index is needed, and
#   rows that must wait do not keep those behind them from being read.
# - A job that the host holds FOR UPDATE stays in the log; the foreign key's check would wait.
# - A job that is gone is forgotten.
# - A row that is claimed keeps its claim: the write compares texts under the job's lock.
# - Mass edits of postings already decided renew the vector only, behind all fresh work.
# - Each candidate gets a row as well, which is decided only where it decides in the shadow. Its
#   encoder is locked, so that none that is being retired gets more. Rows are locked one encoder
#   after the other, NULL first (hence the count), each in the order of the postings, as by the
#   write.
INTAKE = """
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
        OR NOT EXISTS (SELECT FROM {job_table} WHERE {job_key} = log.posting_id)
    )
    RETURNING change.posting_id
), change AS MATERIALIZED (
    SELECT log.posting_id, min(log.logged_at) AS logged_at,
           CASE WHEN bool_and(log.kind = 'bulk') THEN 0 ELSE 100 END AS priority,
           bool_and(log.kind = 'bulk') AND EXISTS (
               SELECT FROM marketplace_ai_decision AS decision
               WHERE decision.posting_id = log.posting_id AND decision.is_current) AS is_vector_only
    FROM log JOIN job ON job.id = log.posting_id
    GROUP BY log.posting_id
), queued AS (
    INSERT INTO marketplace_ai_queuedposting AS pending
        (posting_id, priority, is_vector_only, is_isolated, attempts, queued_at, scheduled_at, last_error)
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
), beside AS (
    INSERT INTO marketplace_ai_queuedposting AS pending
        (posting_id, encoder_id, priority, is_vector_only, is_isolated, attempts, queued_at, scheduled_at, last_error)
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
       (SELECT count(*) FROM done), (SELECT count(*) FROM queued)
"""

# Take the next rows of one kind. The claim is committed before anything is encoded, so it
# is short, and a killed worker leaves a lease behind instead of a lock. {for_encoder} is one of two
# plain predicates, because IS NOT DISTINCT FROM cannot use the index and would sort the queue.
# MATERIALIZED: as a subquery it may be the inner side of a nested loop, evaluated again for each
# row, with other rows each time, and then more than the limit are taken.
# What is marked alone needs a worker with empty hands, so a batch tells whether such rows wait.
CLAIM = """
WITH next AS MATERIALIZED (
    SELECT id FROM marketplace_ai_queuedposting
    WHERE token IS NULL AND failed_at IS NULL AND scheduled_at <= now()
      AND is_isolated = %(alone)s AND priority > %(above)s AND {for_encoder}
    ORDER BY priority DESC, id
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
)
UPDATE marketplace_ai_queuedposting AS pending
SET token = %(token)s, worker = %(worker)s,
    lease_expires_at = now() + make_interval(secs => %(lease)s)
FROM next WHERE pending.id = next.id
RETURNING pending.id, pending.posting_id, pending.is_vector_only, pending.attempts, pending.priority,
          pending.queued_at,
          (SELECT EXISTS (
              SELECT FROM marketplace_ai_queuedposting
              WHERE token IS NULL AND failed_at IS NULL AND scheduled_at <= now()
                AND is_isolated AND {for_encoder}))
"""

# Whether anything waits that may be claimed now, for the active encoder or one of some others.
DUE = """
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

FOR_ENCODER = {False: "encoder_id IS NULL", True: "encoder_id = %(encoder)s"}

# Whoever changes rows that exist locks them first, in the order of their postings, as the intake
# does. A row that a host's DELETE is just taking away is left out instead of waited for: else one
# open transaction of the host would stop the worker, and with it other postings' saves.
MINE = """(
    SELECT id FROM marketplace_ai_queuedposting
    WHERE token = %(token)s AND id = ANY(%(ids)s)
    ORDER BY posting_id FOR UPDATE SKIP LOCKED
)"""

RENEW = """
UPDATE marketplace_ai_queuedposting
SET lease_expires_at = now() + make_interval(secs => %(lease)s)
WHERE id IN (
    SELECT id FROM marketplace_ai_queuedposting WHERE token = %(token)s
    ORDER BY posting_id FOR UPDATE SKIP LOCKED
)
"""

# Free the rows of workers that died (their advisory lock is gone) or froze (their lease is
# over). Only a row that was claimed by itself has had an attempt of its own, and it waits: else a
# few quick restarts, always with the same row first, would set it aside.
RECOVER = """
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
    scheduled_at = now() + make_interval(secs => CASE WHEN is_isolated THEN 2 ^ (attempts + 1) ELSE 0 END),
    failed_at = CASE WHEN is_isolated AND attempts + 1 >= %(max_attempts)s THEN now() END,
    last_error = CASE WHEN is_isolated THEN %(reason)s ELSE last_error END
FROM lost WHERE pending.id = lost.id
RETURNING pending.id
"""

# Give claimed rows back, uncounted: their time has not come, or the fault was not theirs.
RELEASE = """
UPDATE marketplace_ai_queuedposting
SET token = NULL, worker = NULL, lease_expires_at = NULL,
    scheduled_at = now() + make_interval(secs => %(delay)s)
WHERE id IN {mine}
"""

# A batch failed and nobody knows through which of its rows: each is tried alone, uncounted.
ISOLATE = """
UPDATE marketplace_ai_queuedposting
SET token = NULL, worker = NULL, lease_expires_at = NULL, is_isolated = true
WHERE id IN {mine}
"""

# A posting failed by itself: count it, wait longer each time, set it aside at the bound.
FAIL = """
UPDATE marketplace_ai_queuedposting
SET token = NULL, worker = NULL, lease_expires_at = NULL, is_isolated = true, attempts = attempts + 1,
    failed_at = CASE WHEN attempts + 1 >= %(max_attempts)s THEN now() END,
    scheduled_at = now() + make_interval(secs => 2 ^ least(attempts + 1, 10)),
    last_error = %(error)s
WHERE id = %(id)s AND token = %(token)s
"""

# The fence, second half: what of the claim is still mine, only for postings that are locked
# already, whose rows nobody can be deleting. A statement of its own after that lock, so that it
# sees what the lock's last holder wrote: it brings along the decisions that are in force. One that
# is younger than its row may have been made of the text whose edit the row tells of: the edit was
# in the log still when an earlier claim read it.
LOCK_CLAIMED = """
WITH mine AS MATERIALIZED (
    SELECT id, posting_id, is_vector_only, queued_at FROM marketplace_ai_queuedposting
    WHERE token = %(token)s AND id = ANY(%(ids)s)
    ORDER BY posting_id FOR UPDATE
)
SELECT mine.id, mine.is_vector_only, mine.posting_id,
       decision.id, decision.machine_category_id, decision.is_answered,
       decision.outcome = 'automatic' AND cardinality(decision.second_category_keys) > 0,
       CASE WHEN decision.decided_at > mine.queued_at AND decision.encoder_id = %(encoder)s
                 AND decision.classifier_id IS NOT DISTINCT FROM %(classifier)s
            THEN decision.text_digest END
FROM mine LEFT JOIN marketplace_ai_decision AS decision
       ON decision.posting_id = mine.posting_id AND decision.is_current
"""

FINISH = "DELETE FROM marketplace_ai_queuedposting WHERE id IN {mine}"

# Whether an encoder is in one of these states, kept so until the transaction ends.
KEEP_ENCODER = """
SELECT activated_at FROM marketplace_ai_encoder
WHERE id = %(encoder)s AND state = ANY(%(states)s::text[])
FOR SHARE
"""

# The write of a batch: the following statements are sent together, without waiting in between.

STORE_VECTORS = """
INSERT INTO marketplace_ai_postingembedding (posting_id, encoder_id, vector, text_digest)
SELECT new.job, %(encoder)s, new.vector, new.digest
FROM unnest(%(jobs)s::{job_key_type}[], %(vectors)b::{vector_array}, %(digests)b::bytea[])
     AS new(job, vector, digest)
ON CONFLICT (posting_id, encoder_id)
DO UPDATE SET vector = excluded.vector, text_digest = excluded.text_digest
"""

# Before the new ones come: a partial unique index allows one current decision a posting.
RETIRE = (
    "UPDATE marketplace_ai_decision SET is_current = false WHERE id = ANY(%(decisions)s::bigint[])"
)

# A row's matches and choices are slices of arrays over the whole batch: unnest would flatten
# arrays of arrays, and a parameter for each row would be a round trip for each.
DECIDE = """
INSERT INTO marketplace_ai_decision
    (posting_id, encoder_id, classifier_id, category_id, category_key, category_name,
     probability, threshold, outcome, machine_category_id, is_answered, text_digest, head_share,
     match_exemplars, match_similarities, match_shares, choice_keys, choice_probabilities,
     second_category_keys, decided_at, is_current)
SELECT new.job, %(encoder)s, %(classifier)s, new.category, new.key, new.name,
       new.probability, new.threshold, new.outcome, new.machine, new.answered, new.digest,
       new.own,
       (%(match_exemplars)b::bigint[])[new.first_match:new.last_match],
       (%(match_similarities)b::real[])[new.first_match:new.last_match],
       (%(match_shares)b::real[])[new.first_match:new.last_match],
       (%(choice_keys)s::text[])[new.first_choice:new.last_choice],
       (%(choice_probabilities)b::real[])[new.first_choice:new.last_choice],
       (%(secondary_keys)s::text[])[new.first_secondary:new.last_secondary],
       now(), true
FROM unnest(
    %(job)s::{job_key_type}[], %(category)s::{category_key_type}[],
    %(key)s::text[], %(name)s::text[],
    %(probability)s::double precision[], %(threshold)s::double precision[],
    %(outcome)s::text[], %(machine)s::{category_key_type}[], %(answered)s::boolean[],
    %(digest)b::bytea[], %(own)s::double precision[],
    %(first_match)b::bigint[], %(last_match)b::bigint[],
    %(first_choice)b::bigint[], %(last_choice)b::bigint[],
    %(first_secondary)b::bigint[], %(last_secondary)b::bigint[]
) AS new(job, category, key, name, probability, threshold, outcome, machine, answered, digest,
         own, first_match, last_match, first_choice, last_choice,
         first_secondary, last_secondary)
"""

# What the machine has just decided about postings of the audit sample, taken from its decisions. A
# posting that a person has answered about keeps what was judged.
AUDIT = """
INSERT INTO marketplace_ai_auditedposting AS audit
    (posting_id, encoder_id, classifier_id, outcome, category_id, category_key, category_name,
     probability, text_digest, drawn_at)
SELECT posting_id, encoder_id, classifier_id, outcome, category_id, category_key, category_name,
       probability, text_digest, decided_at
FROM marketplace_ai_decision
WHERE posting_id = ANY(%(jobs)s::{job_key_type}[]) AND is_current
ORDER BY posting_id
ON CONFLICT (posting_id) DO UPDATE SET
    encoder_id = excluded.encoder_id, classifier_id = excluded.classifier_id,
    outcome = excluded.outcome, category_id = excluded.category_id,
    category_key = excluded.category_key, category_name = excluded.category_name,
    probability = excluded.probability, text_digest = excluded.text_digest,
    drawn_at = excluded.drawn_at
WHERE audit.answered_at IS NULL
"""

# A candidate's answers, of which the last one about a posting is kept.
SHADOW = """
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

# What was queued before this encoder was put in force got no row for the one that was in force
# then, and is now a candidate that is to stay current: rows for those that lack this very text.
HAND_ON = """
WITH candidate AS MATERIALIZED (
    SELECT id FROM marketplace_ai_encoder WHERE state IN ('building', 'ready')
    ORDER BY id
    FOR SHARE
)
INSERT INTO marketplace_ai_queuedposting
    (posting_id, encoder_id, priority, is_vector_only, is_isolated, attempts, queued_at, scheduled_at, last_error)
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

# Put postings into the queue behind everything fresh, in the order of their keys, as the intake
# does. Those that their host holds locked are told, not waited for; those that are gone look the
# same and are told once. Nothing is queued for an encoder that was retired meanwhile.
BACKFILL = """
WITH lives AS MATERIALIZED (
    SELECT FROM marketplace_ai_encoder
    WHERE id = %(queue_encoder)s::bigint AND state <> 'retired'
    FOR SHARE
), there AS MATERIALIZED (
    SELECT {job_key} AS id FROM {job_table}
    WHERE {job_key} = ANY(%(jobs)s::{job_key_type}[])
    ORDER BY {job_key}
    FOR KEY SHARE SKIP LOCKED
), queued AS (
    INSERT INTO marketplace_ai_queuedposting
        (posting_id, encoder_id, priority, is_vector_only, is_isolated, attempts, queued_at, scheduled_at, last_error)
    SELECT id, %(queue_encoder)s, 0, %(vector_only)s, false, 0, now(), now(), ''
    FROM there
    WHERE %(queue_encoder)s::bigint IS NULL OR EXISTS (SELECT FROM lives)
    ORDER BY id
    ON CONFLICT (posting_id, encoder_id) DO NOTHING
    RETURNING id
)
SELECT ARRAY(SELECT id FROM queued),
       ARRAY(SELECT wanted.id FROM unnest(%(jobs)s::{job_key_type}[]) AS wanted(id)
             WHERE NOT EXISTS (SELECT FROM there WHERE there.id = wanted.id))
"""

# What waits for an encoder that is retired, some at a time; by others' locks as in MINE.
FORGET = """
DELETE FROM marketplace_ai_queuedposting WHERE id IN (
    SELECT id FROM marketplace_ai_queuedposting WHERE encoder_id = %(encoder)s
    ORDER BY posting_id LIMIT %(limit)s FOR UPDATE SKIP LOCKED
)
"""

# Whether a walk may queue more: fewer wait at low priority than the workers do in a few batches.
# Rows that are tried alone do not count, or those that fail would stop it.
ROOM = """
WITH bound AS MATERIALIZED (
    SELECT %(limit)s * greatest(count(*), 1) AS rows FROM pg_locks
    WHERE locktype = 'advisory' AND granted AND objsubid = 2 AND classid = %(liveness)s::oid
      AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
), waiting AS (
    SELECT count(*) AS rows FROM (
        SELECT FROM marketplace_ai_queuedposting
        WHERE token IS NULL AND failed_at IS NULL AND {for_encoder} AND NOT is_isolated AND priority = 0
        LIMIT (SELECT rows FROM bound)
    ) AS row
)
SELECT waiting.rows < bound.rows FROM waiting, bound
"""


def statement(template: str, *, for_encoder: bool = False) -> str:
    """The statement with the host's names filled in."""
    model, key = job_model_and_pk()
    quote = connections[alias()].ops.quote_name
    return template.format(
        job_table=quote(model._meta.db_table),
        job_key=quote(key),
        job_key_type=_key_type(model._meta.label),
        category_key_type=_key_type(get_category_model()._meta.label),
        vector_array=vector_type.SQL_ARRAY,
        mine=MINE,
        for_encoder=FOR_ENCODER[for_encoder],
    )


@cache
def _key_type(label: str) -> str:
    pk = apps.get_model(label)._meta.pk
    assert pk is not None  # noqa: S101 (every model has one)
    return str(pk.rel_db_type(connections[alias()]))
