"""What becomes of a command: a change to commit, or a rejection."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec

from gbs_actor.lineup.codes import Code
from gbs_actor.lineup.commands import Author, Kind
from gbs_actor.lineup.fields import Field, FieldValue, Value
from gbs_actor.lineup.records import Group, Registration, Row


class Problem(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True, gc=False):
    """Why a part of a command that changes many fields cannot be carried out."""

    code: Code
    message: str
    index: int | None = None
    """Of the item among those of the command."""
    registration_id: int | None = None
    gbs_number: int | None = None
    """The group's, if the problem is one of a group."""
    field: Field | None = None
    theirs: Value = None
    """With CONFLICT the newer value."""
    changed_by: str = ""
    changed_at: datetime | None = None
    revision: int = 0
    """Of the newer value."""


class Change(msgspec.Struct, frozen=True, gc=False):
    """An accepted command, ready to be committed and then applied.

    A no-op (the fields have the wanted values already) has no registrations, groups or
    rows, and still takes a revision.
    """

    revision: int
    command_id: UUID
    author: Author | None
    """``None`` for a fence."""
    kind: Kind
    at: datetime
    request: bytes
    """The action, see :func:`~gbs_actor.lineup.commands.request_bytes`: the same id with another
    request is refused."""
    registration_id: int | None = None
    """The one registration that the command addresses, if it addresses one."""
    before: tuple[FieldValue, ...] = ()
    """The fields that the command writes, as they were. A no-op on one registration has the
    value that it found both here and in ``after``; so has a command that changes either the group
    or the flag of a leader, of the other."""
    after: tuple[FieldValue, ...] = ()
    """The same fields in the same order, as they are now."""
    registrations: tuple[Registration, ...] = ()
    """New states of the registrations whose own fields change."""
    groups: tuple[Group, ...] = ()
    """New states of the groups that change: totals, memo, order, created or deleted."""
    rows: tuple[Row, ...] = ()
    """Every row that reads differently now, the addressed one included, in list order."""
    row: Row | None = None
    """The addressed row as it is after the change, also of a no-op."""
    skipped: tuple[Problem, ...] = ()
    """What the command asked for and could not be carried out."""
    undoes: int | None = None
    """The revision that an undo has undone."""


class Result(msgspec.Struct, frozen=True, gc=False):
    """What a command with many parts came to, beside the rows."""

    updated: tuple[int, ...] = ()
    """Ids of the registrations whose own fields it has changed."""
    created: tuple[int, ...] = ()
    """Numbers of the groups that it has created."""
    skipped: tuple[Problem, ...] = ()
    """What it asked for and could not be carried out."""


def written(
    before: tuple[FieldValue, ...], after: tuple[FieldValue, ...]
) -> Iterator[tuple[FieldValue, FieldValue]]:
    """Return each field whose value a change replaced, before and after it."""
    for former, value in zip(before, after, strict=True):
        if former.value != value.value:
            yield former, value


def result_of(change: Change | LogEntry) -> Result:
    """Return what a command came to, from its change or from what the log has of it."""
    updated: dict[int, None] = {}
    created: list[int] = []
    for _, value in written(change.before, change.after):
        if value.registration_id is not None:
            updated[value.registration_id] = None
        elif value.field is Field.EXISTS and value.value and value.gbs_number is not None:
            created.append(value.gbs_number)
    return Result(tuple(updated), tuple(sorted(created)), change.skipped)


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

    field: Field
    theirs: Value
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
    problems: tuple[Problem, ...] = ()
    """All of them, where the command has many parts."""


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
    before: tuple[FieldValue, ...]
    after: tuple[FieldValue, ...]
    at: datetime
    skipped: tuple[Problem, ...] = ()
    undoes: int | None = None
    removed: tuple[int, ...] = ()
    """Registrations that other programs have removed."""
    whole: bool = False
    """Whether other programs may have changed more of the retreat than the entry has."""

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
            skipped=change.skipped,
            undoes=change.undoes,
        )

    def written(self) -> Iterator[tuple[FieldValue, FieldValue]]:
        """Return each field whose value the change replaced, before and after it."""
        return written(self.before, self.after)
