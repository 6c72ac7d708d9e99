"""Changes of many fields in every store: what is loaded, what the log has, what is found in it."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from msgspec.structs import replace

from gbs_actor.lineup.board import Board
from gbs_actor.lineup.changes import Change, LogEntry, Problem
from gbs_actor.lineup.codes import Code
from gbs_actor.lineup.commands import (
    AssignLeaders,
    Assignment,
    AssignNumber,
    BulkAssign,
    Command,
    CreateGroups,
    CreateMemo,
    DeleteGroup,
    DeleteMemo,
    SetGroupMemo,
    UnassignLeaders,
    Undo,
)
from gbs_actor.lineup.fields import Field
from gbs_actor.lineup.records import Group, Stamp
from gbs_actor.lineup.time_travel import as_of
from gbs_actor.store.history import HistoryQuery
from gbs_actor.store.verification import verify
from tests.store.worlds import AUTHOR, MOMENT, AnyStore, Desk, seed

LEADER, WITH_MEMO, PLAIN, OTHER = 1, 2, 4, 5
EVERYTHING = BulkAssign(
    (
        Assignment(PLAIN, gbs_number=9, is_leader=True),
        Assignment(OTHER, gbs_number=9, current_leader="박리더", lineup_number=12),
        Assignment(LEADER, is_leader=False),
    ),
    apply_lineup_number=True,
)


async def undo(desk: Desk, revision: int) -> Change:
    """Undo a change as a room does."""
    entry = await desk.store.entry(desk.retreat_id, revision)
    memo_ids = iter(await desk.store.reserve_memo_ids(1))
    command = Command(Undo(revision=revision), AUTHOR, UUID(int=1_000 + desk.board.revision))
    at = MOMENT + timedelta(hours=1, seconds=desk.board.revision)
    change = desk.board.draft(memo_ids).decide(command, at, entry)
    assert isinstance(change, Change), change
    await desk.commit([change])
    return change


async def check(desk: Desk) -> None:
    """Check that the store has what the board has, and that its log leads there."""
    loaded = Board(await desk.loaded())
    assert loaded.rows() == desk.board.rows()
    for id_ in loaded.ordered_ids():
        assert loaded.registration(id_) == desk.board.registration(id_)
    for number in range(1, 20):
        assert loaded.group(number) == desk.board.group(number)
    verification = await verify(desk.store, desk.board.slug)
    assert verification is not None
    assert (verification.faults, verification.differences) == ((), ())


async def test_every_field_and_its_stamp_is_loaded_as_it_was_committed(desk: Desk) -> None:
    (change,) = await desk.do(EVERYTHING)
    await check(desk)
    other = (await desk.loaded()).registrations[OTHER - 1]
    stamp = Stamp(1, AUTHOR.user_id, AUTHOR.name, change.at)
    assert (other.current_leader, other.lineup_number) == ("박리더", 12)
    assert other.current_leader_stamp == other.lineup_number_stamp == other.number_stamp == stamp


async def test_groups_and_leaders_are_loaded_as_they_were_committed(desk: Desk) -> None:
    for action in (
        CreateGroups((7, 8)),
        AssignLeaders(7, (PLAIN, OTHER)),
        SetGroupMemo(7, "2층"),
        UnassignLeaders(1),
        DeleteGroup(7),
        SetGroupMemo(1, None),
        DeleteGroup(5, if_empty=True),
    ):
        await desk.do(action)
        await check(desk)
    group = (await desk.loaded()).groups[7]
    assert (group.deleted, group.memo, group.stamp.revision) == (True, "", 5)


async def test_an_undo_and_a_redo_are_loaded_with_the_origins_of_their_values(desk: Desk) -> None:
    await desk.do(AssignNumber(PLAIN, 1))
    await desk.do(EVERYTHING)
    await undo(desk, 2)
    await check(desk)
    person = (await desk.loaded()).registrations[PLAIN - 1]
    assert (person.number_stamp.revision, person.number_stamp.origin) == (3, 1)
    await undo(desk, 3)
    await undo(desk, 2)
    await undo(desk, 1)
    await check(desk)
    assert (await desk.loaded()).registrations[PLAIN - 1].gbs_number is None


async def test_a_single_edit_after_an_undo_has_its_own_origin(desk: Desk) -> None:
    await desk.do(AssignNumber(PLAIN, 1))
    await desk.do(AssignNumber(PLAIN, 5))
    await undo(desk, 2)
    await desk.do(AssignNumber(PLAIN, 5))
    await desk.do(CreateMemo(PLAIN, "창가", ""))
    await undo(desk, 5)
    await desk.do(CreateMemo(PLAIN, "복도", ""))
    await check(desk)


async def test_a_memo_comes_back_with_a_new_id(desk: Desk) -> None:
    memo_id = desk.memo_id(WITH_MEMO)
    await desk.do(DeleteMemo(memo_id))
    await undo(desk, 1)
    await check(desk)
    assert desk.memo_id(WITH_MEMO) != memo_id
    await undo(desk, 2)
    await check(desk)


async def test_a_group_that_comes_back_keeps_its_id_and_when_it_was_created(desk: Desk) -> None:
    await desk.do(CreateGroups((9,)))
    before = await desk.store.groups("winter")
    assert list(before) == [1, 5, 9]
    assert before[9].created_at == MOMENT + timedelta(seconds=1)
    assert len({group.id for group in before.values()}) == 3
    await desk.do(DeleteGroup(1))
    assert list(await desk.store.groups("winter")) == [5, 9]
    await undo(desk, 2)
    assert await desk.store.groups("winter") == before
    assert await desk.store.groups("nowhere") == {}


async def test_a_batch_may_create_and_delete_a_group(desk: Desk) -> None:
    await desk.do(AssignNumber(PLAIN, 9), DeleteGroup(9), AssignNumber(OTHER, 9), DeleteGroup(9))
    await check(desk)
    assert 9 not in await desk.store.groups("winter")


async def test_an_entry_says_what_was_skipped_and_what_was_undone(desk: Desk) -> None:
    (change,) = await desk.decide(EVERYTHING)
    problem = Problem(
        Code.CONFLICT,
        "m",
        3,
        LEADER,
        field=Field.GBS_NUMBER,
        theirs=4,
        changed_by="김간사",
        changed_at=MOMENT,
        revision=7,
    )
    await desk.commit([replace(change, skipped=(problem,))])
    entry = await desk.store.entry(desk.retreat_id, change.command_id)
    assert entry == LogEntry.of(replace(change, skipped=(problem,)))
    undone = await undo(desk, 1)
    assert await desk.store.entry(desk.retreat_id, 2) == LogEntry.of(undone)
    assert undone.undoes == 1


async def test_an_entry_that_is_not_there_is_not_found(desk: Desk) -> None:
    (change,) = await desk.do(AssignNumber(PLAIN, 1))
    assert await desk.store.entry(desk.retreat_id, 2) is None
    assert await desk.store.entry(desk.retreat_id, UUID(int=77)) is None
    assert await desk.store.entry(99, change.command_id) is None


async def revisions(desk: Desk, query: HistoryQuery) -> list[int]:
    return [entry.revision for entry in await desk.store.history(desk.retreat_id, query)]


async def test_the_history_is_read_newest_first_and_in_pages(desk: Desk) -> None:
    for number in range(1, 6):
        await desk.do(AssignNumber(PLAIN, number))
    assert await revisions(desk, HistoryQuery(3)) == [5, 4, 3]
    assert await revisions(desk, HistoryQuery(3, before=3)) == [2, 1]
    assert await revisions(desk, HistoryQuery(9, after=3)) == [5, 4]
    assert await desk.store.history(99, HistoryQuery(3)) == []


async def test_the_history_of_a_person_a_group_and_an_author_is_found(desk: Desk) -> None:
    await desk.do(AssignNumber(PLAIN, 1))  # 1
    await desk.do(EVERYTHING)  # 2
    await desk.do(AssignNumber(OTHER, 9))  # 3, without effect
    await desk.do(CreateGroups((8,)))  # 4
    await desk.do(SetGroupMemo(9, "3층"))  # 5
    await desk.commit([desk.fence()])  # 6
    await desk.do(AssignNumber(WITH_MEMO, 9))  # 7
    for query, expected in (
        (HistoryQuery(9, registration_id=PLAIN), [2, 1]),
        (HistoryQuery(9, registration_id=OTHER), [3, 2]),
        (HistoryQuery(1, registration_id=OTHER), [3]),
        (HistoryQuery(9, registration_id=99), []),
        (HistoryQuery(9, gbs_number=9), [7, 5, 3, 2]),
        (HistoryQuery(9, gbs_number=1), [7, 2, 1]),
        (HistoryQuery(9, gbs_number=12), []),
        (HistoryQuery(9, user_id=AUTHOR.user_id), [7, 5, 4, 3, 2, 1]),
        (HistoryQuery(9, user_id=8), []),
        (HistoryQuery(9, before=7, gbs_number=9, registration_id=OTHER), [3, 2]),
    ):
        assert await revisions(desk, query) == expected, query


async def test_a_time_means_the_highest_revision_not_later_than_it(desk: Desk) -> None:
    first, second = await desk.do(AssignNumber(PLAIN, 1), AssignNumber(PLAIN, 2))
    for at, expected in (
        (first.at - timedelta(microseconds=1), 0),
        (first.at, 1),
        (second.at - timedelta(microseconds=1), 1),
        (second.at + timedelta(days=1), 2),
    ):
        assert await desk.store.revision_at(desk.retreat_id, at) == expected
    assert await desk.store.revision_at(99, second.at) == 0


async def test_the_list_of_then_is_what_it_was(desk: Desk) -> None:
    lists = [desk.board.rows()]
    for action in (EVERYTHING, SetGroupMemo(9, "3층"), DeleteGroup(9)):
        await desk.do(action)
        lists.append(desk.board.rows())
    today = await desk.loaded()
    for revision, rows in enumerate(lists):
        query = HistoryQuery(1_000, after=revision)
        entries = await desk.store.history(desk.retreat_id, query)
        then = Board(as_of(today, entries, revision)).rows()
        unknown = {"updated_at": "", "revision": 0}
        assert [replace(row, **unknown) for row in then] == [
            replace(row, **unknown) for row in rows
        ]


async def test_pruning_the_log_removes_the_history_of_people(desk: Desk) -> None:
    await desk.do(EVERYTHING)
    (last,) = await desk.do(SetGroupMemo(9, "3층"))
    await desk.store.prune_log(last.at)
    assert await revisions(desk, HistoryQuery(9)) == [2]
    assert await revisions(desk, HistoryQuery(9, registration_id=PLAIN)) == []
    assert await desk.store.entry(desk.retreat_id, 1) is None
    assert await desk.store.pruned_revision(desk.retreat_id) == 1


async def test_a_retreat_is_deleted_with_its_history(store: AnyStore) -> None:
    desk = await Desk.of(store)
    await desk.do(EVERYTHING)
    assert await store.delete_retreat("winter")
    assert await store.history(desk.retreat_id, HistoryQuery(9, registration_id=PLAIN)) == []


async def test_the_groups_of_a_seed_have_no_stamps(store: AnyStore) -> None:
    await store.import_retreat(seed())
    retreat = await store.load("winter")
    assert retreat is not None
    assert retreat.groups == {1: Group(1, "3층"), 5: Group(5)}
