"""What every store does, whatever it is made of."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from datetime import timedelta
from types import MappingProxyType
from typing import Any
from uuid import UUID

import pytest
import trio
from msgspec import structs
from msgspec.structs import replace

from gbs_actor.lineup.changes import Change
from gbs_actor.lineup.commands import (
    AssignNumber,
    Command,
    CreateMemo,
    DeleteMemo,
    Kind,
    UpdateMemo,
)
from gbs_actor.lineup.fields import Field, FieldValue
from gbs_actor.lineup.records import Group, Memo, Stamp
from gbs_actor.lineup.schedules import ScheduleKind
from gbs_actor.store.audit import AuditEntry, AuditQuery, AuditRecord
from gbs_actor.store.protocol import (
    CommitRefused,
    Delta,
    RepeatedCommands,
    RetreatExists,
    RetreatVersion,
    SessionLocation,
    SessionRecord,
)
from gbs_actor.store.seed.seed import SeedSchedule
from tests.store.worlds import AUTHOR, MOMENT, AnyStore, Desk, seed

# People of the seed; ids count from 1 in a fresh store of either kind.
LEADER, WITH_MEMO, WITH_ADMIN_MEMO, PLAIN, OTHER = 1, 2, 3, 4, 5


class TestLoading:
    async def test_a_retreat_that_is_not_there_loads_as_none(self, store: AnyStore) -> None:
        assert await store.load("winter") is None

    @pytest.mark.parametrize("slug", ["", "a\0b", "\ud800"])
    async def test_a_slug_that_cannot_be_is_a_retreat_that_is_not_there(
        self, store: AnyStore, slug: str
    ) -> None:
        assert await store.load(slug) is None
        assert await store.grants([slug]) == {}

    async def test_an_imported_retreat_starts_at_revision_zero(self, desk: Desk) -> None:
        retreat = await desk.loaded()
        assert (retreat.slug, retreat.revision, retreat.removal_revision) == ("winter", 0, 0)

    async def test_everybody_registered_is_loaded_as_they_were_seeded(self, desk: Desk) -> None:
        people = (await desk.loaded()).registrations
        seeded = seed().people
        assert [each.id for each in people] == [1, 2, 3, 4, 5, 6]
        for registration, wanted in zip(people, seeded, strict=True):
            person = registration.person
            assert person.name == wanted.name
            assert person.gender is wanted.gender
            assert person.phone_number == wanted.phone_number
            assert person.univ_group_number == wanted.univ_group_number
            assert person.grade_number == wanted.grade_number
            assert registration.current_leader == wanted.current_leader
            assert registration.is_leader == wanted.is_leader
            assert person.user_type is wanted.user_type
            assert person.created_at == registration.updated_at == wanted.registered_at
            assert person.unresolved_lineup_history_memo == wanted.unresolved_lineup_history_memo
            assert person.admin_memo == wanted.admin_memo
            assert registration.gbs_number == wanted.gbs_number

    async def test_full_attendance_means_every_schedule(self, desk: Desk) -> None:
        people = [each.person for each in (await desk.loaded()).registrations]
        assert [len(person.schedule_ids) for person in people] == [2, 2, 0, 2, 2, 2]
        assert [person.is_full_attendance for person in people] == [
            *(True, True, False),
            *(True, True, True),
        ]

    async def test_memos_of_other_kinds_are_no_line_up_memo(self, desk: Desk) -> None:
        people = (await desk.loaded()).registrations
        assert people[1].memo is not None
        assert (people[1].memo.text, people[1].memo.color) == ("창가", "#FFcc00")
        assert people[2].memo is None

    async def test_groups_are_those_listed_and_those_people_are_in(self, desk: Desk) -> None:
        assert (await desk.loaded()).groups == {1: Group(1, "3층"), 5: Group(5)}

    async def test_a_loaded_retreat_is_a_snapshot(self, desk: Desk) -> None:
        before = await desk.loaded()
        await desk.do(AssignNumber(PLAIN, 9))
        assert before.revision == 0
        assert 9 not in before.groups
        assert before.registrations[3].gbs_number is None
        assert isinstance(before.groups, MappingProxyType)


class TestSchedules:
    async def test_those_of_a_retreat_are_returned_with_their_kinds(self, store: AnyStore) -> None:
        night = SeedSchedule("밤", MOMENT + timedelta(hours=12))
        chosen = SeedSchedule("늦은 아침", MOMENT, ScheduleKind.BREAKFAST)
        schedules = (*seed().schedules, night, chosen)
        await store.import_retreat(dataclasses.replace(seed(), schedules=schedules))
        await store.import_retreat(seed("summer"))
        found = await store.schedules("winter")
        assert [each.name for each in found[-2:]] == ["밤", "늦은 아침"]
        assert [(each.starts_at, each.kind) for each in found] == [
            (MOMENT, ScheduleKind.LUNCH),
            (MOMENT, ScheduleKind.LUNCH),
            (MOMENT + timedelta(hours=12), ScheduleKind.SLEEP),
            (MOMENT, ScheduleKind.BREAKFAST),
        ]
        attended = (await Desk.of(store)).board.rows()[0].user_retreat_registration_schedule_ids
        assert attended == tuple(each.id for each in found[:2])

    @pytest.mark.parametrize("slug", ["", "a\0b", "winter"])
    async def test_a_retreat_that_is_not_there_has_none(self, store: AnyStore, slug: str) -> None:
        assert await store.schedules(slug) == ()


class TestTitles:
    async def test_they_are_listed_with_the_newest_retreat_first(self, store: AnyStore) -> None:
        for slug, title in (("winter", "겨울"), ("spring", "봄"), ("summer", "여름")):
            await store.import_retreat(dataclasses.replace(seed(slug), title=title))
        assert list((await store.titles()).items()) == [
            ("summer", "여름"),
            ("spring", "봄"),
            ("winter", "겨울"),
        ]
        assert await store.titles("spring") == {"spring": "봄"}

    @pytest.mark.parametrize("slug", ["autumn", "", "a\0b", "\ud800"])
    async def test_a_retreat_that_is_not_there_has_none(self, desk: Desk, slug: str) -> None:
        assert await desk.store.titles(slug) == {}


class TestVersion:
    @pytest.mark.parametrize("slug", ["summer", "", "a\0b", "\ud800"])
    async def test_a_retreat_that_is_not_there_has_none(self, desk: Desk, slug: str) -> None:
        assert await desk.store.version(slug) is None

    async def test_it_is_the_version_that_a_load_returns(self, desk: Desk) -> None:
        await desk.do(AssignNumber(PLAIN, 1), AssignNumber(OTHER, 1))
        retreat = await desk.loaded()
        assert await desk.store.version("winter") == RetreatVersion(
            desk.retreat_id, 2, retreat.epoch, retreat.removal_revision
        )

    async def test_it_differs_after_each_commit(self, desk: Desk) -> None:
        before = await desk.store.version("winter")
        await desk.commit([desk.fence()])
        assert await desk.store.version("winter") != before

    async def test_it_differs_in_a_new_epoch(self, desk: Desk) -> None:
        before = await desk.store.version("winter")
        await desk.store.new_epoch("winter")
        after = await desk.store.version("winter")
        assert before is not None
        assert after is not None
        assert after.epoch != before.epoch
        assert after == dataclasses.replace(before, epoch=after.epoch)


class TestImporting:
    async def test_a_slug_is_taken_once_only(self, desk: Desk) -> None:
        with pytest.raises(RetreatExists, match="winter"):
            await desk.store.import_retreat(seed())

    async def test_ids_of_two_retreats_do_not_overlap(self, store: AnyStore) -> None:
        loaded = [await Desk.of(store, slug) for slug in ("summer", "winter")]
        summer, winter = [{row.id for row in desk.board.rows()} for desk in loaded]
        assert not summer & winter
        assert loaded[0].retreat_id != loaded[1].retreat_id

    async def test_departments_and_grades_are_shared_between_retreats(
        self, store: AnyStore
    ) -> None:
        loaded = [await Desk.of(store, slug) for slug in ("summer", "winter")]
        summer, winter = [{row.grade_id for row in desk.board.rows()} for desk in loaded]
        assert summer == winter

    async def test_progress_is_reported_up_to_the_last_person(self, store: AnyStore) -> None:
        calls: list[tuple[int, int]] = []
        await store.import_retreat(seed(people=6), lambda done, total: calls.append((done, total)))
        assert calls[-1] == (6, 6)

    async def test_a_seed_that_does_not_fit_together_leaves_no_trace(self, store: AnyStore) -> None:
        broken = dataclasses.replace(seed(), univ_groups=seed().univ_groups[:1])
        with pytest.raises(ValueError, match="department 8"):
            await store.import_retreat(broken)
        assert await store.retreats() == []

    async def test_retreats_are_listed_by_slug(self, store: AnyStore) -> None:
        for slug in ("winter", "Autumn", "summer"):
            await store.import_retreat(seed(slug))
        assert await store.retreats() == ["Autumn", "summer", "winter"]

    async def test_a_deleted_retreat_is_gone_with_its_log(self, desk: Desk) -> None:
        await desk.do(AssignNumber(PLAIN, 1))
        assert await desk.store.delete_retreat("winter")
        assert await desk.store.load("winter") is None
        assert await desk.store.log(desk.retreat_id) == []
        assert not await desk.store.delete_retreat("winter")

    async def test_a_retreat_imported_again_has_another_epoch(self, desk: Desk) -> None:
        before = (await desk.loaded()).epoch
        await desk.store.delete_retreat("winter")
        await desk.store.import_retreat(seed())
        assert (await desk.loaded()).epoch != before

    async def test_an_epoch_stays_until_a_new_one_is_asked_for(self, desk: Desk) -> None:
        before = (await desk.loaded()).epoch
        await desk.do(AssignNumber(PLAIN, 1))
        assert (await desk.loaded()).epoch == before
        assert await desk.store.new_epoch("winter") == 1
        assert (await desk.loaded()).epoch != before

    async def test_a_new_epoch_for_all_retreats_changes_each(self, store: AnyStore) -> None:
        desks = [await Desk.of(store, slug) for slug in ("summer", "winter")]
        assert await store.new_epoch() == 2
        for desk in desks:
            assert (await desk.loaded()).epoch != desk.board.epoch

    async def test_a_new_epoch_of_an_unknown_retreat_changes_none(self, desk: Desk) -> None:
        assert await desk.store.new_epoch("summer") == 0
        assert (await desk.loaded()).epoch == desk.board.epoch


class TestRoles:
    async def test_a_grant_gives_a_role_in_its_retreat(self, desk: Desk) -> None:
        found = await desk.store.grants(["winter"])
        assert found == {"winter": {7: "LINEUP_STAFF", 8: "ADMIN_MINISTER"}}

    async def test_grants_of_several_retreats_are_found_together(self, desk: Desk) -> None:
        await desk.store.import_retreat(seed("summer"))
        found = await desk.store.grants(["winter", "summer", "autumn"])
        assert found.keys() == {"winter", "summer"}
        assert found["summer"] == found["winter"]

    async def test_a_retreat_without_grants_is_left_out(self, desk: Desk) -> None:
        await desk.store.import_retreat(dataclasses.replace(seed("summer"), grants=()))
        assert await desk.store.grants(["summer", "autumn"]) == {}


class TestSlugs:
    async def test_a_registration_is_in_its_retreat(self, desk: Desk) -> None:
        other = await Desk.of(desk.store, "summer")
        for each, slug in ((desk, "winter"), (other, "summer")):
            for row in each.board.rows():
                assert await desk.store.slug_of_registration(row.id) == slug
        assert await desk.store.slug_of_registration(2**63 - 1) is None

    async def test_a_memo_is_in_the_retreat_of_its_registration(self, desk: Desk) -> None:
        other = await Desk.of(desk.store, "summer")
        await desk.do(CreateMemo(PLAIN, "조용히", ""))
        assert await desk.store.slug_of_memo(desk.memo_id(PLAIN)) == "winter"
        assert await desk.store.slug_of_memo(desk.memo_id(WITH_MEMO)) == "winter"
        seeded = next(row.lineup_memo_id for row in other.board.rows() if row.lineup_memo_id)
        assert await desk.store.slug_of_memo(seeded) == "summer"
        assert await desk.store.slug_of_memo(2**63 - 1) is None

    async def test_a_deleted_memo_is_still_in_its_retreat(self, desk: Desk) -> None:
        seeded = desk.memo_id(WITH_MEMO)
        await desk.do(CreateMemo(PLAIN, "조용히", ""))
        created = desk.memo_id(PLAIN)
        await desk.do(DeleteMemo(seeded), DeleteMemo(created), CreateMemo(PLAIN, "다시", ""))
        for memo_id in (seeded, created, desk.memo_id(PLAIN)):
            assert await desk.store.slug_of_memo(memo_id) == "winter"

    async def test_a_memo_that_one_batch_creates_and_deletes_is_in_its_retreat(
        self, desk: Desk
    ) -> None:
        memo_id = (await desk.store.reserve_memo_ids(1))[0]
        draft = desk.board.draft(iter([memo_id]))
        created = draft.decide(
            Command(CreateMemo(PLAIN, "조용히", ""), AUTHOR, UUID(int=900)), MOMENT
        )
        deleted = draft.decide(Command(DeleteMemo(memo_id), AUTHOR, UUID(int=901)), MOMENT)
        assert isinstance(created, Change)
        assert isinstance(deleted, Change)
        await desk.commit([created, deleted])
        assert await desk.store.slug_of_memo(memo_id) == "winter"

    async def test_memos_of_other_kinds_are_not_found(self, desk: Desk) -> None:
        live = desk.memo_id(WITH_MEMO)
        others = [memo_id for memo_id in range(1, 10) if memo_id != live]
        assert [await desk.store.slug_of_memo(memo_id) for memo_id in others] == [None] * 8

    async def test_what_a_deleted_retreat_had_is_in_none(self, desk: Desk) -> None:
        memo_id = desk.memo_id(WITH_MEMO)
        await desk.store.delete_retreat("winter")
        assert await desk.store.slug_of_registration(PLAIN) is None
        assert await desk.store.slug_of_memo(memo_id) is None


class TestCommitting:
    async def test_a_committed_assignment_is_loaded(self, desk: Desk) -> None:
        await desk.do(AssignNumber(PLAIN, 1))
        retreat = await desk.loaded()
        assert retreat.revision == 1
        assert retreat.registrations[3].gbs_number == 1

    async def test_stamps_survive_a_reload_exactly(self, desk: Desk) -> None:
        number, memo = await desk.do(AssignNumber(PLAIN, 1), CreateMemo(PLAIN, "조용히", ""))
        registration = (await desk.loaded()).registrations[3]
        assert registration.number_stamp == Stamp(1, AUTHOR.user_id, AUTHOR.name, number.at)
        assert registration.memo_stamp == Stamp(2, AUTHOR.user_id, AUTHOR.name, memo.at)
        assert registration.updated_at == memo.at
        assert number.at.microsecond

    async def test_the_reloaded_board_is_the_board(self, desk: Desk) -> None:
        await desk.do(AssignNumber(PLAIN, 1), AssignNumber(WITH_MEMO, None))
        reloaded = await Desk.of(desk.store)
        assert reloaded.board.rows() == desk.board.rows()

    async def test_a_batch_moves_the_revision_by_its_length(self, desk: Desk) -> None:
        await desk.do(AssignNumber(PLAIN, 1), AssignNumber(PLAIN, 2), AssignNumber(PLAIN, 3))
        retreat = await desk.loaded()
        assert retreat.revision == 3
        assert retreat.registrations[3].gbs_number == 3

    async def test_a_group_is_created_by_its_first_assignment(self, desk: Desk) -> None:
        (change,) = await desk.do(AssignNumber(PLAIN, 42))
        stamp = Stamp(1, AUTHOR.user_id, AUTHOR.name, change.at)
        assert (await desk.loaded()).groups[42] == Group(42, "", 1, stamp=stamp)

    async def test_a_group_takes_the_last_revision_of_a_batch_and_keeps_its_memo(
        self, desk: Desk
    ) -> None:
        await desk.do(AssignNumber(PLAIN, 1), AssignNumber(PLAIN, None), AssignNumber(OTHER, 1))
        assert (await desk.loaded()).groups[1] == Group(1, "3층", 3)

    async def test_a_no_op_takes_a_revision_and_an_entry(self, desk: Desk) -> None:
        (change,) = await desk.do(AssignNumber(WITH_MEMO, 1))
        assert change.registrations == ()
        assert (await desk.loaded()).revision == 1
        assert [entry.revision for entry in await desk.store.log(desk.retreat_id)] == [1]

    async def test_a_fence_takes_a_revision_and_an_entry_of_nobody(self, desk: Desk) -> None:
        await desk.commit([desk.fence()])
        (entry,) = await desk.store.log(desk.retreat_id)
        assert (entry.revision, entry.kind, entry.author_id) == (1, Kind.FENCE, None)
        assert (entry.registration_id, entry.before, entry.after) == (None, (), ())

    async def test_a_commit_of_nothing_checks_the_revision_only(self, desk: Desk) -> None:
        assert await desk.try_commit([], at=0) is None
        assert (await desk.loaded()).revision == 0
        assert await desk.try_commit([], at=1) is not None

    async def test_misnumbered_changes_are_a_mistake_of_the_caller(self, desk: Desk) -> None:
        changes = await desk.decide(AssignNumber(PLAIN, 1))
        with pytest.raises(ValueError, match="numbered 1"):
            await desk.try_commit(changes, at=1)

    async def test_commits_of_two_retreats_do_not_meet(self, store: AnyStore) -> None:
        summer, winter = [await Desk.of(store, slug) for slug in ("summer", "winter")]
        first = summer.board.rows()[0]
        await winter.do(AssignNumber(winter.board.rows()[-1].id, 7))
        assert (await summer.loaded()).revision == 0
        assert first.gbs_number == (await Desk.of(store, "summer")).board.rows()[0].gbs_number

    async def test_successes_and_failures_are_counted(self, desk: Desk) -> None:
        changes = await desk.do(AssignNumber(PLAIN, 1))
        assert await desk.try_commit(changes, at=0) is not None
        statistics = desk.store.statistics()
        assert (statistics.commits, statistics.commit_failures) == (1, 1)
        assert statistics.available


class TestStale:
    async def test_another_revision_is_stale(self, desk: Desk) -> None:
        late = await desk.decide(AssignNumber(PLAIN, 1))
        await desk.do(AssignNumber(OTHER, 1))
        assert await desk.try_commit(late, at=0) is not None
        assert (await desk.loaded()).registrations[3].gbs_number is None

    async def test_a_revision_that_the_retreat_has_not_reached_is_stale(self, desk: Desk) -> None:
        (early,) = await desk.decide(AssignNumber(PLAIN, 1))
        assert await desk.try_commit([replace(early, revision=6)], at=5) is not None
        assert (await desk.loaded()).revision == 0

    async def test_an_unknown_retreat_is_stale(self, desk: Desk) -> None:
        desk.retreat_id = 99
        delta = await desk.try_commit([desk.fence()])
        assert delta == Delta(RetreatVersion(99, 0, "", 0), complete=False)

    async def test_a_registration_that_is_not_there_is_stale(self, desk: Desk) -> None:
        (change,) = await desk.decide(AssignNumber(PLAIN, 1))
        gone = replace(change, registrations=(replace(change.registrations[0], id=99),))
        assert await desk.try_commit([gone], at=0) is not None
        assert (await desk.loaded()).revision == 0

    async def test_a_registration_of_another_retreat_is_stale(self, store: AnyStore) -> None:
        summer, winter = [await Desk.of(store, slug) for slug in ("summer", "winter")]
        (change,) = await winter.decide(AssignNumber(winter.board.rows()[-1].id, 7))
        assert await summer.try_commit([change]) is not None

    async def test_a_group_that_nobody_created_is_stale(self, desk: Desk) -> None:
        (change,) = await desk.decide(AssignNumber(PLAIN, 42))
        assert await desk.try_commit([replace(change, groups=())], at=0) is not None

    async def test_a_memo_that_is_not_there_is_stale(self, desk: Desk) -> None:
        (change,) = await desk.decide(UpdateMemo(desk.memo_id(WITH_MEMO), "복도", ""))
        elsewhere = replace(
            change,
            before=tuple(of_memo(value, 99) for value in change.before),
            after=tuple(of_memo(value, 99) for value in change.after),
        )
        assert await desk.try_commit([elsewhere], at=0) is not None

    async def test_a_second_live_memo_on_a_person_is_stale(self, desk: Desk) -> None:
        (change,) = await desk.decide(CreateMemo(PLAIN, "하나", ""))
        (row,) = change.registrations
        onto = replace(row, id=WITH_MEMO)
        wrong = replace(
            change,
            registration_id=WITH_MEMO,
            registrations=(onto,),
            before=tuple(replace(value, registration_id=WITH_MEMO) for value in change.before),
            after=tuple(replace(value, registration_id=WITH_MEMO) for value in change.after),
        )
        assert await desk.try_commit([wrong], at=0) is not None
        assert (await desk.loaded()).revision == 0


def of_memo(value: FieldValue, memo_id: int) -> FieldValue:
    """Return the same value of another memo."""
    return replace(value, value=replace(memo_in(value), id=memo_id))


def memo_in(value: FieldValue) -> Memo:
    """Return the memo that a field has as its value."""
    assert isinstance(value.value, Memo)
    return value.value


class TestMemos:
    async def test_a_created_memo_is_loaded_with_its_id(self, desk: Desk) -> None:
        (change,) = await desk.do(CreateMemo(PLAIN, "조용히", "#00FF00"))
        wanted = Memo(memo_in(change.after[0]).id, "조용히", "#00FF00")
        assert (await desk.loaded()).registrations[3].memo == wanted

    async def test_a_memo_may_be_a_colour_only(self, desk: Desk) -> None:
        await desk.do(CreateMemo(PLAIN, "", "#00FF00"))
        memo = (await desk.loaded()).registrations[3].memo
        assert memo is not None
        assert (memo.text, memo.color) == ("", "#00FF00")

    async def test_an_updated_memo_keeps_its_id(self, desk: Desk) -> None:
        memo_id = desk.memo_id(WITH_MEMO)
        await desk.do(UpdateMemo(memo_id, "복도", ""))
        assert (await desk.loaded()).registrations[1].memo == Memo(memo_id, "복도", "")

    async def test_a_deleted_memo_is_not_loaded(self, desk: Desk) -> None:
        await desk.do(DeleteMemo(desk.memo_id(WITH_MEMO)))
        assert (await desk.loaded()).registrations[1].memo is None

    async def test_a_deleted_memo_cannot_be_changed(self, desk: Desk) -> None:
        update = await desk.decide(UpdateMemo(desk.memo_id(WITH_MEMO), "복도", ""))
        await desk.do(DeleteMemo(desk.memo_id(WITH_MEMO)))
        assert await desk.try_commit([replace(update[0], revision=2)], at=1) is not None

    async def test_a_memo_may_follow_a_deleted_one(self, desk: Desk) -> None:
        await desk.do(DeleteMemo(desk.memo_id(WITH_MEMO)))
        await desk.do(CreateMemo(WITH_MEMO, "새 메모", ""))
        memo = (await desk.loaded()).registrations[1].memo
        assert memo is not None
        assert memo.text == "새 메모"

    async def test_a_batch_may_replace_a_memo(self, desk: Desk) -> None:
        await desk.do(DeleteMemo(desk.memo_id(WITH_MEMO)), CreateMemo(WITH_MEMO, "새 메모", ""))
        memo = (await desk.loaded()).registrations[1].memo
        assert memo is not None
        assert memo.text == "새 메모"

    async def test_a_batch_may_create_change_and_delete_a_memo(self, desk: Desk) -> None:
        create = await desk.decide(CreateMemo(PLAIN, "하나", ""))
        new_id = memo_in(create[0].after[0]).id
        board = desk.board
        for change in create:
            board.apply(change)
        rest = await desk.decide(UpdateMemo(new_id, "둘", ""), DeleteMemo(new_id))
        assert await desk.try_commit([*create, *rest], at=0) is None
        retreat = await desk.loaded()
        assert retreat.revision == 3
        assert retreat.registrations[3].memo is None

    async def test_reserved_memo_ids_are_fresh_and_disjoint(self, desk: Desk) -> None:
        taken: list[Sequence[int]] = []

        async def reserve() -> None:
            taken.append(await desk.store.reserve_memo_ids(50))

        async with trio.open_nursery() as nursery:
            for _ in range(8):
                nursery.start_soon(reserve)
        ids = {memo_id for block in taken for memo_id in block}
        assert len(ids) == 8 * 50
        assert min(ids) > desk.memo_id(WITH_MEMO)

    async def test_at_least_one_memo_id_is_reserved(self, store: AnyStore) -> None:
        with pytest.raises(ValueError, match="at least one"):
            await store.reserve_memo_ids(0)


class TestDataErrors:
    @pytest.mark.parametrize("text", ["a\0b", "\ud800"])
    async def test_text_that_no_database_holds_is_a_data_error(self, desk: Desk, text: str) -> None:
        (change,) = await desk.decide(CreateMemo(PLAIN, "x", ""))
        (after,), (row,) = change.after, change.registrations
        assert row.memo is not None
        broken = replace(
            change,
            after=(replace(after, value=replace(memo_in(after), text=text)),),
            registrations=(replace(row, memo=replace(row.memo, text=text)),),
        )
        with pytest.raises(CommitRefused) as refused:
            await desk.try_commit([broken], at=0)
        assert refused.value.data_error
        assert (await desk.loaded()).revision == 0

    async def test_an_author_beyond_int8_is_a_data_error(self, desk: Desk) -> None:
        (change,) = await desk.decide(AssignNumber(PLAIN, 1))
        broken = replace(change, author=dataclasses.replace(AUTHOR, user_id=2**63))
        with pytest.raises(CommitRefused) as refused:
            await desk.try_commit([broken], at=0)
        assert refused.value.data_error

    async def test_a_group_number_beyond_9999_is_a_data_error(self, desk: Desk) -> None:
        (change,) = await desk.decide(AssignNumber(PLAIN, 1))
        (row,) = change.registrations
        broken = replace(
            change, groups=(Group(10_000),), registrations=(replace(row, gbs_number=10_000),)
        )
        with pytest.raises(CommitRefused) as refused:
            await desk.try_commit([broken], at=0)
        assert refused.value.data_error

    async def test_the_store_works_on_after_a_data_error(self, desk: Desk) -> None:
        (change,) = await desk.decide(AssignNumber(PLAIN, 1))
        with pytest.raises(CommitRefused):
            await desk.try_commit(
                [replace(change, author=dataclasses.replace(AUTHOR, name="\0"))], at=0
            )
        await desk.commit([change])
        assert (await desk.loaded()).revision == 1


class TestRepeats:
    async def test_a_repeatable_command_in_the_log_stops_the_commit(self, desk: Desk) -> None:
        (first,) = await desk.do(AssignNumber(PLAIN, 1))
        (fresh,) = await desk.decide(AssignNumber(OTHER, 1))
        again = replace(first, revision=3)
        with pytest.raises(RepeatedCommands) as repeated:
            await desk.try_commit([fresh, again], [fresh.command_id, first.command_id], at=1)
        assert set(repeated.value.entries) == {first.command_id}
        assert repeated.value.entries[first.command_id].revision == 1
        assert (await desk.loaded()).revision == 1

    async def test_repeatable_commands_that_are_new_are_committed(self, desk: Desk) -> None:
        changes = await desk.decide(AssignNumber(PLAIN, 1), AssignNumber(OTHER, 1))
        await desk.commit(changes, [change.command_id for change in changes])
        assert (await desk.loaded()).revision == 2

    async def test_a_stale_commit_is_stale_even_if_it_repeats(self, desk: Desk) -> None:
        (first,) = await desk.do(AssignNumber(PLAIN, 1))
        assert await desk.try_commit([first], [first.command_id], at=0) is not None

    async def test_an_id_in_the_log_is_found_without_being_announced(self, desk: Desk) -> None:
        (first,) = await desk.do(AssignNumber(PLAIN, 1))
        (fresh,) = await desk.decide(AssignNumber(OTHER, 1))
        with pytest.raises(RepeatedCommands) as repeated:
            await desk.try_commit([replace(fresh, command_id=first.command_id)], at=1)
        assert set(repeated.value.entries) == {first.command_id}
        assert (await desk.loaded()).registrations[4].gbs_number is None

    async def test_ids_are_those_of_one_retreat(self, store: AnyStore) -> None:
        summer, winter = [await Desk.of(store, slug) for slug in ("summer", "winter")]
        summer_change = summer.fence()
        await summer.commit([summer_change])
        await winter.commit([winter.fence()], [summer_change.command_id])
        assert (await winter.loaded()).revision == 1

    async def test_find_commands_returns_those_in_the_log(self, desk: Desk) -> None:
        (change,) = await desk.do(AssignNumber(PLAIN, 1))
        unknown = UUID(int=10**6)
        found = await desk.store.find_commands(desk.retreat_id, [change.command_id, unknown])
        assert set(found) == {change.command_id}
        assert found[change.command_id].request == change.request

    async def test_find_commands_of_no_ids_or_no_retreat_finds_nothing(self, desk: Desk) -> None:
        (change,) = await desk.do(AssignNumber(PLAIN, 1))
        assert await desk.store.find_commands(desk.retreat_id, []) == {}
        assert await desk.store.find_commands(99, [change.command_id]) == {}


class TestLog:
    async def test_an_entry_says_who_did_what_and_when(self, desk: Desk) -> None:
        (change,) = await desk.do(AssignNumber(WITH_MEMO, 5))
        (entry,) = await desk.store.log(desk.retreat_id)
        assert entry.command_id == change.command_id
        assert (entry.author_id, entry.author_name) == (AUTHOR.user_id, AUTHOR.name)
        assert (entry.kind, entry.registration_id) == (Kind.ASSIGN_NUMBER, WITH_MEMO)
        assert entry.before == (FieldValue(Field.GBS_NUMBER, 1, 0, WITH_MEMO),)
        assert entry.after == (FieldValue(Field.GBS_NUMBER, 5, 1, WITH_MEMO),)
        assert (entry.request, entry.at) == (change.request, change.at)

    async def test_values_of_memos_are_logged_in_full(self, desk: Desk) -> None:
        memo_id = desk.memo_id(WITH_MEMO)
        await desk.do(DeleteMemo(memo_id))
        (entry,) = await desk.store.log(desk.retreat_id)
        memo = Memo(memo_id, "창가", "#FFcc00")
        assert entry.before == (FieldValue(Field.LINEUP_MEMO, memo, 0, WITH_MEMO),)
        assert entry.after == (FieldValue(Field.LINEUP_MEMO, None, 1, WITH_MEMO),)

    async def test_the_log_is_read_in_pages(self, desk: Desk) -> None:
        for number in range(1, 8):
            await desk.do(AssignNumber(PLAIN, number))
        pages: list[list[int]] = []
        after = 0
        while page := await desk.store.log(desk.retreat_id, after_revision=after, limit=3):
            pages.append([entry.revision for entry in page])
            after = pages[-1][-1]
        assert pages == [[1, 2, 3], [4, 5, 6], [7]]

    async def test_every_command_of_a_batch_has_an_entry(self, desk: Desk) -> None:
        changes = await desk.do(*(AssignNumber(PLAIN, number) for number in range(1, 6)))
        entries: Mapping[UUID, int] = {
            entry.command_id: entry.revision for entry in await desk.store.log(desk.retreat_id)
        }
        assert entries == {change.command_id: change.revision for change in changes}


class TestPruning:
    """Entry ``r`` of a desk is of ``MOMENT`` plus ``r`` seconds."""

    async def test_entries_before_the_moment_are_removed_and_counted(self, desk: Desk) -> None:
        await desk.do(*(AssignNumber(PLAIN, number) for number in range(1, 6)))
        assert await desk.store.pruned_revision(desk.retreat_id) == 0
        assert await desk.store.prune_log(MOMENT + timedelta(seconds=4)) == 3
        assert [entry.revision for entry in await desk.store.log(desk.retreat_id)] == [4, 5]
        assert await desk.store.pruned_revision(desk.retreat_id) == 3

    async def test_a_second_pruning_goes_on_where_the_first_ended(self, desk: Desk) -> None:
        await desk.do(*(AssignNumber(PLAIN, number) for number in range(1, 6)))
        await desk.store.prune_log(MOMENT + timedelta(seconds=3))
        assert await desk.store.prune_log(MOMENT + timedelta(seconds=3)) == 0
        assert await desk.store.prune_log(MOMENT + timedelta(days=1)) == 3
        assert await desk.store.log(desk.retreat_id) == []
        assert await desk.store.pruned_revision(desk.retreat_id) == 5

    async def test_an_old_entry_behind_a_young_one_is_kept(self, desk: Desk) -> None:
        changes = await desk.decide(*(AssignNumber(PLAIN, number) for number in range(1, 4)))
        changes[1] = replace(changes[1], at=MOMENT + timedelta(days=9))  # a clock was wrong
        await desk.commit(changes)
        assert await desk.store.prune_log(MOMENT + timedelta(days=1)) == 1
        assert [entry.revision for entry in await desk.store.log(desk.retreat_id)] == [2, 3]

    async def test_the_logs_of_all_retreats_are_pruned(self, store: AnyStore) -> None:
        for slug in ("summer", "winter"):
            await (await Desk.of(store, slug)).do(AssignNumber(4 if slug == "summer" else 10, 1))
        calls: list[tuple[int, int]] = []
        pruned = await store.prune_log(
            MOMENT + timedelta(days=1), lambda done, total: calls.append((done, total))
        )
        assert (pruned, calls[-1]) == (2, (2, 2))

    async def test_rows_version_and_epoch_stay(self, desk: Desk) -> None:
        await desk.do(AssignNumber(PLAIN, 1), CreateMemo(PLAIN, "창가", ""))
        before, version = await desk.loaded(), await desk.store.version("winter")
        await desk.store.prune_log(MOMENT + timedelta(days=1))
        assert await desk.loaded() == before
        assert await desk.store.version("winter") == version

    async def test_a_command_whose_entry_was_pruned_is_no_repeat(self, desk: Desk) -> None:
        (first,) = await desk.do(AssignNumber(PLAIN, 1))
        again = [replace(first, revision=2)]
        with pytest.raises(RepeatedCommands):
            await desk.try_commit(again, [first.command_id], at=1)
        await desk.store.prune_log(MOMENT + timedelta(days=1))
        assert await desk.store.find_commands(desk.retreat_id, [first.command_id]) == {}
        assert await desk.try_commit(again, [first.command_id], at=1) is None
        assert [entry.revision for entry in await desk.store.log(desk.retreat_id)] == [2]

    async def test_a_fence_is_committed_on_a_log_that_is_all_pruned(self, desk: Desk) -> None:
        (change,) = await desk.do(AssignNumber(PLAIN, 1))
        await desk.store.prune_log(MOMENT + timedelta(days=1))
        await desk.commit([desk.fence()])
        # A late commit of what was pruned.
        assert await desk.try_commit([change], at=0) is not None


HERE = SessionLocation("winter", "epoch", joined_revision=3, known_elsewhere=-1)
THERE = SessionLocation("여름", "another", joined_revision=2**62, known_elsewhere=9)
NOWHERE = SessionRecord(None)


def here(generation: int = 0) -> SessionRecord:
    return SessionRecord(HERE, generation)


def there(generation: int = 0) -> SessionRecord:
    return SessionRecord(THERE, generation)


class TestSessionLocations:
    async def test_an_unknown_session_has_none(self, store: AnyStore) -> None:
        assert await store.find_session_location("sid") == NOWHERE

    async def test_a_stored_location_is_found(self, store: AnyStore) -> None:
        assert await store.update_session_locations({"one": here(), "two": there()}) == set()
        assert await store.find_session_location("one") == here()
        assert await store.find_session_location("two") == there()
        assert await store.find_session_location("three") == NOWHERE

    async def test_a_location_replaces_the_one_before(self, store: AnyStore) -> None:
        await store.update_session_locations({"one": here()})
        await store.update_session_locations({"one": there()})
        assert await store.find_session_location("one") == there()

    async def test_a_removed_location_is_not_found_and_the_others_are(
        self, store: AnyStore
    ) -> None:
        await store.update_session_locations({"one": here(), "two": here()})
        await store.update_session_locations(
            {"one": NOWHERE, "unknown": NOWHERE, "two": there(), "three": here()}
        )
        assert await store.find_session_location("one") == NOWHERE
        assert await store.find_session_location("two") == there()
        assert await store.find_session_location("three") == here()

    async def test_an_update_of_none_is_fine(self, store: AnyStore) -> None:
        assert await store.update_session_locations({}) == set()

    async def test_old_locations_are_pruned(self, store: AnyStore) -> None:
        await store.update_session_locations({"one": here(), "two": here()})
        assert await store.prune_session_locations(3_600) == 0
        assert await store.find_session_location("one") == here()
        assert await store.prune_session_locations(0) == 2
        assert await store.find_session_location("one") == NOWHERE


class TestTakenOverSessions:
    async def test_whoever_takes_a_session_over_gets_its_location_and_a_higher_generation(
        self, store: AnyStore
    ) -> None:
        await store.update_session_locations({"one": here(), "two": there()})
        assert await store.take_over_session("one") == here(1)
        assert await store.take_over_session("one") == here(2)
        assert await store.find_session_location("one") == here(2)
        assert await store.find_session_location("two") == there()

    async def test_what_the_former_server_writes_late_is_dropped_and_it_learns_of_that(
        self, store: AnyStore
    ) -> None:
        await store.update_session_locations({"one": here(), "two": here()})
        await store.take_over_session("one")
        late = {"one": there(), "two": there(), "three": there()}
        assert await store.update_session_locations(late) == {"one"}
        assert await store.find_session_location("one") == here(1)
        assert await store.find_session_location("two") == there()
        assert await store.find_session_location("three") == there()

    async def test_a_late_removal_is_dropped_too(self, store: AnyStore) -> None:
        await store.update_session_locations({"one": here()})
        await store.take_over_session("one")
        assert await store.update_session_locations({"one": NOWHERE}) == {"one"}
        assert await store.find_session_location("one") == here(1)

    async def test_what_its_new_server_writes_is_stored(self, store: AnyStore) -> None:
        await store.take_over_session("one")
        assert await store.update_session_locations({"one": there(1)}) == set()
        assert await store.find_session_location("one") == there(1)
        assert await store.update_session_locations({"one": here(1)}) == set()
        assert await store.find_session_location("one") == here(1)

    async def test_a_late_write_does_not_bring_back_a_room_that_was_left_since(
        self, store: AnyStore
    ) -> None:
        await store.update_session_locations({"one": here()})
        await store.take_over_session("one")
        left = SessionRecord(None, 1)
        assert await store.update_session_locations({"one": left}) == set()
        assert await store.update_session_locations({"one": here()}) == {"one"}
        assert await store.find_session_location("one") == left

    async def test_a_first_write_that_comes_after_the_takeover_is_late(
        self, store: AnyStore
    ) -> None:
        assert await store.take_over_session("one") == SessionRecord(None, 1)
        assert await store.update_session_locations({"one": here()}) == {"one"}
        assert await store.find_session_location("one") == SessionRecord(None, 1)

    async def test_of_many_that_take_a_session_over_at_once_each_has_a_generation_of_its_own(
        self, store: AnyStore
    ) -> None:
        await store.update_session_locations({"one": here()})
        taken: list[SessionRecord] = []

        async def take_over() -> None:
            taken.append(await store.take_over_session("one"))

        async with trio.open_nursery() as nursery:
            for _ in range(5):
                nursery.start_soon(take_over)
        assert sorted(record.generation for record in taken) == [1, 2, 3, 4, 5]
        assert {record.location for record in taken} == {here().location}

    async def test_those_are_found_that_have_been_taken_over(self, store: AnyStore) -> None:
        await store.update_session_locations({"one": here(), "two": here(), "three": here()})
        for sid in ("one", "two", "two"):
            await store.take_over_session(sid)
        known = {"one": 1, "two": 1, "three": 0, "unknown": 0}
        assert await store.sessions_taken_over(known) == {"two"}
        assert await store.sessions_taken_over({"one": 0, "two": 2}) == {"one"}
        assert await store.sessions_taken_over({}) == set()


class TestOffsets:
    def test_an_offset_of_the_room_is_where_to_go_on(self) -> None:
        assert HERE.since(3) == 3
        assert HERE.since(7) == 7

    def test_an_offset_from_before_the_join_shows_that_nothing_has_arrived(self) -> None:
        assert HERE.since(2) is None

    def test_an_offset_that_may_be_another_rooms_shows_nothing(self) -> None:
        location = dataclasses.replace(HERE, known_elsewhere=10)
        assert [location.since(offset) for offset in (2, 3, 10, 11)] == [None, None, None, 11]


async def test_a_small_write_of_no_consequence_succeeds_again_and_again(desk: Desk) -> None:
    before = await desk.loaded()
    for _ in range(3):
        await desk.store.check_write()
    assert await desk.loaded() == before


class TestAudit:
    async def test_the_newest_come_first_and_each_stays_as_it_was(self, store: AnyStore) -> None:
        first, second = audit_entry(action="room.stop"), audit_entry(operator_id=None, address=None)
        await store.append_audit({UUID(int=1): first, UUID(int=2): second})
        await store.append_audit({UUID(int=3): first})
        records = await store.audit(AuditQuery(limit=10))
        assert [record.id for record in records] == sorted((r.id for r in records), reverse=True)
        expected = [first, second, first]
        for record, entry in zip(records, expected, strict=True):
            assert record == AuditRecord(id=record.id, **structs.asdict(entry))

    async def test_a_repeated_append_adds_only_what_is_missing(self, store: AnyStore) -> None:
        await store.append_audit({UUID(int=1): audit_entry(target="a")})
        await store.append_audit(
            {UUID(int=1): audit_entry(target="a"), UUID(int=2): audit_entry(target="b")}
        )
        records = await store.audit(AuditQuery(limit=10))
        assert [record.target for record in records] == ["b", "a"]

    async def test_records_are_filtered_and_paged(self, store: AnyStore) -> None:
        entries = [
            audit_entry(operator_id=1, operator_name="김", action="room.stop", target="winter"),
            audit_entry(operator_id=12, operator_name="1", action="room.drain", target="summer"),
            audit_entry(operator_id=None, operator_name="이", action="user.kick", target="5"),
        ]
        await store.append_audit({UUID(int=n): entry for n, entry in enumerate(entries)})

        async def targets(**wanted: Any) -> list[str]:
            return [record.target for record in await store.audit(AuditQuery(limit=10, **wanted))]

        assert await targets(operator="김") == ["winter"]
        assert await targets(operator="1") == ["summer", "winter"]
        assert await targets(operator="None") == []
        assert await targets(action="room.") == ["summer", "winter"]
        assert await targets(action="%") == []
        assert await targets(target="5", action="user.kick") == ["5"]
        (newest,) = await store.audit(AuditQuery(limit=1))
        assert newest.target == "5"
        assert await targets(before=newest.id) == ["summer", "winter"]

    async def test_old_records_are_pruned(self, store: AnyStore) -> None:
        await store.append_audit(
            {
                UUID(int=1): audit_entry(target="old"),
                UUID(int=2): audit_entry(target="young", at=MOMENT + timedelta(days=1)),
            }
        )
        assert await store.prune_audit(MOMENT + timedelta(days=1)) == 1
        assert await store.prune_audit(MOMENT + timedelta(days=1)) == 0
        assert [r.target for r in await store.audit(AuditQuery(limit=10))] == ["young"]


def audit_entry(**changes: Any) -> AuditEntry:
    entry = AuditEntry(
        at=MOMENT,
        operator_id=7,
        operator_name="김하늘",
        action="room.restart",
        target="winter",
        reason="멈춘 방",
        address="2001:db8::1",
        outcome="done",
        details="",
    )
    return structs.replace(entry, **changes)
