"""The groups of a retreat, as the line-up page lists them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from operator import attrgetter

import msgspec

from gbs_actor.lineup.board import Board
from gbs_actor.lineup.row import iso_utc
from gbs_actor.store.history import StoredGroup


class ListedLeader(msgspec.Struct, frozen=True):
    """Somebody who leads a group."""

    id: int
    """Of the user."""
    name: str


class ListedGroup(msgspec.Struct, frozen=True, rename="camel"):
    """A group, empty or not."""

    id: int
    retreat_id: int
    number: int
    memo: str
    leaders: tuple[ListedLeader, ...]
    created_at: str


class GroupList(msgspec.Struct, frozen=True, rename="camel"):
    """The groups of a retreat, ascending by number."""

    gbs_list: tuple[ListedGroup, ...]


def listed_groups(board: Board, stored: Mapping[int, StoredGroup]) -> tuple[ListedGroup, ...]:
    """Return the groups on a board, ascending by number.

    :param stored: what the store has of them; one that it lacks was created since it was asked.
    """
    groups = sorted(board.groups_since(0), key=attrgetter("number"))
    return tuple(
        ListedGroup(
            id=stored[group.number].id,
            retreat_id=board.retreat_id,
            number=group.number,
            memo=group.memo,
            leaders=tuple(_leaders(board, group.number)),
            created_at=iso_utc(stored[group.number].created_at),
        )
        for group in groups
        if not group.deleted and group.number in stored
    )


def _leaders(board: Board, number: int) -> Iterator[ListedLeader]:
    for id_ in board.members(number):
        row = board.row(id_)
        if row is not None and row.is_leader:
            yield ListedLeader(row.user_id, row.name)
