"""The room: one actor that serialises every change of one retreat."""

from __future__ import annotations

import logging
from functools import partial
from itertools import chain
from math import inf

import trio

from gbs_actor.lineup.changes import Rejection
from gbs_actor.rooms.batch import Batch, Phase, Repeat
from gbs_actor.rooms.commits import Commits
from gbs_actor.rooms.decisions import Decisions
from gbs_actor.rooms.delivery import (
    BUSY,
    INTERNAL,
    NOT_IN_ROOM,
    RESTARTED,
    STORE_DOWN,
)
from gbs_actor.rooms.fan_out import FanOut
from gbs_actor.rooms.handle import RoomHandle
from gbs_actor.rooms.loading import Loading, RoomEnded
from gbs_actor.rooms.mailbox import MarkUpdate
from gbs_actor.rooms.rows import EncodedRows
from gbs_actor.rooms.statistics import RoomState
from gbs_actor.rooms.subscriptions import Subscriptions
from gbs_actor.rooms.tracepoints import Tracepoint
from gbs_actor.store.protocol import (
    CommitRefused,
    OutcomeUnknown,
    RepeatedCommands,
    StaleRevision,
    Store,
    StoreUnavailable,
)

log = logging.getLogger(__name__)

MAX_ROUNDS = 8
"""How often a batch is decided and committed before its commands get ROOM_BUSY: each time
another writer was faster, or commands turned out to be repeats."""


class Room:
    """One incarnation of a room: from loading to idleness, drain or crash.

    :param handle: mailbox, subscribers and the batch in hand; outlives this object.
    :param store: where the retreat is durable.
    """

    def __init__(self, handle: RoomHandle, store: Store) -> None:
        self._handle = handle
        self._config = handle.config
        self._store = store
        self._decisions = Decisions(store, handle.config)
        self._commits = Commits(handle, store)
        self._subscriptions = Subscriptions(handle)
        self._fan_out = FanOut(handle, self._subscriptions, handle.observe)
        self._loading = Loading(handle, store, self._subscriptions, self._fan_out)

    async def run(self) -> None:
        """Serve the room until it is idle, drained, to be restarted or found not to exist.

        Cancellation takes effect between commits. What it raises is a crash: the
        supervisor replies to what is left in the handle.
        """
        try:
            await self._start()
            self._handle.enter(RoomState.RUNNING)
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
        while not handle.restart_requested:
            if handle.outdated:
                await self._loading.compare_with_store()
            await subscriptions.process_controls()
            work = handle.mailbox.take_work(1 if handle.one_by_one else self._config.batch_size)
            if work:
                handle.one_by_one = max(0, handle.one_by_one - 1)
                await self._run_batch(Batch.of(work))
            await subscriptions.send_due()  # behind the edits: it can wait, they cannot
            if len(handle.mailbox) or handle.outdated or handle.restart_requested:
                await trio.lowlevel.checkpoint()
                continue
            idle_at = self._idle_deadline()
            if handle.draining or idle_at <= trio.current_time():
                return
            until = min(subscriptions.next_due(), idle_at)
            await self._wait_idle(until)

    async def _wait_idle(self, until: float) -> None:
        """Wait for something to do; meanwhile whoever joins takes no task switch.

        :param until: Trio time.
        """
        handle = self._handle
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

    @property
    def _rows(self) -> EncodedRows:
        assert self._handle.rows is not None
        return self._handle.rows

    # -- batches --------------------------------------------------------------------------

    async def _run_batch(self, batch: Batch) -> None:
        handle = self._handle
        handle.batch = batch
        handle.batches += 1
        handle.commands += len(batch.steps)
        handle.batch_largest = max(handle.batch_largest, len(batch.steps))
        now = trio.current_time()
        batch.taken_at = now
        self._subscriptions.empty_since = handle.active_at = handle.progressed_at = now
        handle.observe(Tracepoint.TAKEN)
        submissions = batch.submissions()
        if submissions:
            handle.batch_sizes.add(len(submissions), now)
            handle.times.batch_sizes.add(len(submissions), now)
        for submission in submissions:
            subscriber = submission.subscriber
            inside = subscriber is None or subscriber.room is handle
            if not inside and not submission.command.outside_room:
                submission.reply(NOT_IN_ROOM)  # submitted behind a leave
        if await self._commit(batch):
            # No checkpoint lies between the commit's return and this, and its own are shielded:
            # commit, apply and fan-out are one section that cancellation does not divide.
            await self._fan_out.apply_and_send(batch)
        handle.batch = None
        handle.slow_commands.check(handle.slug, batch, submissions)

    async def _commit(self, batch: Batch) -> bool:
        """Decide the batch and make it durable.

        Where another writer was faster it is decided again, first at once, then after
        pauses that grow. In the end its commands get ROOM_BUSY.

        :returns: whether it is durable; otherwise all of it has its reply or was put back.
        """
        handle = self._handle
        delays = chain((0.0,), handle.store_backoff.delays())
        for _ in range(MAX_ROUNDS):
            batch.steps = [step for step in batch.steps if not step.work.replied]
            if not batch.steps:
                return False
            try:
                await self._decisions.decide(batch, self._rows.board, handle.environment.now())
                handle.observe(Tracepoint.DECIDED)
                if all(step.work.replied for step in batch.steps):
                    return False  # rejected meanwhile, at the end of the server
                await self._commits.commit(batch)
            except RepeatedCommands as repeated:
                batch.phase = Phase.DECIDING
                batch.found.update(repeated.entries)
                self._decisions.remember(repeated.entries.values())
            except StaleRevision:
                batch.phase = Phase.DECIDING
                handle.stale_commits += 1
                await self._loading.reload(partial(self._reject, batch, STORE_DOWN))
                await self._loading.while_serving(partial(trio.sleep, next(delays)))
            except StoreUnavailable:
                batch.phase = Phase.DECIDING
                self._reject(batch, STORE_DOWN)
                await self._loading.wait_for_store()
                return False
            except CommitRefused as refused:
                batch.phase = Phase.DECIDING
                self._handle_refused_commit(batch, refused)
                return False
            except OutcomeUnknown:
                if await self._resolve_outcome(batch):
                    return self._committed(batch)
            else:
                return self._committed(batch)
        log.warning(
            "room %s: stale %d times in a row; a batch is rejected",
            handle.slug,
            MAX_ROUNDS,
            extra={"room": handle.slug},
        )
        self._reject(batch, BUSY)
        return False

    def _committed(self, batch: Batch) -> bool:
        batch.phase = Phase.COMMITTED
        batch.committed_at = trio.current_time()
        if batch.repeatable:
            self._decisions.remember(c for c in batch.changes if c.command_id in batch.repeatable)
        self._handle.note_changes(batch.changes)
        self._handle.observe(Tracepoint.COMMITTED)
        return True

    # -- when the store fails -------------------------------------------------------------

    def _reject(self, batch: Batch, rejection: Rejection) -> None:
        """Reject a batch that did not take effect.

        Commands that were rejected get the same, since their rejection may rest on a change
        of the batch. Repeats of what was accepted before it get their OK, and marks are
        carried out.
        """
        for step in batch.steps:
            outcome = step.outcome
            if isinstance(step.work, MarkUpdate):
                self._subscriptions.update_mark(step.work)
            elif isinstance(outcome, Repeat) and outcome.revision <= batch.expected_revision:
                self._fan_out.reply_to_repeat(step, outcome)
            elif not step.work.replied:
                step.work.reply(rejection)

    def _handle_refused_commit(self, batch: Batch, refused: CommitRefused) -> None:
        handle = self._handle
        log.error(
            "room %s: the store refused a commit: %s",
            handle.slug,
            refused,
            extra={"room": handle.slug},
        )
        if not refused.data_error:
            self._reject(batch, STORE_DOWN)
        elif len(batch.steps) > 1:
            handle.one_by_one = len(batch.steps)
            handle.mailbox.put_back(step.work for step in batch.steps)
        else:
            self._reject(batch, INTERNAL)

    async def _resolve_outcome(self, batch: Batch) -> bool:
        """Resolve an unknown outcome while joins and leaves go on; whether it took effect."""
        handle = self._handle
        handle.unknown_outcomes += 1
        handle.resolving = True
        log.warning(
            "room %s: the outcome of a commit is unknown", handle.slug, extra={"room": handle.slug}
        )
        resolution = await self._loading.while_serving(partial(self._commits.resolve, batch))
        handle.resolving = False
        if resolution.committed:
            return True
        batch.phase = Phase.DECIDING
        batch.attempts += 1
        if resolution.fence is not None:
            self._rows.apply(resolution.fence)
        else:
            await self._loading.reload(partial(self._reject, batch, STORE_DOWN))
        if batch.attempts > self._config.commit_retries:
            self._reject(batch, STORE_DOWN)
        return False


def _ignore(tracepoint: Tracepoint) -> None:
    """Observe nothing."""
