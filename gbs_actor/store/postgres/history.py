"""The statements that read the log's history."""

from __future__ import annotations

from gbs_actor.store.history import HistoryQuery

_READ = """
SELECT entry.* FROM lineup_change AS entry
    WHERE entry.retreat_id = $1
        AND ($2::bigint IS NULL OR entry.revision < $2)
        AND ($3::bigint IS NULL OR entry.revision > $3)
        AND {is_of_person}
        AND ($5::integer IS NULL OR EXISTS (
            SELECT FROM jsonb_array_elements(entry.before || entry.after) AS value
                WHERE (value ->> 'gbsNumber')::integer = $5
                    OR (value ->> 'field' = 'gbsNumber' AND value -> 'value' = to_jsonb($5))
        ))
        AND ($6::bigint IS NULL OR entry.author_id = $6)
    ORDER BY entry.revision DESC LIMIT $7
"""
_READ_ALL = _READ.format(is_of_person="$4::bigint IS NULL")
_READ_PERSON = _READ.format(
    is_of_person="""entry.revision IN (
            SELECT revision FROM lineup_change WHERE retreat_id = $1 AND registration_id = $4
            UNION ALL
            SELECT revision FROM lineup_change_registration
                WHERE retreat_id = $1 AND registration_id = $4
        )"""
)
"""A statement of its own: under an OR the entries of others would be read, too."""

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


def statement(retreat_id: int, query: HistoryQuery) -> tuple[str, tuple[object, ...]]:
    """Return the statement that reads entries of the log, newest first, and its arguments."""
    return _READ_ALL if query.registration_id is None else _READ_PERSON, (
        retreat_id,
        query.before,
        query.after,
        query.registration_id,
        query.gbs_number,
        query.user_id,
        query.limit,
    )
