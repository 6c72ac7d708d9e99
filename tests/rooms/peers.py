"""Connections as a room sees them, and a client behind each that merges rows by id."""

from __future__ import annotations

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
    Presence,
    RoomSupervisor,
    SinkStatistics,
    Snapshot,
    Subscriber,
)

Rows = dict[int, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Updates:
    """Rows as they travel, each still apart so that an outbox can conflate them."""

    rows: tuple[EncodedRow, ...]


class TestFormat:
    """Counts how often it encodes."""

    __test__ = False

    def __init__(self) -> None:
        self.encodings = 0

    def update(self, row: EncodedRow) -> Updates:
        self.encodings += 1
        return Updates((row,))

    def bundle(self, updates: Sequence[Updates]) -> Updates:
        return Updates(tuple(row for update in updates for row in update.rows))

    def presence(self, presence: Presence) -> Presence:
        return presence

    def editing(self, editing: Editing, mark: int) -> Editing:
        return editing


FORMAT = TestFormat()


@dataclass(slots=True)
class Pending:
    """A command a client gave, and every answer that came."""

    command: Command
    answers: list[Accepted | Rejection] = field(default_factory=list)


class Client:
    """A browser: merges what it gets, in the order in which it gets it.

    With ``reading`` off, updates wait in an outbox that conflates by row, as real ones do.
    """

    def __init__(
        self, supervisor: RoomSupervisor, user_id: int = 1, form: Format | None = None
    ) -> None:
        self.supervisor = supervisor
        self.author = Author(user_id=user_id, name=f"user {user_id}", admin_user_id=user_id)
        self._format = FORMAT if form is None else form
        self.rows: Rows = {}
        self.snapshot: Snapshot | None = None
        self.refused_joins: list[Rejection] = []
        self.updates: list[EncodedRow] = []
        self.presences: list[Presence] = []
        self.editings: list[Editing] = []
        self.transcript: list[tuple[float, object]] = []
        self.pending: list[Pending] = []
        self.aborted = False
        self.reading = True
        self.conflated = 0
        self._waiting: list[object] = []
        self.handed = 0
        self.violations: list[str] = []
        self.subscriber = Subscriber(self, self.author)

    # -- the sink

    @property
    def format(self) -> Format:
        return self._format

    def deliver(self, message: Any) -> None:
        if isinstance(message, Updates):
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

    def abort(self) -> None:
        self.aborted = True

    def statistics(self) -> SinkStatistics:
        return SinkStatistics(len(self._waiting), 0, self.conflated, 0.0)

    def _queue(self, message: object) -> None:
        if isinstance(message, EncodedRow):
            for position, waiting in enumerate(self._waiting):
                if isinstance(waiting, EncodedRow) and waiting.id == message.id:
                    del self._waiting[position]
                    self.conflated += 1
                    break
        self._waiting.append(message)
        if self.reading:
            self.read()

    def read(self) -> None:
        """Take everything that waits."""
        waiting, self._waiting = self._waiting, []
        for message in waiting:
            self.transcript.append((trio.current_time(), message))
            self._take(message)

    def _take(self, message: object) -> None:
        if isinstance(message, EncodedRow):
            self.updates.append(message)
            self._merge(message)
        elif isinstance(message, Accepted):
            self._merge(message.row)
        elif isinstance(message, Snapshot):
            rows = {row["id"]: row for row in msgspec.json.decode(message.rows)}
            self.snapshot = message
            self.rows = rows if message.full else self.rows | rows
        elif isinstance(message, Presence):
            self.presences.append(message)
        elif isinstance(message, Editing):
            self.editings.append(message)

    def _merge(self, row: EncodedRow) -> None:
        self.rows[row.id] = msgspec.json.decode(row.json)

    # -- the browser

    async def join(self, slug: str, since: int | None = None, epoch: str | None = None) -> None:
        def joined(answer: Snapshot | Rejection) -> None:
            if isinstance(answer, Snapshot):
                self.handed = answer.revision
                self._queue(answer)
            else:
                self.refused_joins.append(answer)

        await self.supervisor.join(slug, self.subscriber, since=since, epoch=epoch, reply=joined)

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

        def answered(answer: Accepted | Rejection) -> None:
            pending.answers.append(answer)
            if isinstance(answer, Accepted) and not answer.repeated:
                if self.handed > answer.revision:
                    self.violations.append(f"answer of {answer.revision} after {self.handed}")
                self.handed = answer.revision
            self._queue(answer)

        self.supervisor.submit(self.subscriber, command, answered)
        return pending

    async def ask(
        self, action: Action, *, command_id: UUID | None = None, base: int | None = None
    ) -> Accepted | Rejection:
        """Give a command and wait for its answer, in virtual time."""
        pending = self.give(self.command(action, command_id=command_id, base=base))
        await self.subscriber.settled()
        return pending.answers[0]

    def mark(
        self, registration_id: int, field_name: str = "gbsNumber", on: bool = True
    ) -> list[Done | Rejection]:
        answers: list[Done | Rejection] = []
        self.supervisor.mark_editing(
            self.subscriber, registration_id, field_name, on, answers.append
        )
        return answers
