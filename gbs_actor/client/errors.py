"""Exceptions of a client's calls."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import msgspec

from gbs_actor.lineup.records import Row


@dataclass(frozen=True, slots=True)
class ConflictDetails:
    """The value that was set after a command's base revision."""

    field: str
    """``gbsNumber`` or ``lineupMemo``."""
    theirs: object
    """The newer value: a number or ``None``; for a memo the object that the server sends."""
    changed_by: str
    changed_at: datetime | None
    """Aware, UTC."""
    revision: int


class Problem(msgspec.Struct, frozen=True, rename="camel"):
    """Why a part of a command that changes many fields cannot be carried out."""

    code: str
    message: str
    index: int | None = None
    """Of the assignment, in a bulk edit."""
    registration_id: int | None = None
    gbs_number: int | None = None
    """The group's, if it is one of a group."""
    field: str | None = None
    theirs: object = None
    """With ``CONFLICT`` the newer value; who set it, when (aware, UTC), and its revision."""
    changed_by: str | None = None
    changed_at: datetime | None = None
    revision: int | None = None


class ClientError(Exception):
    """Base of the client's exceptions."""


class ConnectError(ClientError):
    """The server refused this client; a retry with the same token is useless.

    :param message: the server's sentence, e.g. ``Invalid token``.
    :param code: the server's code, e.g. ``INVALID_TOKEN``; for a refused WebSocket
        handshake ``HTTP_`` and the status.
    """

    def __init__(self, message: str, code: str) -> None:
        super().__init__(f"{message} ({code})")
        self.message = message
        self.code = code


class Disconnected(ClientError):
    """There was no reply: no connection, or none that lasted long enough.

    :param message: what happened last.
    :param command_id: id of the command whose outcome is unknown: the same command may be
        sent again with this id, and takes effect once. ``None`` if nothing was sent.
    """

    def __init__(self, message: str, command_id: UUID | None = None) -> None:
        super().__init__(message)
        self.command_id = command_id


class CommandFailed(ClientError):
    """The server replied with an error.

    :param code: see the wire contract, e.g. ``CONFLICT``.
    :param row: the current row, for ``CONFLICT``.
    :param conflict: the newer value, for ``CONFLICT``.
    :param problems: all of them, of a command that changes many fields.
    :param command_id: the command's id, needed to repeat it after ``OUTCOME_UNKNOWN``.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        row: Row | None = None,
        conflict: ConflictDetails | None = None,
        problems: tuple[Problem, ...] = (),
        command_id: UUID | None = None,
    ) -> None:
        super().__init__(f"{message} ({code})")
        self.code = code
        self.message = message
        self.row = row
        self.conflict = conflict
        self.problems = problems
        self.command_id = command_id
