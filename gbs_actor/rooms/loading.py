"""Loads a room's board, and loads it again where the store has changed meanwhile."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial
from typing import TypeVar

import trio

from gbs_actor.concurrency import background
from gbs_actor.lineup.board import Board
from gbs_actor.lineup.commands import Kind
from gbs_actor.lineup.records import Retreat
from gbs_actor.rooms.delivery import NO_SUCH_RETREAT, STORE_DOWN
from gbs_actor.rooms.fan_out import FanOut
from gbs_actor.rooms.handle import RoomHandle
from gbs_actor.rooms.mailbox import Leave
from gbs_actor.rooms.recent_changes import RecentChanges, settled_revision
from gbs_actor.rooms.rows import EncodedRows
from gbs_actor.rooms.subscriptions import Subscriptions
from gbs_actor.rooms.tracepoints import Tracepoint
from gbs_actor.store.protocol import Delta, Store, StoreUnavailable

log = logging.getLogger(__name__)

T = TypeVar("T")


class RoomEnded(Exception):
    """The room cannot go on, and nobody needs it to."""


class Loading:
    """Keeps the board of a room the one that the store has.

    :param handle: the room.
    :param store: where the retreat is durable.
    :param subscriptions: what goes on while the store is waited for.
    :param fan_out: sends what a new board has and the subscribers lack.
    """

    def __init__(
        self,
        handle: RoomHandle,
        store: Store,
        subscriptions: Subscriptions,
        fan_out: FanOut,
    ) -> None:
        self._handle = handle
        self._store = store
        self._subscriptions = subscriptions
        self._fan_out = fan_out

    async def load(self) -> None:
        """Load the retreat for the first time; wait for the store only for somebody there.

        :raises RoomEnded: there is no such retreat, or nobody who would wait for it.
        """
        handle = self._handle
        delays = handle.store_backoff.delays()
        while True:
            handle.observe(Tracepoint.LOADING)
            handle.begin_comparison()
            begun = handle.freshness.begin()
            try:
                retreat = await self._store.load(handle.slug)
            except StoreUnavailable:
                handle.store_down = True
                handle.reject_queued(STORE_DOWN, joins=STORE_DOWN)
                if handle.draining or not handle.wanted:
                    raise RoomEnded from None
                await trio.sleep(next(delays))
            else:
                handle.store_down = False
                self._replace_board(retreat)
                handle.confirmed_at = begun
                return

    async def reload(self, on_outage: Callable[[], None] | None = None) -> None:
        """Load the retreat anew and catch the subscribers up.

        :param on_outage: called each time that the store cannot be reached.
        :raises RoomEnded: the retreat is no more.
        """
        while True:
            begun = self._handle.freshness.begin()
            try:
                retreat = await self._store.load(self._handle.slug)
            except StoreUnavailable:
                if on_outage is not None:
                    on_outage()
                await self.wait_for_store()
            else:
                self._replace_board(retreat)
                self._handle.confirmed_at = begun
                await self._fan_out.catch_up()
                return

    async def compare_with_store(self) -> None:
        """Take over what the store has and the board lacks, and catch the subscribers up.

        To be done after every outage: another writer may have used it. If it cannot be reached,
        wait until it can be; then this is to be done again.

        :raises RoomEnded: the retreat is no more, or there is no store to wait for.
        """
        hint = self._handle.begin_comparison()
        try:
            await self.catch_up()
        except StoreUnavailable:
            await self.wait_for_store()
        else:
            self._handle.end_comparison(hint)

    async def confirm(self) -> bool:
        """Make sure that the board is where the store is at some moment after the call.

        What needs no store goes on meanwhile.

        :returns: whether it was elsewhere; it was caught up, and so were the subscribers.
        :raises StoreUnavailable: that cannot be found out.
        :raises RoomEnded: the retreat is no more.
        """
        handle, version = self._handle, self._handle.version
        assert version is not None
        check = partial(handle.freshness.versions, (version.id,))
        begun, versions = await self.while_serving(check)
        if versions.get(version.id) == version:
            handle.confirmed_at = begun
            return False
        await self.catch_up()
        return True

    async def catch_up(self) -> None:
        """Take over what the store has beyond the board, and catch the subscribers up.

        :raises StoreUnavailable: it cannot be read.
        :raises RoomEnded: the retreat is no more.
        """
        begun, version = self._handle.freshness.begin(), self._handle.version
        assert version is not None
        read = partial(self._store.delta, version.id, version.epoch, version.revision)
        delta = await self.while_serving(read)
        if delta is None:
            await self.reload()  # there may be another one of this name
        else:
            await self.install(delta, begun)

    async def install(
        self, delta: Delta, begun: int, on_outage: Callable[[], None] | None = None
    ) -> None:
        """Take over a delta and catch the subscribers up; load the retreat if it is incomplete.

        :param begun: the number of the read, or commit, that has returned it.
        :param on_outage: called each time that the store cannot be reached.
        :raises RoomEnded: the retreat is no more.
        """
        if not delta.complete:
            self._warn("another writer has changed it; loading it again")
            await self.reload(on_outage)
        elif self.take_over(delta, begun):
            await self._fan_out.catch_up()

    def take_over(self, delta: Delta, begun: int) -> bool:
        """Take over a complete delta; the caller catches the subscribers up before anything else.

        :param begun: as for :meth:`install`.
        :returns: whether there is anything in it.
        """
        handle = self._handle
        assert handle.rows is not None
        handle.confirmed_at = begun
        if delta.version.revision == handle.rows.board.revision:
            return False
        if not handle.freshness.shared and any(
            entry.kind is not Kind.EXTERNAL for entry in delta.entries
        ):
            self._warn("another writer has changed it")
        former = handle.rows.board.revision
        handle.rows.catch_up(delta)
        handle.note_entries(delta.entries)
        if delta.removed:
            for subscriber in handle.subscribers:
                if not subscriber.sink.format.batched or subscriber.sent_revision < former:
                    subscriber.sink.abort()  # no single row says that another one is gone
        handle.deltas += 1
        handle.progressed_at = trio.current_time()
        return True

    async def wait_for_store(self) -> None:
        """Reject commands, and serve joins, until the store replies again.

        Then the board is to be compared with the store.

        :raises RoomEnded: the room is to stop and there is no store to wait for.
        """
        handle = self._handle
        handle.store_down = True
        await self.while_serving(self._ping_until_up)
        handle.store_down = False
        handle.outdated = True

    async def while_serving(self, work: Callable[[], Awaitable[T]]) -> T:
        """Await ``work`` while what needs no store goes on."""
        async with background(self._subscriptions.serve):
            return await work()

    def _replace_board(self, retreat: Retreat | None) -> None:
        """Go on with the retreat as it was loaded.

        Connections that row updates cannot bring up to date (after a restored backup, or
        when a registration was removed) are ended: they come back, join, and get the
        full list.

        :raises RoomEnded: there is no such retreat.
        """
        handle = self._handle
        if retreat is None:
            handle.reject_queued(NO_SUCH_RETREAT, joins=NO_SUCH_RETREAT)
            for subscriber in tuple(handle.subscribers):
                handle.remove(Leave(subscriber))
            raise RoomEnded
        epoch = retreat.epoch if handle.rows is None else handle.rows.board.epoch
        seconds = handle.config.recent_changes_time
        handle.progressed_at = trio.current_time()
        before = handle.environment.now() - timedelta(seconds=seconds)
        settled = settled_revision(retreat.registrations, before)
        handle.rows = EncodedRows(Board(retreat), RecentChanges(settled, seconds))
        for subscriber in handle.subscribers:
            sent = subscriber.sent_revision
            if retreat.epoch != epoch or not retreat.removal_revision <= sent <= retreat.revision:
                subscriber.sink.abort()

    def _warn(self, message: str) -> None:
        log.warning("room %s: %s", self._handle.slug, message, extra={"room": self._handle.slug})

    async def _ping_until_up(self) -> None:
        delays = self._handle.store_backoff.delays()
        while True:
            try:
                await self._store.ping()
            except StoreUnavailable:
                if self._handle.draining:
                    raise RoomEnded from None
                await trio.sleep(next(delays))
            else:
                return
