"""Explains a small history by trying everything: what the checker's rules are judged by.

A history is right if each answer can be given a revision of the log at which it was made, so that

- the answer is the right one at that revision, which was durable by then;
- what is asked for after something was seen is answered at no lower revision, and what is stored
  then has a higher one; and
- what each connection is sent comes out of an outbox: one revision after the other goes in, answers
  go in between, and what waits may be replaced by something newer.

Exponential, and meant for some six commands of two or three clients that each join once. The log is
taken as given. Liveness, marks and presence are no part of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

from gbs_actor.contract.events import CommandEvent, ServerEvent
from gbs_actor.lineup.changes import LogEntry
from gbs_actor.lineup.commands import Kind, request_bytes
from gbs_actor.testing.simulation.checker.log import shown_problems
from gbs_actor.testing.simulation.history import (
    READ,
    Answered,
    Cause,
    Closed,
    Committed,
    Delivered,
    Disturbed,
    History,
    Invoked,
    Json,
    Opened,
)
from gbs_actor.testing.simulation.model import Lineup, Malformed, asked, decide
from gbs_actor.testing.simulation.outbox import Outbox, Part, Taken

_COMMANDS = frozenset(str(event) for event in CommandEvent)
_UPDATES = frozenset({ServerEvent.LINEUP_UPDATED, ServerEvent.LINEUPS_UPDATED})


@dataclass(frozen=True)
class Asking:
    """An invocation and its answer, by their indexes."""

    index: int
    event: Invoked
    answered: int
    reply: Json


def is_explained(history: History) -> bool:
    """Whether a history of one retreat can be explained."""
    return _Search(history).succeeds()


class _Search:
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

    def succeeds(self) -> bool:
        if not (self._is_in_order() and self._is_log_right()):
            return False
        self.asking = [
            Asking(*self.invoked[event.invocation], index, event.reply)
            for index, event in enumerate(self.events)
            if isinstance(event, Answered)
        ]
        if not all(self._is_row_right(i, e) for i, e in enumerate(self.events)):
            return False
        choices = [self._choices(each) for each in self.asking]
        return any(self._explains(chosen) for chosen in product(*choices))

    # -- by itself

    def _is_in_order(self) -> bool:
        """Whether everything is answered once at most, after it was asked, while it is open."""
        open_, asked_, answered = set(), {}, set()
        for event in self.events:
            if isinstance(event, Opened):
                open_.add(event.connection)
            elif isinstance(event, Closed):
                open_.discard(event.connection)
            elif isinstance(event, Invoked):
                asked_[event.invocation] = event.connection
                if event.connection is not None and event.connection not in open_:
                    return False
            elif isinstance(event, Delivered) and event.connection not in open_:
                return False
            elif isinstance(event, Answered):
                if event.invocation not in asked_ or event.invocation in answered:
                    return False
                answered.add(event.invocation)
                connection = asked_[event.invocation]
                if connection is not None and connection not in open_:
                    return False
        return True

    def _durable(self, index: int) -> int:
        """Return the revision that the store is at, at an index."""
        stored = [entry.revision for place, entry, _ in self.entries if place <= index]
        return max(stored, default=self.revisions[0])

    def _is_log_right(self) -> bool:
        """Whether each entry is what somebody had asked for, and what that comes to."""
        if [entry.revision for _, entry, _ in self.entries] != list(self.revisions)[1:]:
            return False
        if len({entry.command_id for _, entry, _ in self.entries}) < len(self.entries):
            return False
        return not self.lineup.faults and all(
            foreign or entry.kind is Kind.FENCE or self._is_asked_for(index, entry)
            for index, entry, foreign in self.entries
        )

    def _is_asked_for(self, index: int, entry: LogEntry) -> bool:
        return any(
            self._may_be(number, entry.revision)
            and event.user_id == entry.author_id
            and self._comes_to(event, entry)
            for number, (place, event) in self.invoked.items()
        )

    def _may_be(self, number: int, revision: int) -> bool:
        """Whether a command may be what a revision has done."""
        own = self._command_of(number)
        event = self.invoked[number][1]
        if own is not None or event.command_id is not None or event.event not in _COMMANDS:
            return own == revision
        replies = [
            each.reply
            for each in self.events
            if isinstance(each, Answered) and each.invocation == number
        ]
        return not replies or replies[0].get("code", "OUTCOME_UNKNOWN") == "OUTCOME_UNKNOWN"

    def _command_of(self, number: int) -> int | None:
        """Return the revision of a command, by its id or by its answer."""
        _, event = self.invoked[number]
        if event.event not in _COMMANDS:
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

    def _comes_to(self, event: Invoked, entry: LogEntry) -> bool:
        try:
            wanted = asked(event.event, event.argument, event.user_id)
        except Malformed:
            return False
        decision = decide(self.lineup.view(entry.revision - 1), wanted, self.epoch)
        written = self.lineup.written[entry.revision]
        return (
            decision.code == "OK"
            and request_bytes(wanted.action) == entry.request
            and {key: write.value for key, write in decision.writes.items()}
            == {key: change.after.given.value for key, change in written.items()}
        )

    def _is_row_right(self, index: int, event: Any) -> bool:
        """Whether what is sent is as of the revision that it says, and stored by then."""
        if not isinstance(event, Delivered) or event.event not in _UPDATES:
            return True
        batched = self.opened[event.connection].form == "batch"
        if batched is not (event.event == ServerEvent.LINEUPS_UPDATED):
            return False
        payload, durable = event.payload, self._durable(index)
        rows = payload["rows"] if batched else [payload]
        groups = payload["groups"] if batched else []
        if any(part["revision"] > durable for part in [payload, *rows, *groups]):
            return False
        revisions = [part["revision"] for part in [*rows, *groups]]
        return (
            bool(revisions)
            and max(revisions) == payload["revision"]
            and all(self._was_so(row, durable, batched=batched) for row in rows)
            and all(
                group["gbsNumber"] in self.lineup.group_revisions
                and group == self.lineup.view(group["revision"]).group(group["gbsNumber"])
                for group in groups
            )
            and _ascend(rows)
            and _ascend(groups)
        )

    def _was_so(self, row: Json, durable: int, *, batched: bool) -> bool:
        if row["id"] not in self.lineup.people:
            return False
        views = [self.lineup.view(each) for each in self.revisions if each <= durable]
        states = [view for view in views if view.revision >= row["revision"]]
        states = states if batched else states[:1]
        return any(view.row(row["id"], batched=batched) == row for view in states)

    # -- together

    def _choices(self, each: Asking) -> list[int | None]:
        """Return the revisions at which an answer is right; ``None``: it rests on none."""
        states = [state for state in self.revisions if state <= self._durable(each.answered)]
        if each.event.event in _COMMANDS:
            return list(self._command_choices(each, states))
        if each.reply["status"] != "OK":
            return [None] if self._is_refused_right(each) else []
        return [state for state in states if self._shows(each, state)]

    def _command_choices(self, each: Asking, states: list[int]) -> Iterator[int | None]:
        revision = self._command_of(each.event.invocation)
        code = each.reply.get("code")
        if each.reply["status"] == "OK":
            if revision is None or each.reply.get("revision") != revision:
                return
            alone = self._is_given_once(each) and not self._causes(each)
            wanted = [revision] if alone else [state for state in states if state >= revision]
            yield from (state for state in wanted if self._accepts(each, revision, state))
            return
        content = [state for state in states if self._rejects(each, state)]
        if bool(each.reply.get("retryable")) is not (
            code in _CAUSES and (code != "OUTCOME_UNKNOWN" or each.event.command_id is not None)
        ):
            return
        if content:
            yield from content
        elif self._is_refused_right(each):
            yield None

    def _causes(self, each: Asking) -> set[Cause]:
        found = set()
        for start, event in enumerate(self.events):
            if not isinstance(event, Disturbed):
                continue
            ends = [
                index
                for index, other in enumerate(self.events)
                if getattr(other, "number", None) == event.number and index > start
            ]
            if start < each.answered and (not ends or ends[0] > each.index):
                found.add(event.cause)
        return found

    def _is_given_once(self, each: Asking) -> bool:
        id_ = each.event.command_id
        return id_ is None or [e.command_id for _, e in self.invoked.values()].count(id_) == 1

    def _is_refused_right(self, each: Asking) -> bool:
        return bool(_CAUSES.get(each.reply.get("code", ""), set()) & self._causes(each))

    def _shows(self, each: Asking, state: int) -> bool:
        """Whether a join or a read shows the line-up of a state."""
        reply, argument = each.reply, each.event.argument
        if reply.get("revision") != state or reply.get("epoch") != self.epoch:
            return False
        since = argument.get("since")
        if since is not None and since > state:
            since = None
        batched = self._batched(each)
        view = self.lineup.view(state)
        rows = [
            shown
            for row, shown in zip(view.rows(), view.rows(batched=batched), strict=True)
            if since is None or row["revision"] >= since
        ]
        return reply["data"] == rows and reply["full"] is (since is None)

    def _batched(self, each: Asking) -> bool:
        number = each.event.connection
        return number is not None and self.opened[number].form == "batch"

    def _accepts(self, each: Asking, revision: int, state: int) -> bool:
        view, batched, data = self.lineup.view(state), self._batched(each), each.reply["data"]
        target = self.lineup.entries[revision].registration_id
        if target is not None:
            return bool(data == view.row(target, batched=batched))
        if not isinstance(data, Mapping) or "updatedLineups" not in data:
            return False
        own, touched = self.lineup.own[revision], self.lineup.touched[revision]
        shown = {row["id"]: row for row in data["updatedLineups"]}
        ids = [own] if batched or state > revision else [own, touched]
        created = sorted(
            value.gbs_number
            for _, value in self.lineup.entries[revision].written()
            if value.field == "exists" and value.value and value.gbs_number is not None
        )
        left_out = [*data["conflicts"], *data["skipped"]]
        return (
            data["updatedCount"] == len(own)
            and data["revision"] == revision
            and data["createdGbsNumbers"] == created
            and all(problem["code"] == "CONFLICT" for problem in data["conflicts"])
            and _same_problems(left_out, shown_problems(self.lineup.entries[revision]))
            and any(shown == {i: view.row(i, batched=batched) for i in choice} for choice in ids)
        )

    def _rejects(self, each: Asking, state: int) -> bool:
        reply, view = each.reply, self.lineup.view(state)
        wanted = asked(each.event.event, each.event.argument, each.event.user_id)
        id_ = each.event.command_id
        stored = None if id_ is None else self.lineup.commands.get(id_)
        if stored is not None and stored <= state:
            other = self.lineup.entries[stored].request != request_bytes(wanted.action)
            return other and reply["code"] == "VALIDATION_FAILED"
        decision = decide(view, wanted, self.epoch)
        row = None
        if decision.conflict is not None and decision.row is not None:
            row = view.row(decision.row, batched=self._batched(each))
        return (
            decision.code == reply["code"]
            and reply.get("conflict") == decision.conflict
            and reply.get("data") == row
            and _same_problems(reply.get("problems", ()), decision.problems)
        )

    def _explains(self, chosen: tuple[int | None, ...]) -> bool:
        made = dict(zip([each.answered for each in self.asking], chosen, strict=True))
        return (
            self._respects_what_was_seen(made)
            and self._has_no_hidden_effect()
            and all(self._comes_out_of_an_outbox(number, made) for number in self.opened)
        )

    def _respects_what_was_seen(self, made: dict[int, int | None]) -> bool:
        """Whether nothing is answered from before what was seen as it was asked for."""
        for number, (index, event) in self.invoked.items():
            seen = max(self._seen(index, made), default=self.revisions[0])
            revision = self._command_of(number)
            if revision is not None and self._is_first(number):
                stored = [i for i, e, _ in self.entries if e.revision == revision]
                if revision <= seen or stored[0] < index:
                    return False
            for each in self.asking:
                state = made[each.answered]
                if each.event is event and state is not None and state < seen:
                    return False
        return True

    def _seen(self, index: int, made: dict[int, int | None]) -> Iterator[int]:
        """Return the revisions that clients were sent or answered before an index."""
        for place, event in enumerate(self.events[:index]):
            if isinstance(event, Delivered) and event.event in _UPDATES:
                yield event.payload["revision"]
            elif isinstance(event, Answered):
                state, revision = made[place], self._command_of(event.invocation)
                if event.reply["status"] == "OK" and revision is not None:
                    yield revision
                elif state is not None:
                    yield state

    def _is_first(self, number: int) -> bool:
        id_ = self.invoked[number][1].command_id
        same = [other for other, (_, e) in self.invoked.items() if e.command_id == id_]
        return id_ is None or same[0] == number

    def _has_no_hidden_effect(self) -> bool:
        """Whether nothing is in the log that was refused or rejected each time."""
        for id_ in {event.command_id for _, event in self.invoked.values()} - {None}:
            assert id_ is not None
            if id_ not in self.lineup.commands:
                continue
            numbers = [n for n, (_, event) in self.invoked.items() if event.command_id == id_]
            replies = [each.reply for each in self.asking if each.event.command_id == id_]
            unknown = len(replies) < len(numbers) or any(
                reply["status"] == "OK" or reply["code"] == "OUTCOME_UNKNOWN" for reply in replies
            )
            if not unknown:
                return False
        return True

    # -- what a connection is sent

    def _comes_out_of_an_outbox(self, number: int, made: dict[int, int | None]) -> bool:
        batched = self.opened[number].form == "batch"
        taken: list[Taken] = []
        for index, event in enumerate(self.events):
            durable = self._durable(index)
            if isinstance(event, Delivered) and event.connection == number:
                if event.event in _UPDATES:
                    taken.append(Taken(durable, parts=_parts(event.payload, batched=batched)))
            elif isinstance(event, Answered):
                invoked = self.invoked[event.invocation][1]
                if invoked.connection == number and made[index] is not None:
                    is_list = invoked.event not in _COMMANDS and invoked.event != READ
                    recent = self._recent(invoked, made[index]) if is_list else frozenset()
                    taken.append(Taken(durable, (), made[index], is_list, recent))
        return Outbox(self._changed(batched=batched), taken).can_be()

    def _recent(self, join: Invoked, revision: int | None) -> frozenset[tuple[Part, int]]:
        """Return what may follow a list that was asked for without a revision."""
        number = join.connection
        if revision is None or number is None or "since" in join.argument:
            return frozenset()
        if self.opened[number].form == "batch":
            return frozenset()
        rows = self.lineup.view(revision).rows()
        return frozenset((("row", row["id"]), row["revision"]) for row in rows)

    def _changed(self, *, batched: bool) -> dict[int, frozenset[Part]]:
        """Return what each revision has changed."""
        lineup, found = self.lineup, {}
        for revision in self.revisions[1:]:
            rows = (lineup.own if batched else lineup.touched)[revision]
            groups = lineup.groups_touched[revision] if batched else []
            found[revision] = frozenset(
                [("row", id_) for id_ in rows] + [("group", number) for number in groups]
            )
        return found


_CAUSES = {
    "STORE_UNAVAILABLE": {Cause.STORE},
    "OUTCOME_UNKNOWN": {Cause.STORE, Cause.CRASH, Cause.STOP, Cause.KILL},
    "ROOM_BUSY": {Cause.LOAD, Cause.STALE, Cause.STORE},
    "ROOM_RESTARTED": {Cause.CRASH, Cause.STOP},
    "ROOM_UNAVAILABLE": {Cause.CRASH, Cause.STOP},
    "RATE_LIMITED": {Cause.LOAD},
}


def _parts(payload: Json, *, batched: bool) -> tuple[tuple[Part, int], ...]:
    if not batched:
        return ((("row", payload["id"]), payload["revision"]),)
    rows = [(("row", row["id"]), row["revision"]) for row in payload["rows"]]
    groups = [(("group", each["gbsNumber"]), each["revision"]) for each in payload["groups"]]
    return (*rows, *groups)


def _same_problems(shown: Iterable[Json], expected: Iterable[Json]) -> bool:
    without_message = [{k: v for k, v in each.items() if k != "message"} for each in shown]
    return sorted(map(_as_text, without_message)) == sorted(map(_as_text, expected))


def _as_text(problem: Json) -> str:
    return str(sorted(problem.items()))


def _ascend(parts: list[Json]) -> bool:
    revisions = [part["revision"] for part in parts]
    return revisions == sorted(revisions)
