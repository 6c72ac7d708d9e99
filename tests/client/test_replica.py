from __future__ import annotations

from unicodedata import normalize

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from gbs_actor.client.replica import Replica
from gbs_actor.contract.batch_form import GroupUpdate, LineupsUpdate
from gbs_actor.lineup.records import Row
from tests.client.peer import row


def _row(row_id: int, revision: int = 0, **fields: object) -> Row:
    return msgspec.convert(row(row_id, revision, **fields), Row)


def test_rows_stand_in_list_order() -> None:
    replica = Replica()
    unassigned = _row(1)
    leader = _row(2, gbsNumber=1, isLeader=True, gradeNumber=1)
    senior = _row(3, gbsNumber=1, gradeNumber=4)
    first_by_name = _row(4, gbsNumber=1, gradeNumber=3, name="가")
    second_by_name = _row(5, gbsNumber=1, gradeNumber=3, name="나")
    second_group = _row(6, gbsNumber=2)
    ordered = [leader, senior, first_by_name, second_by_name, second_group, unassigned]
    replica.replace(list(reversed(ordered)), 0, "e")
    assert list(replica.rows) == ordered


def test_list_order_is_the_servers() -> None:
    replica = Replica()
    unassigned = _row(1, gradeNumber=4)
    unassigned_leader = _row(2, gradeNumber=1, isLeader=True)
    decomposed = _row(3, gbsNumber=1, name=normalize("NFD", "나"))
    composed = _row(4, gbsNumber=1, name="다")
    ordered = [decomposed, composed, unassigned, unassigned_leader]
    replica.replace(list(reversed(ordered)), 0, "e")
    assert list(replica.rows) == ordered


def test_a_merged_row_replaces_the_one_with_its_id() -> None:
    replica = Replica()
    replica.replace([_row(1), _row(2)], 0, "e")
    replica.merge([_row(1, 4, gbsNumber=9)])
    assert [(it.id, it.gbs_number) for it in replica.rows] == [(1, 9), (2, None)]


def test_a_full_list_removes_rows_that_it_lacks() -> None:
    replica = Replica()
    replica.replace([_row(1), _row(2)], 5, "e")
    replica.replace([_row(2)], 3, "f")
    assert [it.id for it in replica.rows] == [2]
    assert (replica.revision, replica.epoch) == (3, "f")


@given(st.lists(st.integers(0, 50)))
def test_the_revision_is_the_highest_that_came(revisions: list[int]) -> None:
    replica = Replica()
    for revision in revisions:
        replica.merge([_row(revision % 5, revision)])
    assert replica.revision == max(revisions, default=0)


def test_a_row_that_goes_back_is_taken_and_counted() -> None:
    replica = Replica()
    replica.merge([_row(1, 7)])
    replica.merge([_row(1, 6, gbsNumber=3)])
    assert replica.backward_merges == 1
    assert replica.rows[0].gbs_number == 3


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 50))))
def test_an_answer_never_moves_what_the_next_join_asks_from(
    arrivals: list[tuple[bool, int]],
) -> None:
    replica = Replica()
    replica.replace([_row(it) for it in range(5)], 0, "e")
    for is_update, revision in arrivals:
        if is_update:
            replica.merge([_row(revision % 5, revision)])
        else:
            replica.merge_answer(_row(revision % 5, revision), None)
    assert replica.since == max((revision for update, revision in arrivals if update), default=0)
    assert replica.revision == replica.since


def test_an_answer_in_the_room_says_that_everything_up_to_it_has_arrived() -> None:
    replica = Replica()
    replica.replace([_row(1)], 3, "e")
    replica.merge_answer(_row(1, 3), 5)
    assert (replica.revision, replica.since) == (5, 3)


def test_an_older_answer_overwrites_no_newer_row() -> None:
    replica = Replica()
    replica.replace([_row(1, 7, gbsNumber=3)], 7, "e")
    replica.merge_answer(_row(1, 6, gbsNumber=9), None)
    assert replica.rows[0].gbs_number == 3
    assert replica.backward_merges == 0
    replica.merge_answer(_row(1, 6, gbsNumber=9), 6)
    assert replica.rows[0].gbs_number == 3
    assert replica.backward_merges == 1


def test_an_answer_about_another_retreats_row_adds_nothing() -> None:
    replica = Replica()
    replica.replace([_row(1)], 3, "e")
    replica.merge_answer(_row(8, 5), None)
    assert [it.id for it in replica.rows] == [1]


def test_a_groups_values_go_to_its_rows_behind_the_rows_of_the_update() -> None:
    replica = Replica()
    replica.replace([_row(1, 2, gbsNumber=1), _row(2, 2, gbsNumber=2), _row(3, 2)], 4, "e")
    changed = replica.apply(
        LineupsUpdate(
            revision=6,
            rows=(_row(3, 5, gbsNumber=1, totalCount=7),),
            groups=(GroupUpdate(1, 6, "메모", 2, 1, 1, 2, 0),),
        )
    )
    assert [(row.id, row.gbs_number, row.total_count) for row in replica.rows] == [
        (1, 1, 2),
        (3, 1, 2),
        (2, 2, 0),
    ]
    assert {row.id for row in changed} == {1, 3}
    assert [row.gbs_memo for row in changed] == ["메모", "메모"]
    assert (replica.revision, replica.since) == (6, 6)


def test_a_group_leaves_the_revision_of_its_rows_as_it_is() -> None:
    replica = Replica()
    replica.replace([_row(1, 2, gbsNumber=1)], 4, "e")
    replica.apply(LineupsUpdate(revision=9, groups=(GroupUpdate(1, 9, total_count=3),)))
    assert (replica.rows[0].total_count, replica.rows[0].revision) == (3, 2)


def test_an_update_that_changes_nothing_changes_no_row() -> None:
    replica = Replica()
    replica.replace([_row(1, 2, gbsNumber=1)], 4, "e")
    update = LineupsUpdate(5, (_row(1, 2, gbsNumber=1),), (GroupUpdate(1, 5), GroupUpdate(8, 5)))
    assert replica.apply(update) == []


def test_removed_registrations_are_gone() -> None:
    replica = Replica()
    replica.replace([_row(1), _row(2)], 4, "e")
    replica.apply(LineupsUpdate(revision=5, removed=(1, 7)))
    assert [row.id for row in replica.rows] == [2]


def test_a_deleted_group_is_known_by_its_number_alone() -> None:
    payload = b'{"revision":5,"groups":[{"gbsNumber":3,"revision":5,"deleted":true}],"changes":[]}'
    replica = Replica()
    replica.replace([_row(1)], 4, "e")
    assert replica.apply(msgspec.json.decode(payload, type=LineupsUpdate)) == []
