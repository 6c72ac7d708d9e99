"""The parts of a history, each with what belongs to it: logs, connections, invocations."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from gbs_actor.contract.events import ClientEvent, CommandEvent
from gbs_actor.lineup.changes import LogEntry
from gbs_actor.testing.simulation.history import (
    READ,
    Answered,
    Delivered,
    Disturbed,
    Invoked,
    Json,
    Opened,
)
from gbs_actor.testing.simulation.model import Asked, Lineup, Timeline

COMMANDS: Final = frozenset(str(event) for event in CommandEvent)
JOIN: Final = str(ClientEvent.JOIN_RETREAT)
LEAVE: Final = str(ClientEvent.LEAVE_RETREAT)
CONTENT: Final = frozenset(
    {
        "VALIDATION_FAILED",
        "NOT_FOUND",
        "LEADER_LOCKED",
        "CONFLICT",
        "GROUP_NOT_EMPTY",
        "HISTORY_PRUNED",
    }
)
"""Codes that follow from what was asked and from the line-up."""


@dataclass(slots=True)
class Log:
    """The log of one retreat, and what clients know of it."""

    lineup: Lineup
    epochs: Timeline[str]
    """By index."""
    durable: Timeline[int]
    """The last revision, by index."""
    known: int = 0
    known_at: dict[int | None, int] = field(default_factory=dict)
    """By node, what clients know of it from there."""
    committed: list[tuple[int, LogEntry, bool]] = field(default_factory=list)
    """All entries, as they came: index, entry, whether another server has written it."""

    def learn(self, revision: object, index: int, node: int | None) -> None:
        """Note that a client knows of a revision, from a node; not of one that is not durable."""
        if isinstance(revision, int) and revision <= self.durable.at(index):
            self.known = max(self.known, revision)
            self.known_at[node] = max(self.known_at.get(node, 0), revision)


@dataclass(frozen=True, slots=True)
class Item:
    """What a client took off its connection."""

    index: int
    event: Delivered | Answered
    slug: str | None
    """The retreat that it is in from then on, as it knows."""
    state: int | None = None
    """Of ``initial-data``, if it is right: its revision, or the lowest that it may be of."""


@dataclass(slots=True, eq=False)
class Connection:
    """One connection, and what its client took off it, in order."""

    opened: int
    event: Opened
    known: int
    """The revision of its retreat that was known then."""
    slug: str | None = None
    """The retreat it is in, as its client knows, up to the event that is looked at."""
    closed: int | None = None
    former: Connection | None = None
    """Whose session goes on."""
    in_doubt: bool = False
    """Whether its client does not know in which room that is: an answer was lost."""
    items: list[Item] = field(default_factory=list)
    moves: list[Invocation] = field(default_factory=list)
    """Its joins and leaves."""
    node: int | None = None
    """The one of several that it is to."""

    @property
    def batched(self) -> bool:
        """Whether it is in the batch form."""
        return self.event.form == "batch"


@dataclass(slots=True, eq=False)
class Invocation:
    """Something that a client asked for, and what it was answered."""

    index: int
    event: Invoked
    connection: Connection | None
    slug: str | None
    known: int
    """The revision that was known then."""
    inside: bool
    """Whether its client knows to be in the room."""
    first: Invocation = field(init=False)
    """The first one with its command id."""
    answers: list[int] = field(default_factory=list)
    reply: Json = field(default_factory=dict)
    """The first one."""
    abandoned: int | None = None
    asked: Asked | None = None
    """``None``: it is no command, or one that is malformed."""
    elsewhere: bool = False
    """Whether it is about somebody of another retreat, or may be."""
    settled: bool = True
    """Whether its client stays in the room meanwhile, as far as it knows."""
    state: int | None = None
    """If it was rejected for its content, the lowest revision at which that is right."""
    node: int | None = None
    """The one of several that it is given to."""
    known_there: int = 0
    """What was known then from this node."""

    def __post_init__(self) -> None:
        self.first = self

    @property
    def answered(self) -> int | None:
        """Where the reply has reached the client."""
        return self.answers[0] if self.answers else None

    @property
    def is_command(self) -> bool:
        """Whether it asks for a change."""
        return self.event.event in COMMANDS

    @property
    def reads(self) -> bool:
        """Whether it is a join or a read."""
        return self.event.event in (JOIN, READ)

    @property
    def accepted(self) -> bool:
        """Whether the reply is a good one."""
        return bool(self.answers) and self.reply.get("status") == "OK"

    @property
    def code(self) -> str | None:
        """Of the error that is the reply."""
        return None if self.reply.get("status") == "OK" else self.reply.get("code")

    @property
    def batched(self) -> bool:
        """Whether its client is in the batch form."""
        return self.connection is not None and self.connection.batched


@dataclass(slots=True)
class Disturbance:
    """Something that is a cause, and from where to where."""

    start: int
    event: Disturbed
    end: int | None = None
    node: int | None = None
    """``None``: it may concern all."""

    def lies_in(self, first: int, last: int) -> bool:
        """Whether it was there at any time from one index to another."""
        return self.start < last and (self.end is None or self.end > first)
