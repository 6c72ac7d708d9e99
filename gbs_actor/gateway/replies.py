"""Replies in JSON: acknowledgements, or the ``error`` event instead.

Rows and lists arrive encoded (:class:`~gbs_actor.rooms.delivery.EncodedRow`,
:class:`~gbs_actor.rooms.delivery.Snapshot`) and are embedded as they are.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Generic, Literal, TypeVar

import msgspec
from msgspec import UNSET, Raw, UnsetType

from gbs_actor.contract.commands import LEGACY_CODES
from gbs_actor.lineup.changes import Conflict, Problem, Rejection
from gbs_actor.lineup.codes import RETRYABLE, Code
from gbs_actor.lineup.fields import Field, Value
from gbs_actor.lineup.records import Row
from gbs_actor.lineup.row import iso_utc
from gbs_actor.rooms.delivery import Accepted, Done, Snapshot
from gbs_actor.sheets import Problem as SheetProblem

RowT = TypeVar("RowT")


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an event or request failed, with all that the client receives about it."""

    code: str
    """Of :class:`~gbs_actor.lineup.codes.Code`, or :class:`~gbs_actor.auth.AuthErrorCode`."""
    message: str
    retryable: bool = False
    row: Row | None = None
    conflict: Conflict | None = None
    problems: tuple[Problem, ...] = ()
    blocks: tuple[SheetProblem, ...] = ()
    warnings: tuple[SheetProblem, ...] = ()
    oldest_revision: int | None = None
    """With HISTORY_PRUNED the oldest revision that the history still goes back to."""

    @classmethod
    def of(cls, rejection: Rejection, *, repeatable: bool = True) -> Failure:
        """Return a rejection as a failure.

        :param repeatable: whether the client can repeat with the same ``commandId``;
            after OUTCOME_UNKNOWN nothing else is safe to retry.
        """
        retryable = rejection.code in RETRYABLE
        if rejection.code is Code.OUTCOME_UNKNOWN and not repeatable:
            retryable = False
        return cls(
            rejection.code,
            rejection.message,
            retryable,
            rejection.row,
            rejection.conflict,
            rejection.problems,
        )

    @classmethod
    def because(cls, code: Code, message: str) -> Failure:
        """Return a failure found before any room was involved."""
        return cls(code, message, code in RETRYABLE)


class ConflictBody(msgspec.Struct, frozen=True, rename="camel"):
    """The newer value, who wrote it, when, and under which revision."""

    field: str
    theirs: Value
    """The group number (``null``: in none), or the memo (``null``: there is none)."""
    changed_by: str
    changed_at: str | None
    revision: int


class ProblemBody(msgspec.Struct, frozen=True, rename="camel"):
    """Why a part of a command that changes many fields cannot be carried out."""

    index: int | None
    """Of the item among those of the request."""
    registration_id: int | None
    gbs_number: int | None
    """The group's, if it is one of a group."""
    code: Code
    message: str
    field: Field | None
    theirs: Value
    """With CONFLICT the newer value; who wrote it, when, and under which revision."""
    changed_by: str | None
    changed_at: str | None
    revision: int | None


class ChangeResult(msgspec.Struct, Generic[RowT], frozen=True, rename="camel"):
    """What a command came to that may change many fields."""

    updated_count: int
    """People whose own fields it has changed."""
    created_gbs_numbers: tuple[int, ...]
    updated_lineups: tuple[RowT, ...]
    """Every row that changed; of a repeat, those of these people."""
    revision: int | None
    """The room's revision that the change made; of a repeat the original one."""
    conflicts: tuple[ProblemBody, ...]
    """What was left out since it was changed meanwhile."""
    skipped: tuple[ProblemBody, ...]
    """What was left out for another reason."""


class ReadResult(msgspec.Struct, frozen=True):
    """What an event has read."""

    json: bytes
    revision: int | None
    """The room's; ``None`` outside a room."""


class _Ok(msgspec.Struct, frozen=True, rename="camel"):
    status: Literal["OK"]
    data: Raw
    revision: int | None


class _Joined(msgspec.Struct, frozen=True, rename="camel"):
    status: Literal["OK"]
    data: Raw
    revision: int
    epoch: str
    full: bool


class HttpErrorBody(msgspec.Struct, frozen=True, rename="camel"):
    """An error, as the body of an HTTP response."""

    code: str
    message: str
    """For the client's developer."""
    retryable: Literal[True] | UnsetType = UNSET
    """The same request, with the same ``Idempotency-Key``, may be sent again."""
    data: Row | UnsetType = UNSET
    """With CONFLICT the current row."""
    conflict: ConflictBody | UnsetType = UNSET
    """With CONFLICT the newer value."""
    problems: tuple[ProblemBody, ...] | UnsetType = UNSET
    """All of them, where the request has many parts."""
    oldest_revision: int | UnsetType = UNSET
    """With HISTORY_PRUNED the oldest revision that can still be read."""
    blocks: tuple[SheetProblem, ...] | UnsetType = UNSET
    """With IMPORT_BLOCKED what has to be mended in the sheet."""
    warnings: tuple[SheetProblem, ...] | UnsetType = UNSET
    """With NOT_ACKNOWLEDGED what the user has to acknowledge."""


class ErrorBody(msgspec.Struct, frozen=True, rename="camel"):
    """An error as an ack, or as the payload of event ``error``."""

    status: Literal["ERROR"] | UnsetType
    event: str | UnsetType | None
    code: str
    message: str
    legacy_code: str | UnsetType = UNSET
    retryable: bool | UnsetType = UNSET
    data: Row | UnsetType = UNSET
    conflict: ConflictBody | UnsetType = UNSET
    problems: tuple[ProblemBody, ...] | UnsetType = UNSET


_encoder: Final = msgspec.json.Encoder()
_NULL: Final = Raw(b"null")


def joined(snapshot: Snapshot) -> bytes:
    """Return the ack of a join, as JSON; the same bytes for all clients that get this snapshot."""
    json: bytes = snapshot.written(_Joined, _write_joined)
    return json


def _write_joined(snapshot: Snapshot) -> bytes:
    rows, revision = Raw(snapshot.rows), snapshot.revision
    return _encoder.encode(_Joined("OK", rows, revision, snapshot.epoch, snapshot.full))


def accepted(outcome: Accepted, *, outside_room: bool = False) -> bytes:
    """Return the ack of a mutation that took effect, as JSON.

    :param outside_room: leave the revision out, since it is of a room the client is not in.
    """
    revision = None if outside_room else outcome.revision
    row = outcome.row
    data = Raw(change_result(outcome, revision) if row is None else row.json)
    return _encoder.encode(_Ok("OK", data, revision))


def change_result(outcome: Accepted, revision: int | None) -> bytes:
    """Return what a command came to that addresses no row of its own, as JSON."""
    result = outcome.result
    conflicts = [each for each in result.skipped if each.code is Code.CONFLICT]
    others = [each for each in result.skipped if each.code is not Code.CONFLICT]
    return _encoder.encode(
        ChangeResult(
            updated_count=len(result.updated),
            created_gbs_numbers=result.created,
            updated_lineups=tuple(Raw(row.json) for row in outcome.rows),
            revision=revision,
            conflicts=problem_bodies(conflicts),
            skipped=problem_bodies(others),
        )
    )


def read(result: ReadResult) -> bytes:
    """Return the ack of an event that reads, as JSON."""
    return _encoder.encode(_Ok("OK", Raw(result.json), result.revision))


def done(outcome: Done) -> bytes:
    """Return the ack of an event without a result, as JSON."""
    return _encoder.encode(_Ok("OK", _NULL, outcome.revision))


def failed(event: str, failure: Failure) -> bytes:
    """Return the ack of an event that failed, as JSON."""
    return _encoder.encode(_error("ERROR", UNSET, event, failure))


def error_event(event: str | None, failure: Failure) -> bytes:
    """Return the payload of event ``error``, as JSON: the ack's, with ``event`` for ``status``.

    :param event: the client's event that failed; ``None`` if no event was the cause.
    """
    return _encoder.encode(_error(UNSET, event, event, failure))


def http_error(failure: Failure) -> bytes:
    """Return the body of an HTTP error, as JSON."""
    return _encoder.encode(
        HttpErrorBody(
            failure.code,
            failure.message,
            True if failure.retryable else UNSET,
            UNSET if failure.row is None else failure.row,
            UNSET if failure.conflict is None else _conflict(failure.conflict),
            problem_bodies(failure.problems) or UNSET,
            UNSET if failure.oldest_revision is None else failure.oldest_revision,
            failure.blocks or UNSET,
            failure.warnings or UNSET,
        )
    )


def _error(
    status: Literal["ERROR"] | UnsetType,
    shown_event: str | UnsetType | None,
    event: str | None,
    failure: Failure,
) -> ErrorBody:
    return ErrorBody(
        status=status,
        event=shown_event,
        code=failure.code,
        message=failure.message,
        legacy_code=LEGACY_CODES.get(event, UNSET) if event is not None else UNSET,
        retryable=True if failure.retryable else UNSET,
        data=UNSET if failure.row is None else failure.row,
        conflict=UNSET if failure.conflict is None else _conflict(failure.conflict),
        problems=problem_bodies(failure.problems) or UNSET,
    )


def _conflict(conflict: Conflict) -> ConflictBody:
    return ConflictBody(
        field=conflict.field,
        theirs=conflict.theirs,
        changed_by=conflict.changed_by,
        changed_at=None if conflict.changed_at is None else iso_utc(conflict.changed_at),
        revision=conflict.revision,
    )


def problem_bodies(problems: Iterable[Problem]) -> tuple[ProblemBody, ...]:
    """Return problems as clients get them."""
    return tuple(
        ProblemBody(
            index=each.index,
            registration_id=each.registration_id,
            gbs_number=each.gbs_number,
            code=each.code,
            message=each.message,
            field=each.field,
            theirs=each.theirs,
            changed_by=each.changed_by or None,
            changed_at=None if each.changed_at is None else iso_utc(each.changed_at),
            revision=each.revision or None,
        )
        for each in problems
    )
