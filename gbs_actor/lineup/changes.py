"""What becomes of a command: a change to commit, or a rejection."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec

from gbs_actor.lineup.codes import Code
from gbs_actor.lineup.commands import Author, Kind
from gbs_actor.lineup.records import Group, Registration, Row


class NumberValue(msgspec.Struct, frozen=True, rename="camel", tag_field="field", tag="gbsNumber"):
    """The value of a registration's group number before or after a change."""

    gbs_number: int | None


class MemoValue(msgspec.Struct, frozen=True, rename="camel", tag_field="field", tag="lineupMemo"):
    """The value of a registration's memo before or after a change; no id: no memo."""

    memo_id: int | None = None
    text: str = ""
    color: str = ""


FieldValue = NumberValue | MemoValue


class Change(msgspec.Struct, frozen=True, gc=False):
    """An accepted command, ready to be committed and then applied.

    A no-op (the field has the wanted value already) has no registrations, groups or
    rows, and still takes a revision. A fence has no registration id either.
    """

    revision: int
    command_id: UUID
    author: Author | None
    """``None`` for a fence."""
    kind: Kind
    at: datetime
    request: bytes
    """Canonical JSON of the action: the same id with another request is refused."""
    registration_id: int | None = None
    before: FieldValue | None = None
    after: FieldValue | None = None
    registrations: tuple[Registration, ...] = ()
    """New states of the registrations whose own fields change (none or one)."""
    groups: tuple[Group, ...] = ()
    """New states of the groups whose totals change, created ones included."""
    rows: tuple[Row, ...] = ()
    """Every row that reads differently now, the addressed one included."""
    row: Row | None = None
    """The addressed row as it is after the change, also of a no-op."""


FENCE_REQUEST: Final = b'{"action":"fence"}'
"""What the log has as the request of a fence."""


def fence(revision: int, command_id: UUID, at: datetime) -> Change:
    """Return a change that only takes ``revision``, so that a late commit finds it taken."""
    return Change(
        revision=revision,
        command_id=command_id,
        author=None,
        kind=Kind.FENCE,
        at=at,
        request=FENCE_REQUEST,
    )


@dataclass(frozen=True, slots=True)
class Conflict:
    """The newer value that a command with an older base revision conflicts with."""

    field: str
    """``gbsNumber`` or ``lineupMemo``."""
    theirs: NumberValue | MemoValue
    changed_by: str
    changed_by_id: int | None
    changed_at: datetime | None
    revision: int


@dataclass(frozen=True, slots=True)
class Rejection:
    """A command that changes nothing, and why."""

    code: Code
    message: str
    row: Row | None = None
    """The row as it is, for CONFLICT."""
    conflict: Conflict | None = None


@dataclass(frozen=True, slots=True)
class LogEntry:
    """A change as the log remembers it."""

    revision: int
    command_id: UUID
    author_id: int | None
    author_name: str
    kind: Kind
    registration_id: int | None
    request: bytes
    before: FieldValue | None
    after: FieldValue | None
    at: datetime

    @classmethod
    def of(cls, change: Change) -> LogEntry:
        """Return a change as the log remembers it."""
        return cls(
            revision=change.revision,
            command_id=change.command_id,
            author_id=None if change.author is None else change.author.user_id,
            author_name="" if change.author is None else change.author.name,
            kind=change.kind,
            registration_id=change.registration_id,
            request=change.request,
            before=change.before,
            after=change.after,
            at=change.at,
        )
