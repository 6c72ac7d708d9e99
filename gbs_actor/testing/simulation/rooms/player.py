"""Plays a plan on rooms, a simulated store and simulated clients, and records what happens."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any, Final

import msgspec
import trio
from trio.testing import wait_all_tasks_blocked

from gbs_actor.contract.commands import BY_EVENT
from gbs_actor.contract.decoding import InvalidPayload
from gbs_actor.lineup.board import Board
from gbs_actor.lineup.changes import Change, LogEntry
from gbs_actor.lineup.commands import Author, Command
from gbs_actor.rooms import Snapshot, Tracepoint
from gbs_actor.settings import RoomSettings
from gbs_actor.store.protocol import StoreError
from gbs_actor.testing.environment import SimWall, seeded_environment
from gbs_actor.testing.simulation.history import (
    Cause,
    Committed,
    Ended,
    History,
    Json,
    NewEpoch,
    Quiet,
)
from gbs_actor.testing.simulation.plan import SLUGS, Plan, Step, steps
from gbs_actor.testing.simulation.rooms.client import Client
from gbs_actor.testing.simulation.rooms.disturbances import Disturbances
from gbs_actor.testing.simulation.rooms.retreats import import_retreats
from gbs_actor.testing.simulation.rooms.server import SimServer
from gbs_actor.testing.store import Fault, Operation, SimStore

RECOVERY_TIME: Final = 200.0
"""Seconds after the last step: longer than any fault, pause and back-off takes."""
QUIET_TIME: Final = 200.0
"""Seconds of quiet, in which everything comes to its end."""
_STALE: Final = (Fault.CONTENDED,)
"""Faults that are those of another writer."""
_FOREIGN: Final = Author(user_id=99, name="user 99", admin_user_id=99)


class InjectedCrash(Exception):
    """What crashes a room on purpose."""


@dataclass
class _Trap:
    """Something that happens when a room passes a step of its loop."""

    retreat: str | None
    at: Tracepoint | None
    passes: int
    times: int
    spring: Callable[[str, Tracepoint], None]


async def play(plan: Plan, counters: Counter[str]) -> History:
    """Play a plan to its end.

    :param counters: counts what was reached: faults, states, steps of rooms.
    """
    run = _Run(plan, counters)
    return await run.play()


class _Run:
    """One simulation of rooms."""

    def __init__(self, plan: Plan, counters: Counter[str]) -> None:
        self.plan = plan
        self.counters = counters
        self.wall = SimWall()
        self.environment = seeded_environment(plan.seed, self.wall)
        store = SimStore(environment=self.environment)
        self._numbers: Iterator[int] = count(1)
        self._traps: list[_Trap] = []
        self._unnoticed: list[Callable[[], None]] = []
        """What ends the causes that nobody has noticed yet."""
        self._noticed = trio.Event()
        """Set when all that others have written is noticed."""
        config = RoomSettings.model_validate(plan.settings)
        self.server = SimServer(store, config, self.environment, self._passed)
        self.history: History
        self.disturbances: Disturbances
        self.nursery: trio.Nursery
        self.clients: dict[int, Client] = {}

    def slug_of(self, argument: Json) -> str | None:
        """Return the retreat that the person is in whom a command is about, if there is one."""
        items = argument.get("assignments", (argument,))
        id_ = items[0].get("lineupId", 0)
        retreat = (id_ - 1) // self.plan.people
        return SLUGS[retreat] if 0 <= retreat < self.plan.retreats else None

    def next_number(self) -> int:
        """Return a number that is unique in the run."""
        return next(self._numbers)

    async def play(self) -> History:
        """Play the plan."""
        plan, store = self.plan, self.server.store
        slugs = SLUGS[: plan.retreats]
        before = await import_retreats(store, slugs, plan.people)
        self.history = History(before, delayed=plan.latency > 0)
        self.disturbances = Disturbances(self.history, self.server.is_calm)
        store.latency = plan.latency
        store.on_commit = self._committed
        store.on_epoch = self._new_epoch
        store.on_fault = self._fault_happened
        if plan.settings.keys() & {"mailbox_size"}:
            self.disturbances.begin(Cause.LOAD, "a small mailbox")
        self.clients = {each.number: Client(each, self) for each in plan.clients}
        async with trio.open_nursery() as self.nursery:
            self.nursery.start_soon(self.server.run, self._server_ended)
            await self.server.wait_up()
            for client in self.clients.values():
                client.connect()
                retreat = client.participant.retreat
                if retreat is not None and retreat < plan.retreats:
                    client.join(steps.Join(client.participant.number, retreat))
            for step in plan.steps:
                await self._play(step)
            await self._recover()
            self.history.record(Quiet())
            await trio.sleep(QUIET_TIME)
            await self._end(slugs)
            self.nursery.cancel_scope.cancel()
        return self.history

    # -- steps

    async def _play(self, step: Step) -> None:
        match step:
            case steps.Wait():
                await self._wait(step.seconds)
            case steps.Turns():
                for _ in range(step.count):
                    await trio.lowlevel.checkpoint()
            case (
                steps.Invoke()
                | steps.Join()
                | steps.Leave()
                | steps.Read()
                | steps.Mark()
                | steps.StopReading()
                | steps.GoOnReading()
                | steps.Disconnect()
            ):
                if (client := self.clients.get(step.client)) is not None:
                    self._let(client, step)
            case steps.FailStore():
                self.server.store.fail(*[step.fault] * step.times, of=step.of)
            case steps.JumpWall():
                self.wall.advance(step.seconds)
            case steps.CrashRoom():
                slug = SLUGS[step.retreat]
                self._traps.append(_Trap(slug, step.at, step.passes, step.times, self._crash))
            case steps.Kill():
                self._kill(step.down_for)
            case steps.Shutdown(at=at) if at is not None:
                self._traps.append(_Trap(None, at, step.passes, 1, self._cancel))
            case steps.Shutdown():
                self.nursery.start_soon(self._shut_down, step.drain_for)
            case steps.Operate():
                self.nursery.start_soon(self._operate, step)
            case steps.Outage():
                self.nursery.start_soon(self._outage, step.seconds)
            case steps.WriteElsewhere():
                self.nursery.start_soon(self._write_elsewhere, step)
            case steps.NewEpoch():
                self.nursery.start_soon(self._give_epoch, SLUGS[step.retreat])

    async def _wait(self, seconds: float) -> None:
        await wait_all_tasks_blocked()
        self.disturbances.look()
        if seconds:
            await trio.sleep(seconds)
            await wait_all_tasks_blocked()
            self.disturbances.look()

    def _let(self, client: Client, step: Step) -> None:
        if not self.server.is_running:
            return
        match step:
            case steps.Invoke():
                client.invoke(step)
            case steps.Join():
                client.join(step)
            case steps.Leave():
                client.leave()
            case steps.Read():
                client.read(step)
            case steps.Mark():
                client.mark(step)
            case steps.StopReading():
                client.stop_reading()
            case steps.GoOnReading():
                client.go_on_reading()
            case steps.Disconnect():
                client.disconnect(step)

    # -- the server

    def _passed(self, slug: str, tracepoint: Tracepoint) -> None:
        self.counters[f"passed: {tracepoint}"] += 1
        for trap in self._traps:
            if trap.retreat not in (None, slug) or trap.at not in (None, tracepoint):
                continue
            if trap.passes:
                trap.passes -= 1
                continue
            trap.times -= 1
            if not trap.times:
                self._traps.remove(trap)
            trap.spring(slug, tracepoint)
            return

    def _crash(self, slug: str, tracepoint: Tracepoint) -> None:
        self.counters[f"crashed: {tracepoint}"] += 1
        self.disturbances.happened(Cause.CRASH, f"crash at {tracepoint}", slug=slug)
        raise InjectedCrash(tracepoint)

    def _cancel(self, slug: str, tracepoint: Tracepoint) -> None:
        self.counters[f"cancelled: {tracepoint}"] += 1
        self.disturbances.happened(Cause.STOP, f"cancelled at {tracepoint}")
        self.server.cancel()

    async def _shut_down(self, drain_for: float | None) -> None:
        if self.server.is_up:
            self.counters["shut down"] += 1
            over = self.disturbances.begin(Cause.STOP, "shutdown")
            await self.server.stop(drain_for)
            over()

    def _server_ended(self) -> None:
        """Cut the connections of a server that has ended, and start another one."""
        for client in self.clients.values():
            client.cut()
            client.abandon_http()
        self._start_again(0.0)

    def _kill(self, down_for: float) -> None:
        if not self.server.is_running:
            return
        self.counters["killed"] += 1
        self.disturbances.happened(Cause.KILL, "kill")
        for client in self.clients.values():
            client.cut()
            client.abandon_http()
        killed = self.server.store
        self.server.kill()
        killed.on_commit = self._committed_late
        self._start_again(down_for)

    def _start_again(self, down_for: float) -> None:
        self.nursery.start_soon(self.server.run, self._server_ended, down_for)
        for client in self.clients.values():
            self.nursery.start_soon(client.come_back, "resume")

    async def _operate(self, step: steps.Operate) -> None:
        await self.server.wait_up()
        self.counters[f"operator: {step.action}"] += 1
        cause = Cause.STOP if step.action in ("stop", "drain") else Cause.CRASH
        slug = SLUGS[step.retreat]
        over = self.disturbances.begin(cause, f"operator: {step.action}", slug=slug)
        spread = (0.7,) if step.action == "drain" else ()
        await getattr(self.server.rooms.actions, step.action)(slug, *spread)
        over()

    # -- the store

    def _committed(self, slug: str, entries: tuple[LogEntry, ...], foreign: bool) -> None:
        self.history.record(Committed(slug, entries, foreign))
        for entry in entries:
            self.counters[f"committed: {entry.kind}"] += 1

    def _committed_late(self, slug: str, entries: tuple[LogEntry, ...], foreign: bool) -> None:
        """Record what a server has sent that is gone: the next one may have loaded before.

        As nobody tells it, it finds out by its next commit; else in the end.
        """
        over = self.disturbances.begin(Cause.STALE, "a commit of the killed server", slug=slug)
        self._committed(slug, entries, foreign)
        self._unnoticed.append(over)

    def _new_epoch(self, slug: str, epoch: str) -> None:
        self.counters["new epoch"] += 1
        self.history.record(NewEpoch(slug, epoch))

    def _fault_happened(self, of: Operation, fault: Fault) -> None:
        if fault is not Fault.NONE:
            self.counters[f"{of}: {fault.name}"] += 1
            cause = Cause.STALE if fault in _STALE else Cause.STORE
            self.disturbances.happened(cause, f"{of} {fault}")

    async def _outage(self, seconds: float) -> None:
        self.counters["outage"] += 1
        over = self.disturbances.begin(Cause.STORE, f"outage of {seconds} s")
        self.server.store.begin_outage()
        await trio.sleep(seconds)
        self.server.store.end_outage()
        over()

    async def _write_elsewhere(self, step: steps.WriteElsewhere) -> None:
        slug = SLUGS[step.retreat]
        elsewhere = self.server.store.elsewhere()
        retreat = await elsewhere.load(slug)
        if retreat is None:
            return
        try:
            request = BY_EVENT[step.event].decode(msgspec.json.encode(step.argument))
        except InvalidPayload:
            return
        draft = Board(retreat).draft(iter(await elsewhere.reserve_memo_ids(1)))
        command = Command(request.action, _FOREIGN, self.environment.uuid())
        change = draft.decide(command, self.environment.now())
        if not isinstance(change, Change):
            return
        over = self.disturbances.begin(Cause.STALE, f"foreign {step.event}", slug=slug)
        try:
            await elsewhere.commit(retreat.id, retreat.revision, (change,))
        except StoreError:
            self.counters["foreign write too late"] += 1
        else:
            self.counters["foreign write"] += 1
        if not step.noticed:
            await self._noticed.wait()
        self.server.store.interrupt()
        over()

    async def _give_epoch(self, slug: str) -> None:
        over = self.disturbances.begin(Cause.STALE, "new epoch", slug=slug)
        await self.server.store.elsewhere().new_epoch(slug)
        self.server.store.interrupt()
        over()

    # -- the end

    async def _recover(self) -> None:
        """End all faults, and wait until nothing is left of them; let everybody join."""
        await self._wait(0.0)
        self._traps.clear()
        await self.server.wait_up()
        self.server.store.heal()
        self._noticed.set()
        self._notice()
        for client in self.clients.values():
            client.go_on_reading()
        await self._wait(RECOVERY_TIME)
        self._notice()  # of a server that was killed last
        for client in self.clients.values():
            if client.in_room is None:
                client.join(steps.Join(client.participant.number, 0, since=True))
        await self._wait(1.0)

    async def _end(self, slugs: Iterable[str]) -> None:
        await self._wait(0.0)
        store = self.server.store.elsewhere()
        for slug in slugs:
            stored = await store.load(slug)
            read = await self.server.rooms.read(slug)
            assert stored is not None
            assert isinstance(read, Snapshot), read
            replicas = {
                client.connection.number: tuple(client.replica.rows.values())
                for client in self.clients.values()
                if client.connection is not None and client.in_room == slug
            }
            rows: tuple[Any, ...] = tuple(msgspec.json.decode(read.rows))
            left_over = self._left_over(slug)
            self.history.record(Ended(slug, stored, rows, replicas, left_over))

    def _notice(self) -> None:
        """Let the server learn of what a killed one has committed late."""
        if self._unnoticed:
            self.server.store.interrupt()
        for over in self._unnoticed:
            over()
        self._unnoticed.clear()

    def _left_over(self, slug: str) -> dict[str, int]:
        room = self.server.rooms.room_statistics(slug)
        clients = self.clients.values()
        present = sum(client.in_room == slug for client in clients)
        found = {
            "waiting messages": sum(
                len(client.connection.waiting)
                for client in clients
                if client.connection is not None and client.in_room == slug
            )
        }
        if room is not None:
            found |= {
                "queued": room.mailbox_depth,
                "in hand": room.in_hand,
                "editing marks": room.editing_marks,
                "absent subscribers": room.subscriber_count - present,
                "not running": int(not self.server.is_calm()),
            }
        return {name: number for name, number in found.items() if number}
