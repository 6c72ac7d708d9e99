"""Rules on what each connection is sent: one sequence, in the order of revisions, without a gap."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from gbs_actor.contract.events import ServerEvent
from gbs_actor.testing.simulation.checker.events import (
    JOIN,
    LEAVE,
    Connection,
    Invocation,
    Item,
    Log,
)
from gbs_actor.testing.simulation.checker.facts import Facts
from gbs_actor.testing.simulation.checker.placing import answered_at
from gbs_actor.testing.simulation.checker.violation import Named, rules
from gbs_actor.testing.simulation.history import Answered, Delivered, Json

ROW: Final = "row"
GROUP: Final = "group"
PartKey = tuple[str, int]
"""A row's id or a group's number, and which of both it is."""


@dataclass(slots=True)
class Position:
    """How far a client has come in a room."""

    base: int
    """The revision of the list that it has got."""
    last: int
    """The highest that it was sent."""
    passed: int
    """Up to which all was compared with the log."""
    sent: dict[PartKey, int] = field(default_factory=dict)
    """The revision in which it was last sent a row or a group."""
    here: set[tuple[PartKey, int]] = field(default_factory=set)
    """What it was sent over this connection since it has got the list."""
    answered: int = -1
    """The revision of the last answer that had to be behind all of its own."""
    last_parts: int = 0
    """In the last message, how many."""
    recent: int = 0
    """The last revision that followed the list although it is in that."""
    repeats: bool = False
    """Whether recent changes, which are in the list, may follow."""
    resumed: bool = False
    """Whether what it had already may come again."""

    @classmethod
    def behind_list(cls, revision: int, *, repeats: bool) -> Position:
        """Return the position of a client that has got a list."""
        return cls(revision, revision, revision, repeats=repeats)

    def resume(self) -> Position:
        """Return the position of the same client as it comes back."""
        # What it had may come again, from the revision on of any event that it has got.
        return Position(self.base, 0, self.passed, dict(self.sent), resumed=True)


@rules(
    "rows-are-right",
    "groups-are-right",
    "revisions-rise",
    "revision-is-one-step",
    "nothing-is-left-out",
    "answer-is-in-place",
    "list-is-right",
)
def sequences(facts: Facts) -> Named:
    """Follow each connection from its first message to its last."""
    ends: dict[Connection, Position | None] = {}
    for connection in facts.connections.values():
        former = None if connection.former is None else ends.get(connection.former)
        walk = _Walk(facts, connection, None if former is None else former.resume())
        yield from walk.run()
        ends[connection] = walk.position


class _Walk:
    def __init__(self, facts: Facts, connection: Connection, position: Position | None) -> None:
        self.facts = facts
        self.connection = connection
        self.batched = connection.batched
        self.position = position
        self.slug = connection.event.slug
        """The room that it was in before the item that is looked at."""

    def run(self) -> Named:
        for item in self.connection.items:
            event = item.event
            if isinstance(event, Answered):
                yield from self._answered(item, self.facts.invocations[event.invocation])
            elif event.event == ServerEvent.INITIAL_DATA:
                yield from self._list(item)
            elif event.event in (ServerEvent.LINEUP_UPDATED, ServerEvent.LINEUPS_UPDATED):
                yield from self._update(item, event)
            elif self.position is not None:
                self.position.repeats = False
            self.slug = item.slug

    # -- what is sent

    def _list(self, item: Item) -> Named:
        if item.state is None:
            yield "list-is-right", item.index, "the list is of no revision that it may be of"
            self.position = None
        else:
            self.position = Position.behind_list(item.state, repeats=False)

    def _update(self, item: Item, event: Delivered) -> Named:
        position, log, index = self.position, self.facts.log(item.slug), item.index
        payload = event.payload
        if (event.event == ServerEvent.LINEUPS_UPDATED) is not self.batched:
            yield "rows-are-right", index, f"{event.event} is of the other form"
            return
        if position is None and self.connection.in_doubt:
            return
        if log is None or position is None:
            yield "revisions-rise", index, "a change is sent to who is in no room"
            return
        rows, groups = self._parts(payload)
        parts: list[tuple[PartKey, int]] = [
            *(((ROW, row["id"]), row["revision"]) for row in rows),
            *(((GROUP, group["gbsNumber"]), group["revision"]) for group in groups),
        ]
        for row in rows:
            if not self._is_right(row, log, index):
                yield "rows-are-right", index, f"row {row['id']} as of {row['revision']} is not so"
        for group in groups:
            if not _is_group_right(group, log):
                sentence = f"group {group['gbsNumber']} as of {group['revision']} is not so"
                yield "groups-are-right", index, sentence
        yield from self._in_order(index, position, log, payload["revision"], parts)

    def _parts(self, payload: Json) -> tuple[list[Json], list[Json]]:
        if not self.batched:
            return [payload], []
        return list(payload.get("rows", ())), list(payload.get("groups", ()))

    def _is_right(self, row: Json, log: Log, index: int) -> bool:
        lineup, id_, revision = log.lineup, row["id"], row["revision"]
        durable = log.durable.at(index)
        if id_ not in lineup.people:
            return False
        if revision > durable:
            return True  # another rule reports that
        if not self.batched:
            return bool(row == lineup.view(revision).row(id_))
        # Its own fields are of its own revision; what it shows of its group may be newer.
        own = lineup.own_revisions[id_]
        for state in range(revision, durable + 1):
            if own.at(state) != revision:
                return False
            if row == lineup.view(state).row(id_, batched=True):
                return True
        return False

    def _in_order(
        self,
        index: int,
        position: Position,
        log: Log,
        revision: int,
        parts: list[tuple[PartKey, int]],
    ) -> Named:
        revisions = [each for _, each in parts]
        if not parts or max(revisions) != revision or not _rises_within(parts):
            yield "revisions-rise", index, f"revisions {revisions} in a message of {revision}"
            if not parts:
                return
        first, revision = min(revisions), max(revisions)
        if position.repeats and revision <= position.base:
            yield from self._recent(index, position, log, parts)
            return
        if not position.resumed:
            position.repeats = False
        lowest = 0 if position.resumed else position.base + 1
        if first < max(lowest, position.last):
            yield "revisions-rise", index, f"{first} comes after {max(lowest - 1, position.last)}"
            return
        if first <= position.answered:
            yield "answer-is-in-place", index, f"{first} comes after an answer of that"
        again = [key for key, each in parts if (key, each) in position.here]
        if again:
            yield "revisions-rise", index, f"{again} come again in {revision}"
        joined = first == position.last and (len(parts), position.last_parts) != (1, 1)
        if joined and self.batched and position.here:
            yield "revision-is-one-step", index, f"{first} is in two messages"
        yield from self._pass(index, position, log, first - 1)
        for key, each in parts:
            position.sent[key] = max(each, position.sent.get(key, 0))
            position.here.add((key, each))
        position.last, position.last_parts = revision, len(parts)
        if len(parts) > 1:
            yield from self._pass(index, position, log, revision - 1)
            missing = [k for k in self._keys(log, revision) if position.sent.get(k, 0) < revision]
            if missing:
                sentence = f"{missing} are not in the message of {revision}"
                yield "revision-is-one-step", index, sentence

    def _recent(
        self, index: int, position: Position, log: Log, parts: list[tuple[PartKey, int]]
    ) -> Named:
        """Judge a change that the list has already, and that a page may have missed."""
        for key, revision in parts:
            latest = log.lineup.row_revisions[key[1]].at(position.base)
            again = (key, revision) in position.here
            if revision != latest or revision < position.recent or again:
                yield "revisions-rise", index, f"{revision} comes after the list of {position.base}"
            position.recent = revision
            position.here.add((key, revision))

    def _keys(self, log: Log, revision: int) -> Iterator[PartKey]:
        """Return what a revision has changed, in the form of the connection."""
        lineup = log.lineup
        if not self.batched:
            for id_ in lineup.touched.get(revision, ()):
                yield ROW, id_
            return
        for id_ in lineup.own.get(revision, ()):
            yield ROW, id_
        for number in lineup.groups_touched.get(revision, ()):
            yield GROUP, number

    def _pass(self, index: int, position: Position, log: Log, until: int) -> Named:
        """Compare what was sent up to a revision with the log.

        What was not sent must have been replaced by a newer state while it was waiting.
        """
        durable = log.durable.at(index)
        for revision in range(position.passed + 1, min(until, durable) + 1):
            for key in self._keys(log, revision):
                if position.sent.get(key, 0) >= revision:
                    continue
                if not self._may_come_later(key, revision, index, log):
                    sentence = f"{key} was not sent as of {revision}, and is not newer"
                    yield "nothing-is-left-out", index, sentence
        position.passed = max(position.passed, min(until, durable))

    def _may_come_later(self, key: PartKey, revision: int, index: int, log: Log) -> bool:
        """Whether a change may have been replaced while it was waiting, by what is behind it.

        That is a newer state; or the same one, if the room has answered another join already, and
        sent recent changes again behind the list.
        """
        if self._changes(log, key).changes_within(revision, log.durable.at(index)):
            return True
        return not self.batched and any(
            each.event.event == JOIN
            and each.index < index
            and (each.answered is None or each.answered > index)
            for each in self.connection.moves
        )

    def _changes(self, log: Log, key: PartKey) -> Any:
        lineup, (kind, id_) = log.lineup, key
        if kind == GROUP:
            return lineup.group_revisions[id_]
        return lineup.own_revisions[id_] if self.batched else lineup.row_revisions[id_]

    # -- what is answered

    def _answered(self, item: Item, each: Invocation) -> Named:
        log, index, reply = self.facts.log(item.slug), item.index, each.reply
        if each.event.event == JOIN and each.accepted and log is not None:
            revision = reply.get("revision", 0)
            same = self.position is not None and self.slug == item.slug
            if same and self.position is not None and revision < self.position.last:
                sentence = f"a list of {revision} comes after {self.position.last}"
                yield "revisions-rise", index, sentence
            argument = each.event.argument
            since = argument.get("since") if isinstance(argument, Mapping) else None
            repeats = since is None and not self.batched
            self.position = Position.behind_list(revision, repeats=repeats)
        elif each.event.event == LEAVE and item.slug is None:
            self.position = None
        elif each.is_command and log is not None and item.slug == each.slug and self.position:
            self.position.repeats = False
            yield from self._command(index, each, log, self.position)

    def _command(self, index: int, each: Invocation, log: Log, position: Position) -> Named:
        """Judge where an answer stands that rests on the line-up: behind all of some revision."""
        states = answered_at(self.facts, each, log)
        if not states:
            return  # it rests on nothing, or another rule reports it
        revision = next((state for state in states if state >= position.last), None)
        if revision is None:
            yield "answer-is-in-place", index, f"{states} is answered after {position.last}"
            return
        for _, place, sentence in self._pass(index, position, log, revision):
            yield "answer-is-in-place", place, sentence
        position.last = position.answered = revision


def _rises_within(parts: list[tuple[PartKey, int]]) -> bool:
    for kind in (ROW, GROUP):
        revisions = [revision for key, revision in parts if key[0] == kind]
        if revisions != sorted(revisions):
            return False
    return len(dict(parts)) == len(parts)


def _is_group_right(group: Json, log: Log) -> bool:
    number, revision = group["gbsNumber"], group["revision"]
    if revision > log.lineup.revision:
        return True  # another rule reports that
    if number not in log.lineup.group_revisions:
        return False
    return bool(group == log.lineup.view(revision).group(number))
