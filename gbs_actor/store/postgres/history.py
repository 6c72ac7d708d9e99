"""The statements that read the log's history."""

from __future__ import annotations

from gbs_actor.store.history import HistoryQuery

READ = """
SELECT entry.* FROM lineup_change AS entry
    WHERE entry.retreat_id = $1
        AND ($2::bigint IS NULL OR entry.revision < $2)
        AND ($3::bigint IS NULL OR entry.revision > $3)
        AND ($4::bigint IS NULL OR entry.registration_id = $4 OR entry.revision IN (
            SELECT revision FROM lineup_change_registration
                WHERE retreat_id = $1 AND registration_id = $4
        ))
        AND ($5::integer IS NULL OR EXISTS (
            SELECT FROM jsonb_array_elements(entry.before || entry.after) AS value
                WHERE (value ->> 'gbsNumber')::integer = $5
                    OR (value ->> 'field' = 'gbsNumber' AND value -> 'value' = to_jsonb($5))
        ))
        AND ($6::bigint IS NULL OR entry.author_id = $6)
    ORDER BY entry.revision DESC LIMIT $7
"""
"""Arguments from :func:`read_arguments`."""

ENTRY_BY_REVISION = "SELECT * FROM lineup_change WHERE retreat_id = $1 AND revision = $2"
ENTRY_BY_COMMAND = "SELECT * FROM lineup_change WHERE retreat_id = $1 AND command_id = $2"

REVISION_AT = """
SELECT revision FROM lineup_change WHERE retreat_id = $1 AND at <= $2
    ORDER BY revision DESC LIMIT 1
"""

GROUPS = """
SELECT gbs.number, gbs.id, gbs.created_at
    FROM gbs JOIN retreat ON retreat.id = gbs.retreat_id
    WHERE retreat.slug = $1 AND NOT gbs.deleted ORDER BY gbs.number
"""


def read_arguments(retreat_id: int, query: HistoryQuery) -> tuple[object, ...]:
    """Return the arguments of :data:`READ`."""
    return (
        retreat_id,
        query.before,
        query.after,
        query.registration_id,
        query.gbs_number,
        query.user_id,
        query.limit,
    )
