"""The statements by which exemplars follow the keys of their categories, in the order they run.

``wanted`` are categories with their present keys. Descriptions have no part in what is unique, and
none comes back: workers make and delete them.
"""

from __future__ import annotations

WANTED = """
WITH wanted AS MATERIALIZED (
    SELECT * FROM unnest(%(categories)s::{category_type}[], %(keys)s::text[]) AS w(category, key)
)
"""

# Every key that exemplars have, with its category; NULL is a deleted one.
KEYS_IN_USE = """
SELECT DISTINCT category_id, category_key FROM marketplace_ai_exemplar
WHERE NOT is_none AND (category_id IS NOT NULL OR source <> 'description')
"""

# Of the saved category alone: whether anything is to be done.
MUST_FOLLOW = """
SELECT EXISTS (
    SELECT FROM marketplace_ai_exemplar WHERE category_id = %(category)s AND category_key <> %(key)s
) OR EXISTS (
    SELECT FROM marketplace_ai_exemplar
    WHERE category_id IS NULL AND NOT is_none AND category_key = %(key)s AND source <> 'description'
)
"""

# The first row that is changed locks the exemplars' generation, which others want who hold a row.
LOCK_EXEMPLARS = (
    WANTED  # noqa: S608 (a constant of ours)
    + """
SELECT exemplar.id FROM marketplace_ai_exemplar AS exemplar
WHERE exemplar.category_id IN (SELECT category FROM wanted)
   OR exemplar.category_id IS NULL AND NOT exemplar.is_none
      AND exemplar.category_key IN (SELECT key FROM wanted)
ORDER BY exemplar.id FOR UPDATE
"""
)

# One key at a time could be another's still, as when two categories exchange theirs. No key of a
# category begins with a control character.
PARK_OLD_KEYS = (
    WANTED
    + """
UPDATE marketplace_ai_exemplar AS exemplar SET category_key = chr(1) || exemplar.id
FROM wanted
WHERE exemplar.category_id = wanted.category AND exemplar.category_key <> wanted.key
"""
)

# Of the same text and category only one stays: the one that a person quarantined, else the oldest.
PLACED = (
    WANTED  # noqa: S608 (a constant of ours)
    + """
, belonging AS (
    SELECT wanted.category, exemplar.id FROM wanted
    JOIN marketplace_ai_exemplar AS exemplar ON exemplar.category_id = wanted.category
    UNION ALL
    SELECT wanted.category, exemplar.id FROM wanted
    JOIN marketplace_ai_exemplar AS exemplar
      ON exemplar.category_id IS NULL AND NOT exemplar.is_none
         AND exemplar.category_key = wanted.key
), placed AS (
    SELECT exemplar.id, exemplar.family, row_number() OVER same AS place,
        first_value(exemplar.id) OVER same AS stays
    FROM belonging JOIN marketplace_ai_exemplar AS exemplar ON exemplar.id = belonging.id
    WHERE exemplar.source <> 'description'
    WINDOW same AS (
        PARTITION BY belonging.category, exemplar.text_digest, exemplar.posting_id
        ORDER BY exemplar.state = 'quarantined' DESC, exemplar.category_id IS NULL, exemplar.id
    )
)
"""
)

# The one that stays is of the family of those that go, unless it is of its own.
PASS_FAMILIES_ON = (
    PLACED  # noqa: S608 (a constant of ours)
    + """
UPDATE marketplace_ai_exemplar AS exemplar SET family = gone.family
FROM (SELECT stays, min(family) AS family FROM placed
      WHERE place > 1 AND family <> '' GROUP BY stays) AS gone
WHERE exemplar.id = gone.stays AND exemplar.family = ''
"""
)

DELETE_DUPLICATES = (
    PLACED  # noqa: S608 (a constant of ours)
    + """
DELETE FROM marketplace_ai_exemplar WHERE id IN (SELECT id FROM placed WHERE place > 1)
"""
)

WRITE_KEYS = (
    WANTED
    + """
UPDATE marketplace_ai_exemplar AS exemplar SET category_key = wanted.key
FROM wanted
WHERE exemplar.category_id = wanted.category AND exemplar.category_key <> wanted.key
"""
)

# The trigger makes an orphaned exemplar active. One that a person quarantined stays quarantined.
RELINK = (
    WANTED
    + """
UPDATE marketplace_ai_exemplar AS exemplar SET category_id = wanted.category
FROM wanted
WHERE exemplar.category_id IS NULL AND NOT exemplar.is_none
  AND exemplar.source <> 'description' AND exemplar.category_key = wanted.key
RETURNING exemplar.id, exemplar.state
"""
)

# Stops keep the key too: without it they would not come back with a category that was renamed
# before it was deleted, and another category with the old key would inherit them.
PARK_STOPS = (
    WANTED
    + """
UPDATE marketplace_ai_automationstop AS stop SET category_key = chr(1) || stop.id
FROM wanted
WHERE stop.category_id = wanted.category AND stop.resumed_at IS NULL
  AND stop.category_key <> wanted.key
"""
)

WRITE_STOPS = (
    WANTED
    + """
UPDATE marketplace_ai_automationstop AS stop SET category_key = wanted.key
FROM wanted
WHERE stop.category_id = wanted.category AND stop.resumed_at IS NULL
  AND stop.category_key = chr(1) || stop.id
  AND NOT EXISTS (
      SELECT FROM marketplace_ai_automationstop AS other
      WHERE other.classifier_id = stop.classifier_id AND other.rule = stop.rule
        AND other.category_key = wanted.key AND other.resumed_at IS NULL)
"""
)

# One that waits for the category, since it was deleted, says the same.
DELETE_PARKED_STOPS = """
DELETE FROM marketplace_ai_automationstop AS stop
WHERE stop.category_key = chr(1) || stop.id AND stop.resumed_at IS NULL
"""

# A category whose automation was stopped is not automatic again for having been deleted.
RELINK_STOPS = (
    WANTED
    + """
UPDATE marketplace_ai_automationstop AS stop SET category_id = wanted.category
FROM wanted
WHERE stop.category_id IS NULL AND stop.resumed_at IS NULL AND stop.category_key = wanted.key
"""
)
