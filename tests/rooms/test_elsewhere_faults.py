"""Whatever is lost between servers: soon after, all show the same people and marks."""

from __future__ import annotations

from dataclasses import dataclass, field

import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import MockClock

from gbs_actor.bus.message import read
from gbs_actor.rooms import RoomSettings, Tracepoint
from gbs_actor.testing.scheduling import run
from tests.bus.hub import Fates, Hub, HubChannel

from .nodes import Node, nodes
from .peers import Client
from .test_elsewhere import marks, marks_of_presence, people

NODES = 3
CLIENTS = 4
ENOUGH = 40.0
"""Seconds that recovery may take: the longest pause between connections, and until one that is not
heard of counts as gone."""
CONFIG = RoomSettings(
    # Marks end only if somebody ends them; rooms stop and start.
    editing_timeout=1e6,
    idle_timeout=1.0,
    crash_backoff_initial=0.1,
    max_crashes=1_000,
)

Step = tuple[str, int, int]
WHAT = [
    *["join"] * 4,
    *["leave"] * 2,
    *["mark"] * 4,
    *["end mark"] * 2,
    *["wait"] * 4,
    "cut",
    "refuse",
    "accept",
    "silence",
    "speak",
    "part",
    "meet",
    "crash",
]
STEPS = st.lists(
    st.tuples(st.sampled_from(WHAT), st.integers(0, NODES - 1), st.integers(0, CLIENTS - 1)),
    max_size=40,
)
FATES = st.lists(st.sampled_from(["deliver"] * 4 + ["lose", "double", "delay", "garble"]))
"""What becomes of the first deliveries."""


@dataclass
class World:
    """Servers, and on each clients of the same users, who edit fields of their own."""

    nursery: trio.Nursery
    hub: Hub
    nodes: list[Node]
    fates: list[str]
    clients: dict[tuple[int, int], Client] = field(default_factory=dict)
    marked: dict[tuple[int, int], int] = field(default_factory=dict)
    """The row that each client edits."""
    parted: set[str] = field(default_factory=set)
    """The nodes that hear nobody, and that nobody hears."""

    async def step(self, what: str, number: int, user: int) -> None:
        node, key = self.nodes[number], (number, user)
        client = self.clients.get(key)
        match what:
            case "join" if client is None:
                with trio.move_on_after(1) as joining:
                    client = await node.client(user + 1)
                    self.clients[key] = client
                assert not joining.cancelled_caught
            case "leave" if client is not None:
                node.supervisor.disconnect(client.subscriber)
                del self.clients[key]
                self.marked.pop(key, None)
            case "mark" if client is not None:
                self.marked[key] = 1 + (self.marked.get(key, 0) + user) % 3
                await self.update(key, on=True)
            case "end mark" if key in self.marked:
                await self.update(key, on=False)
                del self.marked[key]
            case "wait":
                await trio.sleep([0.01, 0.3, 4.0, 12.0][user])
            case "cut":
                self.hub.cut(str(number))
            case "refuse":
                self.hub.refuses = "down"
                self.hub.cut()
            case "accept":
                self.hub.refuses = None
            case "silence" | "speak":
                self.hub.silent = what == "silence"
            case "part":
                self.parted.add(str(number))
            case "meet":
                self.parted.discard(str(number))
            case "crash":
                node.crash_at = [Tracepoint.SENDING_MARKS, Tracepoint.JOINING][user % 2]

    async def update(self, key: tuple[int, int], *, on: bool) -> None:
        """Begin or end the mark of a client, whatever becomes of its room."""
        while True:
            client = self.clients[key]
            answers = client.mark(self.marked[key], f"field {key}", on=on)
            while not answers:  # noqa: ASYNC110  (nobody is notified)
                await trio.sleep(0.05)
            if type(answers[0]).__name__ == "Done":
                return
            await trio.sleep(0.05)

    def deliver(self, channel: HubChannel, data: bytes) -> None:
        sender = read(data).node
        if sender != channel.name and self.parted & {channel.name, sender}:
            return
        Fates(self.nursery, self.fates).deliver(channel, data)

    def stop_faults(self) -> None:
        self.fates.clear()
        self.hub.silent, self.hub.refuses = False, None
        for node in self.nodes:
            node.crash_at = None

    def check(self) -> None:
        """All who can hear each other see the same."""
        heard = {number for number in range(NODES) if str(number) not in self.parted}
        for key, client in self.clients.items():
            seen = heard | {key[0]} if key[0] in heard else {key[0]}
            there = [other for other in self.clients if other[0] in seen]
            assert people(client) == {
                user + 1: sum(other[1] == user for other in there) for _, user in there
            }
            edited = {
                other: (other[1] + 1, row, f"field {other}")
                for other, row in self.marked.items()
                if other[0] in seen
            }
            assert marks_of_presence(client) == set(edited.values())
            assert marks(client) == set(edited.values())


async def live(steps: list[Step], fates: list[str]) -> None:
    hub = Hub()
    async with trio.open_nursery() as nursery, nodes(NODES, hub=hub, config=CONFIG) as running:
        world = World(nursery, hub, running, fates)
        hub.deliver = world.deliver
        for step in steps:
            await world.step(*step)
        world.stop_faults()
        await trio.sleep(ENOUGH)
        world.check()
        world.parted.clear()
        await trio.sleep(ENOUGH)
        world.check()
        nursery.cancel_scope.cancel()


@settings(max_examples=50)
@given(STEPS, FATES, st.integers(0, 99))
def test_after_faults_all_show_the_same(steps: list[Step], fates: list[str], seed: int) -> None:
    run(live, steps, list(fates), seed=seed, clock=MockClock(autojump_threshold=0))
