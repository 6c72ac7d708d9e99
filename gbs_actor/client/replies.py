"""Replies of the server: the contents of acknowledgements."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import msgspec

from gbs_actor.client.errors import CommandFailed, ConflictDetails, Problem
from gbs_actor.lineup.records import Row

NULL = msgspec.Raw(b"null")


class ChangeResult(msgspec.Struct, frozen=True, rename="camel"):
    """What became of a command that may change many fields."""

    updated_count: int
    """People whose own fields it has changed."""
    created_gbs_numbers: tuple[int, ...]
    """Numbers of the groups that it has created."""
    updated_lineups: tuple[Row, ...]
    """Every row that reads differently; of a repeat those of these people, as they are now."""
    revision: int | None
    """Of the change; of a repeat the original one. ``None`` outside a room."""
    conflicts: tuple[Problem, ...]
    """What was left out since it was changed meanwhile."""
    skipped: tuple[Problem, ...]
    """What was left out for another reason."""


class ListedLeader(msgspec.Struct, frozen=True):
    """Who leads a group."""

    id: int
    """User id, as :meth:`Client.assign_leaders` takes it."""
    name: str


class ListedGroup(msgspec.Struct, frozen=True, rename="camel"):
    """One group, whether or not it has members."""

    id: int
    number: int
    memo: str
    leaders: tuple[ListedLeader, ...]
    created_at: datetime
    """Aware, UTC."""


class Reply(msgspec.Struct, frozen=True, rename="camel"):
    """The argument of an acknowledgement, with its data still in JSON."""

    status: str
    data: msgspec.Raw = NULL
    revision: int | None = None
    epoch: str | None = None
    full: bool = True
    code: str = ""
    message: str = ""
    retryable: bool = False
    conflict: msgspec.Raw = NULL
    problems: tuple[Problem, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether the event succeeded."""
        return self.status == "OK"

    @property
    def final(self) -> bool:
        """Whether sending the event again would change nothing."""
        return self.ok or not self.retryable

    def rows(self) -> list[Row]:
        """Decode the data of a join.

        :raises msgspec.MsgspecError: they are no rows.
        """
        return _rows.decode(self.data)

    def row(self) -> Row | None:
        """Decode the row in a command's reply: after a conflict, the current row.

        :raises msgspec.MsgspecError: it is no row.
        """
        if self.ok or (self.code == "CONFLICT" and self.data != NULL):
            return _row.decode(self.data)
        return None

    def result(self) -> ChangeResult:
        """Decode what a command that may change many fields came to.

        :raises msgspec.MsgspecError: it is no result.
        """
        return _result.decode(self.data)

    def groups(self) -> tuple[ListedGroup, ...]:
        """Decode the list of groups.

        :raises msgspec.MsgspecError: it is none.
        """
        return _groups.decode(self.data).gbs_list

    def failure(self, command_id: UUID | None) -> CommandFailed:
        """Return the exception for an error."""
        details = None if self.conflict == NULL else _conflict.decode(self.conflict)
        return CommandFailed(
            self.code,
            self.message,
            row=self.row(),
            conflict=None if details is None else details.details(),
            problems=self.problems,
            command_id=command_id,
        )


class _Groups(msgspec.Struct, frozen=True, rename="camel"):
    gbs_list: tuple[ListedGroup, ...]


class _Conflict(msgspec.Struct, frozen=True, rename="camel"):
    field: str
    theirs: object = None
    changed_by: str = ""
    changed_at: datetime | None = None
    revision: int = 0

    def details(self) -> ConflictDetails:
        return ConflictDetails(
            self.field, self.theirs, self.changed_by, self.changed_at, self.revision
        )


_rows = msgspec.json.Decoder(list[Row])
_row = msgspec.json.Decoder(Row)
_result = msgspec.json.Decoder(ChangeResult)
_groups = msgspec.json.Decoder(_Groups)
_conflict = msgspec.json.Decoder(_Conflict)
