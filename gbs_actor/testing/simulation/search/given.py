"""What a history says, read off it each time that it is asked for."""

from __future__ import annotations

from dataclasses import dataclass

from gbs_actor.contract.events import CommandEvent
from gbs_actor.lineup.changes import LogEntry
from gbs_actor.testing.simulation.history import (
    Answered,
    Calmed,
    Cause,
    Committed,
    Disturbed,
    History,
    Invoked,
    Json,
    Opened,
)
from gbs_actor.testing.simulation.model import Lineup

COMMANDS = frozenset(str(event) for event in CommandEvent)


@dataclass(frozen=True)
class Asking:
    """An invocation and its answer, by their indexes."""

    index: int
    event: Invoked
    answered: int
    reply: Json


class Given:
    """A history of one retreat.

    Attributes:
        events: in their order; what has an index is at that place here.
        lineup: the model, at the end of the log.
        entries: of the log, each with its index, and whether another server has written it.
        revisions: from the first to the last.
        invoked: index and event, by invocation.
        opened: by connection.
    """

    def __init__(self, history: History) -> None:
        (self.slug,) = history.before
        retreat = history.before[self.slug]
        self.epoch = retreat.epoch
        self.events = [moment.event for moment in history.moments]
        self.lineup = Lineup(retreat)
        self.entries: list[tuple[int, LogEntry, bool]] = [
            (index, entry, event.foreign)
            for index, event in enumerate(self.events)
            if isinstance(event, Committed)
            for entry in event.entries
        ]
        for _, entry, _ in self.entries:
            self.lineup.add(entry)
        self.revisions = range(retreat.revision, self.lineup.revision + 1)
        self.invoked = {
            event.invocation: (index, event)
            for index, event in enumerate(self.events)
            if isinstance(event, Invoked)
        }
        self.opened = {
            event.connection: event for event in self.events if isinstance(event, Opened)
        }

    def durable(self, index: int) -> int:
        """Return the revision that the store is at, at an index."""
        stored = [entry.revision for place, entry, _ in self.entries if place <= index]
        return max(stored, default=self.revisions[0])

    def command_of(self, number: int) -> int | None:
        """Return the revision of a command, by its id or by its answer."""
        _, event = self.invoked[number]
        if event.event not in COMMANDS:
            return None
        if event.command_id is not None:
            return self.lineup.commands.get(event.command_id)
        replies = [
            each.reply
            for each in self.events
            if isinstance(each, Answered) and each.invocation == number
        ]
        if replies and replies[0]["status"] == "OK":
            revision = replies[0].get("revision")
            return revision if revision in self.lineup.entries else None
        return None

    def may_be(self, number: int, revision: int) -> bool:
        """Whether a command may be what a revision has done."""
        own = self.command_of(number)
        event = self.invoked[number][1]
        if own is not None or event.command_id is not None or event.event not in COMMANDS:
            return own == revision
        replies = [
            each.reply
            for each in self.events
            if isinstance(each, Answered) and each.invocation == number
        ]
        return not replies or replies[0].get("code", "OUTCOME_UNKNOWN") == "OUTCOME_UNKNOWN"

    def is_first(self, number: int) -> bool:
        """Whether nothing was asked for with the same id before."""
        id_ = self.invoked[number][1].command_id
        same = [other for other, (_, e) in self.invoked.items() if e.command_id == id_]
        return id_ is None or same[0] == number

    def is_given_once(self, each: Asking) -> bool:
        """Whether nothing else was asked for with the same id."""
        id_ = each.event.command_id
        return id_ is None or [e.command_id for _, e in self.invoked.values()].count(id_) == 1

    def causes(self, each: Asking) -> set[Cause]:
        """Return what has disturbed anything between an invocation and its answer."""
        found = set()
        for start, event in enumerate(self.events):
            if not isinstance(event, Disturbed):
                continue
            ends = [
                index
                for index, other in enumerate(self.events)
                if isinstance(other, Calmed) and other.number == event.number and index > start
            ]
            if start < each.answered and (not ends or ends[0] > each.index):
                found.add(event.cause)
        return found

    def is_batched(self, each: Asking) -> bool:
        """Whether its client is in the batch form."""
        number = each.event.connection
        return number is not None and self.opened[number].form == "batch"
