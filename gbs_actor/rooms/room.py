"""The room: one actor that serialises every change of one retreat."""

from __future__ import annotations

from math import inf

import trio

from gbs_actor.rooms.batch import Batch, Phase
from gbs_actor.rooms.batch_runner import BatchRunner
from gbs_actor.rooms.commits import Commits
from gbs_actor.rooms.delivery import RESTARTED
from gbs_actor.rooms.fan_out import FanOut
from gbs_actor.rooms.handle import RoomHandle
from gbs_actor.rooms.loading import Loading, RoomEnded
from gbs_actor.rooms.statistics import RoomState
from gbs_actor.rooms.subscriptions import Subscriptions
from gbs_actor.rooms.tracepoints import Tracepoint
from gbs_actor.store.protocol import Store, StoreUnavailable


class Room:
    """One incarnation of a room: from loading to idleness, drain or crash.

    :param handle: mailbox, subscribers and the batch in hand; outlives this object.
    :param store: where the retreat is durable.
    """

    def __init__(self, handle: RoomHandle, store: Store) -> None:
        self._handle = handle
        self._config = handle.config
        self._commits = Commits(handle, store)
        self._subscriptions = Subscriptions(handle)
        self._fan_out = FanOut(handle, self._subscriptions, handle.observe)
        self._loading = Loading(handle, store, self._subscriptions, self._fan_out)
        self._batches = BatchRunner(
            handle,
            store,
            commits=self._commits,
            loading=self._loading,
            subscriptions=self._subscriptions,
            fan_out=self._fan_out,
        )

    async def run(self) -> None:
        """Serve the room until it is idle, drained, to be restarted or found not to exist.

        Cancellation takes effect between commits. What it raises is a crash: the
        supervisor replies to what is left in the handle.
        """
        try:
            await self._start()
            self._handle.enter(RoomState.RUNNING)
            if self._handle.other_servers is not None:
                self._handle.other_servers.room_started(self._handle.slug)
            self._publish_start()
            await self._serve()
        except* RoomEnded:
            pass

    async def send_committed(self, batch: Batch) -> None:
        """Send everybody the rows of a durable batch, and the replies, after a crash.

        Nothing of it rests on the board, and no tracepoint is observed. Not to be
        cancelled half-way: shield it.
        """
        await FanOut(self._handle, self._subscriptions, _ignore).send_without_board(batch)

    async def _serve(self) -> None:
        handle, subscriptions = self._handle, self._subscriptions
        compared = False
        while not handle.restart_requested:
            # Hints may come faster than the store answers: work is done in between all the same.
            if handle.outdated or (handle.behind and not compared):
                compared = True
                await self._loading.compare_with_store()
                continue
            await subscriptions.process_controls()
            if subscriptions.waits_for_store:
                await self._confirm()
                continue
            compared = False
            if handle.apart:  # some of it may have been replied to in an outage, or as a mark
                handle.apart = {each for each in handle.apart if not each.replied}
            work = handle.mailbox.take_work(1 if handle.apart else self._config.batch_size)
            if work:
                apart = work[0] in handle.apart
                handle.apart.discard(work[0])
                await self._batches.run(Batch.of(work, apart=apart))
            await subscriptions.send_due()  # behind the edits: it can wait, they cannot
            if len(handle.mailbox) or handle.behind or handle.restart_requested:
                await trio.lowlevel.checkpoint()
                continue
            idle_at = self._idle_deadline()
            if handle.draining or idle_at <= trio.current_time():
                return
            until = min(subscriptions.next_due(), idle_at)
            await self._wait_idle(until)

    async def _confirm(self) -> None:
        """Let those enter who wait until the board is where the store is, if need be as it is."""
        try:
            await self._loading.confirm()
        except StoreUnavailable:
            await self._loading.wait_for_store()

    async def _wait_idle(self, until: float) -> None:
        """Wait for something to do; meanwhile whoever joins takes no task switch.

        :param until: Trio time.
        """
        handle = self._handle
        if not handle.freshness.shared:
            handle.join_idle = self._subscriptions.join
        try:
            if until == inf:
                await handle.mailbox.wait()
            else:
                with trio.move_on_at(until):
                    await handle.mailbox.wait()
        finally:
            handle.join_idle = None
        failure, handle.failure = handle.failure, None
        if failure is not None:
            raise failure

    def _idle_deadline(self) -> float:
        if self._handle.subscribers:
            return inf
        return self._subscriptions.empty_since + self._config.idle_timeout

    # -- starting -----------------------------------------------------------------------

    async def _start(self) -> None:
        """Resolve the commit that a crash interrupted, load, and catch the subscribers up."""
        handle = self._handle
        if handle.batch is not None:
            resolution = await self._commits.resolve(handle.batch)
            if resolution.committed:
                handle.batch.phase = Phase.COMMITTED
                handle.note_changes(handle.batch.changes)
                with trio.CancelScope(shield=True):
                    await self.send_committed(handle.batch)
            else:
                handle.batch.reject_pending(RESTARTED)
            handle.batch = None
        await self._loading.load()
        handle.observe(Tracepoint.LOADED)
        await self._fan_out.catch_up()
        self._subscriptions.end_orphaned_marks()
        handle.observe(Tracepoint.CAUGHT_UP)

    def _publish_start(self) -> None:
        handle = self._handle
        if handle.restarts:
            handle.publish(
                "room.recovered", f"room {handle.slug} runs again", crashes=handle.restarts
            )
        else:
            handle.publish("room.started", f"room {handle.slug} has started")


def _ignore(tracepoint: Tracepoint) -> None:
    """Observe nothing."""
