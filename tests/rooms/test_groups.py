"""The list of groups: what the room knows of them, and what only the store does."""

from __future__ import annotations

from datetime import UTC, datetime

from gbs_actor.lineup.records import Group
from gbs_actor.rooms.groups import listed_groups
from gbs_actor.store.history import StoredGroup
from tests.lineup.making import board, registration

CREATED = datetime(2024, 1, 19, 10, tzinfo=UTC)


def test_a_group_is_listed_if_both_know_it_and_it_is_not_deleted() -> None:
    people = (registration(1, 4, leader=True), registration(2, 4))
    groups = [Group(4, "2층"), Group(5, deleted=True), Group(6), Group(7)]
    here = board(*people, groups=groups)
    # Group 5 was deleted, and group 7 created, after the store was asked.
    stored = {number: StoredGroup(number + 100, CREATED) for number in (4, 5, 6)}
    listed = listed_groups(here, stored)
    assert [(each.number, each.id, each.memo) for each in listed] == [(4, 104, "2층"), (6, 106, "")]
    assert [each.id for each in listed[0].leaders] == [10_001]  # a user's
    assert {each.created_at for each in listed} == {"2024-01-19T10:00:00.000Z"}
