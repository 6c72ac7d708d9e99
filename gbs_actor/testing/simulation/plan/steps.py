"""What happens in a simulation, step by step, as plain data.

Each step stands for itself: without any other it can still be played, as what does not fit is
left out. Clients and retreats are named by numbers. Values that are only known in a run are
relative to what the client has then: a revision is so many behind the one it shows, a memo is that
of a person.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from gbs_actor.rooms.tracepoints import Tracepoint
from gbs_actor.testing.store import Fault, Operation


class _Step(msgspec.Struct, frozen=True, tag_field="step", omit_defaults=True):
    """What the steps share: how they are written."""


# -- time


class Wait(_Step, frozen=True, tag="wait"):
    """All that can be done now is done, then time passes."""

    seconds: float = 0.0


class Turns(_Step, frozen=True, tag="turns"):
    """Each task that can run does so, a few times; no time passes."""

    count: int = 1


# -- clients

Return = Literal["resume", "since", "join", "stay away"]
"""What a client does that has lost its connection: it resumes its session, joins with what it has
or without, or comes back and joins nothing."""


Loss = Literal["reset", "close", "vanish"]
"""How a connection ends: the network resets it, the client closes it, or the server does not notice
until its client has not answered for long."""


class Invoke(_Step, frozen=True, tag="invoke"):
    """A client gives a command, with what else its argument holds."""

    client: int
    event: str
    argument: dict[str, Any]
    behind: int | None = None
    """The ``baseRevision``, as so many revisions behind what the client has; ``None``: none."""
    command: int | None = None
    """Stands for the ``commandId``; ``None``: none. Another step may have the same."""
    memo_of: int | None = None
    """The registration whose memo, as the client shows it, is the ``memoId``."""
    undoes: int | None = None
    """An undo is of the change so many revisions behind what the client has."""
    undoes_command: int | None = None
    """An undo is of the change with this ``commandId``."""
    named: int | None = None
    """The retreat that the argument names."""
    http: int | None = None
    """Over HTTP, in this retreat."""


class Join(_Step, frozen=True, tag="join"):
    """A client joins a retreat."""

    client: int
    retreat: int = 0
    since: bool = False
    """With the revision and epoch that it has, if it has any of this retreat."""


class Leave(_Step, frozen=True, tag="leave"):
    """A client leaves the retreat that it is in."""

    client: int


class Read(_Step, frozen=True, tag="read"):
    """A client reads a retreat without joining it."""

    client: int
    retreat: int = 0
    behind: int | None = None
    """Since so many revisions behind what the client has."""


class Mark(_Step, frozen=True, tag="mark"):
    """A client starts or ends editing a field."""

    client: int
    registration: int
    field: str = "gbsNumber"
    editing: bool = True


class KeepAsking(_Step, frozen=True, tag="keep asking"):
    """A client asks again and again, each time as soon as the answer is a good one.

    Where there are several nodes.
    """

    client: int
    count: int
    registration: int | None = None
    """Whose group it changes; ``None``: it reads the list."""
    retreat: int = 0
    """Whose list."""
    command: int | None = None
    """Stands for a ``commandId``: it is one change, and the rest are repeats of it."""
    witness: int | None = None
    """A client that reads the list at each of the answers."""
    pause: float = 0.0
    """Seconds after each of them."""


class StopReading(_Step, frozen=True, tag="stop reading"):
    """A client takes nothing more off its connection."""

    client: int


class GoOnReading(_Step, frozen=True, tag="go on reading"):
    """A client takes all that waits for it."""

    client: int


class Disconnect(_Step, frozen=True, tag="disconnect"):
    """A client loses its connection, with a part of what waits on it, and comes back."""

    client: int
    loses: int | None = None
    """So many of the last messages that wait; ``None``: half of them."""
    back_after: float = 0.5
    """Seconds."""
    how: Return = "resume"
    way: Loss = "reset"
    """How the connection ends, where there is a network."""
    node: int | None = None
    """It comes back to this one of several; ``None``: to where it was."""


# -- clients where there is a network

Intrusion = Literal["noise", "silence", "half a head", "http", "frames", "messages"]
"""What a stranger says."""


class Intrude(_Step, frozen=True, tag="intrude"):
    """A stranger connects, and speaks no protocol, or one wrongly."""

    kind: Intrusion


class Renew(_Step, frozen=True, tag="renew"):
    """A client authenticates with another token, which expires soon."""

    client: int
    expires_in: float
    """Seconds."""
    renewed: bool = True
    """Whether it takes a better one when it has expired; else it is disconnected."""


class Grant(_Step, frozen=True, tag="grant"):
    """The user of a client gets another role in a retreat."""

    client: int
    access: Literal["none", "read", "edit"]
    """What the role allows; "edit": the grant is taken away."""
    retreat: int = 0


class Kick(_Step, frozen=True, tag="kick"):
    """An operator disconnects the user of a client."""

    client: int
    http: bool = False
    """Whether by a request; else by a call of what that calls."""


Violation = Literal["opcode", "mask", "size", "text"]
"""What is wrong with a frame: its opcode is reserved; it has no mask; it is too large; it is no
UTF-8."""


class Violate(_Step, frozen=True, tag="violate"):
    """A client sends a WebSocket frame that breaks the protocol."""

    client: int
    what: Violation


class SplitBytes(_Step, frozen=True, tag="split bytes"):
    """A client's connection delivers so many bytes at once, at most."""

    client: int
    size: int


# -- rooms


class CrashRoom(_Step, frozen=True, tag="crash room"):
    """A room crashes when it passes a step of its loop."""

    retreat: int = 0
    at: Tracepoint | None = None
    """``None``: at any."""
    passes: int = 0
    """How often it passes that before."""
    times: int = 1
    """How often it crashes there, in a row."""
    node: int = 0
    """Of several."""


class Operate(_Step, frozen=True, tag="operate"):
    """An operator acts on a room."""

    action: Literal["restart", "recover", "stop", "drain"]
    retreat: int = 0
    http: bool = False
    """Whether by a request, where there is a network."""
    node: int = 0
    """Of several."""


# -- the store


class FailStore(_Step, frozen=True, tag="fail store"):
    """The next calls of the store fail."""

    fault: Fault
    of: Operation = "commit"
    times: int = 1
    node: int = 0
    """Of several."""


class Outage(_Step, frozen=True, tag="outage"):
    """The store cannot be reached."""

    seconds: float
    node: int = 0
    """Of several."""


class WriteElsewhere(_Step, frozen=True, tag="write elsewhere"):
    """Another server has the retreats for a moment, and writes."""

    event: str
    argument: dict[str, Any]
    retreat: int = 0
    noticed: bool = True
    """Whether this server is notified of it at once; else in the end, if no commit finds out."""


class NewEpoch(_Step, frozen=True, tag="new epoch"):
    """A retreat gets another epoch, while another server has it."""

    retreat: int = 0


# -- the process


class Kill(_Step, frozen=True, tag="kill"):
    """The process is gone at once, with all connections; another one starts later."""

    down_for: float = 0.5
    """Seconds."""
    node: int = 0
    """Of several."""


class Shutdown(_Step, frozen=True, tag="shutdown"):
    """The server is cancelled, with all its rooms, and another one starts."""

    at: Tracepoint | None = None
    """When a room passes this step of its loop; ``None``: at once."""
    passes: int = 0
    """How often it passes that before."""
    drain_for: float | None = None
    """Seconds that the rooms have, at most, to finish before; ``None``: none."""
    http: bool = False
    """Whether an operator asks for it by a request, where there is a network."""
    node: int = 0
    """Of several."""


# -- several nodes


class StartNode(_Step, frozen=True, tag="start node"):
    """Another node starts, if there are not too many."""

    latency: float = 0.0
    """Seconds, at most, from it to the store and back."""


class Freeze(_Step, frozen=True, tag="freeze"):
    """A node receives nothing of the store and the bus, which then comes at once.

    Nor does what it sends arrive before; only the retreat's lock it loses meanwhile.
    """

    seconds: float
    node: int = 0


class CutBus(_Step, frozen=True, tag="cut bus"):
    """The bus loses its connections, and cannot be reached."""

    seconds: float
    node: int | None = None
    """``None``: of all."""
    silent: bool = False
    """Whether nobody is notified of that: what is sent does not arrive."""


class JumpWall(_Step, frozen=True, tag="jump wall"):
    """The wall clock is set forward, or back."""

    seconds: float


Step = (
    Wait
    | Turns
    | Invoke
    | Join
    | Leave
    | Read
    | Mark
    | KeepAsking
    | StopReading
    | GoOnReading
    | Intrude
    | Renew
    | Grant
    | Kick
    | Violate
    | SplitBytes
    | Disconnect
    | CrashRoom
    | Operate
    | FailStore
    | Outage
    | WriteElsewhere
    | NewEpoch
    | Kill
    | Shutdown
    | StartNode
    | Freeze
    | CutBus
    | JumpWall
)
