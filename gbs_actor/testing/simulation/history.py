"""What happened in a run, in one order, as its clients and its store have seen it.

The players of a simulation record it, and the checker reads nothing else. Contents are those of the
wire, whichever layer was simulated, so that one checker serves all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal
from uuid import UUID

import trio

from gbs_actor.lineup.changes import LogEntry
from gbs_actor.lineup.records import Retreat

Json = Mapping[str, Any]
"""An object of the wire, decoded."""

Form = Literal["rows", "batch"]
"""Whether a connection is sent a ``lineup-updated`` per row, or ``lineups-updated``."""

Ending = Literal["client", "disconnect", "server"]
"""What ends a connection: its client, which closes or loses it; the server, by a DISCONNECT, or in
any other way."""

Access = Literal["none", "read", "edit"]
"""What a user may do in a retreat."""

READ = "read"
"""The :attr:`Invoked.event` of a read without a subscription, such as a GET."""


class Cause(StrEnum):
    """Why something may be refused for now, or a connection may end."""

    STORE = "store"
    """A call of the store fails, hangs or is slow."""
    CRASH = "crash"
    """The room is down: crashed, restarted by an operator, in its back-off, or failed."""
    STOP = "stop"
    """The room or the server ends: an idle stop, a drain, a shutdown."""
    KILL = "kill"
    """The process is gone, and then starts again."""
    LOAD = "load"
    """A limit is reached: mailbox, rate, connections, memory."""
    NETWORK = "network"
    """The client's connection is cut, stalls or is slow."""
    IDENTITY = "identity"
    """The client's token expires or is renewed, or its grant changes."""
    STALE = "stale"
    """Another writer has changed the retreat, or given it another epoch."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A client has a connection, whose messages form one sequence."""

    connection: int
    """Unique in the run."""
    client: int
    user_id: int
    form: Form
    resumed: bool = False
    """Whether the session of an earlier connection goes on, without a join."""
    slug: str | None = None
    """The retreat that it joins by connecting; ``initial-data`` follows."""
    presence: bool = True
    """Whether it is sent who is there each time that changes, and not only when it joins."""


@dataclass(frozen=True, slots=True)
class Closed:
    """A connection has ended for its client, who takes nothing more from it."""

    connection: int
    code: int | None = None
    """Of the WebSocket's close frame, or the status that polling ended with, if there was one."""
    ending: Ending | None = None
    """``None``: it is not known."""
    half_open: bool = False
    """Whether the server learns nothing of it, and keeps its end: the client has vanished."""


@dataclass(frozen=True, slots=True)
class Invoked:
    """A client asks for something: a command, a join, a leave, a read."""

    invocation: int
    """Unique in the run; a repeat of a command is another one, with the same command id."""
    client: int
    user_id: int
    connection: int | None
    """``None``: over HTTP, or without any."""
    event: str
    """As on the wire, or :data:`READ`."""
    argument: Json
    """As sent."""
    slug: str | None
    """The retreat it is about, as far as the client knows."""
    command_id: UUID | None
    """The one that the client gave."""
    outside: bool = False
    """Whether the client is in no room, or asks over HTTP."""
    operator: bool = False
    """Whether it may undo the changes of others."""


@dataclass(frozen=True, slots=True)
class Answered:
    """The one answer to an invocation has reached its client."""

    invocation: int
    reply: Json
    """As an ack: ``status``, and so on; a body of HTTP is brought into this form."""


@dataclass(frozen=True, slots=True)
class Abandoned:
    """The client will not learn what becomes of an invocation: its connection is gone."""

    invocation: int


@dataclass(frozen=True, slots=True)
class Delivered:
    """A client has taken a message that is no answer off its connection."""

    connection: int
    event: str
    payload: Any
    revision: int | None = None
    """Of ``initial-data``, if it is stated beside that."""


@dataclass(frozen=True, slots=True)
class Committed:
    """Log entries are durable from this moment on, whoever has written them.

    Recorded in the very step in which the store changes, before anybody can know.
    """

    slug: str
    entries: tuple[LogEntry, ...]
    foreign: bool = False
    """Whether another server has written them."""


@dataclass(frozen=True, slots=True)
class NewEpoch:
    """Revisions of a retreat count anew for clients: a backup was restored, say."""

    slug: str
    epoch: str


@dataclass(frozen=True, slots=True)
class WallSet:
    """The wall clock, with which tokens are checked, is set."""

    now: float
    """Unix time in seconds."""


@dataclass(frozen=True, slots=True)
class Granted:
    """The access of a user to a retreat changes in the store."""

    slug: str
    user_id: int
    access: Access


@dataclass(frozen=True, slots=True)
class Kicked:
    """An operator asks for the connections of a user to be ended, or learns that they are."""

    user_id: int
    done: bool
    """Whether that is the answer."""


@dataclass(frozen=True, slots=True)
class Violated:
    """A client breaks RFC 6455, for which the server has to end its connection."""

    connection: int
    code: int
    """Of the close frame (§7.4.1)."""


@dataclass(frozen=True, slots=True)
class Disturbed:
    """Something that is a cause begins; it lasts until its :class:`Calmed`."""

    number: int
    """Unique in the run."""
    cause: Cause
    slug: str | None = None
    """Of the room; ``None``: of all."""
    client: int | None = None
    """Only for this client; ``None``: for all."""
    what: str = ""
    """For a reader."""


@dataclass(frozen=True, slots=True)
class Calmed:
    """A disturbance is over, with all that it causes at the server."""

    number: int


@dataclass(frozen=True, slots=True)
class Routed:
    """A client speaks to this node from here on, where there are several."""

    client: int
    node: int


@dataclass(frozen=True, slots=True)
class NodeCommitted(Committed):
    """Log entries are durable, and one of several nodes has written them."""

    node: int = 0


@dataclass(frozen=True, slots=True)
class NodeDisturbed(Disturbed):
    """A cause begins at one of several nodes, and only there."""

    node: int = 0


@dataclass(frozen=True, slots=True)
class Quiet:
    """No further fault is injected from here on, and clients ask for nothing new."""


@dataclass(frozen=True, slots=True)
class Ended:
    """What is left when the run is over, after some time of quiet and before its close."""

    slug: str
    stored: Retreat
    """As the store loads it."""
    rows: tuple[Json, ...]
    """As a read returns them, in list order."""
    replicas: Mapping[int, Sequence[Json]]
    """The list that each client in the room shows, by connection, in any order."""
    left_over: Mapping[str, int]
    """What should be at its base line and is not: tasks, streams, queued messages, by name."""


Event = (
    Opened
    | Closed
    | Invoked
    | Answered
    | Abandoned
    | Delivered
    | Committed
    | NewEpoch
    | WallSet
    | Granted
    | Kicked
    | Violated
    | Disturbed
    | Calmed
    | Routed
    | Quiet
    | Ended
)


@dataclass(frozen=True, slots=True)
class Moment:
    """An event of a run, and when it was."""

    at: float
    """Seconds of virtual time since the run began."""
    event: Event


@dataclass(slots=True)
class History:
    """A run: where it began, and what happened, in order."""

    before: Mapping[str, Retreat]
    """The retreats at the start, by slug."""
    delayed: bool
    """Whether anything was given latency; if not, each answer belongs to its question's instant."""
    moments: list[Moment] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    """What is wrong and is no event: a figure that is not as it should be, a log record."""

    def record(self, event: Event) -> None:
        """Append an event at this moment; of one instant, in the order of the calls."""
        self.moments.append(Moment(trio.current_time(), event))
