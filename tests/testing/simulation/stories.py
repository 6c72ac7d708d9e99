"""Histories that are told step by step, and ways to break them in one place."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar
from uuid import UUID

from gbs_actor.lineup.records import Gender, Group, Memo, Person, Registration, Retreat
from gbs_actor.testing.simulation.history import (
    Answered,
    Committed,
    Delivered,
    Ended,
    Event,
    Form,
    History,
    Invoked,
    Moment,
)
from tests.testing.simulation.player import SLUG, START, Player

T = TypeVar("T")


def _registration(id_: int, number: int | None, memo: Memo | None = None) -> Registration:
    person = Person(
        user_id=100 + id_,
        univ_group_id=7,
        univ_group_number=3,
        grade_id=70,
        grade_number=1,
        gender=Gender.FEMALE,
        name=f"사람{id_}",
        phone_number="",
        is_full_attendance=True,
        user_type=None,
        schedule_ids=(1, 2),
        created_at=START,
    )
    return Registration(id_, person, number, START, memo=memo)


RETREAT = Retreat(
    1,
    SLUG,
    0,
    "e1",
    (
        _registration(1, 1),
        _registration(2, 1),
        _registration(3, 2),
        _registration(4, None, Memo(4, "a", "")),
    ),
    {number: Group(number) for number in (1, 2, 3)},
)


class Story(Player):
    """A run of which each step is told; two clients in the room, the second with another user.

    :param form: of the second.
    """

    def __init__(self, form: Form = "rows") -> None:
        super().__init__(random.Random(1), clients=2, forms=("rows", form), retreat=RETREAT)
        for client in range(2):
            self.open(client)
            self.join(client)
        self.settle()
        self.now += 1.0

    def settle(self) -> None:
        """Carry out and take everything."""
        while self.mailbox:
            self.work()
        for line in self.lines.values():
            while line.outbox:
                self.take(line)

    def say(self, client: int, event: str, **argument: Any) -> UUID:
        """Submit a command with an id, and return that."""
        command_id = UUID(int=next(self.numbers))
        self.submit(self.lines[client], event, {"commandId": str(command_id), **argument})
        return command_id

    def move(self, client: int, person: int, number: int | None, **more: Any) -> UUID:
        return self.say(client, "update-gbs-number", lineupId=person, gbsNumber=number, **more)

    def end(self) -> History:
        self.settle()
        self.now += 1.0
        self.finish()
        return self.history


def find(history: History, kind: type[T], where: Callable[[T], bool] = lambda _: True) -> int:
    """Return the index of the first event of a kind."""
    return next(
        index
        for index, moment in enumerate(history.moments)
        if isinstance(moment.event, kind) and where(moment.event)
    )


def find_last(history: History, kind: type[T], where: Callable[[T], bool] = lambda _: True) -> int:
    """Return the index of the last event of a kind."""
    return max(
        index
        for index, moment in enumerate(history.moments)
        if isinstance(moment.event, kind) and where(moment.event)
    )


def event_at(history: History, index: int, kind: type[T]) -> T:
    event = history.moments[index].event
    assert isinstance(event, kind)
    return event


def put(history: History, index: int, event: Event) -> None:
    """Replace an event."""
    history.moments[index] = replace(history.moments[index], event=event)


def insert(history: History, index: int, *events: Event) -> None:
    at = history.moments[min(index, len(history.moments) - 1)].at
    history.moments[index:index] = [Moment(at, event) for event in events]


def drop(history: History, index: int) -> None:
    del history.moments[index]


def move(history: History, index: int, to: int) -> None:
    """Move an event; ``to`` is its index afterwards."""
    history.moments.insert(to, history.moments.pop(index))


def change_reply(history: History, index: int, **values: Any) -> None:
    """Alter members of a reply; ``...`` removes one."""
    answered = event_at(history, index, Answered)
    reply = {k: v for k, v in {**answered.reply, **values}.items() if v is not ...}
    put(history, index, replace(answered, reply=reply))


def change_data(history: History, index: int, **values: Any) -> None:
    """Alter members of what a reply shows."""
    data = event_at(history, index, Answered).reply["data"]
    change_reply(history, index, data={**data, **values})


def change_payload(history: History, index: int, **values: Any) -> None:
    """Alter members of what was delivered."""
    delivered = event_at(history, index, Delivered)
    put(history, index, replace(delivered, payload={**delivered.payload, **values}))


def change_end(history: History, **values: Any) -> None:
    index = find(history, Ended)
    put(history, index, replace(event_at(history, index, Ended), **values))


def change_stored(history: History, **values: Any) -> None:
    stored = event_at(history, find(history, Ended), Ended).stored
    change_end(history, stored=replace(stored, **values))


def invoked(history: History, event: str) -> int:
    """Return the index of the first invocation of an event."""
    return find(history, Invoked, lambda it: it.event == event)


def answer_of(history: History, index: int) -> int:
    """Return the index of the answer to what was invoked at an index."""
    number = event_at(history, index, Invoked).invocation
    return find(history, Answered, lambda it: it.invocation == number)


def committed(history: History, revision: int) -> int:
    """Return the index of the commit of a revision."""
    return find(history, Committed, lambda it: any(e.revision == revision for e in it.entries))


def delivered_to(history: History, connection: int, nth: int = 0) -> int:
    """Return the index of the nth delivery to a connection."""
    indexes = [
        index
        for index, moment in enumerate(history.moments)
        if isinstance(moment.event, Delivered) and moment.event.connection == connection
    ]
    return indexes[nth]
