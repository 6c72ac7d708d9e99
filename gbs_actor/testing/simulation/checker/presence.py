"""Rules on who is said to be there, and to edit what."""

from __future__ import annotations

from collections import Counter
from math import inf
from typing import Any, Final

from gbs_actor.contract.events import ServerEvent
from gbs_actor.testing.simulation.checker.events import JOIN, LEAVE, Connection, Item
from gbs_actor.testing.simulation.checker.facts import Facts
from gbs_actor.testing.simulation.checker.violation import Found, rule
from gbs_actor.testing.simulation.history import Answered, Cause, Closed, Delivered

MARK_LIFETIME: Final = 10.0
"""Seconds after which an editing mark ends by itself."""
SOON: Final = 2.0
"""Seconds in which everybody is sent that a mark has ended, where nothing is disturbed."""
_ROOM_FOR_DELAY: Final = 5.0
"""Seconds in which the end of a mark, or who is there, has reached everybody."""


@rule
def marks_end(facts: Facts) -> Found:
    """An editing mark ends, by itself after some time, and everybody is sent that."""
    for index, connection in _in_room_at_end(facts):
        begun: dict[Any, int] = {}
        slug = connection.event.slug
        for item in connection.items:
            if item.slug != slug:
                begun, slug = {}, item.slug
            event = item.event
            if not isinstance(event, Delivered) or event.event != ServerEvent.USER_EDITING:
                continue
            mark = event.payload
            key = mark["userId"], mark["lineupId"], mark.get("field")
            if mark["editing"]:
                begun[key] = item.index
            else:
                begun.pop(key, None)
        for key, start in begun.items():
            if facts.at(index) - facts.at(start) > MARK_LIFETIME + _ROOM_FOR_DELAY:
                yield start, f"the mark {key} has not ended at {connection.event.connection}"


@rule
def marks_go_with_their_user(facts: Facts) -> Found:
    """A mark of a user who has left, or is gone, ends soon, if nothing is disturbed."""
    for connection in facts.connections.values():
        begun: dict[Any, int] = {}
        for item in connection.items:
            event = item.event
            if _is_move(facts, item):
                begun.clear()  # who was elsewhere has missed the ends
            if not isinstance(event, Delivered) or event.event != ServerEvent.USER_EDITING:
                continue
            mark = event.payload
            key = mark["userId"], mark["lineupId"], mark.get("field")
            if mark["editing"]:
                begun[key] = item.index
                continue
            start = begun.pop(key, item.index)
            if item.slug is None:
                continue  # a leave was not answered: it is not known which room has sent it
            gone = _gone(facts, mark["userId"], item.slug, start)
            late = -inf if gone is None else facts.at(item.index) - facts.at(gone)
            if (
                gone is not None
                and late > SOON
                and not _is_disturbed(facts, connection, gone, item.index)
            ):
                yield item.index, f"the mark {key} ends {late:g} s after who has set it has left"


def _is_move(facts: Facts, item: Item) -> bool:
    """Whether it is the reply to a join or a leave."""
    event = item.event
    return isinstance(event, Answered) and facts.invocations[event.invocation].event.event in (
        JOIN,
        LEAVE,
    )


def _gone(facts: Facts, user: int, slug: str | None, index: int) -> int | None:
    """Return where the last connection of a user has left a room, from some event on."""
    stays = [
        stay
        for each in facts.connections.values()
        if each.event.user_id == user
        for stay in _stays(facts, each, slug)
    ]
    end: float = index
    while still := [last for first, last in stays if first <= end < last]:
        end = max(still)
    return None if end == inf else int(end)


def _stays(facts: Facts, connection: Connection, slug: str | None) -> list[tuple[int, float]]:
    """Return from where to where a client may have been in a room over a connection."""
    closed = None if connection.closed is None else facts.history.moments[connection.closed].event
    # Of who has vanished the server learns by its pings alone: that takes longer than a mark lasts.
    vanished = isinstance(closed, Closed) and closed.half_open
    last = inf if connection.closed is None or vanished else connection.closed
    if connection.in_doubt:
        return [(connection.opened, last)]
    places = [(connection.opened, slug if connection.event.resumed else connection.event.slug)]
    places += [(item.index, item.slug) for item in connection.items]
    ends: list[float] = [*(index for index, _ in places[1:]), last]
    stays = [
        (index, end) for (index, place), end in zip(places, ends, strict=True) if place == slug
    ]
    joins = [move for move in connection.moves if move.event.event == JOIN and move.slug == slug]
    return stays + [(join.index, join.answered or last) for join in joins]


def _is_disturbed(facts: Facts, connection: Connection, first: int, last: int) -> bool:
    """Whether a room, or a client of it, may have been hindered between two events."""
    return any(
        each.event.client in (None, connection.event.client)
        and each.event.cause is not Cause.LOAD
        and each.lies_in(first, last)
        for each in facts.disturbances.values()
    )


@rule
def marks_of_others(facts: Facts) -> Found:
    """Who edits is not sent the own mark, and each mark is of a row and user of the run."""
    for connection in facts.connections.values():
        for item in connection.items:
            event = item.event
            if not isinstance(event, Delivered) or event.event != ServerEvent.USER_EDITING:
                continue
            mark, log = event.payload, facts.log(item.slug)
            if connection.in_doubt:
                continue
            if log is None:
                yield item.index, "a mark is sent to who is in no room"
            elif mark["lineupId"] not in log.lineup.people:
                yield item.index, f"there is no row {mark['lineupId']}"
            elif not _was_asked_for(facts, connection, item.index, mark):
                yield item.index, f"nobody else has asked for the mark {dict(mark)}"


def _was_asked_for(facts: Facts, connection: Connection, index: int, mark: Any) -> bool:
    return any(
        each.event.event == ServerEvent.USER_EDITING
        and each.connection is not connection
        and each.event.user_id == mark["userId"]
        and each.index < index
        for each in facts.invocations.values()
    )


@rule
def presence_is_right(facts: Facts) -> Found:
    """In the end each client was last sent who is there, with as many connections."""
    for index, connection in _in_room_at_end(facts):
        lists = [
            (item.index, item.event.payload)
            for item in connection.items
            if isinstance(item.event, Delivered) and item.event.event == ServerEvent.ROOM_PRESENCE
        ]
        if not lists or not connection.event.presence or facts.quiet is None:
            continue
        if facts.at(index) - facts.at(facts.quiet) < _ROOM_FOR_DELAY:
            continue
        open_ = [each for each in facts.connections.values() if each.closed is None]
        there = Counter(each.event.user_id for each in open_ if each.slug == connection.slug)
        most = there + Counter(each.event.user_id for each in open_ if each.in_doubt)
        sent, payload = lists[-1]
        here = Counter(
            each.event.user_id
            for each in open_
            if each.slug == connection.slug and each.node == connection.node
        )
        shown = {user["userId"]: user["connections"] for user in payload["users"]}
        right = payload["total"] == len(shown) and here.keys() <= shown.keys()
        if not right or any(not here[user] <= n <= most[user] for user, n in shown.items()):
            yield sent, f"{shown} are said to be there, and {dict(there)} are"


def _in_room_at_end(facts: Facts) -> list[tuple[int, Connection]]:
    """Return the connections that are open in a room as the run ends there, and where it does."""
    return [
        (index, connection)
        for index, end in facts.ends
        for connection in facts.connections.values()
        if connection.slug == end.slug and connection.closed is None
    ]
