"""Requests begin in turn between the addresses of their clients."""

from __future__ import annotations

from collections.abc import Callable

from gbs_actor.socketio.net.connection_limit import counted_as
from gbs_actor.socketio.net.front_door.fair_queue import (
    FairQueue,
    FairQueueStatistics,
    QueuedWork,
)
from gbs_actor.socketio.net.request import field_values
from gbs_actor.socketio.net.trusted_proxies import TrustedProxies


class Turns:
    """A fair queue of requests by address, behind a trusted proxy by that of the client.

    :meth:`run` has to run meanwhile.

    :param thread_time: see :class:`FairQueue`.
    """

    def __init__(self, trusted_proxies: TrustedProxies, thread_time: Callable[[], float]) -> None:
        self._trusted_proxies = trusted_proxies
        self._queue = FairQueue(thread_time)

    async def run(self) -> None:
        """Give turns until cancelled."""
        await self._queue.run()

    async def turn(self, peer: str | None, head: bytes | bytearray = b"") -> None:
        """Return when the next request of this client may begin.

        :param peer: IP address of the connection's other end; ``None`` if it has none.
        :param head: of the request, as far as it has come; may be malformed.
        """
        await self._queue.turn(self._client(peer, head))

    def queue(self, peer: str | None, head: bytes, begin: Callable[[], None]) -> QueuedWork:
        """Call ``begin``, which neither blocks nor raises, at the turn that :meth:`turn` awaits."""
        return self._queue.queue(self._client(peer, head), begin)

    def withdraw(self, work: QueuedWork) -> None:
        """Give up a turn that has not come."""
        self._queue.withdraw(work)

    def _client(self, peer: str | None, head: bytes | bytearray) -> str | None:
        if self._trusted_proxies.trusts(peer):
            forwarded = {"x-forwarded-for": ", ".join(field_values(head, b"x-forwarded-for"))}
            peer = self._trusted_proxies.resolve(peer, secure=False, headers=forwarded).address
        return None if peer is None else counted_as(peer)

    def statistics(self) -> FairQueueStatistics:
        """Return its state and counters; never blocks."""
        return self._queue.statistics()
