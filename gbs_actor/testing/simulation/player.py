"""Plays a plan on a simulated store and simulated clients, whatever is between them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any, ClassVar, Final, Generic, Protocol, TypeVar

import msgspec
import trio
from trio.testing import wait_all_tasks_blocked

from gbs_actor.contract.commands import BY_EVENT
from gbs_actor.contract.decoding import InvalidPayload
from gbs_actor.lineup.board import Board
from gbs_actor.lineup.changes import Change, LogEntry
from gbs_actor.lineup.commands import Author, Command
from gbs_actor.rooms import RoomState, RoomSupervisor, Snapshot, Tracepoint
from gbs_actor.store.protocol import Attempt, StoreError
from gbs_actor.testing.environment import SimWall, seeded_environment
from gbs_actor.testing.simulation.bounds import Bound, Bounds, of_rooms
from gbs_actor.testing.simulation.disturbances import Disturbances
from gbs_actor.testing.simulation.history import (
    Cause,
    Committed,
    Ended,
    History,
    Json,
    NewEpoch,
    Quiet,
    WallSet,
)
from gbs_actor.testing.simulation.plan import SLUGS, Participant, Plan, Step, steps
from gbs_actor.testing.simulation.replica import Replica
from gbs_actor.testing.simulation.retreats import import_retreats
from gbs_actor.testing.store import Fault, Operation, SimStore

RECOVERY_TIME: Final = 200.0
"""Seconds after the last step: longer than any fault, pause and back-off takes."""
_STALE: Final = (Fault.CONTENDED,)
"""Faults that are those of another writer."""
_FOREIGN: Final = Author(user_id=99, name="user 99", admin_user_id=99)


class InjectedCrash(Exception):
    """What crashes a room on purpose."""


@dataclass
class Trap:
    """Something that happens when a room passes a step of its loop."""

    retreat: str | None
    at: Tracepoint | None
    passes: int
    times: int
    spring: Callable[[str, Tracepoint], None]
    node: int = 0


class Participating(Protocol):
    """A client, as the player reaches it. No method blocks."""

    participant: Participant
    replica: Replica

    @property
    def in_room(self) -> str | None:
        """The retreat whose room it is in."""
        ...

    @property
    def waiting(self) -> int:
        """Messages to it that it has not taken."""
        ...

    @property
    def number(self) -> int | None:
        """Of its connection in the run; ``None``: it has none."""
        ...

    def connect(self) -> None:
        """Open the first connection."""
        ...

    def join(self, step: steps.Join) -> None:
        """Join a retreat."""
        ...

    def go_on_reading(self) -> None:
        """Take what waits, and what comes."""
        ...

    def invoke(self, step: steps.Invoke) -> None:
        """Give a command."""
        ...

    def leave(self) -> None:
        """Leave the room it is in."""
        ...

    def read(self, step: steps.Read) -> None:
        """Ask for a list over HTTP."""
        ...

    def mark(self, step: steps.Mark) -> None:
        """Begin or end to edit something."""
        ...

    def stop_reading(self) -> None:
        """Leave what comes where it is."""
        ...

    def disconnect(self, step: steps.Disconnect) -> None:
        """Lose the connection, and come back."""
        ...


ClientT = TypeVar("ClientT", bound=Participating)


class Player(ABC, Generic[ClientT]):
    """Plays one plan; what is between the store and the clients is up to subclasses.

    :param counters: counts what was reached: faults, states, steps of rooms.
    """

    quiet_time: ClassVar[float] = 200.0
    """Seconds of quiet, in which everything comes to its end."""

    def __init__(self, plan: Plan, counters: Counter[str]) -> None:
        self.plan = plan
        self.counters = counters
        self.wall = SimWall()
        self.environment = seeded_environment(plan.seed, self.wall)
        self._numbers: Iterator[int] = count(1)
        self.disturbance_numbers: Iterator[int] = count(1)
        self._traps: list[Trap] = []
        self._unnoticed: list[Callable[[], None]] = []
        """What ends the causes that nobody has noticed yet."""
        self._noticed = trio.Event()
        """Set when all that others have written is noticed."""
        self.bounds = Bounds(lambda: of_rooms(self.rooms) if self.is_up else iter(()))
        self.history: History
        self.disturbances: Disturbances
        self.nursery: trio.Nursery
        self.clients: dict[int, ClientT] = {}
        self.ends: list[Ended] = []
        """What was found at the end; to be recorded."""

    # -- what is between the store and the clients

    @property
    @abstractmethod
    def store(self) -> SimStore:
        """Of the server that runs."""

    @property
    @abstractmethod
    def rooms(self) -> RoomSupervisor:
        """Of the server that runs."""

    @property
    @abstractmethod
    def is_up(self) -> bool:
        """Whether the server takes new connections."""

    @abstractmethod
    async def wait_up(self) -> None:
        """Wait until it does."""

    def let(self, client: ClientT, step: Step) -> None:
        """Let a client do what a step says, if it can; a subclass adds what else there is."""
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

    @abstractmethod
    def kill(self, down_for: float) -> None:
        """End the process in one step, and start another one after so many seconds."""

    @abstractmethod
    async def shut_down(self, step: steps.Shutdown) -> None:
        """End the process as on a signal, and start another one."""

    @abstractmethod
    def shut_down_at_once(self) -> None:
        """Begin that in the midst of a room's step."""

    def intrude(self, step: steps.Intrude) -> None:
        """Let a stranger connect, where there is a network."""

    async def operate(self, step: steps.Operate) -> None:
        """Let an operator act on a room."""
        spread = (0.7,) if step.action == "drain" else ()
        await getattr(self.rooms.actions, step.action)(SLUGS[step.retreat], *spread)

    def held(self) -> Iterator[Bound]:
        """Yield what the server holds besides its rooms, and how much at most."""
        return iter(())

    async def settled(self) -> None:
        """Wait until all that can be done at this instant is done."""
        await wait_all_tasks_blocked()

    @property
    def slugs(self) -> Sequence[str]:
        """The retreats."""
        return SLUGS[: self.plan.retreats]

    async def prepare(self, store: SimStore) -> None:
        """Put the retreats into a store, and begin to record what becomes of them."""
        plan = self.plan
        before = await import_retreats(store, self.slugs, plan.people)
        self.history = History(before, delayed=plan.latency > 0)
        self.history.record(WallSet(self.wall()))
        self.disturbances = Disturbances(
            self.history, self.is_calm, numbers=self.disturbance_numbers
        )
        store.latency = plan.latency
        store.on_commit = self._committed
        store.on_epoch = self._new_epoch
        store.on_fault = self.fault_happened
        if plan.settings.keys() & {"mailbox_size"}:
            self.disturbances.begin(Cause.LOAD, "a small mailbox")

    async def play_steps(self) -> None:
        """Connect the clients, play the steps, and let all come to its end."""
        trio.lowlevel.add_instrument(self.bounds)
        for client in self.clients.values():
            client.connect()
            retreat = client.participant.retreat
            if retreat is not None and retreat < self.plan.retreats:
                client.join(steps.Join(client.participant.number, retreat))
        for step in self.plan.steps:
            await self.play_step(step)
        await self.recover()
        self.history.record(Quiet())
        await trio.sleep(self.quiet_time)
        await self.end()
        trio.lowlevel.remove_instrument(self.bounds)
        self.history.problems += self.bounds.problems()

    def is_calm(self) -> bool:
        """Whether all rooms work."""
        return (
            self.is_up
            and self.store.is_reachable
            and not self.store.busy
            and all(
                room.state is RoomState.RUNNING
                and room.phase is None
                and (room.revision, room.epoch) == self.store.state_of(room.slug)
                and not (room.resolving or room.store_down)
                for room in self.rooms.statistics().rooms
            )
        )

    def slug_of(self, argument: Json) -> str | None:
        """Return the retreat that the person is in whom a command is about, if there is one."""
        items = argument.get("assignments", (argument,))
        id_ = items[0].get("lineupId", 0)
        retreat = (id_ - 1) // self.plan.people
        return SLUGS[retreat] if 0 <= retreat < self.plan.retreats else None

    def next_number(self) -> int:
        """Return a number that is unique in the run."""
        return next(self._numbers)

    # -- steps

    async def play_step(self, step: Step) -> None:
        """Let happen what a step says."""
        match step:
            case steps.Wait():
                await self.wait(step.seconds)
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
                | steps.Renew()
                | steps.SplitBytes()
                | steps.Grant()
                | steps.Kick()
                | steps.Violate()
            ):
                if (client := self.clients.get(step.client)) is not None:
                    self.let(client, step)
            case steps.Intrude():
                self.intrude(step)
            case steps.FailStore():
                self.store.fail(*[step.fault] * step.times, of=step.of)
            case steps.JumpWall():
                self.wall.advance(step.seconds)
                self.history.record(WallSet(self.wall()))
            case steps.CrashRoom():
                slug = SLUGS[step.retreat]
                self.set_trap(Trap(slug, step.at, step.passes, step.times, self.crash))
            case steps.Kill():
                self.kill(step.down_for)
            case steps.Shutdown(at=at) if at is not None:
                self.set_trap(Trap(None, at, step.passes, 1, self._cancel))
            case steps.Shutdown():
                self.nursery.start_soon(self.shut_down, step)
            case steps.Operate():
                self.nursery.start_soon(self._operate, step)
            case steps.Outage():
                self.nursery.start_soon(self._outage, step.seconds)
            case steps.WriteElsewhere():
                self.nursery.start_soon(self._write_elsewhere, step)
            case steps.NewEpoch():
                self.nursery.start_soon(self._give_epoch, SLUGS[step.retreat])

    async def wait(self, seconds: float) -> None:
        """Let all be done that can be done now, then let time pass."""
        await self.settled()
        self.look()
        if seconds:
            await trio.sleep(seconds)
            await self.settled()
            self.look()

    def look(self) -> None:
        """Record what is over, and compare what is held with its bounds."""
        self.disturbances.look()
        self.bounds.compare(self.held(), "all that could be done")

    # -- the server

    def set_trap(self, trap: Trap) -> None:
        """Let something happen when a room passes a step of its loop."""
        self._traps.append(trap)

    def passed(self, slug: str, tracepoint: Tracepoint, node: int = 0) -> None:
        """Learn that a room passes a step of its loop, at which it may be made to crash."""
        self.counters[f"passed: {tracepoint}"] += 1
        for trap in self._traps:
            if trap.node != node:
                continue
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

    def crash(
        self, slug: str, tracepoint: Tracepoint, disturbances: Disturbances | None = None
    ) -> None:
        """Crash the room that has called this.

        :param disturbances: those that it is one of.

        :raises InjectedCrash: always.
        """
        self.counters[f"crashed: {tracepoint}"] += 1
        disturbances = disturbances or self.disturbances
        disturbances.happened(Cause.CRASH, f"crash at {tracepoint}", slug=slug)
        raise InjectedCrash(tracepoint)

    def _cancel(self, slug: str, tracepoint: Tracepoint) -> None:
        self.counters[f"cancelled: {tracepoint}"] += 1
        self.disturbances.happened(Cause.STOP, f"cancelled at {tracepoint}")
        self.shut_down_at_once()

    async def _operate(self, step: steps.Operate) -> None:
        await self.wait_up()
        self.counters[f"operator: {step.action}"] += 1
        cause = Cause.STOP if step.action in ("stop", "drain") else Cause.CRASH
        slug = SLUGS[step.retreat]
        over = self.disturbances.begin(cause, f"operator: {step.action}", slug=slug)
        await self.operate(step)
        over()

    # -- the store

    def _committed(self, slug: str, entries: tuple[LogEntry, ...], foreign: bool) -> None:
        self.history.record(Committed(slug, entries, foreign))
        for entry in entries:
            self.counters[f"committed: {entry.kind}"] += 1

    def note_killed(self, store: SimStore) -> None:
        """Learn that the server that had a store was killed."""
        store.on_commit = self._committed_late

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

    def fault_happened(
        self, of: Operation, fault: Fault, disturbances: Disturbances | None = None
    ) -> None:
        """Record that a fault happens to a call of the store.

        :param disturbances: those that it is one of.
        """
        if fault is not Fault.NONE:
            self.counters[f"{of}: {fault.name}"] += 1
            cause = Cause.STALE if fault in _STALE else Cause.STORE
            (disturbances or self.disturbances).happened(cause, f"{of} {fault}")

    async def _outage(self, seconds: float) -> None:
        self.counters["outage"] += 1
        over = self.disturbances.begin(Cause.STORE, f"outage of {seconds} s")
        self.store.begin_outage()
        await trio.sleep(seconds)
        self.store.end_outage()
        over()

    async def _write_elsewhere(self, step: steps.WriteElsewhere) -> None:
        slug = SLUGS[step.retreat]
        elsewhere = self.store.elsewhere()
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
            late: object = await elsewhere.commit(
                Attempt(
                    self.environment.uuid(),
                    retreat.id,
                    retreat.epoch,
                    retreat.revision,
                    (change,),
                )
            )
        except StoreError:
            late = True
        self.counters["foreign write too late" if late else "foreign write"] += 1
        if not step.noticed:
            await self._noticed.wait()
        self.store.interrupt()
        over()

    async def _give_epoch(self, slug: str) -> None:
        over = self.disturbances.begin(Cause.STALE, "new epoch", slug=slug)
        await self.store.elsewhere().new_epoch(slug)
        self.store.interrupt()
        over()

    # -- the end

    async def recover(self) -> None:
        """End all faults, and wait until nothing is left of them; let everybody join."""
        await self.wait(0.0)
        self._traps.clear()
        await self.wait_up()
        self.heal()
        self._noticed.set()
        self._notice()
        for client in self.clients.values():
            client.go_on_reading()
        await self.wait_recovered()
        self._notice()  # of a server that was killed last
        for client in self.clients.values():
            if client.in_room is None:
                client.join(steps.Join(client.participant.number, 0, since=True))
        await self.wait(1.0)

    def heal(self) -> None:
        """Let the store work from now on."""
        self.store.heal()

    async def wait_recovered(self) -> None:
        """Wait until nothing is left of any fault."""
        await self.wait(RECOVERY_TIME)

    async def end(self) -> None:
        """Look at what is left."""
        await self.wait(0.0)
        await self.end_at(self.rooms, self.clients.values())

    async def end_at(self, rooms: RoomSupervisor, clients: Collection[ClientT]) -> None:
        """Look at what is left at one server.

        :param clients: those that speak to it.
        """
        await self._wait_calm()
        store = self.store.elsewhere()
        for slug in self.slugs:
            stored = await store.load(slug)
            read = await rooms.read(slug)
            await self._wait_calm()  # that may have taken a while
            assert stored is not None
            assert isinstance(read, Snapshot), read
            replicas = {
                client.number: tuple(client.replica.rows.values())
                for client in clients
                if client.number is not None and client.in_room == slug
            }
            rows: tuple[Any, ...] = tuple(msgspec.json.decode(read.rows))
            left_over = self.left_over(slug, rooms, clients)
            self.ends.append(Ended(slug, stored, rows, replicas, left_over))

    async def _wait_calm(self) -> None:
        """Wait while a server reads for itself, but not for long."""
        for _ in range(30):
            if self.is_calm():
                break
            await self.wait(0.1)

    def _notice(self) -> None:
        """Let the server learn of what a killed one has committed late."""
        if self._unnoticed:
            self.store.interrupt()
        for over in self._unnoticed:
            over()
        self._unnoticed.clear()

    def left_over(
        self, slug: str, rooms: RoomSupervisor, clients: Collection[ClientT]
    ) -> dict[str, int]:
        """Return what a room should not have at the end, by name."""
        room = rooms.room_statistics(slug)
        present = [client for client in clients if client.in_room == slug]
        found = {"waiting messages": sum(client.waiting for client in present)}
        if room is not None:
            found |= {
                "queued": room.mailbox_depth,
                "in hand": room.in_hand,
                "editing marks": room.editing_marks,
                "absent subscribers": room.subscriber_count - len(present),
                "not running": int(not self.is_calm()),
            }
        return {name: number for name, number in found.items() if number}
