"""What is held never grows beyond its bound, at no moment of a run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Final

from trio.abc import Instrument
from trio.lowlevel import Task

from gbs_actor.gateway.audit_trail import MAX_QUEUED
from gbs_actor.gateway.traces import MAX_TRACES
from gbs_actor.rooms import RoomState, RoomSupervisor
from gbs_actor.server.composition import Composition

Bound = tuple[str, int, int]
"""What is held, how much of it, and how much at most."""

_KEPT: Final = 8
"""Partial lists that a room keeps, and sequences of what has changed."""


class Bounds(Instrument):
    """Compares what is held with its bounds after each step of a task.

    :param held: yields what is held then.
    :param every: of how many steps one is looked at.
    """

    def __init__(self, held: Callable[[], Iterator[Bound]], every: int = 1) -> None:
        self._held = held
        self._every = every
        self._steps = 0
        self._exceeded: dict[str, str] = {}

    def after_task_step(self, task: Task) -> None:
        """Compare."""
        self._steps += 1
        if self._steps % self._every == 0:
            self.compare(self._held(), task.name)

    def compare(self, held: Iterator[Bound], after: str) -> None:
        """Note what is beyond its bound.

        :param after: what has happened last.
        """
        for name, count, most in held:
            if count > most and name not in self._exceeded:
                self._exceeded[name] = f"{count} {name}, of {most} at most, after {after}"

    def problems(self) -> list[str]:
        """Return what was exceeded, each as it was found first."""
        return [*self._exceeded.values()]


def of_rooms(rooms: RoomSupervisor) -> Iterator[Bound]:
    """Yield what rooms hold."""
    for room in rooms._handles.values():
        config, mailbox = room.config, room.mailbox
        # A refused batch goes back into the mailbox, whatever has come meanwhile.
        size = config.mailbox_size + len(room.apart)
        yield "queued commands", mailbox._commands, size
        yield "queued marks", mailbox._marks, size
        if room.batch is not None:
            yield "commands in hand", len(room.batch.steps), config.batch_size
        if room.state is RoomState.RUNNING:  # it ends the marks of who has left as it starts again
            yield "editing marks", len(room.marks), len(room.subscribers) + 1
        if (rows := room.rows) is not None:
            recent = int(config.recent_changes_time) + 2
            yield "recent revisions", len(rows._recent._reached), recent
            yield "encoded rows", len(rows._encoded), len(rows.board)
            yield "lists", len(rows._full) + len(rows._parts), 2 + _KEPT
            yield "changes", len(rows._changed), _KEPT
            yield "changes in the batch form", len(rows._changed_parts), _KEPT


def of_server(composition: Composition) -> Iterator[Bound]:
    """Yield what a whole server holds, without its rooms; that takes a while."""
    settings = composition.settings.socketio
    kept_events = composition.settings.admin.operator_events
    memory = composition.sockets.memory_limit
    yield "queued bytes", memory.bytes, memory.limit
    for client in composition.clients.connected:
        sink = client.subscriber.sink.statistics()
        if sink.queued > 1:  # one alone may be larger
            yield "bytes in an outbox", sink.queued_bytes, settings.outbox_bytes
    most = composition.settings.limits.max_connections_per_user
    users = Counter(client.user.user_id for client in composition.clients.connected)
    for user, count in users.items():
        yield f"connections of user {user}", count, most
    kept = composition.closed_sessions.statistics().kept
    yield "closed sessions", kept, 2 * settings.closed_sessions
    yield "operator events", len(composition.operator_events), kept_events
    yield "audit entries", composition.audit_trail.statistics().queued, MAX_QUEUED
    yield "traces", len(composition.clients.traces.statistics()), MAX_TRACES
