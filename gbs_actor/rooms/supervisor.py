"""Starts and stops rooms, and is where connections reach them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager
from itertools import count
from typing import Any, Final

import trio

from gbs_actor.bus import Bus
from gbs_actor.concurrency import Service
from gbs_actor.environment import SYSTEM, Environment
from gbs_actor.lineup.board import Board
from gbs_actor.lineup.changes import Rejection
from gbs_actor.lineup.commands import (
    Action,
    AssignNumber,
    BulkAssign,
    Command,
    CreateMemo,
    DeleteMemo,
    UpdateMemo,
)
from gbs_actor.observability import OperatorEvents
from gbs_actor.rooms.anti_entropy import AntiEntropy
from gbs_actor.rooms.batch import Phase
from gbs_actor.rooms.command_times import CommandTimes
from gbs_actor.rooms.delivery import (
    NOT_IN_ROOM,
    RESTARTED,
    SHUTTING_DOWN,
    CommandReply,
    Done,
    DoneReply,
    JoinReply,
    Snapshot,
)
from gbs_actor.rooms.freshness import Freshness
from gbs_actor.rooms.groups import ListedGroup, listed_groups
from gbs_actor.rooms.handle import RoomHandle
from gbs_actor.rooms.listing import matching_slugs, sorted_summaries
from gbs_actor.rooms.mailbox import Join, Leave, MarkUpdate, Resume, Submission
from gbs_actor.rooms.node_link import NodeLink
from gbs_actor.rooms.overview import RoomCounts, RoomLoads, RoomTotals, counts_of, loads_of
from gbs_actor.rooms.restart_loop import RestartLoop
from gbs_actor.rooms.room_actions import RoomActions, send_away
from gbs_actor.rooms.room_statistics import statistics_of, summary_of
from gbs_actor.rooms.slow_commands import SlowCommands
from gbs_actor.rooms.statistics import (
    RoomPage,
    RoomState,
    RoomStatistics,
    RoomSummary,
    SupervisorStatistics,
)
from gbs_actor.rooms.subscriber import Subscriber
from gbs_actor.rooms.tracepoints import Observer, ignore
from gbs_actor.settings import RoomSettings
from gbs_actor.store.protocol import Store

_LEAVE_TIMEOUT: Final = 1.0
"""Seconds that other servers may take to be sent that this one ends."""


class RoomSupervisor:
    """Owns the rooms of all retreats, each a task in its nursery.

    A crash takes no other room and no connection with it: the room starts again after a
    pause, and its subscribers get what they missed. A room that crashes too often is
    FAILED and rejects everything until an operator restarts it or a cool-down has passed.

    What connections call is synchronous, apart from :meth:`join`, :meth:`resume`,
    :meth:`read` and :meth:`find_slug`, and every reply is called exactly once.

    :param store: where the retreats are durable.
    :param config: limits and times of the rooms.
    :param events: what operators are notified of.
    :param slow_commands: logs slow commands; by default none is.
    :param bus: what tells other servers on the store of commits, and hears of theirs; the rooms
        run it. Without it they find out by comparing themselves with the store.
    :param environment: where the times of changes come from, the ids of fences, and jitter.
    :param observe: called at every tracepoint of every room; see
        :data:`~gbs_actor.rooms.tracepoints.Observer`.
    """

    def __init__(
        self,
        store: Store,
        config: RoomSettings | None = None,
        *,
        events: OperatorEvents | None = None,
        slow_commands: SlowCommands | None = None,
        bus: Bus | None = None,
        environment: Environment = SYSTEM,
        observe: Observer = ignore,
    ) -> None:
        self._store = store
        self._config = config or RoomSettings()
        self._events = OperatorEvents(environment=environment) if events is None else events
        self.slow_commands = SlowCommands(0) if slow_commands is None else slow_commands
        self._environment = environment
        self._observe = observe
        self.times = CommandTimes()
        """Of the commands of all rooms."""
        self._handles: dict[str, RoomHandle] = {}
        self._bus = bus
        self._freshness = Freshness(store)
        self._anti_entropy = AntiEntropy(
            self._handles, store, self._freshness, self._config.comparison_interval
        )
        self._link = None if bus is None else NodeLink(bus, self._handles, self._anti_entropy)
        self._numbers = count(1)
        self._closed = RoomTotals()
        self.actions = RoomActions(self._handles)
        """What operators do to rooms."""
        self._nursery: trio.Nursery | None = None
        self._emptied = trio.lowlevel.ParkingLot()
        self._draining = False
        self._started = 0
        self._stopped_idle = 0
        self._crashes = 0
        self._interruptions = 0

    @asynccontextmanager
    async def running(self) -> AsyncIterator[RoomSupervisor]:
        """Run rooms for the length of an ``async with`` block.

        At its end rooms are cancelled between two commits; what was not carried out is
        rejected. Call :meth:`drain` first to let them finish.
        """
        services = {"store interruptions": self._watch_store}
        if self._freshness.shared:
            services["freshness"] = self._freshness.run
        if self._freshness.shared or self._store.written_by_others:
            services["anti-entropy"] = self._anti_entropy.run
        if (bus := self._bus) is not None:
            services |= {"bus": bus.run}
        if (link := self._link) is not None:
            services |= {"hints": link.follow, "presence of other servers": link.run}
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            for name, serve in services.items():
                nursery.start_soon(Service(name, serve, environment=self._environment).run)
            try:
                yield self
            finally:
                self._draining = True
                self._nursery = None
                if bus is not None:
                    with trio.move_on_after(_LEAVE_TIMEOUT, shield=True):
                        await bus.leave()
                nursery.cancel_scope.cancel()

    # -- for connections ------------------------------------------------------------------

    async def join(
        self,
        slug: str,
        subscriber: Subscriber,
        *,
        since: int | None = None,
        epoch: str | None = None,
        reply: JoinReply,
    ) -> None:
        """Put a subscriber into a retreat's room, and take it out of its former one.

        Returns once ``reply`` was called. A join that fails leaves the subscriber where
        it was. Commands in flight in another room get their replies first. Cancellation
        takes the join back, unless it was carried out already.

        :param since: the revision of the last row the client has; inclusive.
        :param epoch: the epoch that revision belongs to.
        """
        self._number(subscriber)
        if subscriber.room_slug != slug or subscriber.waits_elsewhere(slug):
            await subscriber.wait_replied()
        await self._await_reply(slug, Join(subscriber, since, epoch, reply))

    async def resume(
        self, slug: str, subscriber: Subscriber, *, since: int, epoch: str
    ) -> Done | Rejection:
        """Put a subscriber back into the room its client was in on an earlier connection.

        It is delivered the rows that it may have missed, ascending by revision. Where they
        would not do, as the client has to replace its list, it is rejected. Cancelled, the
        subscriber may be in the room.

        :param subscriber: a new one, in no room.
        :param since: the revision of the last row the client has; inclusive.
        :param epoch: the epoch that revision belongs to.
        """
        self._number(subscriber)
        replies: list[Done | Rejection] = []
        await self._await_reply(slug, Resume(subscriber, since, epoch, replies.append))
        return replies[0] if replies else NOT_IN_ROOM  # it has been disconnected meanwhile

    async def read(
        self,
        slug: str,
        *,
        since: int | None = None,
        epoch: str | None = None,
        known: Mapping[str, int] | None = None,
    ) -> Snapshot | Rejection:
        """Return a retreat's rows without subscribing; of a loaded room from memory.

        Where other servers may change it, the room makes sure of its revision first. If it
        cannot, it gives nothing that is older than what the caller knows of.

        :param since: as with :meth:`join`.
        :param known: revisions that the caller knows of otherwise, by epoch.
        """
        handle = self._running(slug)
        if handle is not None and handle.rows is not None and not self._freshness.shared:
            await trio.lowlevel.checkpoint()
            return handle.rows.snapshot(since, epoch)
        replies: list[Snapshot | Rejection] = []
        await self._await_reply(slug, Join(None, since, epoch, replies.append, known))
        return replies[0]

    async def board(self, slug: str, *, known: int = 0) -> Board | Rejection:
        """Return the line-up of a retreat as it is; its room goes on to change it.

        :param known: a revision that the caller may know of.
        :returns: as many reads as have no checkpoint in between see one revision.
        """
        handle = self._running(slug)
        if handle is None or self._freshness.shared:
            # What it has changed since, if it runs: nobody needs the rows here.
            since = None if handle is None else max(known, handle.revision)
            loaded = await self.read(slug, since=since)
            if isinstance(loaded, Rejection):
                return loaded
            handle = self._handles.get(slug)
        else:
            await trio.lowlevel.checkpoint()
        if handle is None or handle.rows is None:
            return SHUTTING_DOWN if self._draining else RESTARTED
        return handle.rows.board

    async def groups(self, slug: str) -> tuple[ListedGroup, ...] | Rejection:
        """Return the groups of a retreat, ascending by number.

        :raises StoreError: the store cannot be reached.
        """
        board = await self.board(slug)
        if isinstance(board, Rejection):
            return board
        return listed_groups(board, await self._store.groups(slug))

    def join_nowait(
        self,
        slug: str,
        subscriber: Subscriber,
        *,
        since: int | None = None,
        epoch: str | None = None,
        reply: JoinReply,
    ) -> bool:
        """Put a subscriber that is in no room into one that has nothing else to do.

        Parameters are those of :meth:`join`.

        :returns: whether ``reply`` was called; if not, nothing was done, and it has to wait.
        """
        handle = self._handles.get(slug)
        if handle is None or subscriber.room is not None or subscriber.in_flight:
            return False
        self._number(subscriber)
        return handle.join_nowait(Join(subscriber, since, epoch, reply))

    def leave(self, subscriber: Subscriber, reply: DoneReply | None = None) -> None:
        """Take a subscriber out of its room, behind the commands it submitted before."""
        if subscriber.room is None:
            Leave(subscriber, reply).reply(Done(None))
        else:
            subscriber.leaving = True
            subscriber.room.leave(subscriber, reply)

    def disconnect(self, subscriber: Subscriber) -> None:
        """Note that a connection has ended; its commands in flight are still carried out."""
        subscriber.closed = True
        self.leave(subscriber)

    def submit(
        self,
        subscriber: Subscriber,
        command: Command,
        reply: CommandReply,
        received_at: float | None = None,
    ) -> None:
        """Submit a command to the room the subscriber is in.

        :param received_at: Trio time at which it was read; its reply is timed from then on.
        """
        if subscriber.room is None:
            Submission(command, reply, subscriber).reply(self._not_in_room())
        else:
            subscriber.commands_slug = subscriber.room.slug
            subscriber.room.submit(command, reply, subscriber, received_at)

    def submit_to(self, slug: str, command: Command, reply: CommandReply) -> None:
        """Submit a command to a retreat's room from outside; starts the room if need be."""
        self._submit_to(slug, command, reply)

    def submit_outside(
        self,
        slug: str,
        subscriber: Subscriber,
        command: Command,
        reply: CommandReply,
        received_at: float | None = None,
        *,
        only_repeat: bool = False,
    ) -> None:
        """Submit a command of a subscriber to a room that it is not in.

        Starts the room if need be; the subscriber joins nothing. It is carried out even if the
        connection ends. For replies in order, call
        :meth:`~gbs_actor.rooms.subscriber.Subscriber.wait_replied_elsewhere` first.

        :param command: with ``outside_room``.
        :param received_at: see :meth:`submit`.
        :param only_repeat: see :class:`~gbs_actor.rooms.mailbox.Submission`.
        """
        subscriber.commands_slug = slug
        self._submit_to(slug, command, reply, subscriber, received_at, only_repeat=only_repeat)

    def holds_target(self, subscriber: Subscriber, action: Action) -> bool:
        """Whether the subscriber is in a room that has the row or memo of an action."""
        handle = self._handles.get(subscriber.room_slug or "")
        return handle is not None and handle.holds_target(action)

    async def find_slug(self, action: Action) -> str | None:
        """Return the slug of the retreat that an action is about.

        :returns: ``None`` if there is no such registration or memo, or the action names none;
            one of a deleted memo is found.
        :raises StoreUnavailable: no room has it loaded, and the store cannot be reached.
        """
        for handle in self._handles.values():
            if handle.holds_target(action):
                await trio.lowlevel.checkpoint()
                return handle.slug
        if isinstance(action, UpdateMemo | DeleteMemo):
            return await self._store.slug_of_memo(action.memo_id)
        if isinstance(action, AssignNumber | CreateMemo):
            return await self._store.slug_of_registration(action.registration_id)
        if isinstance(action, BulkAssign) and action.assignments:
            return await self._store.slug_of_registration(action.assignments[0].registration_id)
        return None

    def mark_editing(
        self,
        subscriber: Subscriber,
        registration_id: int,
        field: str | None,
        editing: bool,
        reply: DoneReply,
    ) -> None:
        """Show the others in the room what a subscriber is editing, or no longer is."""
        if subscriber.room is None:
            update = MarkUpdate(subscriber, registration_id, field, editing, reply)
            update.reply(self._not_in_room())
        else:
            subscriber.room.mark_editing(subscriber, registration_id, field, editing, reply)

    def reject_mark(self, subscriber: Subscriber) -> None:
        """End a subscriber's editing mark, since a later update of it was rejected."""
        if subscriber.room is not None:
            subscriber.room.reject_mark(subscriber)

    # -- for operators --------------------------------------------------------------------

    def statistics(self) -> SupervisorStatistics:
        """Return all rooms as they are now, without their subscribers; never blocks."""
        rooms = tuple(summary_of(handle) for handle in self._handles.values())
        return SupervisorStatistics(rooms=rooms, **self._counters())

    def summaries(self) -> Iterator[RoomSummary]:
        """Yield the open rooms without their subscribers, each as it is by then."""
        return map(summary_of, tuple(self._handles.values()))

    def matching(self, state: RoomState | None = None, search: str = "") -> list[str]:
        """Return the slugs of the open rooms that match; see :func:`matching_slugs`."""
        return matching_slugs(self._handles.values(), state, search)

    async def page(
        self,
        slugs: Iterable[str],
        sort: str = "slug",
        *,
        descending: bool = False,
        offset: int = 0,
        limit: int = 50,
        counters: bool = True,
        node: str | None = None,
        elsewhere: Collection[RoomSummary] = (),
    ) -> RoomPage:
        """Return some of the rooms that are open still, sorted; see :func:`sorted_summaries`.

        :param slugs: the rooms, in any order.
        :param counters: whether to return what was counted of all rooms, too.
        :param node: the name of this server among several.
        :param elsewhere: rooms of other servers, which are among them.
        """
        found = [self._handles[slug] for slug in slugs if slug in self._handles]
        rooms = await sorted_summaries(
            found, sort, offset, limit, descending=descending, node=node, elsewhere=elsewhere
        )
        total = len(found) + len(elsewhere)
        return RoomPage(rooms=rooms, total=total, **(self._counters() if counters else {}))

    def counts(self) -> RoomCounts:
        """Return how many rooms there are, and what all have counted; never blocks."""
        return counts_of(
            self._handles.values(),
            self._closed,
            crashes=self._crashes,
            checks=self._freshness.checks,
            behind=self._anti_entropy.behind if self._freshness.shared else 0.0,
            other_servers=0 if self._link is None else self._link.other_servers,
        )

    def behind_failure(self) -> str | None:
        """See :meth:`~gbs_actor.rooms.anti_entropy.AntiEntropy.failure`; never blocks."""
        return self._anti_entropy.failure()

    async def loads(self, named: int) -> RoomLoads:
        """Return what there is to do in the open rooms; see :func:`loads_of`."""
        return await loads_of(self._handles.values(), named)

    def room_statistics(self, slug: str) -> RoomStatistics | None:
        """Return one room as it is now, as a whole, if it is open."""
        handle = self._handles.get(slug)
        return None if handle is None else statistics_of(handle)

    async def drain(self) -> None:
        """Reject what comes from now on, and return once all else has its reply.

        Bound it by a cancel scope: a room waits for its store. Cancellation ends the
        wait; rooms go on draining.
        """
        self._draining = True
        for handle in self._handles.values():
            handle.drain()
        while self._handles:
            await self._emptied.park()

    def reject_pending(self) -> None:
        """Reject all that has no reply yet; for the end of a :meth:`drain` that took too long.

        What is being committed gets OUTCOME_UNKNOWN; what is committed gets its OK from the
        room. Rooms stay as they are.
        """
        for handle in self._handles.values():
            if handle.batch is not None and handle.batch.phase is not Phase.COMMITTED:
                handle.batch.reject_interrupted()
            handle.reject_queued(SHUTTING_DOWN, joins=SHUTTING_DOWN)

    def _running(self, slug: str) -> RoomHandle | None:
        """Return a room whose board has all that it has acknowledged."""
        handle = self._handles.get(slug)
        if handle is None or handle.state is not RoomState.RUNNING or handle.replying_after_crash:
            return None
        return handle

    # -- supervision ----------------------------------------------------------------------

    def _counters(self) -> dict[str, Any]:
        return {
            "started": self._started,
            "stopped_idle": self._stopped_idle,
            "crashes": self._crashes,
            "draining": self._draining,
        }

    def _number(self, subscriber: Subscriber) -> None:
        if not subscriber.number:
            subscriber.number = next(self._numbers)

    def _not_in_room(self) -> Rejection:
        return SHUTTING_DOWN if self._draining else NOT_IN_ROOM

    async def _await_reply(self, slug: str, join: Join | Resume) -> None:
        try:
            while (former := self._handles.get(slug)) is not None and former.stopping:
                await former.closed.wait()
            handle = self._open(slug)
            if handle is None:
                join.reply(SHUTTING_DOWN)
            else:
                handle.join(join)
            await join.done.wait()
        finally:
            join.withdraw()

    def _submit_to(
        self,
        slug: str,
        command: Command,
        reply: CommandReply,
        subscriber: Subscriber | None = None,
        received_at: float | None = None,
        *,
        only_repeat: bool = False,
    ) -> None:
        handle = self._open(slug)
        if handle is None:
            Submission(command, reply, subscriber).reply(SHUTTING_DOWN)
        else:
            handle.submit(command, reply, subscriber, received_at, only_repeat=only_repeat)

    def _open(self, slug: str) -> RoomHandle | None:
        """Return the room's handle, starting the room if there is none."""
        handle = self._handles.get(slug)
        if handle is None and self._nursery is not None and not self._draining:
            handle = RoomHandle(
                slug,
                self._config,
                self._events,
                self.slow_commands,
                self._observe,
                freshness=self._freshness,
                other_servers=self._link,
                environment=self._environment,
                times=self.times,
            )
            self._handles[slug] = handle
            self._started += 1
            self._nursery.start_soon(self._supervise, handle, name=f"room {slug}")
        return handle

    async def _watch_store(self) -> None:
        """Let every room compare itself with the store after each interruption."""
        while True:
            self._interruptions = await self._store.wait_interrupted(self._interruptions)
            for handle in self._handles.values():
                handle.compare_with_store()

    async def _supervise(self, handle: RoomHandle) -> None:
        loop = RestartLoop(handle, self._store, self._count_crash)
        try:
            stopped = await loop.run()
            self._stopped_idle += stopped and not handle.draining
            if handle.rows is not None:
                why = "it was drained" if handle.draining else "nobody was in it"
                if handle.stopping:
                    why = "an operator has stopped it"
                handle.publish("room.stopped", f"room {handle.slug} has stopped: {why}")
            if handle.stopping:
                self._reject_rest(handle)
                await send_away(handle)
        finally:
            self._close(handle)

    def _count_crash(self) -> None:
        self._crashes += 1

    def _close(self, handle: RoomHandle) -> None:
        """Remove a room that has ended, rejecting whatever is still queued for it."""
        self._reject_rest(handle)
        self._closed = self._closed.plus((handle,))
        for subscriber in tuple(handle.subscribers):
            handle.remove(Leave(subscriber))
        if self._link is not None:
            self._link.room_closed(handle.slug)
        del self._handles[handle.slug]
        handle.closed.set()
        handle.enter(RoomState.STOPPED)
        if not self._handles:
            self._emptied.unpark_all()

    def _reject_rest(self, handle: RoomHandle) -> None:
        """Reject what has no reply yet, since the room's task has ended."""
        handle.state = RoomState.STOPPED
        if handle.batch is not None:
            handle.batch.reject_interrupted()
        rejection = SHUTTING_DOWN if self._draining else RESTARTED
        handle.reject_queued(rejection, joins=rejection)
