"""Plays a plan on several nodes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import partial
from typing import Final

import trio

from gbs_actor.lineup.changes import LogEntry
from gbs_actor.rooms import RoomSupervisor, Tracepoint
from gbs_actor.settings import RoomSettings
from gbs_actor.testing.simulation.bounds import Bound, Bounds, of_rooms
from gbs_actor.testing.simulation.history import Cause, History, NodeCommitted, Routed
from gbs_actor.testing.simulation.nodes.bus import SimBus
from gbs_actor.testing.simulation.nodes.node import Node
from gbs_actor.testing.simulation.nodes.store import NodeStore
from gbs_actor.testing.simulation.plan import SLUGS, Plan, Step, steps
from gbs_actor.testing.simulation.plan.nodes import MAX_MISSES
from gbs_actor.testing.simulation.player import RECOVERY_TIME, Player, Trap
from gbs_actor.testing.simulation.rooms.client import Client
from gbs_actor.testing.simulation.rooms.server import SimServer
from gbs_actor.testing.store import LATENESS, Fault, Operation, SimStore

MAX_NODES: Final = 4
_STEPS_PER_COMPARISON: Final = 10
"""Of tasks: to look at the rooms of all nodes takes longer than most steps."""


async def play(plan: Plan, counters: Counter[str]) -> History:
    """Play a plan to its end.

    :param counters: counts what was reached: faults, states, steps of rooms.
    """
    player = _NodesPlayer(plan, counters)
    await player.play()
    return player.history


class _NodesPlayer(Player[Client]):
    """One simulation of several nodes."""

    quiet_time = 12.0

    def __init__(self, plan: Plan, counters: Counter[str]) -> None:
        super().__init__(plan, counters)
        self.nodes: list[Node] = []
        self._first_store = NodeStore(environment=self.environment, shared=True)
        self._config = RoomSettings.model_validate(plan.settings)
        self._node_of: dict[int, int] = {}
        """The node that each client speaks to."""
        self._bus: SimBus | None = None
        self._most_misses = 0
        self._wrong_calls: Counter[str] = Counter()
        self.bounds = Bounds(self._of_rooms, every=_STEPS_PER_COMPARISON)

    async def play(self) -> None:
        """Play the plan."""
        await self.prepare(self._first_store)
        self.history.delayed = self._is_delayed()
        self.clients = {each.number: Client(each, self) for each in self.plan.clients}
        async with trio.open_nursery() as self.nursery:
            if self.plan.bus != "none":
                rough = self.plan.bus == "rough"
                self._bus = SimBus(
                    self.environment, rough=rough, nursery=self.nursery, counters=self.counters
                )
            for latency in self.plan.latencies or (0.0,):
                self._add_node(latency)
            await self.wait_up()
            for client in self.plan.clients:
                self._route(client.number, client.node % len(self.nodes))
            await self.play_steps()
            self.nursery.cancel_scope.cancel()
        for end in self.ends:
            self.history.record(end)

    # -- nodes

    def _add_node(self, latency: float) -> None:
        number = len(self.nodes)
        store = self._first_store if not self.nodes else self._first_store.beside()
        store.latency = latency
        store.on_commit = partial(self._committed_by, number)
        store.on_fault = partial(self._fault_happened_at, number)
        store.on_miss = self._missed
        store.on_wrong_call = self._called_wrongly
        node = Node(
            number,
            store,
            self._config,
            self.environment,
            self._passed_at,
            bus=self._bus,
            history=self.history,
            numbers=self.disturbance_numbers,
        )
        self.nodes.append(node)
        self.nursery.start_soon(node.run, partial(self._node_ended, node))

    def _node(self, number: int) -> Node | None:
        return self.nodes[number] if number < len(self.nodes) else None

    def _passed_at(self, slug: str, tracepoint: Tracepoint, node: int) -> None:
        if tracepoint is Tracepoint.TAKEN:
            self.nodes[node].store.begin_batch(slug)
        self.passed(slug, tracepoint, node)

    def _missed(self, misses: int) -> None:
        self.counters[f"missed: {misses}"] += 1
        self._most_misses = max(self._most_misses, misses)

    def _called_wrongly(self, what: str) -> None:
        self._wrong_calls[what] += 1

    def _of_rooms(self) -> Iterator[Bound]:
        for node in self.nodes:
            if node.is_up:
                yield from of_rooms(node.rooms)
        yield "misses of a batch", self._most_misses, MAX_MISSES
        for what, times in self._wrong_calls.items():
            yield what, times, 0

    # -- see Player

    @property
    def store(self) -> SimStore:
        """See :class:`Player`."""
        return self._first_store

    @property
    def rooms(self) -> RoomSupervisor:
        """See :class:`Player`."""
        return self.nodes[0].rooms

    @property
    def is_up(self) -> bool:
        """See :class:`Player`."""
        return all(node.is_up for node in self.nodes)

    def is_calm(self) -> bool:
        """See :class:`Player`."""
        return all(node.is_calm() for node in self.nodes)

    async def wait_up(self, client: int | None = None) -> None:
        """See :class:`Player`, and :class:`~gbs_actor.testing.simulation.rooms.client.Run`."""
        if client is None:
            for node in self.nodes:
                await node.wait_up()
            return
        if not self.nodes[self._node_of[client]].is_up:
            others = (node.number for node in self.nodes if node.is_up)
            if (other := next(others, None)) is not None:
                self._route(client, other)
        await self.nodes[self._node_of[client]].wait_up()

    def server_of(self, client: int) -> SimServer:
        """See :class:`~gbs_actor.testing.simulation.rooms.client.Run`."""
        return self.nodes[self._node_of[client]]

    def _route(self, client: int, node: int) -> None:
        if self._node_of.get(client) != node:
            self._node_of[client] = node
            self.history.record(Routed(client, node))

    def look(self) -> None:
        """See :class:`Player`."""
        super().look()
        for node in self.nodes:
            node.disturbances.look()

    # -- steps

    async def play_step(self, step: Step) -> None:
        """See :class:`Player`."""
        match step:
            case steps.KeepAsking():
                if (client := self.clients.get(step.client)) is not None:
                    client.keep_asking(step)
            case steps.StartNode():
                if len(self.nodes) < MAX_NODES:
                    self.counters["started"] += 1
                    self._add_node(step.latency)
            case steps.CutBus():
                self.nursery.start_soon(self._cut_bus, step)
            case steps.NewEpoch():
                self.nursery.start_soon(self._give_new_epoch, SLUGS[step.retreat])
            case (
                steps.FailStore()
                | steps.CrashRoom()
                | steps.Outage()
                | steps.Freeze()
                | steps.Kill()
                | steps.Shutdown()
                | steps.Operate()
            ):
                if (node := self._node(step.node)) is not None:
                    self._disturb(node, step)
            case _:
                await super().play_step(step)

    def let(self, client: Client, step: Step) -> None:
        """See :class:`Player`."""
        if not client.server.is_running:
            return
        super().let(client, step)
        if (
            isinstance(step, steps.Disconnect)
            and client.connection is None
            and step.node is not None
            and self._node(step.node) is not None
        ):
            self._route(client.participant.number, step.node)

    def _disturb(self, node: Node, step: Step) -> None:
        start = self.nursery.start_soon
        match step:
            case steps.FailStore():
                node.store.fail(*[step.fault] * step.times, of=step.of)
            case steps.CrashRoom():
                slug = SLUGS[step.retreat]
                crash = partial(self._crash_at, node)
                self.set_trap(Trap(slug, step.at, step.passes, step.times, crash, node.number))
            case steps.Outage():
                start(self._outage_at, node, step.seconds)
            case steps.Freeze():
                start(self._freeze, node, step.seconds)
            case steps.Kill():
                self._kill(node, step.down_for)
            case steps.Shutdown(at=at) if at is not None:
                cancel = partial(self._cancel_at, node)
                self.set_trap(Trap(None, at, step.passes, 1, cancel, node.number))
            case steps.Shutdown():
                start(self._stop, node, step.drain_for)
            case steps.Operate():
                start(self._operate_at, node, step)

    def _crash_at(self, node: Node, slug: str, tracepoint: Tracepoint) -> None:
        self.crash(slug, tracepoint, node.disturbances)

    def _cancel_at(self, node: Node, slug: str, tracepoint: Tracepoint) -> None:
        self.counters[f"cancelled: {tracepoint}"] += 1
        node.disturbances.happened(Cause.STOP, f"cancelled at {tracepoint}")
        node.cancel()

    async def _operate_at(self, node: Node, step: steps.Operate) -> None:
        await node.wait_up()
        self.counters[f"operator: {step.action}"] += 1
        cause = Cause.STOP if step.action in ("stop", "drain") else Cause.CRASH
        slug = SLUGS[step.retreat]
        over = node.disturbances.begin(cause, f"operator: {step.action}", slug=slug)
        spread = (0.7,) if step.action == "drain" else ()
        await getattr(node.rooms.actions, step.action)(slug, *spread)
        over()

    # -- the store, and the bus

    def _committed_by(
        self, node: int, slug: str, entries: tuple[LogEntry, ...], foreign: bool
    ) -> None:
        self.history.record(NodeCommitted(slug, entries, foreign, node))
        self.counters[f"commits of node {node}"] += 1
        for entry in entries:
            self.counters[f"committed: {entry.kind}"] += 1

    def _fault_happened_at(self, node: int, of: Operation, fault: Fault) -> None:
        self.fault_happened(of, fault, self.nodes[node].disturbances)

    async def _outage_at(self, node: Node, seconds: float) -> None:
        self.counters["outage"] += 1
        over = node.disturbances.begin(Cause.STORE, f"outage of {seconds} s")
        node.store.begin_outage()
        await trio.sleep(seconds)
        node.store.end_outage()
        over()

    async def _freeze(self, node: Node, seconds: float) -> None:
        self.counters["frozen"] += 1
        over = node.disturbances.begin(Cause.STORE, f"frozen for {seconds} s")
        node.store.freeze()
        if self._bus is not None:
            self._bus.freeze(node.number)
        await trio.sleep(seconds)
        node.store.thaw()
        if self._bus is not None:
            self._bus.thaw(node.number)
        over()

    async def _cut_bus(self, step: steps.CutBus) -> None:
        if self._bus is not None:
            self.counters["bus: silent" if step.silent else "bus: cut"] += 1
            self._bus.cut(step.node, silent=step.silent)
            await trio.sleep(step.seconds)
            self._bus.mend(step.node, silent=step.silent)

    async def _give_new_epoch(self, slug: str) -> None:
        over = self.disturbances.begin(Cause.STALE, "new epoch", slug=slug)
        await self._first_store.elsewhere().new_epoch(slug)
        over()

    # -- the end of a node

    def kill(self, down_for: float) -> None:
        """See :class:`Player`."""
        self._kill(self.nodes[0], down_for)

    async def shut_down(self, step: steps.Shutdown) -> None:
        """See :class:`Player`."""
        await self._stop(self.nodes[step.node], step.drain_for)

    def shut_down_at_once(self) -> None:
        """See :class:`Player`."""
        self.nodes[0].cancel()

    def _kill(self, node: Node, down_for: float) -> None:
        if not node.is_running:
            return
        self.counters["killed"] += 1
        node.disturbances.happened(Cause.KILL, "kill")
        self._cut_off(node)
        node.kill()
        self._start_again(node, down_for)

    async def _stop(self, node: Node, drain_for: float | None) -> None:
        if node.is_up:
            self.counters["shut down"] += 1
            over = node.disturbances.begin(Cause.STOP, "shutdown")
            await node.stop(drain_for)
            over()

    def _node_ended(self, node: Node) -> None:
        """Start another one in the place of a node that has ended."""
        node.store = node.store.detach()
        self._cut_off(node)
        self._start_again(node, 0.0)

    def _cut_off(self, node: Node) -> None:
        for client in self.clients.values():
            if client.server is node:
                client.cut()
            client.abandon_http(node)

    def _start_again(self, node: Node, down_for: float) -> None:
        self.nursery.start_soon(node.run, partial(self._node_ended, node), down_for)
        for client in self.clients.values():
            if client.server is node:
                self.nursery.start_soon(client.come_back, "resume")

    # -- the end

    def heal(self) -> None:
        """See :class:`Player`."""
        for node in self.nodes:
            node.store.heal()

    async def wait_recovered(self) -> None:
        """See :class:`Player`."""
        await self.wait(LATENESS + 1.0)
        for _ in range(int(RECOVERY_TIME)):
            numbers = [client.number for client in self.clients.values()]
            disturbances = [self.disturbances, *(node.disturbances for node in self.nodes)]
            if (
                self.is_calm()
                and all(each.are_over for each in disturbances)
                and None not in numbers
            ):
                return
            await self.wait(1.0)

    async def end(self) -> None:
        """See :class:`Player`."""
        await self.wait(0.0)
        for node in self.nodes:
            clients = [each for each in self.clients.values() if each.server is node]
            await self.end_at(node.rooms, clients)

    def _is_delayed(self) -> bool:
        """Whether a node may have to wait for the store, or for another that has a lock."""
        waiting = steps.FailStore | steps.Freeze | steps.Outage
        return any(self.plan.latencies) or any(isinstance(s, waiting) for s in self.plan.steps)
