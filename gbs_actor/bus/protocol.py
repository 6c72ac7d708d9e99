"""The bus, as rooms see it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import msgspec
import trio

from gbs_actor.bus.hints import Hints
from gbs_actor.bus.presence import ConnectionMark, People, Record


class BusStatistics(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A bus at one moment. Counters run since it was made."""

    kind: str
    """``"postgres"`` or ``"valkey"``."""
    connected: bool
    """Whether it is subscribed, as far as is known."""
    sent: int
    """Messages that the server has taken, heartbeats included."""
    received: int
    """Messages of other nodes."""
    own: int
    """Messages of this node that came back."""
    gaps: int
    """Times that hints of other nodes may have been lost: after each subscription, for one."""
    unreadable: int
    """Messages that could not be read; each is a gap, too."""
    pending: int
    """Retreats with hints that wait to be sent."""
    pending_presence: int
    """Rooms and editing marks whose latest state waits to be sent."""
    lag: float | None
    """Seconds that the latest message of this node that came back took; ``None``: none did."""
    failures: int
    """Connections that could not be made, or ended."""
    last_error: str | None
    """Why the last of them did."""


@dataclass(frozen=True, slots=True)
class NodeMessage:
    """A message of another node, apart from its hints; each node sends one a second at least."""

    node: str
    gap: bool
    """Whether earlier ones may have been lost."""
    restarted: bool
    """Whether the node is another process than the one that has sent the earlier ones."""
    leaves: bool
    """Whether the node ends."""
    people: tuple[People, ...]
    """Before :attr:`editing`."""
    editing: tuple[ConnectionMark, ...]
    requested: tuple[int, ...]
    """The retreats of which it wants to know who is there."""


Listener = Callable[[NodeMessage], None]
"""Called with each message of another node, in the order in which that has sent them, each once,
some perhaps not at all; must not raise."""


class Bus(Protocol):
    """Tells the other nodes which retreats have changed, and receives what they tell.

    It may lose, double and reorder hints, whatever happens; but where it may have lost hints of
    other nodes, it reports a gap, at the latest when it is connected again.
    """

    def publish(self, retreat_id: int, epoch: str, revision: int) -> None:
        """Send a hint soon, after a commit; never blocks, whatever the state of the bus."""
        ...

    def send(self, record: Record) -> None:
        """Send presence soon, behind the hints; never blocks.

        What cannot be sent soon is dropped: that shows the other nodes a gap.
        """
        ...

    @property
    def congested(self) -> bool:
        """Whether so much presence waits to be sent that what can wait should."""
        ...

    def listen(self, listener: Listener) -> None:
        """Call a function with what other nodes send of presence, while :meth:`run` runs."""
        ...

    async def leave(self) -> None:
        """Let the other nodes know that this one ends, and send nothing more.

        Returns once that was sent, at once if the bus is not connected; bound it.
        """
        ...

    async def next(self) -> Hints:
        """Wait for hints of other nodes, or a gap; return all that has come since the last call.

        For one task. What arrives between two calls is coalesced. The first one is a gap: it comes
        once the bus is connected. Cancelling it loses nothing.
        """
        ...

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Send and receive, until cancelled; reconnects whenever the connection is lost.

        It has started when the first attempt to connect has ended, whether or not it succeeded.
        """
        ...

    def statistics(self) -> BusStatistics:
        """Return its state and counters; never blocks."""
        ...
