"""The bus between simulated nodes: what a publish/subscribe server may do to messages."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from itertools import count
from typing import Final

import trio

from gbs_actor.bus.channel import Channel, ChannelLost, Receive
from gbs_actor.bus.node_bus import NodeBus
from gbs_actor.environment import Environment

_LIKELIHOOD: Final = 0.15
"""Of each thing that may happen to a message."""
_DELAY: Final = 1.0
"""Seconds, at most."""


class SimBus:
    """Passes what a node publishes on to all, as a server of that kind does, or worse.

    :param environment: where chance comes from.
    :param rough: whether messages are lost, doubled, and delayed, so that others overtake them.
    :param nursery: for messages on their way.
    :param counters: counts what has happened to messages.
    """

    def __init__(
        self,
        environment: Environment,
        *,
        rough: bool,
        nursery: trio.Nursery,
        counters: Counter[str],
    ) -> None:
        self._environment = environment
        self._rough = rough
        self._nursery = nursery
        self._numbers = count(1)
        self.counters = counters
        self._channels: list[_SimChannel] = []
        self._cut: dict[int | None, int] = {}
        """How often connections cannot be made, of a node or of all."""
        self._silent: dict[int | None, int] = {}
        self._frozen: set[int] = set()
        self._thawed = trio.lowlevel.ParkingLot()

    def of_node(self, node: int) -> NodeBus:
        """Return a new bus for a node that starts."""
        return NodeBus(
            "simulated",
            partial(self._subscribe, node),
            node=f"node {node}",
            interval=0.02,
            environment=self._environment,
        )

    def cut(self, node: int | None, *, silent: bool) -> None:
        """End the connections of a node, or of all; no new one is possible.

        :param silent: nobody is notified: what is sent from now on does not arrive.
        """
        broken = self._silent if silent else self._cut
        broken[node] = broken.get(node, 0) + 1
        if not silent:
            for channel in self._channels:
                if node in (None, channel.node):
                    channel.ended.set()

    def mend(self, node: int | None, *, silent: bool) -> None:
        """Take one :meth:`cut` back."""
        broken = self._silent if silent else self._cut
        broken[node] = broken.get(node, 0) - 1

    def freeze(self, node: int) -> None:
        """Keep what is on its way to and from a node."""
        self._frozen.add(node)

    def thaw(self, node: int) -> None:
        """Let that arrive."""
        self._frozen.discard(node)
        self._thawed.unpark_all()

    async def wait_thawed(self, node: int) -> None:
        """Wait while a node is frozen."""
        while node in self._frozen:
            await self._thawed.park()

    @asynccontextmanager
    async def _subscribe(
        self, node: int, receive: Receive, deadline: float
    ) -> AsyncIterator[Channel]:
        await trio.lowlevel.checkpoint()
        with trio.move_on_at(deadline) as waiting:
            await self.wait_thawed(node)
        if waiting.cancelled_caught or self._is_broken(self._cut, node):
            raise ChannelLost("the bus cannot be reached")
        channel = _SimChannel(self, node, receive)
        self._channels.append(channel)
        try:
            yield channel
        finally:
            channel.ended.set()
            self._channels.remove(channel)

    def _is_broken(self, broken: dict[int | None, int], node: int) -> bool:
        return broken.get(None, 0) > 0 or broken.get(node, 0) > 0

    def pass_on(self, node: int, message: bytes) -> None:
        """Send a message of a node to all that are subscribed."""
        if self._is_broken(self._silent, node):
            return
        number = next(self._numbers)
        for channel in self._channels:
            if self._is_broken(self._silent, channel.node):
                continue
            for delay in self._delays():
                if delay or channel.node in self._frozen:
                    self._nursery.start_soon(channel.receive_later, number, message, delay)
                else:
                    channel.receive_now(number, message)

    def _delays(self) -> Sequence[float]:
        """Return after how long a message arrives, each time that it does."""
        if not self._rough:
            return (0.0,)
        chance = self._environment.chance
        happens = chance()
        if happens < _LIKELIHOOD:
            self.counters["bus: lost"] += 1
            return ()
        if happens < 2 * _LIKELIHOOD:
            self.counters["bus: doubled"] += 1
            return (0.0, _DELAY * chance())
        if happens < 3 * _LIKELIHOOD:
            self.counters["bus: delayed"] += 1
            return (_DELAY * chance(),)
        return (0.0,)


class _SimChannel:
    """Implements :class:`~gbs_actor.bus.channel.Channel`."""

    def __init__(self, bus: SimBus, node: int, receive: Receive) -> None:
        self.node = node
        self.ended = trio.Event()
        self._bus = bus
        self._receive = receive
        self._last = 0
        """The number of the latest message so far."""
        self._received: set[int] = set()

    async def publish(self, messages: Sequence[bytes]) -> None:
        """See :class:`~gbs_actor.bus.channel.Channel`."""
        await trio.lowlevel.checkpoint()
        await self._bus.wait_thawed(self.node)
        if self.ended.is_set():
            raise ChannelLost("cut")
        for message in messages:
            self._bus.pass_on(self.node, message)

    async def receive(self) -> None:
        """See :class:`~gbs_actor.bus.channel.Channel`."""
        await self.ended.wait()
        raise ChannelLost("cut")

    def receive_now(self, number: int, message: bytes) -> None:
        """Receive a message, unless the connection has ended."""
        if not self.ended.is_set():
            overtaken = number < self._last and number not in self._received
            self._bus.counters["bus: overtaken"] += overtaken
            self._last = max(self._last, number)
            self._received.add(number)
            self._receive(message)

    async def receive_later(self, number: int, message: bytes, delay: float) -> None:
        """Receive a message after some seconds, and not while the node is frozen."""
        await trio.sleep(delay)
        await self._bus.wait_thawed(self.node)
        self.receive_now(number, message)
