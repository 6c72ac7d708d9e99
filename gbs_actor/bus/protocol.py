"""The bus, as rooms see it."""

from __future__ import annotations

from typing import Protocol

import msgspec
import trio

from gbs_actor.bus.hints import Hints


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
    lag: float | None
    """Seconds that the latest message of this node that came back took; ``None``: none did."""
    failures: int
    """Connections that could not be made, or ended."""
    last_error: str | None
    """Why the last of them did."""


class Bus(Protocol):
    """Tells the other nodes which retreats have changed, and receives what they tell.

    It may lose, double and reorder hints, whatever happens; but where it may have lost hints of
    other nodes, it reports a gap, at the latest when it is connected again.
    """

    def publish(self, retreat_id: int, epoch: str, revision: int) -> None:
        """Send a hint soon, after a commit; never blocks, whatever the state of the bus."""
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
