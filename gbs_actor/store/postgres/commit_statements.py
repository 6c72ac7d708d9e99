"""The statements that commit a batch, and their arguments.

``lineup_commit_3`` commits any batch. Most batches are one change, for which there are statements
that cost the database half of that. Each of their steps rests on the one before: the retreat at
the expected revision, its rows, the entry of the log. Where the retreat is not at the expected
revision, none does anything. Where another one finds no row, the entry divides by zero, so that
nothing takes effect; the error quotes no values, as that of a constraint would.

The same where other programs have changed something since that a commit rests on. What one of them
commits while the statement waits for a row is not in its snapshot; the row then is another version
than the one that is.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final
from uuid import UUID

import msgspec

from gbs_actor.lineup.changes import Change, Problem
from gbs_actor.lineup.commands import Kind
from gbs_actor.lineup.fields import FieldValue
from gbs_actor.lineup.records import Group, Registration, Stamp
from gbs_actor.store.protocol import Attempt
from gbs_actor.store.writes import MemoWrite, Writes

_encoder: Final = msgspec.json.Encoder()

COMMIT: Final = """
SELECT * FROM lineup_commit_3($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
"""
"""Arguments from :func:`commit_arguments`. To be prepared: that reads its types."""


def commit_arguments(attempt: Attempt, epoch: UUID | None, writes: Writes) -> tuple[object, ...]:
    """Return the arguments of :data:`COMMIT`: an array of rows for each kind of write.

    The members of a row are in the order of the attributes of its type, see the migrations.
    What the batch leaves as it is, is not sent: its stamp is not of the batch.

    :param epoch: the attempt's, as the database has it.
    """
    people, before = writes.registrations, attempt.expected_revision
    groups: list[tuple[object, ...]] = []
    revisions: list[tuple[object, ...]] = []
    for group in writes.groups:
        if group.stamp.revision > before or group.memo_stamp.revision > before:
            groups.append(_group_write(group))
        else:
            revisions.append((group.number, group.revision))
    numbers = [_number_write(each) for each in people if each.number_stamp.revision > before]
    stamps = [_memo_stamp(each) for each in people if each.memo_stamp.revision > before]
    memos = [_memo_write(memo) for memo in writes.memos if not memo.created]
    created = [_memo_write(memo) for memo in writes.memos if memo.created]
    leaders: list[tuple[object, ...]] = []
    history: list[tuple[object, ...]] = []
    many = [change for change in attempt.changes if change.registration_id is None]
    if many:
        leaders = [_leader_write(each) for each in people if _leader_revision(each) > before]
        history = [
            (attempt.retreat_id, each.revision, id_) for each in many for id_ in _people(each)
        ]
    return (
        attempt.retreat_id,
        epoch,
        attempt.expected_revision,
        attempt.id,
        list(attempt.repeatable),
        groups or None,
        revisions or None,
        numbers or None,
        leaders or None,
        stamps or None,
        memos or None,
        created or None,
        [_log_write(change) for change in attempt.changes],
        history or None,
    )


_RETREAT: Final = """
WITH head AS (
    UPDATE retreat SET revision = $2
        WHERE id = $1 AND revision = $2::bigint - 1 AND epoch = $13
        RETURNING id, set_config('lock_timeout', '200ms', true)
)"""

_NUMBER: Final = """, touched AS (
    UPDATE gbs SET revision = $2
        FROM head
        WHERE gbs.retreat_id = head.id AND gbs.number = ANY ($15::integer[]) AND NOT gbs.deleted
        RETURNING gbs.id, gbs.number
), written AS (
    UPDATE user_retreat_registration AS registration SET
            gbs_id          = (SELECT id FROM touched WHERE number = $16),
            gbs_revision    = $2,
            gbs_author_id   = $4,
            gbs_author_name = $5,
            gbs_changed_at  = $11,
            gbs_origin      = NULL,
            updated_at      = $11
        FROM head
        WHERE registration.id = $14 AND registration.retreat_id = head.id
            AND registration.xmin = (
                SELECT seen.xmin FROM user_retreat_registration AS seen WHERE seen.id = $14
            )
            AND ($16::integer IS NULL OR EXISTS (SELECT FROM touched WHERE number = $16))
        RETURNING 1
)"""

_MEMO: Final = """, stamped AS (
    UPDATE user_retreat_registration AS registration SET
            memo_revision    = $2,
            memo_author_id   = $4,
            memo_author_name = $5,
            memo_changed_at  = $11,
            memo_origin      = NULL,
            updated_at       = $11
        FROM head
        WHERE registration.id = $14 AND registration.retreat_id = head.id
            AND registration.xmin = (
                SELECT seen.xmin FROM user_retreat_registration AS seen WHERE seen.id = $14
            )
        RETURNING registration.id
), written AS ("""

_INSERT_MEMO: Final = """
    INSERT INTO user_retreat_registration_memo
            (id, registration_id, kind, text, color, author_id, created_at, updated_at)
        SELECT $15, stamped.id, 'LINEUP_STAFF', $16, $17, $4, $11, $11 FROM stamped
        RETURNING 1
)"""

_UPDATE_MEMO: Final = """
    UPDATE user_retreat_registration_memo AS memo SET
            text = $16, color = $17, author_id = $4, updated_at = $11{deletion}
        FROM stamped
        WHERE memo.id = $15 AND memo.registration_id = stamped.id
            AND memo.kind = 'LINEUP_STAFF' AND memo.deleted_at IS NULL
            AND memo.xmin = (
                SELECT seen.xmin FROM user_retreat_registration_memo AS seen WHERE seen.id = $15
            )
        RETURNING 1
)"""

_LOG: Final = """
INSERT INTO lineup_change
        (retreat_id, revision, command_id, author_id, author_name, kind,
         registration_id, request, before, after, at, attempt_id)
    SELECT $1::bigint / (SELECT count(*) FROM written WHERE NOT EXISTS (
               SELECT FROM lineup_outside WHERE retreat_id = $1
                   AND (registration_id = $14 OR registration_id IS NULL AND whole)
           )),
           $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12
        FROM head
    RETURNING 1
"""

_ASSIGN_NUMBER: Final = _RETREAT + _NUMBER + _LOG
_MEMO_STATEMENTS: Final = {
    Kind.CREATE_MEMO: _RETREAT + _MEMO + _INSERT_MEMO + _LOG,
    Kind.UPDATE_MEMO: _RETREAT + _MEMO + _UPDATE_MEMO.format(deletion="") + _LOG,
    Kind.DELETE_MEMO: _RETREAT + _MEMO + _UPDATE_MEMO.format(deletion=", deleted_at = $11") + _LOG,
}


PREVENTED: Final = ("22012", "23")
"""How the SQLSTATEs begin of a commit that cannot take effect as it is: the division by zero, and
constraints, as that on command ids. :data:`COMMIT` finds out the reason."""


def commit_of_one_change(
    attempt: Attempt, epoch: UUID, writes: Writes
) -> tuple[str, tuple[object, ...]] | None:
    """Return the statement that commits a batch of one change, and its arguments.

    It takes effect and returns a row, returns none, or fails with one of :data:`PREVENTED`.

    :returns: ``None`` if there is none: the batch is not one change, the change is of another
        kind or without effect, creates a group, writes other rows than its kind does, or an id of
        another command is to be looked up.
    """
    if len(attempt.changes) != 1 or len(writes.registrations) != 1:
        return None
    (change,), (registration,) = attempt.changes, writes.registrations
    if any(command_id != change.command_id for command_id in attempt.repeatable):
        return None
    own: tuple[object, ...]
    if change.kind is Kind.ASSIGN_NUMBER and not writes.memos:
        if any(group.stamp.revision == change.revision for group in writes.groups):
            return None
        sql = _ASSIGN_NUMBER
        own = ([group.number for group in writes.groups], registration.gbs_number)
    elif change.kind in _MEMO_STATEMENTS and len(writes.memos) == 1 and not writes.groups:
        (memo,) = writes.memos
        if memo.created != (change.kind is Kind.CREATE_MEMO):
            return None
        if memo.deleted != (change.kind is Kind.DELETE_MEMO):
            return None
        sql = _MEMO_STATEMENTS[change.kind]
        own = (memo.id, memo.text, memo.color)
    else:
        return None
    log = _log_write(change)[:9]
    head = (attempt.retreat_id, change.revision, *log, attempt.id, epoch)
    return sql, (*head, registration.id, *own)


def _group_write(group: Group) -> tuple[object, ...]:
    return (
        group.number,
        group.memo,
        group.revision,
        _stamp(group.memo_stamp),
        _stamp(group.stamp),
        group.deleted,
    )


def _number_write(registration: Registration) -> tuple[object, ...]:
    return (
        registration.id,
        registration.gbs_number,
        *_stamp(registration.number_stamp),
        registration.updated_at,
    )


def _memo_stamp(registration: Registration) -> tuple[object, ...]:
    return (registration.id, *_stamp(registration.memo_stamp), registration.updated_at)


def _leader_write(registration: Registration) -> tuple[object, ...]:
    return (
        registration.id,
        registration.is_leader,
        registration.current_leader,
        registration.lineup_number,
        _stamp(registration.leader_stamp),
        _stamp(registration.current_leader_stamp),
        _stamp(registration.lineup_number_stamp),
        registration.updated_at,
    )


def _leader_revision(registration: Registration) -> int:
    """Return the revision of the last change to what :func:`_leader_write` returns."""
    return max(
        registration.leader_stamp.revision,
        registration.current_leader_stamp.revision,
        registration.lineup_number_stamp.revision,
    )


def _stamp(stamp: Stamp) -> tuple[object, ...]:
    return (
        stamp.revision,
        stamp.author_id,
        stamp.author_name,
        stamp.at,
        stamp.restored_origin,
    )


def _memo_write(memo: MemoWrite) -> tuple[object, ...]:
    return (
        memo.id,
        memo.registration_id,
        memo.text,
        memo.color,
        memo.deleted,
        memo.author_id,
        memo.at,
    )


def _log_write(change: Change) -> tuple[object, ...]:
    author = change.author
    return (
        change.command_id,
        None if author is None else author.user_id,
        "" if author is None else author.name,
        change.kind.value,
        change.registration_id,
        change.request,
        _json(change.before),
        _json(change.after),
        change.at,
        _json(change.skipped) if change.skipped else None,
        change.undoes,
    )


def _people(change: Change) -> Collection[int]:
    """Return the registrations that a change of many fields addresses."""
    return {value.registration_id for value in change.after if value.registration_id is not None}


def _json(values: tuple[FieldValue, ...] | tuple[Problem, ...]) -> str:
    return _encoder.encode(values).decode()
