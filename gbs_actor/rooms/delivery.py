"""What a room hands to a connection, and what it asks of one.

A room knows nothing of Socket.IO or WebSocket: each connection brings a :class:`Sink`,
and sinks that speak the same wire format share one :class:`Format`, so that a message is
encoded once for all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import msgspec

from gbs_actor.lineup.changes import Rejection


@dataclass(frozen=True, slots=True)
class EncodedRow:
    """A line-up row as of one revision, encoded once."""

    id: int
    revision: int
    json: bytes


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What a join or a read is answered with.

    There is one for each revision, and for all who ask for the same: what is made of it is
    kept with it.
    """

    revision: int
    epoch: str
    full: bool
    """Whether ``rows`` replaces the client's list, or is merged into it by id."""
    rows: bytes
    """A JSON array, in list order."""
    _written: dict[object, Any] = field(default_factory=dict, init=False, compare=False, repr=False)

    def written(self, key: object, write: Callable[[Snapshot], Any]) -> Any:
        """Return what ``write`` makes of it; of a full list once for all who ask alike.

        A part is for those who have missed just that, and its kinds may be many.

        :param key: stands for ``write``.
        """
        if not self.full:
            return write(self)
        if key not in self._written:
            self._written[key] = write(self)
        return self._written[key]


@dataclass(frozen=True, slots=True)
class Accepted:
    """A command that took effect, or a repeat of one that did."""

    revision: int
    """The revision the command got, for a repeat the original one."""
    row: EncodedRow
    """The addressed row as it is now."""
    rows: tuple[EncodedRow, ...]
    """Every row the command changed; for a repeat the addressed row only."""
    repeated: bool = False


@dataclass(frozen=True, slots=True)
class Done:
    """A leave or an editing mark that was carried out."""

    revision: int | None
    """The room's revision; ``None`` outside a room."""


class Editing(msgspec.Struct, frozen=True, rename="camel"):
    """Somebody starts or ends editing a field: the payload of ``user-editing``."""

    lineup_id: int
    user_retreat_registration_id: int
    user_id: int
    admin_user_id: int
    user_name: str
    field: str | None
    editing: bool


class EditedField(msgspec.Struct, frozen=True, rename="camel"):
    """Where a present user is editing."""

    lineup_id: int
    field: str | None


class PresentUser(msgspec.Struct, frozen=True, rename="camel"):
    """One user in a room, however many connections they have."""

    user_id: int
    user_name: str
    connections: int
    editing: tuple[EditedField, ...]


class Presence(msgspec.Struct, frozen=True, rename="camel"):
    """Who is in a room: the payload of ``room-presence``."""

    users: tuple[PresentUser, ...]
    """At most 100."""
    total: int
    """Users, not connections."""


class Format(Protocol):
    """One way of writing a room's messages. What it returns only its own sinks read.

    Sinks of the same wire format share the very same object; rooms compare by identity.
    """

    def update(self, row: EncodedRow) -> Any:
        """Encode a changed row."""
        ...

    def bundle(self, updates: Sequence[Any]) -> Any:
        """Join two or more messages into one, in this order.

        :param updates: what :meth:`update` returned, or :meth:`editing`.
        """
        ...

    def presence(self, presence: Presence, revision: int) -> Any:
        """Encode who is in the room.

        :param revision: the room's; whoever gets this has been sent all rows up to it.
        """
        ...

    def editing(self, editing: Editing, mark: int, revision: int) -> Any:
        """Encode an editing mark.

        :param mark: tells whose connection's slot it is.
        :param revision: as for :meth:`presence`.
        """
        ...


@dataclass(frozen=True, slots=True)
class SinkStatistics:
    """How far behind a connection is."""

    queued: int
    """Messages that wait."""
    queued_bytes: int
    conflated: int
    """Waiting row updates that a newer state of the same row has replaced."""
    behind_for: float
    """Seconds since the connection last had nothing waiting; 0 if nothing waits."""


class Sink(Protocol):
    """Where a subscriber's messages go: the outbox of one connection.

    No method blocks. After the connection has ended, deliveries do nothing.
    """

    @property
    def format(self) -> Format:
        """The wire format shared with the other sinks of its kind."""
        ...

    def deliver(self, message: Any) -> None:
        """Send now or queue what :attr:`format` encoded."""
        ...

    def abort(self) -> None:
        """End the connection at once; called where a delivery raised."""
        ...

    def statistics(self) -> SinkStatistics:
        """Return how far behind the connection is."""
        ...


CommandReply = Callable[[Accepted | Rejection], None]
"""Called exactly once, from the room's task, behind the rows of the command's revision."""

JoinReply = Callable[[Snapshot | Rejection], None]
"""Called exactly once, at the join's place in what goes out on the connection."""

DoneReply = Callable[[Done | Rejection], None]
"""Called exactly once, for leaving and editing marks."""
