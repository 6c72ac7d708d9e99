"""Whatever happens to connections and messages: once it stops, every node knows of every change."""

from __future__ import annotations

from dataclasses import dataclass, field

import trio
import trio.lowlevel
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import MockClock

from gbs_actor.bus.node_bus import NodeBus
from tests.bus.hub import EPOCH, Fates, Hub

NODES = "abc"
RETREATS = 3
ENOUGH = 30.0
"""Seconds that recovery may take: the longest pause, two timeouts, a heartbeat."""

Step = tuple[str, str, int]
WHAT = ["cut", "refuse", "accept", "silence", "speak", *["wait", "commit all"] * 2, *["commit"] * 6]
STEPS = st.lists(
    st.tuples(
        st.sampled_from(WHAT),
        st.sampled_from(NODES),
        st.integers(min_value=0, max_value=RETREATS - 1),
    ),
    max_size=40,
)
FATES = st.lists(st.sampled_from(["deliver"] * 4 + ["lose", "double", "delay", "garble"]))


@dataclass
class World:
    """Nodes over one store. A node reads of the store what the bus tells it to."""

    nursery: trio.Nursery
    fates: list[str]
    hub: Hub = field(default_factory=Hub)
    store: dict[int, int] = field(default_factory=dict)
    known: dict[str, dict[int, int]] = field(default_factory=dict)
    buses: dict[str, NodeBus] = field(default_factory=dict)

    def start(self) -> None:
        self.hub.deliver = Fates(self.nursery, self.fates).deliver
        for node in NODES:
            self.known[node] = {}
            # So few that the limit is reached, too.
            self.buses[node] = self.hub.bus(node, limit=RETREATS - 1)
            self.nursery.start_soon(self.buses[node].run)
            self.nursery.start_soon(self.follow, node)

    async def follow(self, node: str) -> None:
        """What rooms do with hints: catch up; with a gap: look at everything."""
        known = self.known[node]
        while True:
            hints = await self.buses[node].next()
            for hint in hints.latest:
                assert hint.revision <= self.store[hint.retreat_id]
                known[hint.retreat_id] = max(known.get(hint.retreat_id, 0), hint.revision)
            if hints.gap:
                known.update(self.store)

    def commit(self, node: str, retreat: int) -> None:
        self.store[retreat] = self.known[node][retreat] = self.store.get(retreat, 0) + 1
        self.buses[node].publish(retreat, EPOCH, self.store[retreat])

    async def step(self, what: str, node: str, number: int) -> None:
        match what:
            case "commit":
                self.commit(node, number)
                await trio.lowlevel.checkpoint()
            case "commit all":
                for retreat in range(RETREATS):
                    self.commit(node, retreat)
            case "wait":
                await trio.sleep([0.01, 0.5, 4.0][number])
            case "cut":
                self.hub.cut(node)
            case "refuse" | "accept":
                self.hub.refuses = "down" if what == "refuse" else None
            case "silence" | "speak":
                self.hub.silent = what == "silence"


async def live(steps: list[Step], fates: list[str]) -> None:
    async with trio.open_nursery() as nursery:
        world = World(nursery, fates)
        world.start()
        for step in steps:
            await world.step(*step)
        world.fates.clear()
        world.hub.silent = False
        world.hub.refuses = None
        await trio.sleep(ENOUGH)
        assert world.known == dict.fromkeys(NODES, world.store)
        assert all(bus.statistics().connected for bus in world.buses.values())
        assert all(bus.statistics().pending == 0 for bus in world.buses.values())
        nursery.cancel_scope.cancel()


@settings(max_examples=200)
@given(STEPS, FATES)
def test_after_faults_each_change_has_arrived_or_a_gap_was_reported(
    steps: list[Step], fates: list[str]
) -> None:
    trio.run(live, steps, list(fates), clock=MockClock(autojump_threshold=0))
