"""Connections as a room sees them, and a client behind each that merges rows by id."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import msgspec
import trio

from gbs_actor.lineup.changes import Rejection
from gbs_actor.lineup.commands import Action, Author, Command
from gbs_actor.rooms import (
    Accepted,
    Done,
    Editing,
    EncodedRow,
    Format,
    PartsUpdate,
    Presence,
    RoomSupervisor,
    SinkStatistics,
    Snapshot,
    Subscriber,
)
from gbs_actor.store.protocol import SessionLocation

Rows = dict[int, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Updates:
    """Rows as they travel, each still apart so that an outbox can conflate them."""

    rows: tuple[EncodedRow, ...]


@dataclass(frozen=True, slots=True)
class Stamped:
    """What is no row, with the revision that a client may come back with after it."""

    payload: Presence | Editing
    revision: int
    slot: object


@dataclass(frozen=True, slots=True)
class Lineups:
    """Changed rows and groups: one message of the batch form, or a part of one."""

    payload: dict[str, Any]
    revision: int
    slot: object = None
    """``None``: it is whole."""
    parts: tuple[Lineups, ...] = ()

    @classmethod
    def of(cls, update: PartsUpdate) -> Lineups:
        parts = [Lineups(_decoded(it), it.revision, it.key) for it in update.divided()]
        return cls(_decoded(update), update.revision, None, tuple(parts))


def _decoded(update: PartsUpdate) -> dict[str, Any]:
    payload: dict[str, Any] = msgspec.json.decode(update.json())
    return payload


@dataclass(frozen=True, slots=True)
class Bundle:
    """Several of those that go out together."""

    parts: tuple[Stamped, ...]


class TestFormat:
    """Counts how often it encodes."""

    __test__ = False

    batched = False
    repeats_recent = False

    def __init__(self) -> None:
        self.encodings = 0

    def update(self, row: EncodedRow) -> Updates:
        self.encodings += 1
        return Updates((row,))

    def lineups(self, update: PartsUpdate) -> Lineups:
        self.encodings += 1
        return Lineups.of(update)

    def bundle(self, updates: Sequence[Updates | Stamped]) -> Updates | Bundle:
        marks = tuple(update for update in updates if isinstance(update, Stamped))
        if marks:
            return Bundle(marks)
        rows = (update.rows for update in updates if isinstance(update, Updates))
        return Updates(tuple(itertools.chain.from_iterable(rows)))

    def cut(self, bundle: Updates, start: int, end: int) -> Updates:
        return Updates(bundle.rows[start:end])

    def presence(self, presence: Presence, revision: int) -> Stamped:
        return Stamped(presence, revision, "presence")

    def editing(self, editing: Editing, mark: int, revision: int) -> Stamped:
        return Stamped(editing, revision, (mark, editing.lineup_id, editing.field))


class BatchFormat(TestFormat):
    """Asks for the batch form."""

    batched = True


FORMAT = TestFormat()
BATCH_FORMAT = BatchFormat()


@dataclass(slots=True)
class Pending:
    """A command a client gave, and every answer that came."""

    command: Command
    answers: list[Accepted | Rejection] = field(default_factory=list)


class Line:
    """One connection of a client, until that comes back on another one."""

    def __init__(self, client: Client) -> None:
        self._client = client

    @property
    def format(self) -> Format:
        return self._client.format

    def deliver(self, message: Any) -> None:
        if self._client.line is self and not self._client.aborted:
            self._client.deliver(message)

    def hold(self) -> None:
        """Hold nothing back: what goes out together is read one by one."""

    def release(self) -> None:
        """See :meth:`hold`."""

    def close_restarting(self) -> None:
        if self._client.line is self:
            self._client.sent_away.append(trio.current_time())

    def abort(self) -> None:
        if self._client.line is self:
            self._client.aborted = True

    def statistics(self) -> SinkStatistics:
        return self._client.statistics()


class Client:
    """A browser: merges what it gets, in the order in which it gets it.

    With ``reading`` off, updates wait in an outbox that conflates by row, as real ones do.
    """

    def __init__(
        self, supervisor: RoomSupervisor, user_id: int = 1, form: Format | None = None
    ) -> None:
        self.supervisor = supervisor
        self.author = Author(user_id=user_id, name=f"user {user_id}", admin_user_id=user_id)
        self.format = FORMAT if form is None else form
        self.rows: Rows = {}
        self.snapshot: Snapshot | None = None
        self.refused_joins: list[Rejection] = []
        self.updates: list[EncodedRow] = []
        self.presences: list[Presence] = []
        self.editings: list[Editing] = []
        self.transcript: list[tuple[float, object]] = []
        self.pending: list[Pending] = []
        self.aborted = False
        self.sent_away: list[float] = []
        """When its room closed its connection so that it comes back, in Trio's time."""
        self.reading = True
        self.conflated = 0
        self._waiting: list[object] = []
        self.handed = 0
        self.stamped = -1
        self.offset: int | None = None
        self.place: SessionLocation | None = None
        self.violations: list[str] = []
        self.line = Line(self)
        self.subscriber = Subscriber(self.line, self.author)

    # -- the sink

    def deliver(self, message: Any) -> None:
        if isinstance(message, Bundle):
            for part in message.parts:
                self.deliver(part)
        elif isinstance(message, Stamped):
            if message.revision < self.stamped:
                self.violations.append(f"stamp of {message.revision} after {self.stamped}")
            self.stamped = message.revision
            self._queue(message)
        elif isinstance(message, Updates):
            if message.rows[0].revision <= self.stamped:
                self.violations.append(f"row of {message.rows[0].revision} after {self.stamped}")
            # The rows of one revision go out together, so a new message starts above
            # everything that went before it.
            if message.rows[0].revision <= self.handed:
                self.violations.append(f"row of {message.rows[0].revision} after {self.handed}")
            for row in message.rows:
                if row.revision < self.handed:
                    self.violations.append(f"row of {row.revision} after {self.handed}")
                self.handed = row.revision
                self._queue(row)
        else:
            self._queue(message)

    def statistics(self) -> SinkStatistics:
        return SinkStatistics(len(self._waiting), 0, self.conflated, 0.0)

    def _queue(self, message: object) -> None:
        slot = _slot(message)
        if slot is not None:
            for position, waiting in enumerate(self._waiting):
                if _slot(waiting) == slot:
                    del self._waiting[position]
                    self.conflated += 1
                    break
        self._waiting.append(message)
        if self.reading:
            self.read()

    def read(self) -> None:
        """Take everything that waits."""
        self._read(len(self._waiting))

    def _read(self, count: int) -> None:
        waiting, self._waiting = self._waiting[:count], self._waiting[count:]
        for message in waiting:
            self.transcript.append((trio.current_time(), message))
            self._take(message)

    def _take(self, message: object) -> None:
        if isinstance(message, EncodedRow):
            self.offset = message.revision
            self.updates.append(message)
            self._merge(message)
        elif isinstance(message, Accepted):
            for row in message.rows if message.row is None else (message.row,):
                self._merge(row)
        elif isinstance(message, Snapshot):
            rows = {row["id"]: row for row in msgspec.json.decode(message.rows)}
            self.snapshot = message
            self.rows = rows if message.full else self.rows | rows
        elif isinstance(message, Stamped):
            self.offset = message.revision
            if isinstance(message.payload, Presence):
                self.presences.append(message.payload)
            else:
                self.editings.append(message.payload)

    def _merge(self, row: EncodedRow) -> None:
        self.rows[row.id] = msgspec.json.decode(row.json)

    # -- the browser

    async def join(self, slug: str, since: int | None = None, epoch: str | None = None) -> None:
        subscriber = self.subscriber

        def joined(answer: Snapshot | Rejection) -> None:
            if self.subscriber is not subscriber:
                return
            if isinstance(answer, Snapshot):
                self.handed = answer.revision
                stay = self.place
                if stay is None or (stay.slug, stay.epoch) != (slug, answer.epoch):
                    known = subscriber.known_elsewhere
                    self.place = SessionLocation(slug, answer.epoch, answer.revision, known)
                self._queue(answer)
            else:
                self.refused_joins.append(answer)

        if self.author.user_id % 2 == 0 and self.supervisor.join_nowait(
            slug, subscriber, since=since, epoch=epoch, reply=joined
        ):
            return
        await self.supervisor.join(slug, subscriber, since=since, epoch=epoch, reply=joined)

    def leave(self) -> None:
        self.place = None
        self.supervisor.leave(self.subscriber)

    def hang_up(self) -> None:
        """Lose the connection, and half of what waits to be read on it."""
        self._read(len(self._waiting) // 2)
        self.supervisor.disconnect(self.subscriber)
        self._waiting.clear()
        self.line = Line(self)
        self.subscriber = Subscriber(self.line, self.author)

    async def come_back(self) -> Done | Rejection | None:
        """Resume on a new connection what was lost with the one before; ``None``: no use."""
        place, offset, subscriber = self.place, self.offset, self.subscriber
        since = None if place is None or offset is None else place.since(offset)
        answer = None
        if place is not None and since is not None:
            self.handed, self.stamped = since - 1, since - 1
            subscriber.known_elsewhere = place.known_elsewhere
            answer = await self.supervisor.resume(
                place.slug, subscriber, since=since, epoch=place.epoch
            )
        if self.subscriber is not subscriber:
            return None  # lost again meanwhile
        if not isinstance(answer, Done):
            self.place = None
            self.handed, self.stamped = 0, -1
            # What it shows on its next return may be from here.
            self.subscriber.known_elsewhere = -1 if offset is None else offset
        return answer

    def command(
        self, action: Action, *, command_id: UUID | None = None, base: int | None = None
    ) -> Command:
        return Command(
            action=action,
            author=self.author,
            id=command_id or uuid4(),
            client_made_id=command_id is not None,
            base_revision=base,
        )

    def give(self, command: Command) -> Pending:
        pending = Pending(command)
        self.pending.append(pending)
        subscriber = self.subscriber

        def answered(answer: Accepted | Rejection) -> None:
            pending.answers.append(answer)
            if self.subscriber is not subscriber:
                return
            if isinstance(answer, Accepted) and not answer.repeated:
                if self.handed > answer.revision:
                    self.violations.append(f"answer of {answer.revision} after {self.handed}")
                self.handed = answer.revision
            self._queue(answer)

        self.supervisor.submit(subscriber, command, answered)
        return pending

    async def ask(
        self, action: Action, *, command_id: UUID | None = None, base: int | None = None
    ) -> Accepted | Rejection:
        """Give a command and wait for its answer, in virtual time."""
        pending = self.give(self.command(action, command_id=command_id, base=base))
        await self.subscriber.wait_replied()
        return pending.answers[0]

    def mark(
        self, registration_id: int, field_name: str = "gbsNumber", on: bool = True
    ) -> list[Done | Rejection]:
        answers: list[Done | Rejection] = []
        self.supervisor.mark_editing(
            self.subscriber, registration_id, field_name, on, answers.append
        )
        return answers


class BatchClient(Client):
    """A browser in the batch form: applies rows, then groups."""

    def __init__(self, supervisor: RoomSupervisor, user_id: int = 1) -> None:
        super().__init__(supervisor, user_id, BATCH_FORMAT)

    def deliver(self, message: Any) -> None:
        if not isinstance(message, Lineups):
            super().deliver(message)
            return
        lowest, last = max(self.handed, self.stamped), 0
        for part in message.parts:
            # What one revision has changed goes out together; rows go before groups.
            order = (part.revision, isinstance(part.slot, tuple) and part.slot[0] == "group")
            if part.revision <= lowest or order < (last, False):
                self.violations.append(f"part of {part.revision} after {last}, {lowest}")
            last = part.revision
        if last != message.revision:
            self.violations.append(f"{message.revision} is not the highest of {message}")
        self.handed = last
        if self.reading and not self._waiting:
            self._queue(message)
        else:
            for part in message.parts:
                self._queue(part)

    def _take(self, message: object) -> None:
        if isinstance(message, Lineups):
            self.offset = message.revision
            apply(self.rows, message.payload)
        else:
            super()._take(message)


def apply(rows: Rows, payload: dict[str, Any]) -> None:
    """Apply a ``lineups-updated`` as the contract says."""
    for row in payload["rows"]:
        rows[row["id"]] = row
    for row_id in payload.get("removed", ()):
        rows.pop(row_id, None)
    for group in payload["groups"]:
        values = {name: group[name] for name in group if name not in {"gbsNumber", "revision"}}
        for row in rows.values():
            if row["gbsNumber"] == group["gbsNumber"] and "deleted" not in group:
                row.update(values)


def _slot(message: object) -> object:
    """Return what a message that waits makes room for its successor by."""
    if isinstance(message, EncodedRow):
        return ("row", message.id)
    if isinstance(message, Lineups):
        return message.slot
    return ("other", message.slot) if isinstance(message, Stamped) else None
