"""What nodes send each other of the people in their rooms: who they are, and what they edit.

A record is the present state of something, so that a later one replaces an earlier one. All are
arrays: a notification of PostgreSQL has little room.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from gbs_actor.bus.fields import Integer, Short

MAX_USERS: Final = 100
"""Users of a room that a node sends by name."""
MAX_MARKS: Final = 200
"""Editing marks of a room that a node sends."""
MAX_REQUESTED: Final = 250
"""Retreats in one request."""
MAX_NODES: Final = 32
"""Nodes whose people are known, and that one request goes to."""
MAX_NAME: Final = 100
"""Characters of a user's name that are sent."""
_MAX_COUNT: Final = 1_000_000
_MAX_BYTES: Final = 6_500
"""Of one of these, so that it fits into a message."""

# What is passed on to clients must be fit for them.
_Count = Annotated[int, Meta(ge=0, le=_MAX_COUNT)]
_Name = Annotated[str, Meta(max_length=MAX_NAME)]


class Person(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A user in a room."""

    user_id: Integer
    name: _Name
    connections: Annotated[int, Meta(ge=1, le=_MAX_COUNT)]
    """To this node."""


class People(msgspec.Struct, frozen=True, array_like=True):
    """Who is in a room, as connected to one node."""

    retreat_id: Integer
    total: _Count = 0
    """Users, of whom some may not be among :attr:`users`."""
    users: Annotated[tuple[Person, ...], Meta(max_length=MAX_USERS)] = ()
    """In the order in which they came."""
    marked: Annotated[tuple[Integer, ...], Meta(max_length=MAX_MARKS)] = ()
    """The connections that have an editing mark: those of all others have ended."""


class Mark(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Where a connection edits."""

    registration_id: Integer
    field: Short | None
    user_id: Integer
    admin_user_id: Integer
    name: _Name


class ConnectionMark(msgspec.Struct, frozen=True, array_like=True):
    """The editing mark of a connection, or its end."""

    retreat_id: Integer
    connection: Integer
    """Its number, unique in the life of a node."""
    mark: Mark | None = None
    """``None``: it has ended."""


class Request(msgspec.Struct, frozen=True, array_like=True):
    """Asks nodes for the :class:`People` of rooms, and their marks, even if nobody is there."""

    nodes: Annotated[tuple[Short, ...], Meta(max_length=MAX_NODES)]
    retreat_ids: Annotated[tuple[Integer, ...], Meta(max_length=MAX_REQUESTED)]


Record = People | ConnectionMark | Request

_encode: Final = msgspec.json.Encoder().encode


def key_of(record: Record) -> object:
    """Return what a record is about: a later one of the same key replaces an earlier one."""
    match record:
        case People():
            return record.retreat_id
        case ConnectionMark():
            return (record.retreat_id, record.connection)
        case Request():
            return record


def encoded(record: Record) -> bytes:
    """Return a record as JSON, of people as many as fit into a message."""
    data = _encode(record)
    while isinstance(record, People) and len(data) > _MAX_BYTES and record.users:
        kept = len(record.users) * 3 // 4
        record = msgspec.structs.replace(record, users=record.users[:kept])
        data = _encode(record)
    return data


def requests(nodes: tuple[str, ...], retreat_ids: list[int]) -> Iterator[Request]:
    """Ask nodes for any number of rooms."""
    for start in range(0, len(retreat_ids), MAX_REQUESTED):
        yield Request(nodes[:MAX_NODES], tuple(retreat_ids[start : start + MAX_REQUESTED]))
