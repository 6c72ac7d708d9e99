"""What of a room outlives the crash of its task: its address, and all that is pending."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from math import inf
from typing import Final

import trio

from gbs_actor.bus import Hint
from gbs_actor.environment import SYSTEM, Environment
from gbs_actor.lineup.changes import Change, Rejection
from gbs_actor.lineup.commands import Action, Command
from gbs_actor.observability import (
    DURATION_BOUNDS,
    SIZE_BOUNDS,
    OperatorEvents,
    RecentHistogram,
)
from gbs_actor.rooms.batch import Batch
from gbs_actor.rooms.command_times import CommandTimes
from gbs_actor.rooms.crash_history import CrashHistory, backoff
from gbs_actor.rooms.delivery import (
    BUSY,
    RESTARTED,
    SHUTTING_DOWN,
    UNAVAILABLE,
    CommandReply,
    Done,
    DoneReply,
)
from gbs_actor.rooms.elsewhere import Elsewhere, OtherServers
from gbs_actor.rooms.freshness import Freshness
from gbs_actor.rooms.mailbox import Join, Leave, Mailbox, MarkUpdate, Resume, Submission, Work
from gbs_actor.rooms.presence import EditingMarks, RoomPresence
from gbs_actor.rooms.rows import EncodedRows
from gbs_actor.rooms.slow_commands import SlowCommands
from gbs_actor.rooms.statistics import LastChange, RoomState
from gbs_actor.rooms.subscriber import Subscriber
from gbs_actor.rooms.tracepoints import Observer, ignore
from gbs_actor.settings import RoomSettings
from gbs_actor.store.protocol import DeltaEntry, RetreatVersion

CRASHED: Final = (RoomState.BACKOFF, RoomState.FAILED)
"""The states in which a room waits for its next start."""
LAST_CHANGES: Final = 20
"""Changes that are kept for operators."""
FALSE_HINT_PAUSE: Final = 0.25
"""Seconds for which hints are ignored behind one that was false: whoever may notify can send any
number of those. What they miss, the regular comparison with the store finds."""


class RoomHandle:
    """The mailbox, the subscribers and the batch in hand of one room.

    Its supervisor owns it, the room's task works on it. It implements
    :class:`~gbs_actor.rooms.subscriber.JoinedRoom`: what connections call is synchronous,
    and replies at once where the room cannot take it.

    :param slug: the retreat.
    :param config: limits and times.
    :param events: what operators are notified of.
    :param slow_commands: looks at each batch when it is done.
    :param freshness: numbers what is read of the store, for all rooms.
    :param observe: see :data:`~gbs_actor.rooms.tracepoints.Observer`.
    :param other_servers: are sent what is committed, and who is here; ``None``: there are none.
    :param times: of the commands, shared with other rooms.
    """

    def __init__(
        self,
        slug: str,
        config: RoomSettings,
        events: OperatorEvents,
        slow_commands: SlowCommands,
        observe: Observer = ignore,
        *,
        freshness: Freshness,
        environment: Environment = SYSTEM,
        other_servers: OtherServers | None = None,
        times: CommandTimes | None = None,
    ) -> None:
        self.slug = slug
        self.slow_commands = slow_commands
        self.config = config
        self.freshness = freshness
        self.environment = environment
        self.publish = partial(events.publish, room=slug)
        """Publishes an operator event of this room."""
        self.observe = partial(observe, slug)
        self.times = times or CommandTimes()
        self.store_backoff = backoff(config.store_backoff_initial, config.store_backoff_max)
        self.state = RoomState.STARTING
        self.state_changed = trio.lowlevel.ParkingLot()
        """Unparked by :meth:`enter`."""
        self.draining = False
        """Whether it rejects commands, and stops once all else has its reply."""
        self.spread: float | None = None
        """Of a room that stops by itself: seconds over which its subscribers are sent away.
        ``None``: it does not, or the whole server stops, which closes its connections."""
        self.restart_requested = False
        self.closed = trio.Event()
        """Set once nothing is left of the room, and another one may be opened."""
        self.mailbox = Mailbox(config.mailbox_size)
        self.subscribers: dict[Subscriber, None] = {}
        """In the order of joining."""
        self.marks = EditingMarks(config)
        self.elsewhere = Elsewhere(self.marks)
        self.presence = RoomPresence(config, self.elsewhere)
        self.batch: Batch | None = None
        self.rows: EncodedRows | None = None
        """The rows of the running, or last, incarnation."""
        self.replying_after_crash = False
        """Whether the room has crashed and replies without its board, which may lack what it
        acknowledges."""
        self._version: RetreatVersion | None = None
        self.confirmed_at = 0
        """The number of the last read that has found the store where the board is."""
        self.apart: set[Work] = set()
        """What was put back to be committed one by one: some of it is poisonous."""
        self.apart_until = inf
        """Trio time from which on these get ROOM_BUSY instead."""
        self.resolving = False
        self.store_down = False
        self.other_servers = other_servers
        self._hint: Hint | None = None
        """The latest of another server, about this retreat."""
        self._heed_from = -inf
        """Trio time from which on hints count."""
        self.outdated = False
        """Whether the store may have changes that the board lacks."""
        self.pause_over = trio.lowlevel.ParkingLot()
        """Ends a pause early: after a crash, or between two subscribers that are sent away."""
        self.join_idle: Callable[[Join], None] | None = None
        """Carries a join out, while the room has nothing to do; ``None`` while it works."""
        self.failure: Exception | None = None
        """What ``join_idle`` raised: the room's crash, not that of who has called it."""
        self.crashes = CrashHistory(config)
        self.restarts_at: float | None = None
        """Trio time at which a room that pauses after a crash starts again by itself."""
        self.opened_at = trio.current_time()
        self.active_at = self.opened_at
        """Trio time at which the last batch was taken."""
        self.progressed_at = self.opened_at
        """Trio time of the last load, or of the last batch taken, committed or fanned out."""
        self.last_changes: deque[LastChange] = deque(maxlen=LAST_CHANGES)
        """The latest change first."""
        self.restarts = 0
        self.batches = 0
        self.commands = 0
        self.batch_largest = 0
        self.accepted = 0
        self.rejected = 0
        self.repeated = 0
        self.refused_busy = 0
        self.unknown_outcomes = 0
        self.stale_commits = 0
        self.deltas = 0
        self.locks = 0
        self.deliveries = 0
        """How often a subscriber was handed rows; those that go together count once."""
        self.batch_sizes = RecentHistogram(SIZE_BOUNDS)
        self.commit_times = RecentHistogram(DURATION_BOUNDS)
        self.fan_out_times = RecentHistogram(DURATION_BOUNDS)

    # -- for connections

    @property
    def revision(self) -> int:
        """Of the last change; 0 while nothing is loaded."""
        return 0 if self.rows is None else self.rows.board.revision

    @property
    def version(self) -> RetreatVersion | None:
        """What the store has if the board is where the retreat is; ``None``: nothing is loaded."""
        if self.rows is None:
            return None
        board, version = self.rows.board, self._version
        if version is None or version.revision != board.revision or version.epoch != board.epoch:
            version = self._version = RetreatVersion(
                board.retreat_id, board.revision, board.epoch, board.removal_revision
            )
        return version

    def is_fresh(self, asked_at: int) -> bool:
        """Whether the board has all that any server had acknowledged at a moment."""
        return not self.freshness.shared or self.confirmed_at > asked_at

    def submit(
        self,
        command: Command,
        reply: CommandReply,
        subscriber: Subscriber | None = None,
        received_at: float | None = None,
        *,
        only_repeat: bool = False,
    ) -> None:
        """Queue a command, or reply at once why not; see :class:`Submission`."""
        if received_at is None:
            received_at = trio.current_time()
        self._put(
            Submission(command, reply, subscriber, received_at, self, only_repeat=only_repeat)
        )

    def mark_editing(
        self,
        subscriber: Subscriber,
        registration_id: int,
        field: str | None,
        editing: bool,
        reply: DoneReply,
    ) -> None:
        """Queue an update of a subscriber's editing mark, or reply at once why not."""
        update = MarkUpdate(subscriber, registration_id, field, editing, reply)
        update.asked_at = self.freshness.moment
        if not self._put(update):
            self.reject_mark(subscriber)

    def reject_mark(self, subscriber: Subscriber) -> None:
        """End a subscriber's editing mark, since a later update of it was rejected.

        Where it edits is no longer known, so updates that are queued set none either.
        """
        subscriber.marks_rejected = subscriber.marks_submitted
        if self.marks.end(subscriber):
            self.presence.change()
            self.mailbox.wake()

    def join(self, join: Join | Resume) -> None:
        """Queue a join; it waits while the room starts or restarts."""
        if self.draining:
            join.reply(SHUTTING_DOWN)
        elif self.state is RoomState.FAILED:
            join.reply(UNAVAILABLE)
        else:
            join.asked_at = self.freshness.moment
            self.mailbox.put(join)

    def join_nowait(self, join: Join) -> bool:
        """Carry a join out if the room has nothing to do.

        :returns: ``False``: it was not carried out; queue it.
        """
        if self.join_idle is None or self.draining or len(self.mailbox):
            return False
        try:
            self.join_idle(join)
        except Exception as error:  # noqa: BLE001  (the room raises it)
            self.failure, self.join_idle = error, None
        self.mailbox.wake()  # presence is due, or the room crashes
        return join.replied

    def leave(self, subscriber: Subscriber, reply: DoneReply | None = None) -> None:
        """Queue a leave behind what the subscriber submitted before."""
        leave = Leave(subscriber, reply)
        if self.state in (RoomState.BACKOFF, RoomState.FAILED, RoomState.STOPPED):
            self.remove(leave)  # its earlier commands got their replies when the room crashed
        else:
            self.mailbox.put(leave)

    # -- for operators

    def restart(self) -> None:
        """Load the room anew after the batch in hand; after a crash at once, and as the first one.

        What is queued stays queued, and subscribers stay.
        """
        if self.draining:
            return
        self.restart_requested = True
        if self.state in CRASHED:
            self.crashes.clear()
            self.pause_over.unpark_all()
        self.mailbox.wake()

    def stop(self, spread: float) -> None:
        """Reject commands from now on; once all else has its reply, send everybody away and end.

        :param spread: seconds over which the subscribers' connections are closed.
        """
        self.spread = spread
        self._drain()

    @property
    def stopping(self) -> bool:
        """Whether :meth:`stop` was called, and the server goes on: the next one to join waits."""
        return self.spread is not None

    # -- for the room and its supervisor

    def enter(self, state: RoomState) -> None:
        """Be in another state from now on."""
        self.state = state
        self.state_changed.unpark_all()

    def remove(self, leave: Leave) -> None:
        """Take a subscriber out of the room; its mark is left for the caller to end."""
        subscriber = leave.subscriber
        if subscriber.room is self:
            subscriber.enter(None)
        if self.subscribers.pop(subscriber, self) is None:
            self.note_people()
        leave.reply(Done(None))

    def note_people(self) -> None:
        """Let everybody be sent soon who is here, since that has changed."""
        self.presence.change()
        if self.other_servers is not None:
            self.other_servers.people_changed(self.slug)

    def reject_queued(self, work: Rejection, joins: Rejection | None = None) -> None:
        """Reject the queued commands and marks, with ``joins`` also the joins.

        Leaves are carried out. Joins that are not rejected stay queued.
        """
        kept: list[Join | Resume] = []
        for item in self.mailbox.take_all():
            if isinstance(item, (Join, Resume)):
                if joins is None:
                    kept.append(item)
                else:
                    item.reply(joins)
            elif isinstance(item, Leave):
                self.remove(item)
            else:
                item.reply(work)
        self.mailbox.put_back(kept)

    def compare_with_store(self) -> None:
        """Let the room compare its board with the store as soon as it can."""
        self.outdated = True
        self.mailbox.wake()

    def heed(self, hint: Hint) -> None:
        """Let the room catch up as soon as it can, unless it has what a hint is about by then.

        Without effect for :data:`FALSE_HINT_PAUSE` behind a hint that was false, and where it is
        late, so that a later one is waiting.
        """
        if trio.current_time() < self._heed_from:
            return
        waiting = self._hint
        if waiting is None or waiting.epoch != hint.epoch or waiting.revision < hint.revision:
            self._hint = hint
            self.mailbox.wake()

    @property
    def behind(self) -> bool:
        """Whether the store has changes that the board lacks, or may have some."""
        return self.outdated or self._lacks(self._hint)

    def begin_comparison(self) -> Hint | None:
        """Take the board as up to date from now on: it is about to be.

        :returns: the hint that there was, for :meth:`end_comparison`.
        """
        hint, self._hint = self._hint, None
        self.outdated = False
        return hint

    def end_comparison(self, hint: Hint | None) -> None:
        """Ignore hints for a while if one was false: the board is where the store was behind it."""
        if self._lacks(hint):
            self._hint = None
            self._heed_from = trio.current_time() + FALSE_HINT_PAUSE

    def _lacks(self, hint: Hint | None) -> bool:
        """Whether a hint is about what the board lacks."""
        if hint is None or (version := self.version) is None:
            return False
        return hint.epoch != version.epoch or hint.revision > version.revision

    def drain(self) -> None:
        """Reject what comes from now on; the room stops once all else has its reply.

        The server stops, and closes the connections itself.
        """
        self.spread = None
        self._drain()

    def _drain(self) -> None:
        self.draining, self.restart_requested = True, False
        self.pause_over.unpark_all()
        self.mailbox.wake()

    def note_changes(self, changes: Sequence[Change]) -> None:
        """Keep the latest of some changes for operators, and hint at them: they are durable.

        :param changes: ascending by revision.
        """
        self.last_changes.extendleft(map(LastChange.of, changes[-LAST_CHANGES:]))
        if self.other_servers is not None and changes and (version := self.version) is not None:
            self.other_servers.committed(version.id, version.epoch, changes[-1].revision)

    def note_entries(self, entries: Sequence[DeltaEntry]) -> None:
        """Keep the latest of what other servers have committed for operators.

        :param entries: ascending by revision.
        """
        self.last_changes.extendleft(map(LastChange.of_entry, entries[-LAST_CHANGES:]))

    def holds_target(self, action: Action) -> bool:
        """Whether the registration or memo that an action is about is on the board."""
        return self.rows is not None and self.rows.board.target(action) is not None

    @property
    def wanted(self) -> bool:
        """Whether anybody is in the room or waits for it."""
        return bool(self.subscribers or len(self.mailbox) or self.batch is not None)

    def _put(self, work: Work) -> bool:
        """Queue a command or mark; return whether it was not rejected."""
        rejection = self._rejection()
        if rejection is None and not self.mailbox.put_work(work):
            self.refused_busy += 1
            self.publish(
                "limit.hit",
                f"room {self.slug} has as many commands queued as it may",
                severity="warning",
                limit="mailbox_size",
            )
            rejection = BUSY
        if rejection is not None:
            work.reply(rejection)
        return rejection is None

    def _rejection(self) -> Rejection | None:
        if self.draining:
            return RESTARTED if self.stopping else SHUTTING_DOWN
        if self.state is RoomState.FAILED:
            return UNAVAILABLE
        if self.state in (RoomState.BACKOFF, RoomState.RESTARTING):
            return RESTARTED
        return None
