"""Buses that run over real servers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import trio

from gbs_actor.bus import Hint, Hints, NodeMessage
from gbs_actor.bus.channel import Subscribe
from gbs_actor.bus.node_bus import NodeBus
from gbs_actor.bus.presence import People, Person
from gbs_actor.bus.protocol import BusStatistics

EPOCH = "k3f9"
PATIENCE = 30.0


def connected(statistics: BusStatistics) -> bool:
    return statistics.connected


def disconnected(statistics: BusStatistics) -> bool:
    return not statistics.connected


def bus(node: str, subscribe: Subscribe) -> NodeBus:
    """Return a bus that sends every ten milliseconds at most."""
    return NodeBus("a kind", subscribe, node=node, interval=0.01)


@asynccontextmanager
async def running(*buses: NodeBus) -> AsyncIterator[None]:
    """Run buses that are connected, and have taken the gap of their start."""
    async with trio.open_nursery() as nursery:
        for each in buses:
            await nursery.start(each.run)
        for each in buses:
            assert (await received(each)).gap
        yield
        nursery.cancel_scope.cancel()


async def received(bus: NodeBus) -> Hints:
    """Return what a bus receives next."""
    with trio.fail_after(PATIENCE):
        return await bus.next()


async def until_hint(bus: NodeBus, hint: Hint) -> None:
    """Return when a bus has received a hint."""
    while hint not in (await received(bus)).latest:
        pass


async def until_gap(bus: NodeBus) -> None:
    """Return when a bus has reported a gap."""
    while not (await received(bus)).gap:
        pass


async def until(bus: NodeBus, wanted: Callable[[BusStatistics], bool]) -> None:
    """Return when a bus is in some state."""
    with trio.fail_after(PATIENCE):
        while not wanted(bus.statistics()):  # noqa: ASYNC110  (it tells nobody)
            await trio.sleep(0.01)


async def until_back(*buses: NodeBus) -> None:
    """Return when buses are connected and have reported their gaps."""
    for bus in buses:
        await until(bus, connected)
        await until_gap(bus)


async def presence_passes(first: NodeBus, second: NodeBus) -> None:
    """Send who is in many rooms, and that a node leaves; return once the other has it all."""
    rooms = [
        People(retreat, 100, tuple(Person(10_000_000 + n, "남궁\0민수", 1) for n in range(100)))
        for retreat in range(50)
    ]
    heard: list[NodeMessage] = []
    second.listen(heard.append)
    async with running(first, second):
        await until(second, lambda _: bool(heard))
        for room in rooms:
            first.send(room)
        await until(second, lambda _: sum(len(message.people) for message in heard) == len(rooms))
        await first.leave()
        await until(second, lambda _: heard[-1].leaves)
    assert [people for message in heard for people in message.people] == rooms
    assert not any(message.gap for message in heard[1:])
