"""What a room sends to a client, what it replies, and what it needs of a connection.

A room knows nothing of Socket.IO or WebSocket: each connection brings a :class:`Sink`,
and sinks of the same wire format share one :class:`Format`, so that a message is encoded
once for all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import msgspec

from gbs_actor.lineup.changes import Rejection, Result
from gbs_actor.lineup.codes import Code
from gbs_actor.rooms.encoded import EncodedRow, PartsUpdate

# -- rows


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The rows of a retreat, as a join or a read gets them.

    All who ask for the same rows at the same revision get the same object; what is encoded
    from it is kept with it.
    """

    revision: int
    epoch: str
    full: bool
    """Whether ``rows`` replaces the client's list, or is merged into it by id."""
    rows: bytes
    """A JSON array, in list order."""
    _written: dict[object, Any] = field(default_factory=dict, init=False, compare=False, repr=False)

    def written(self, key: object, write: Callable[[Snapshot], Any]) -> Any:
        """Return ``write(self)``; for a full list it is called once per key.

        A partial list is not kept: there may be many, each for one client.

        :param key: stands for ``write``.
        """
        if not self.full:
            return write(self)
        if key not in self._written:
            self._written[key] = write(self)
        return self._written[key]


# -- replies


NO_RESULT: Final = Result()


class Accepted(msgspec.Struct, frozen=True, gc=False):
    """A command that took effect, or a repeat of one that did."""

    revision: int
    """The revision the command got, for a repeat the original one."""
    row: EncodedRow | None
    """The addressed row as it is now, if the command addresses one."""
    rows: tuple[EncodedRow, ...]
    """Every row the command changed; for a repeat those whose own fields it addressed."""
    repeated: bool = False
    result: Result = NO_RESULT
    """With a command that addresses no row of its own: what it came to."""


class Done(msgspec.Struct, frozen=True, gc=False):
    """A leave or an editing mark that was carried out."""

    revision: int | None
    """The room's revision; ``None`` outside a room."""


CommandReply = Callable[[Accepted | Rejection], None]
"""Called exactly once, from the room's task, behind the rows of the command's revision."""

JoinReply = Callable[[Snapshot | Rejection], None]
"""Called exactly once, in the order of what goes out on the connection."""

DoneReply = Callable[[Done | Rejection], None]
"""Called exactly once, for leaving and editing marks."""

NOT_IN_ROOM: Final = Rejection(Code.NOT_IN_ROOM, "Join a retreat first")
NO_SUCH_RETREAT: Final = Rejection(Code.RETREAT_NOT_FOUND, "There is no such retreat")
NO_SUCH_ROW: Final = Rejection(Code.NOT_FOUND, "There is no such registration in this retreat")
OTHER_COMMAND: Final = Rejection(
    Code.VALIDATION_FAILED, "commandId: it was used for another command already"
)
HISTORY_PRUNED: Final = Rejection(Code.HISTORY_PRUNED, "The history does not go back so far")
TOO_MUCH_MISSED: Final = Rejection(
    Code.VALIDATION_FAILED, "since: the rows from there on are not all that was missed"
)
BUSY: Final = Rejection(Code.ROOM_BUSY, "The room has too much to do; try again")
ROWS_HELD: Final = Rejection(
    Code.ROOM_BUSY, "Another program is changing this; try again in a moment"
)
RESTARTED: Final = Rejection(Code.ROOM_RESTARTED, "The room is being restarted; try again")
UNAVAILABLE: Final = Rejection(
    Code.ROOM_UNAVAILABLE, "The room has failed too often and is closed for now; try again later"
)
SHUTTING_DOWN: Final = Rejection(Code.ROOM_UNAVAILABLE, "The server is shutting down; try again")
STORE_DOWN: Final = Rejection(Code.STORE_UNAVAILABLE, "The database cannot be reached; try again")
UNKNOWN_OUTCOME: Final = Rejection(
    Code.OUTCOME_UNKNOWN,
    "It is not known whether the change was saved; try again with the same commandId",
)
INTERNAL: Final = Rejection(Code.INTERNAL, "The command could not be carried out")

# -- presence and editing marks


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
    """What a present user is editing."""

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


# -- connections


class Format(Protocol):
    """One wire format of a room's messages; only its own sinks read what it returns.

    Sinks of the same wire format share the very same object; rooms compare by identity.
    """

    @property
    def batched(self) -> bool:
        """Whether changes go out in the batch form, by :meth:`lineups`; else by :meth:`update`."""
        ...

    @property
    def repeats_recent(self) -> bool:
        """Whether recent changes also follow the rows, for one who joins without a revision."""
        ...

    def update(self, row: EncodedRow) -> Any:
        """Encode a changed row."""
        ...

    def lineups(self, update: PartsUpdate) -> Any:
        """Encode changed rows and groups that go out together."""
        ...

    def bundle(self, updates: Sequence[Any]) -> Any:
        """Join two or more messages into one, in this order.

        :param updates: what :meth:`update` returned, or :meth:`editing`.
        """
        ...

    def cut(self, bundle: Any, start: int, end: int) -> Any:
        """Return some messages of a bundle as one, from index ``start`` up to ``end``.

        :param bundle: of what :meth:`update` returned.
        """
        ...

    def presence(self, presence: Presence, revision: int) -> Any:
        """Encode who is in the room.

        :param revision: the room's; whoever gets this has been sent all rows up to it.
        """
        ...

    def editing(self, editing: Editing, mark: int, revision: int) -> Any:
        """Encode an editing mark.

        :param mark: number of the connection that edits: a newer state of its mark
            replaces this one.
        :param revision: as for :meth:`presence`.
        """
        ...


class SinkStatistics(msgspec.Struct, frozen=True, rename="camel"):
    """What a connection is, and how far behind."""

    queued: int
    """Messages that wait."""
    queued_bytes: int
    conflated: int
    """Waiting row updates that a newer state of the same row has replaced."""
    behind_for: float
    """Seconds since the connection last had nothing waiting; 0 if nothing waits."""
    protocol: str | None = None
    """What is spoken on it: ``socket.io``, or ``websocket`` for plain WebSockets."""
    transport: str | None = None
    """``websocket`` or ``polling``; ``None``: not known."""
    round_trip: float | None = None
    """Seconds from the last ping to its pong; ``None``: not known."""


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

    def hold(self) -> None:
        """Hold back what is delivered and replied, so that it goes out together.

        :meth:`release` follows, without a checkpoint in between.
        """
        ...

    def release(self) -> None:
        """Send what was held back, in its order."""
        ...

    def close_restarting(self) -> None:
        """Close the connection behind what it was sent; its client comes back with a back-off."""
        ...

    def abort(self) -> None:
        """End the connection at once; called where a delivery raised."""
        ...

    def statistics(self) -> SinkStatistics:
        """Return how far behind the connection is."""
        ...
