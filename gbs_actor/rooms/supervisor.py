"""Starts, restarts and stops rooms, and is where connections reach them."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime

import trio

from gbs_actor.lineup.changes import Rejection
from gbs_actor.lineup.commands import Command
from gbs_actor.rooms.batch import Batch, Phase
from gbs_actor.rooms.config import RoomConfig
from gbs_actor.rooms.delivery import CommandReply, Done, DoneReply, JoinReply, Snapshot
from gbs_actor.rooms.handle import RoomHandle
from gbs_actor.rooms.mailbox import Join, Leave, MarkUpdate, Resume, Submission
from gbs_actor.rooms.refusals import (
    NOT_IN_ROOM,
    RESTARTED,
    SHUTTING_DOWN,
    UNAVAILABLE,
    UNKNOWN_OUTCOME,
)
from gbs_actor.rooms.room import Room, utc_now
from gbs_actor.rooms.statistics import RoomState, RoomStatistics, SupervisorStatistics
from gbs_actor.rooms.subscriber import Subscriber
from gbs_actor.rooms.tracepoints import Observer, ignore
from gbs_actor.store.protocol import Store

log = logging.getLogger(__name__)


class RoomSupervisor:
    """Owns the rooms of all retreats, each a task in its nursery.

    A crash takes no other room and no connection with it: the room starts again after a
    pause, and its subscribers get what they missed. A room that crashes too often is
    FAILED and refuses everything until :meth:`restart` or until a cool-down has passed.

    What connections call is synchronous, apart from :meth:`join` and :meth:`read`, and
    every reply is called exactly once.

    :param store: where the retreats are durable.
    :param config: limits and times of the rooms.
    :param clock: the wall clock, aware, UTC.
    :param observe: told of every step of every room; see
        :data:`~gbs_actor.rooms.tracepoints.Observer`.
    """

    def __init__(
        self,
        store: Store,
        config: RoomConfig | None = None,
        *,
        clock: Callable[[], datetime] = utc_now,
        observe: Observer = ignore,
    ) -> None:
        self._store = store
        self._config = config or RoomConfig()
        self._clock = clock
        self._observe = observe
        self._handles: dict[str, RoomHandle] = {}
        self._nursery: trio.Nursery | None = None
        self._emptied = trio.lowlevel.ParkingLot()
        self._draining = False
        self._started = 0
        self._stopped_idle = 0
        self._crashes = 0

    @asynccontextmanager
    async def running(self) -> AsyncIterator[RoomSupervisor]:
        """Run rooms for the length of an ``async with`` block.

        At its end rooms are cancelled between two commits; what was not carried out is
        answered so. Call :meth:`drain` first to let them finish.
        """
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            try:
                yield self
            finally:
                self._draining = True
                self._nursery = None
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
        it was. Commands under way in the former room are answered first. Cancellation
        takes the join back, unless it was carried out already.

        :param since: the revision of the last row the client has; inclusive.
        :param epoch: the epoch that revision belongs to.
        """
        if subscriber.room_slug != slug:
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
        answers: list[Done | Rejection] = []
        await self._await_reply(slug, Resume(subscriber, since, epoch, answers.append))
        return answers[0] if answers else NOT_IN_ROOM  # it has been disconnected meanwhile

    async def read(
        self, slug: str, *, since: int | None = None, epoch: str | None = None
    ) -> Snapshot | Rejection:
        """Return a retreat's rows without subscribing; a loaded room answers from memory."""
        handle = self._handles.get(slug)
        if handle is not None and handle.state is RoomState.RUNNING and handle.rows is not None:
            await trio.lowlevel.checkpoint()
            return handle.rows.snapshot(since, epoch)
        answers: list[Snapshot | Rejection] = []
        await self._await_reply(slug, Join(None, since, epoch, answers.append))
        return answers[0]

    def leave(self, subscriber: Subscriber, reply: DoneReply | None = None) -> None:
        """Take a subscriber out of its room, behind the commands it gave before."""
        leave = Leave(subscriber, reply)
        if subscriber.handle is None:
            leave.reply(Done(None))
        else:
            subscriber.handle.leave(leave)

    def disconnect(self, subscriber: Subscriber) -> None:
        """Note that a connection has ended; its commands under way are still carried out."""
        subscriber.closed = True
        self.leave(subscriber)

    def submit(self, subscriber: Subscriber, command: Command, reply: CommandReply) -> None:
        """Give a command to the room the subscriber is in."""
        submission = Submission(command, reply, subscriber)
        if subscriber.handle is None:
            submission.reply(self._not_in_room())
        else:
            subscriber.handle.submit(submission)

    def submit_to(self, slug: str, command: Command, reply: CommandReply) -> None:
        """Give a command to a retreat's room from outside; starts the room if need be."""
        submission = Submission(command, reply)
        handle = self._open(slug)
        if handle is None:
            submission.reply(SHUTTING_DOWN)
        else:
            handle.submit(submission)

    def mark_editing(
        self,
        subscriber: Subscriber,
        registration_id: int,
        field: str | None,
        editing: bool,
        reply: DoneReply,
    ) -> None:
        """Show the others in the room what a subscriber is editing, or no longer is."""
        mark = MarkUpdate(subscriber, registration_id, field, editing, reply)
        if subscriber.handle is None:
            mark.reply(self._not_in_room())
        else:
            subscriber.handle.submit(mark)

    def reject_mark(self, subscriber: Subscriber) -> None:
        """End a subscriber's editing mark, as one that it gave after it was refused."""
        if subscriber.handle is not None:
            subscriber.handle.reject_mark(subscriber)

    # -- for operators --------------------------------------------------------------------

    def restart(self, slug: str) -> bool:
        """Let a FAILED room, or one that pauses after a crash, start at once.

        :returns: whether there was such a room.
        """
        handle = self._handles.get(slug)
        if handle is None or handle.state not in (RoomState.FAILED, RoomState.BACKOFF):
            return False
        handle.crash_times.clear()
        handle.wake_paused.unpark_all()
        return True

    def statistics(self) -> SupervisorStatistics:
        """Return all rooms as they are now; never blocks."""
        return SupervisorStatistics(
            rooms=tuple(handle.statistics() for handle in self._handles.values()),
            started=self._started,
            stopped_idle=self._stopped_idle,
            crashes=self._crashes,
            draining=self._draining,
        )

    def room_statistics(self, slug: str) -> RoomStatistics | None:
        """Return one room as it is now, if it is loaded."""
        handle = self._handles.get(slug)
        return None if handle is None else handle.statistics()

    async def drain(self) -> None:
        """Refuse what comes from now on, and return once every room has answered the rest.

        Bound it by a cancel scope: a room waits for its store. Cancellation ends the
        wait; rooms go on draining.
        """
        self._draining = True
        for handle in self._handles.values():
            handle.drain()
        while self._handles:
            await self._emptied.park()

    def reject_pending(self) -> None:
        """Answer all that still waits; for the end of a :meth:`drain` that took too long.

        What is being committed gets OUTCOME_UNKNOWN. Rooms stay as they are.
        """
        for handle in self._handles.values():
            if handle.batch is not None:
                _give_up(handle.batch)
            handle.reject_queued(SHUTTING_DOWN, joins=SHUTTING_DOWN)

    # -- supervision ----------------------------------------------------------------------

    def _not_in_room(self) -> Rejection:
        return SHUTTING_DOWN if self._draining else NOT_IN_ROOM

    async def _await_reply(self, slug: str, join: Join | Resume) -> None:
        handle = self._open(slug)
        if handle is None:
            join.reply(SHUTTING_DOWN)
        else:
            handle.join(join)
        try:
            await join.done.wait()
        finally:
            join.withdraw()

    def _open(self, slug: str) -> RoomHandle | None:
        """Return the room's handle, starting the room if there is none."""
        handle = self._handles.get(slug)
        if handle is None and self._nursery is not None and not self._draining:
            handle = self._handles[slug] = RoomHandle(slug, self._config)
            self._started += 1
            self._nursery.start_soon(self._supervise, handle, name=f"room {slug}")
        return handle

    async def _supervise(self, handle: RoomHandle) -> None:
        """Run one room after another under the same handle until it may stop."""
        try:
            while True:
                room = Room(handle, self._store, clock=self._clock, observe=self._observe)
                try:
                    await room.run()
                except Exception as error:  # noqa: BLE001  (whatever it is, it is a crash)
                    self._crashed(handle, error)
                else:
                    self._stopped_idle += not handle.draining
                    return
                await self._pause(handle)
                if handle.draining or not (handle.wanted or handle.state is RoomState.BACKOFF):
                    return
                handle.state = RoomState.RESTARTING
                handle.failed_until = None
                handle.restarts += 1
        finally:
            self._close(handle)

    def _crashed(self, handle: RoomHandle, error: Exception) -> None:
        """Answer what the crash decides, and say how the room goes on."""
        now = trio.current_time()
        self._crashes += 1
        handle.crash_times.append(now)
        handle.last_error = f"{type(_cause(error)).__name__}: {_cause(error)}"
        handle.resolving = False
        log.error("room %s crashed", handle.slug, exc_info=error)
        recent = sum(now - at <= self._config.crash_window for at in handle.crash_times)
        if recent > self._config.max_crashes:
            handle.state = RoomState.FAILED
            handle.failed_until = now + self._config.cool_down
            log.error(
                "room %s is FAILED: %d crashes in %g s; restart it, or it starts again in %g s",
                handle.slug,
                recent,
                self._config.crash_window,
                self._config.cool_down,
            )
        else:
            handle.state = RoomState.BACKOFF
        failed = handle.state is RoomState.FAILED
        if handle.batch is not None and handle.batch.phase is Phase.DECIDING:
            handle.batch.reject_pending(RESTARTED)
            handle.batch = None
        elif handle.batch is not None and failed:
            handle.batch.reject_pending(UNKNOWN_OUTCOME)
        handle.reject_queued(RESTARTED, joins=UNAVAILABLE if failed else None)

    async def _pause(self, handle: RoomHandle) -> None:
        """Wait out the backoff or the cool-down, an operator, or the drain."""
        if handle.draining:
            return
        config = self._config
        if handle.state is RoomState.FAILED:
            pause = config.cool_down
        else:
            doublings = max(0, len(handle.crash_times) - 1)
            pause = min(config.crash_backoff * 2**doublings, config.crash_backoff_max)
        with trio.move_on_after(pause):
            await handle.wake_paused.park()

    def _close(self, handle: RoomHandle) -> None:
        """Forget a room that has ended, answering whatever waits for it still."""
        handle.state = RoomState.STOPPED
        if handle.batch is not None:
            _give_up(handle.batch)
        handle.reject_queued(
            SHUTTING_DOWN if self._draining else RESTARTED,
            joins=SHUTTING_DOWN if self._draining else RESTARTED,
        )
        for subscriber in tuple(handle.subscribers):
            handle.remove(Leave(subscriber))
        del self._handles[handle.slug]
        if not self._handles:
            self._emptied.unpark_all()


def _give_up(batch: Batch) -> None:
    batch.reject_pending(RESTARTED if batch.phase is Phase.DECIDING else UNKNOWN_OUTCOME)


def _cause(error: BaseException) -> BaseException:
    """Return the one error at the bottom of groups with a single member."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error
