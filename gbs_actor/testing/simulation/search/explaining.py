"""Tries all revisions at which answers may have been made."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

from gbs_actor.lineup.changes import LogEntry
from gbs_actor.lineup.commands import Kind
from gbs_actor.testing.simulation.history import (
    READ,
    Answered,
    Closed,
    Delivered,
    History,
    Invoked,
    Json,
    Opened,
)
from gbs_actor.testing.simulation.search.contents import CAUSES, UPDATES, Contents
from gbs_actor.testing.simulation.search.given import COMMANDS, Asking, Given
from gbs_actor.testing.simulation.search.outbox import Outbox, Part, Taken


def is_explained(history: History) -> bool:
    """Whether a history of one retreat can be explained."""
    return _Search(Given(history)).succeeds()


class _Search:
    def __init__(self, given: Given) -> None:
        self.given = given
        self.contents = Contents(given)
        self.asking = [
            Asking(*given.invoked[event.invocation], index, event.reply)
            for index, event in enumerate(given.events)
            if isinstance(event, Answered) and event.invocation in given.invoked
        ]

    def succeeds(self) -> bool:
        if not (self._is_in_order() and self._is_log_right()):
            return False
        if not all(self.contents.is_row_right(i, e) for i, e in enumerate(self.given.events)):
            return False
        choices = [self._choices(each) for each in self.asking]
        return any(self._explains(chosen) for chosen in product(*choices))

    def _is_in_order(self) -> bool:
        """Whether everything is answered once at most, after it was asked, while it is open."""
        open_, asked_, answered = set(), {}, set()
        for event in self.given.events:
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

    def _is_log_right(self) -> bool:
        """Whether each entry is what somebody had asked for, and what that comes to."""
        if [entry.revision for _, entry, _ in self.given.entries] != list(self.given.revisions)[1:]:
            return False
        if len({entry.command_id for _, entry, _ in self.given.entries}) < len(self.given.entries):
            return False
        return not self.given.lineup.faults and all(
            foreign or entry.kind is Kind.FENCE or self._is_asked_for(index, entry)
            for index, entry, foreign in self.given.entries
        )

    def _is_asked_for(self, index: int, entry: LogEntry) -> bool:
        return any(
            self.given.may_be(number, entry.revision)
            and event.user_id == entry.author_id
            and self.contents.comes_to(event, entry)
            for number, (place, event) in self.given.invoked.items()
        )

    def _choices(self, each: Asking) -> list[int | None]:
        """Return the revisions at which an answer is right; ``None``: it rests on none."""
        states = [
            state for state in self.given.revisions if state <= self.given.durable(each.answered)
        ]
        if each.event.event in COMMANDS:
            return list(self._command_choices(each, states))
        if each.reply["status"] != "OK":
            retryable = bool(each.reply.get("retryable")) is (each.reply.get("code") in CAUSES)
            return [None] if retryable and self.contents.has_cause(each) else []
        return [state for state in states if self.contents.shows(each, state)]

    def _command_choices(self, each: Asking, states: list[int]) -> Iterator[int | None]:
        revision = self.given.command_of(each.event.invocation)
        code = each.reply.get("code")
        if each.reply["status"] == "OK":
            if revision is None or each.reply.get("revision") != revision:
                return
            entry = self.given.lineup.entries[revision]
            if each.event.command_id is None and not self.contents.comes_to(each.event, entry):
                return
            alone = self.given.is_given_once(each) and not self.given.causes(each)
            wanted = [s for s in states if s == revision or (s > revision and not alone)]
            yield from (state for state in wanted if self.contents.accepts(each, revision, state))
            return
        content = [state for state in states if self.contents.rejects(each, state)]
        if bool(each.reply.get("retryable")) is not (
            code in CAUSES and (code != "OUTCOME_UNKNOWN" or each.event.command_id is not None)
        ):
            return
        if content:
            yield from content
        elif self.contents.has_cause(each):
            yield None

    def _explains(self, chosen: tuple[int | None, ...]) -> bool:
        made = dict(zip([each.answered for each in self.asking], chosen, strict=True))
        return (
            self._respects_what_was_seen(made)
            and self._has_no_hidden_effect()
            and all(self._comes_out_of_an_outbox(number, made) for number in self.given.opened)
        )

    def _respects_what_was_seen(self, made: dict[int, int | None]) -> bool:
        """Whether nothing is answered from before what was seen as it was asked for."""
        for number, (index, event) in self.given.invoked.items():
            seen = max(self._seen(index, made), default=self.given.revisions[0])
            revision = self.given.command_of(number)
            if revision is not None and self.given.is_first(number):
                stored = [i for i, e, _ in self.given.entries if e.revision == revision]
                if revision <= seen or stored[0] < index:
                    return False
            for each in self.asking:
                state = made[each.answered]
                if each.event is event and state is not None and state < seen:
                    return False
        return True

    def _seen(self, index: int, made: dict[int, int | None]) -> Iterator[int]:
        """Return the revisions that clients were sent or answered before an index."""
        for place, event in enumerate(self.given.events[:index]):
            if isinstance(event, Delivered) and event.event in UPDATES:
                yield event.payload["revision"]
            elif isinstance(event, Answered):
                state, revision = made[place], self.given.command_of(event.invocation)
                if event.reply["status"] == "OK" and revision is not None:
                    yield revision
                elif state is not None:
                    yield state

    def _has_no_hidden_effect(self) -> bool:
        """Whether nothing is in the log that was refused or rejected each time."""
        for id_ in {event.command_id for _, event in self.given.invoked.values()} - {None}:
            assert id_ is not None
            if id_ not in self.given.lineup.commands:
                continue
            numbers = [n for n, (_, event) in self.given.invoked.items() if event.command_id == id_]
            replies = [each.reply for each in self.asking if each.event.command_id == id_]
            unknown = len(replies) < len(numbers) or any(
                reply["status"] == "OK" or reply["code"] == "OUTCOME_UNKNOWN" for reply in replies
            )
            if not unknown:
                return False
        return True

    def _comes_out_of_an_outbox(self, number: int, made: dict[int, int | None]) -> bool:
        batched = self.given.opened[number].form == "batch"
        taken: list[Taken] = []
        for index, event in enumerate(self.given.events):
            durable = self.given.durable(index)
            if isinstance(event, Delivered) and event.connection == number:
                if event.event in UPDATES:
                    taken.append(Taken(durable, parts=_parts(event.payload, batched=batched)))
            elif isinstance(event, Answered):
                invoked = self.given.invoked[event.invocation][1]
                if invoked.connection == number and made[index] is not None:
                    is_list = invoked.event not in COMMANDS and invoked.event != READ
                    recent = self._recent(invoked, made[index]) if is_list else frozenset()
                    taken.append(Taken(durable, (), made[index], is_list, recent))
        return Outbox(self._changed(batched=batched), taken).can_be()

    def _recent(self, join: Invoked, revision: int | None) -> frozenset[tuple[Part, int]]:
        """Return what may follow a list that was asked for without a revision."""
        number = join.connection
        if revision is None or number is None or "since" in join.argument:
            return frozenset()
        if self.given.opened[number].form == "batch":
            return frozenset()
        rows = self.given.lineup.view(revision).rows()
        return frozenset((("row", row["id"]), row["revision"]) for row in rows)

    def _changed(self, *, batched: bool) -> dict[int, frozenset[Part]]:
        """Return what each revision has changed."""
        lineup, found = self.given.lineup, {}
        for revision in self.given.revisions[1:]:
            rows = (lineup.own if batched else lineup.touched)[revision]
            groups = lineup.groups_touched[revision] if batched else []
            found[revision] = frozenset(
                [("row", id_) for id_ in rows] + [("group", number) for number in groups]
            )
        return found


def _parts(payload: Json, *, batched: bool) -> tuple[tuple[Part, int], ...]:
    if not batched:
        return ((("row", payload["id"]), payload["revision"]),)
    rows = [(("row", row["id"]), row["revision"]) for row in payload["rows"]]
    groups = [(("group", each["gbsNumber"]), each["revision"]) for each in payload["groups"]]
    return (*rows, *groups)
