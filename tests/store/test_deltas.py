"""What every store returns of a retreat beyond a revision, and of attempts to commit."""

from __future__ import annotations

from uuid import UUID

import pytest
from msgspec import UNSET
from msgspec.structs import replace

from gbs_actor.lineup.commands import (
    Action,
    Assignment,
    AssignNumber,
    BulkAssign,
    CreateMemo,
    DeleteGroup,
    Kind,
)
from gbs_actor.store.protocol import DELTA_LIMIT, Delta, RetreatVersion
from tests.store.worlds import AUTHOR, MOMENT, AnyStore, Desk, seed

WITH_MEMO, PLAIN, OTHER = 2, 4, 5


async def delta_of(desk: Desk, revision: int, *, epoch: str | None = None) -> Delta:
    """Return what the desk's retreat has beyond a revision."""
    own = desk.board.epoch if epoch is None else epoch
    delta = await desk.store.delta(desk.retreat_id, own, revision)
    assert delta is not None
    return delta


def is_incomplete(delta: Delta | None) -> bool:
    """Return whether a retreat is to be loaded, since nothing else is in a delta."""
    return delta == Delta(delta.version, complete=False) if delta is not None else False


async def fence(desk: Desk, count: int) -> None:
    """Commit so many fences as one batch."""
    draft = desk.board.draft(iter(()))
    fences = [draft.fence(UUID(int=10**9 + number), MOMENT) for number in range(count)]
    await desk.commit(fences)


def assignment(
    *, is_leader: bool = False, current_leader: str = "이리더", lineup_number: int | None = None
) -> Assignment:
    """Return an assignment that leaves a person in group 5, and what is not named as it is."""
    return Assignment(
        PLAIN,
        gbs_number=5,
        is_leader=is_leader,
        current_leader=current_leader,
        lineup_number=lineup_number,
    )


class TestDelta:
    async def test_a_retreat_at_the_revision_has_a_complete_delta_of_nothing(
        self, desk: Desk
    ) -> None:
        await desk.do(AssignNumber(PLAIN, 1))
        version = await desk.store.version("winter")
        assert version is not None
        assert await delta_of(desk, 1) == Delta(version, complete=True)

    async def test_it_has_the_rows_that_have_changed_since_whole(self, desk: Desk) -> None:
        await desk.do(AssignNumber(PLAIN, 1))
        await desk.do(CreateMemo(OTHER, "조용히", ""), AssignNumber(OTHER, 7))
        delta, loaded = await delta_of(desk, 1), await desk.loaded()
        assert delta.version.revision == 3
        assert delta.registrations == (loaded.registrations[OTHER - 1],)
        assert delta.groups == (loaded.groups[7],)

    @pytest.mark.parametrize(
        "action",
        [
            AssignNumber(PLAIN, 1),
            CreateMemo(PLAIN, "조용히", ""),
            BulkAssign((assignment(is_leader=True),), False, "skip"),
            BulkAssign((assignment(current_leader="박리더"),), False, "skip"),
            BulkAssign((assignment(lineup_number=3),), True, "skip"),
        ],
    )
    async def test_a_change_of_any_field_is_in_it(self, desk: Desk, action: Action) -> None:
        await desk.do(AssignNumber(PLAIN, 5))
        (change,) = await desk.do(action)
        assert [each.id for each in change.registrations] == [PLAIN]
        assert (await delta_of(desk, 1)).registrations == (
            (await desk.loaded()).registrations[PLAIN - 1],
        )

    async def test_it_has_what_the_log_has_since(self, desk: Desk) -> None:
        changes = await desk.do(
            AssignNumber(PLAIN, 1), CreateMemo(OTHER, "조용히", ""), AssignNumber(PLAIN, 1)
        )
        await desk.commit([desk.fence()])
        entries = (await delta_of(desk, 1)).entries
        assert [entry.revision for entry in entries] == [2, 3, 4]
        assert [entry.command_id for entry in entries[:2]] == [
            change.command_id for change in changes[1:]
        ]
        memo, no_op, fenced = entries
        assert (memo.author_id, memo.author_name) == (AUTHOR.user_id, AUTHOR.name)
        assert (memo.kind, memo.request, memo.at) == (
            Kind.CREATE_MEMO,
            changes[1].request,
            changes[1].at,
        )
        assert [entry.registration_ids for entry in entries] == [(OTHER,), (PLAIN,), ()]
        assert (fenced.kind, fenced.author_id, fenced.author_name) == (Kind.FENCE, None, "")
        assert type(no_op.command_id) is UUID

    async def test_a_change_of_many_addresses_all_of_them(self, desk: Desk) -> None:
        assignments = tuple(
            Assignment(each, gbs_number=1, is_leader=False, current_leader=UNSET)
            for each in (OTHER, PLAIN)
        )
        await desk.do(BulkAssign(assignments, False, "skip"))
        (entry,) = (await delta_of(desk, 0)).entries
        assert entry.registration_ids == (PLAIN, OTHER)

    async def test_it_has_groups_that_are_deleted(self, desk: Desk) -> None:
        await desk.do(DeleteGroup(5))
        (group,) = (await delta_of(desk, 0)).groups
        assert (group.number, group.deleted, group.revision) == (5, True, 1)

    async def test_of_a_retreat_that_is_not_there_there_is_none(self, store: AnyStore) -> None:
        assert await store.delta(99, "epoch", 0) is None

    async def test_another_epoch_makes_it_incomplete(self, desk: Desk) -> None:
        await desk.do(AssignNumber(PLAIN, 1))
        delta = await delta_of(desk, 0, epoch="another")
        assert is_incomplete(delta)
        assert delta.version == await desk.store.version("winter")

    async def test_a_lower_revision_makes_it_incomplete(self, desk: Desk) -> None:
        assert is_incomplete(await delta_of(desk, 1))

    async def test_a_log_that_was_pruned_too_far_makes_it_incomplete(self, desk: Desk) -> None:
        first, second, third = await desk.do(*(AssignNumber(PLAIN, number) for number in (1, 2, 3)))
        await desk.store.prune_log(third.at)
        assert first.at < second.at < third.at
        assert is_incomplete(await delta_of(desk, 1))
        assert (await delta_of(desk, 2)).complete

    async def test_too_many_revisions_make_it_incomplete(self, desk: Desk) -> None:
        await fence(desk, DELTA_LIMIT + 1)
        assert len((await delta_of(desk, 1)).entries) == DELTA_LIMIT
        assert is_incomplete(await delta_of(desk, 0))

    async def test_too_many_rows_make_it_incomplete(self, store: AnyStore) -> None:
        await store.import_retreat(seed(people=DELTA_LIMIT + 1))
        desk = await Desk.of(store)
        _, with_group, *others = [row.id for row in desk.board.rows()]
        await desk.do(BulkAssign(tuple(map(with_leader, others)), False, "skip"))
        assert len((await delta_of(desk, 0)).registrations) == DELTA_LIMIT - 1
        await desk.do(AssignNumber(others[0], 2))
        assert len((await delta_of(desk, 0)).groups) == 1
        await desk.do(AssignNumber(with_group, None))
        assert is_incomplete(await delta_of(desk, 0))
        assert (await delta_of(desk, 1)).complete


def with_leader(registration_id: int) -> Assignment:
    """Return an assignment that names another leader of a person without a group."""
    return Assignment(
        registration_id,
        gbs_number=None,
        is_leader=False,
        current_leader=f"리더{registration_id % 2}",
    )


class TestStaleCommits:
    async def test_it_returns_what_the_retreat_has_beyond_the_expected_revision(
        self, desks: tuple[Desk, Desk]
    ) -> None:
        one, two = desks
        late = await two.decide(AssignNumber(PLAIN, 1))
        await one.do(CreateMemo(OTHER, "조용히", ""), AssignNumber(OTHER, 5))
        delta = await two.try_commit(late)
        assert delta is not None
        assert delta == await delta_of(one, 0)
        assert await one.loaded() == await two.loaded()
        assert (await two.loaded()).revision == 2

    async def test_a_batch_is_stale_as_well(self, desks: tuple[Desk, Desk]) -> None:
        one, two = desks
        late = await two.decide(AssignNumber(PLAIN, 1), AssignNumber(OTHER, 1))
        await one.do(CreateMemo(OTHER, "조용히", ""))
        assert await two.try_commit(late) == await delta_of(one, 0)
        assert (await two.loaded()).revision == 1

    async def test_one_that_expects_too_much_gets_an_incomplete_delta(self, desk: Desk) -> None:
        assert is_incomplete(await desk.try_commit([], at=1))

    async def test_in_another_epoch_it_gets_an_incomplete_delta(
        self, desks: tuple[Desk, Desk]
    ) -> None:
        one, two = desks
        batches = [
            await two.decide(AssignNumber(PLAIN, 1)),
            await two.decide(AssignNumber(PLAIN, 1), AssignNumber(OTHER, 1)),
        ]
        await one.store.new_epoch("winter")
        for batch in batches:
            delta = await two.try_commit(batch)
            assert is_incomplete(delta)
            assert delta is not None
            assert delta.version.epoch != two.board.epoch
            assert delta.version == await one.store.version("winter")
        assert (await one.loaded()).revision == 0

    async def test_a_contradiction_at_the_expected_revision_gets_an_incomplete_delta(
        self, desk: Desk
    ) -> None:
        (change,) = await desk.decide(AssignNumber(PLAIN, 42))
        delta = await desk.try_commit([replace(change, groups=())])
        assert is_incomplete(delta)
        assert delta is not None
        assert delta.version == await desk.store.version("winter")


class TestAttempts:
    async def test_an_attempt_that_took_effect_is_in_the_log(self, desk: Desk) -> None:
        for actions in (
            [AssignNumber(PLAIN, 1)],
            [AssignNumber(PLAIN, 2), AssignNumber(PLAIN, 3)],
            [CreateMemo(PLAIN, "조용히", "")],
        ):
            changes = await desk.decide(*actions)
            attempt = desk.attempt(changes)
            assert not await desk.store.committed(desk.retreat_id, attempt.id)
            assert await desk.store.commit(attempt) is None
            assert await desk.store.committed(desk.retreat_id, attempt.id)
            desk.apply(changes)

    async def test_of_two_attempts_with_the_same_commands_one_is_in_the_log(
        self, desks: tuple[Desk, Desk]
    ) -> None:
        one, two = desks
        changes = await one.decide(AssignNumber(PLAIN, 1))
        first, second = one.attempt(changes), two.attempt(changes)
        assert await one.store.commit(first) is None
        assert await two.store.commit(second) is not None
        assert await two.store.committed(two.retreat_id, first.id)
        assert not await two.store.committed(two.retreat_id, second.id)

    async def test_an_attempt_is_of_one_retreat(self, store: AnyStore) -> None:
        summer, winter = [await Desk.of(store, slug) for slug in ("summer", "winter")]
        attempt = winter.attempt([winter.fence()])
        assert await store.commit(attempt) is None
        assert not await store.committed(summer.retreat_id, attempt.id)

    async def test_an_attempt_that_was_pruned_is_unknown(self, desk: Desk) -> None:
        attempt = desk.attempt([desk.fence()])
        assert await desk.store.commit(attempt) is None
        await desk.store.prune_log(MOMENT.replace(year=2100))
        assert not await desk.store.committed(desk.retreat_id, attempt.id)

    async def test_a_state_that_this_server_has_not_loaded_is_committed_to(
        self, nodes: tuple[AnyStore, AnyStore]
    ) -> None:
        one, two = nodes
        desk = await Desk.of(one)
        assert await two.commit(desk.attempt([desk.fence()])) is None
        assert (await desk.loaded()).revision == 1


class TestVersions:
    async def test_there_is_one_of_each_retreat_that_is_there(self, store: AnyStore) -> None:
        summer, winter = [await Desk.of(store, slug) for slug in ("summer", "winter")]
        await winter.do(AssignNumber(winter.board.rows()[-1].id, 1))
        assert await store.versions([summer.retreat_id, winter.retreat_id, 99]) == {
            summer.retreat_id: await store.version("summer"),
            winter.retreat_id: RetreatVersion(winter.retreat_id, 1, winter.board.epoch, 0),
        }
        assert await store.versions([]) == {}
