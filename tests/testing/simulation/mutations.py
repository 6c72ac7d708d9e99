"""Ways to break a history at random, in one place."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from gbs_actor.testing.simulation.history import (
    Answered,
    Committed,
    Delivered,
    Event,
    History,
    Invoked,
)

Mutation = Callable[[random.Random, History], None]


def mutated(rnd: random.Random, history: History) -> History:
    """Return a history in which something is wrong, most probably."""
    copy = History(history.before, history.delayed, list(history.moments))
    rnd.choice(MUTATIONS)(rnd, copy)
    return copy


def _places(history: History, *kinds: type[Event]) -> list[int]:
    return [i for i, moment in enumerate(history.moments) if isinstance(moment.event, kinds)]


def swap(rnd: random.Random, history: History) -> None:
    """Two events that follow each other change places."""
    moments = history.moments
    places = _places(history, Answered, Delivered, Committed, Invoked)
    if places:
        index = rnd.choice(places)
        other = min(len(moments) - 1, index + 1)
        moments[index], moments[other] = moments[other], moments[index]


def move(rnd: random.Random, history: History) -> None:
    """An event comes earlier or later."""
    places = _places(history, Answered, Delivered, Committed)
    if places:
        index = rnd.choice(places)
        moment = history.moments.pop(index)
        history.moments.insert(max(0, index + rnd.randint(-8, 8)), moment)


def drop(rnd: random.Random, history: History) -> None:
    """Something is never received."""
    places = _places(history, Answered, Delivered)
    if places:
        del history.moments[rnd.choice(places)]


def repeat(rnd: random.Random, history: History) -> None:
    """Something is received twice."""
    places = _places(history, Answered, Delivered)
    if places:
        index = rnd.choice(places)
        later = rnd.randint(index + 1, len(history.moments))
        history.moments.insert(later, history.moments[index])


def alter(rnd: random.Random, history: History) -> None:
    """A member of something that is received has another value."""
    places = _places(history, Answered, Delivered)
    if not places:
        return
    index = rnd.choice(places)
    event = history.moments[index].event
    if isinstance(event, Answered):
        event = replace(event, reply=_altered(rnd, event.reply))
    elif isinstance(event, Delivered):
        event = replace(event, payload=_altered(rnd, event.payload))
    history.moments[index] = replace(history.moments[index], event=event)


def exchange(rnd: random.Random, history: History) -> None:
    """Something shows what another one does."""
    kind = rnd.choice([Answered, Delivered])
    places = _places(history, kind)
    if len(places) < 2:
        return
    index, other = rnd.sample(places, 2)
    event, shown = history.moments[index].event, history.moments[other].event
    if isinstance(event, Answered) and isinstance(shown, Answered):
        event = replace(event, reply=shown.reply)
    elif isinstance(event, Delivered) and isinstance(shown, Delivered):
        event = replace(event, event=shown.event, payload=shown.payload)
    history.moments[index] = replace(history.moments[index], event=event)


MUTATIONS: list[Mutation] = [*[swap] * 4, *[move] * 2, *[drop] * 2, repeat, *[alter] * 4, exchange]

_NAMES = ("revision", "gbsNumber", "lineupMemo", "totalCount", "code", "full", "updatedCount")


def _altered(rnd: random.Random, value: Any) -> Any:
    """Return a value of which one member, or one of a member, is another one."""
    if isinstance(value, list) and value:
        index = rnd.randrange(len(value))
        if rnd.random() < 0.3:
            return value[:index] + value[index + 1 :]
        return [_altered(rnd, each) if i == index else each for i, each in enumerate(value)]
    if isinstance(value, dict):
        names = [name for name in value if name in _NAMES or isinstance(value[name], dict | list)]
        if names:
            name = rnd.choice(names)
            return {**value, name: _altered(rnd, value[name])}
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + rnd.choice([-1, 1])
    if isinstance(value, str):
        return rnd.choice(["a", "b", "", "CONFLICT", "NOT_FOUND", "ROOM_BUSY", "LEADER_LOCKED"])
    return value
