"""A publish/subscribe server in memory, whose connections and messages can be tampered with."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from random import Random

import trio
import trio.testing

from gbs_actor.bus.channel import Channel, ChannelLost, Receive
from gbs_actor.bus.message import Message, read
from gbs_actor.bus.node_bus import NodeBus
from gbs_actor.environment import SYSTEM

INTERVAL = 0.02
EPOCH = "k3f9"


class Hub:
    """Passes what is published on to all subscriptions, the publisher's too."""

    def __init__(self) -> None:
        self.channels: list[HubChannel] = []
        self.sent: list[tuple[float, Sequence[bytes]]] = []
        """What was published at once, and when."""
        self.attempts: list[float] = []
        """When subscriptions were asked for."""
        self.refuses: str | None = None
        """Why nobody can subscribe."""
        self.silent = False
        """Whether it answers nothing."""
        self.frozen: set[str] = set()
        """Nodes that send nothing."""
        self._environment = replace(SYSTEM, entropy=Random(0).randbytes)
        self.deliver: Callable[[HubChannel, bytes], None] = HubChannel.pass_on
        """How a message gets to a subscription."""

    @property
    def messages(self) -> list[Message]:
        """All messages that were published."""
        return [read(data) for _, messages in self.sent for data in messages]

    @asynccontextmanager
    async def subscribe(
        self, name: str, receive: Receive, deadline: float
    ) -> AsyncIterator[Channel]:
        """Subscribe for a node."""
        self.attempts.append(trio.current_time())
        with trio.move_on_at(deadline):
            await self.answer()
        if self.silent or self.refuses:
            raise ChannelLost(self.refuses or "no answer in time")
        channel = HubChannel(self, name, receive)
        self.channels.append(channel)
        try:
            yield channel
        finally:
            self.channels.remove(channel)

    async def answer(self) -> None:
        """Return when the server answers."""
        await trio.lowlevel.checkpoint()
        if self.silent:
            await trio.sleep_forever()

    def cut(self, name: str | None = None) -> None:
        """End the connections of a node, or of all."""
        for channel in self.channels:
            if name in (None, channel.name):
                channel.ended.set()

    def inject(self, data: bytes) -> None:
        """Pass something on that no bus has sent."""
        for channel in self.channels:
            channel.receive_now(data)

    def bus(
        self, node: str, limit: int = 10_000, may_send: Callable[[], bool] | None = None
    ) -> NodeBus:
        """Return the bus of a node."""
        return NodeBus(
            "memory",
            partial(self.subscribe, node),
            node=node,
            interval=INTERVAL,
            limit=limit,
            may_send=may_send or (lambda: node not in self.frozen),
            environment=self._environment,
        )


class HubChannel:
    """One subscription."""

    def __init__(self, hub: Hub, name: str, receive: Receive) -> None:
        self.name = name
        self.ended = trio.Event()
        self.receive_now = receive
        self._hub = hub

    async def publish(self, messages: Sequence[bytes]) -> None:
        await self._hub.answer()
        if self.ended.is_set():
            raise ChannelLost("cut")
        self._hub.sent.append((trio.current_time(), messages))
        for channel in self._hub.channels:
            for message in messages:
                self._hub.deliver(channel, message)

    async def receive(self) -> None:
        await self.ended.wait()
        raise ChannelLost("cut")

    def pass_on(self, data: bytes) -> None:
        """Deliver a message, as a server does that is in order."""
        if not self.ended.is_set():
            self.receive_now(data)


async def started(nursery: trio.Nursery, *buses: NodeBus) -> None:
    """Run buses, and take what each is told at its start: a gap."""
    for bus in buses:
        await nursery.start(bus.run)
    await settled()
    for bus in buses:
        assert (await bus.next()).gap


async def settled() -> None:
    """Return when all that is under way without a clock is done."""
    await trio.testing.wait_all_tasks_blocked()


@dataclass(frozen=True)
class Fates:
    """What becomes of the next deliveries; those behind them arrive."""

    nursery: trio.Nursery
    left: list[str]
    """``"deliver"``, ``"lose"``, ``"double"``, ``"delay"`` or ``"garble"``; shortened by each."""

    def deliver(self, channel: HubChannel, data: bytes) -> None:
        match self.left.pop(0) if self.left else "deliver":
            case "lose":
                return
            case "double":
                channel.pass_on(data)
            case "delay":
                self.nursery.start_soon(self._deliver_later, channel, data)
                return
            case "garble":
                data = data[:-1]
        channel.pass_on(data)

    async def _deliver_later(self, channel: HubChannel, data: bytes) -> None:
        await trio.sleep(0.7)
        channel.pass_on(data)
