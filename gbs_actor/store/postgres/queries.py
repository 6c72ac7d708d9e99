"""The store's queries, and the conversion of rows to records."""

from __future__ import annotations

from collections.abc import Sequence
from types import MappingProxyType
from uuid import UUID

import msgspec

from gbs_actor.lineup.changes import LogEntry, Problem
from gbs_actor.lineup.commands import Kind
from gbs_actor.lineup.fields import FieldValue
from gbs_actor.lineup.records import (
    NEVER,
    Gender,
    Group,
    Memo,
    Person,
    Registration,
    Retreat,
    Stamp,
    UserType,
)
from gbs_actor.store.postgres.connection import Row
from gbs_actor.store.protocol import RetreatVersion

RETREAT = """
SELECT id, revision, removal_revision, epoch,
       EXISTS (SELECT FROM lineup_outside WHERE retreat_id = retreat.id)
           OR EXISTS (SELECT FROM lineup_outside_profile) AS outside
    FROM retreat WHERE slug = $1
"""

GROUPS = "SELECT * FROM gbs WHERE retreat_id = $1 ORDER BY number"

REGISTRATIONS = """
SELECT person.*,
       coalesce(attended.schedule_ids, '{}') AS schedule_ids,
       other.history, other.admin,
       (SELECT count(*) FROM retreat_registration_schedule WHERE retreat_id = $1) AS schedules
    FROM lineup_person AS person
    LEFT JOIN (
        SELECT link.registration_id, array_agg(link.schedule_id ORDER BY link.schedule_id)
                AS schedule_ids
            FROM user_retreat_registration_schedule AS link
            JOIN retreat_registration_schedule AS schedule ON schedule.id = link.schedule_id
            WHERE schedule.retreat_id = $1
            GROUP BY link.registration_id
    ) AS attended ON attended.registration_id = person.id
    LEFT JOIN (
        SELECT memo.registration_id,
               (array_agg(memo.text ORDER BY memo.created_at DESC, memo.id DESC)
                    FILTER (WHERE memo.kind = 'LINEUP_HISTORY'))[1] AS history,
               (array_agg(memo.text ORDER BY memo.created_at DESC, memo.id DESC)
                    FILTER (WHERE memo.kind = 'ADMIN'))[1] AS admin
            FROM user_retreat_registration_memo AS memo
            JOIN user_retreat_registration AS owner ON owner.id = memo.registration_id
            WHERE owner.retreat_id = $1 AND memo.deleted_at IS NULL
                AND memo.kind <> 'LINEUP_STAFF'
            GROUP BY memo.registration_id
    ) AS other ON other.registration_id = person.id
    WHERE person.retreat_id = $1
    ORDER BY person.id
"""
"""The columns of the view ``lineup_registration``, which reads what is of few people faster."""

SCHEDULES = """
SELECT schedule.id, schedule.starts_at, schedule.kind, schedule.name
    FROM retreat_registration_schedule AS schedule
    JOIN retreat ON retreat.id = schedule.retreat_id
    WHERE retreat.slug = $1 ORDER BY schedule.id
"""

COMMANDS = "SELECT * FROM lineup_change WHERE retreat_id = $1 AND command_id = ANY ($2)"

COMMITTED = """
SELECT FROM lineup_change WHERE retreat_id = $1 AND attempt_id = $2 ORDER BY revision DESC LIMIT 1
"""
"""From the end of the log, where it is if it is there, and not from its start."""

LOG = """
SELECT * FROM lineup_change WHERE retreat_id = $1 AND revision > $2 ORDER BY revision LIMIT $3
"""

GRANTS = """
SELECT retreat.slug, granted.user_id, granted.role
    FROM retreat_admin_role AS granted JOIN retreat ON retreat.id = granted.retreat_id
    WHERE retreat.slug = ANY ($1)
"""

SLUG_OF_REGISTRATION = """
SELECT slug FROM retreat
    WHERE id = (SELECT retreat_id FROM user_retreat_registration WHERE id = $1)
"""

SLUG_OF_MEMO = """
SELECT slug FROM retreat
    WHERE id = (
        SELECT registration.retreat_id
            FROM user_retreat_registration_memo AS memo
            JOIN user_retreat_registration AS registration
                ON registration.id = memo.registration_id
            WHERE memo.id = $1 AND memo.kind = 'LINEUP_STAFF'
    )
"""

TITLES = """
SELECT slug, title FROM retreat WHERE $1::text IS NULL OR slug = $1 ORDER BY id DESC
"""

SLUGS = 'SELECT slug FROM retreat ORDER BY slug COLLATE "C"'

NEW_EPOCH = """
UPDATE retreat SET epoch = gen_random_uuid()
    WHERE $1::text IS NULL OR slug = $1 RETURNING id
"""

DELETE = "DELETE FROM retreat WHERE slug = $1 RETURNING id"

PRUNABLE = """
SELECT id, pruned_revision, last FROM retreat, LATERAL (
        SELECT coalesce(
            (SELECT entry.revision FROM lineup_change AS entry
                WHERE entry.retreat_id = retreat.id AND entry.at >= $1
                ORDER BY entry.revision LIMIT 1),
            retreat.revision + 1
        ) - 1 AS last
    ) AS prefix
    WHERE last > pruned_revision ORDER BY id
"""
"""The retreats whose logs have entries before a moment, and the revision ``last`` of those.

Always a prefix, even if times do not ascend: the rest of the log has no gap.
"""

PRUNE_LOG = """
WITH pruned AS (
    DELETE FROM lineup_change WHERE retreat_id = $1 AND revision <= $2 RETURNING 1
), kept AS (
    UPDATE retreat SET pruned_revision = $2 WHERE id = $1 AND pruned_revision < $2
)
SELECT count(*) AS pruned FROM pruned
"""

PRUNED_REVISION = "SELECT pruned_revision FROM retreat WHERE id = $1"

DRAW_MEMO_IDS = """
SELECT id FROM (
    SELECT nextval(pg_get_serial_sequence('user_retreat_registration_memo', 'id')) AS id
        FROM generate_series(1, $1)
) AS drawn
    WHERE NOT EXISTS (SELECT FROM user_retreat_registration_memo AS memo WHERE memo.id = drawn.id)
"""
"""Those that memos have already, as after a restore, are left out."""

WRITE_CHECK = "SELECT lineup_write_check()"


def retreat(
    slug: str, version: RetreatVersion, groups: Sequence[Row], registrations: Sequence[Row]
) -> Retreat:
    """Build a retreat from the rows of :data:`GROUPS` and :data:`REGISTRATIONS`."""
    return Retreat(
        id=version.id,
        slug=slug,
        revision=version.revision,
        epoch=version.epoch,
        registrations=tuple(registration(row) for row in registrations),
        groups=MappingProxyType({row["number"]: group(row) for row in groups}),
        removal_revision=version.removal_revision,
    )


def log_entry(row: Row) -> LogEntry:
    """Build a log entry from a row of ``lineup_change``."""
    return LogEntry(
        revision=row["revision"],
        command_id=UUID(bytes=row["command_id"].bytes),  # asyncpg's own class is slower to hash
        author_id=row["author_id"],
        author_name=row["author_name"],
        kind=Kind(row["kind"]),
        registration_id=row["registration_id"],
        request=row["request"],
        before=_VALUES.decode(row["before"]),
        after=_VALUES.decode(row["after"]),
        at=row["at"],
        skipped=() if row["skipped"] is None else _PROBLEMS.decode(row["skipped"]),
        undoes=row["undoes"],
        removed=tuple(row["removed"] or ()),
        whole=row["whole"],
    )


def registration(row: Row) -> Registration:
    """Build a registration from a row of :data:`REGISTRATIONS`."""
    schedule_ids = tuple(row["schedule_ids"])
    return Registration(
        id=row["id"],
        person=Person(
            user_id=row["user_id"],
            univ_group_id=row["univ_group_id"],
            univ_group_number=row["univ_group_number"],
            grade_id=row["grade_id"],
            grade_number=row["grade_number"],
            gender=_GENDERS[row["gender"]],
            name=row["name"],
            phone_number=row["phone_number"],
            is_full_attendance=len(schedule_ids) == row["schedules"],
            user_type=_USER_TYPES[row["user_type"]],
            schedule_ids=schedule_ids,
            created_at=row["created_at"],
            unresolved_lineup_history_memo=row["history"],
            admin_memo=row["admin"],
        ),
        gbs_number=row["gbs_number"],
        updated_at=row["updated_at"],
        number_stamp=_stamp(row, "gbs"),
        memo=(
            None
            if row["memo_id"] is None
            else Memo(row["memo_id"], row["memo_text"], row["memo_color"])
        ),
        memo_stamp=_stamp(row, "memo"),
        row_revision=row["row_revision"],
        is_leader=row["is_leader"],
        leader_stamp=_stamp(row, "leader"),
        current_leader=row["current_leader"],
        current_leader_stamp=_stamp(row, "current_leader"),
        lineup_number=row["lineup_number"],
        lineup_number_stamp=_stamp(row, "lineup_number"),
    )


def group(row: Row) -> Group:
    """Build a group from a row of :data:`GROUPS`."""
    return Group(
        number=row["number"],
        memo=row["memo"],
        revision=row["revision"],
        memo_stamp=_stamp(row, "memo"),
        stamp=_stamp(row, "exists"),
        deleted=row["deleted"],
    )


def _stamp(row: Row, field: str) -> Stamp:
    revision = row[f"{field}_revision"]
    if not revision:
        return NEVER
    author_id, name = row[f"{field}_author_id"], row[f"{field}_author_name"]
    return Stamp(revision, author_id, name, row[f"{field}_changed_at"], row[f"{field}_origin"])


# Looked up instead of constructed: a load does this for every person.
_GENDERS: dict[str, Gender] = {each.value: each for each in Gender}
_USER_TYPES: dict[str | None, UserType | None] = {
    None: None,
    **{each.value: each for each in UserType},
}
_VALUES = msgspec.json.Decoder(tuple[FieldValue, ...])
_PROBLEMS = msgspec.json.Decoder(tuple[Problem, ...])
