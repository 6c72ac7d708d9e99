"""Rules on who is said to be there, and to edit what."""

from __future__ import annotations

from collections import Counter
from typing import Any, Final

from gbs_actor.contract.events import ServerEvent
from gbs_actor.testing.simulation.checker.events import Connection
from gbs_actor.testing.simulation.checker.facts import Facts
from gbs_actor.testing.simulation.checker.violation import Found, rule
from gbs_actor.testing.simulation.history import Delivered

MARK_LIFETIME: Final = 10.0
"""Seconds after which an editing mark ends by itself."""
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
        shown = {user["userId"]: user["connections"] for user in payload["users"]}
        right = payload["total"] == len(shown) and there.keys() <= shown.keys()
        if not right or any(not there[user] <= n <= most[user] for user, n in shown.items()):
            yield sent, f"{shown} are said to be there, and {dict(there)} are"


def _in_room_at_end(facts: Facts) -> list[tuple[int, Connection]]:
    """Return the connections that are open in a room as the run ends there, and where it does."""
    return [
        (index, connection)
        for index, end in facts.ends
        for connection in facts.connections.values()
        if connection.slug == end.slug and connection.closed is None
    ]
