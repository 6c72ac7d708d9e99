"""Retreats that one of two servers locks, and what becomes of the other one."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from uuid import UUID

import pytest
import trio
import trio.testing
from msgspec.structs import replace

from gbs_actor.lineup.changes import Change
from gbs_actor.lineup.commands import AssignNumber, CreateMemo
from gbs_actor.store.protocol import (
    CommitRefused,
    Delta,
    LockedRetreat,
    LockLost,
    RepeatedCommands,
    StoreUnavailable,
)
from tests.store.worlds import AnyStore, Desk

WITH_MEMO, PLAIN, OTHER = 2, 4, 5
Desks = tuple[Desk, Desk]


def locked(desk: Desk) -> AbstractAsyncContextManager[LockedRetreat]:
    """Lock the retreat of a desk."""
    return desk.store.locked(desk.retreat_id, desk.board.epoch, desk.board.revision)


async def test_whoever_is_at_the_revision_gets_no_delta(desks: Desks) -> None:
    one, two = desks
    changes = await one.decide(AssignNumber(PLAIN, 1))
    async with locked(one) as retreat:
        assert retreat.delta is None
        await retreat.commit(one.attempt(changes))
    assert (await two.loaded()).registrations[PLAIN - 1].gbs_number == 1


async def test_whoever_is_behind_gets_a_delta_to_decide_on(desks: Desks) -> None:
    one, two = desks
    await two.do(CreateMemo(OTHER, "조용히", ""))
    async with locked(one) as retreat:
        assert retreat.delta == await one.store.delta(one.retreat_id, one.board.epoch, 0)
        await retreat.commit(one.attempt([replace(one.fence(), revision=2)], at=1))
    assert (await two.loaded()).revision == 2


async def test_a_commit_of_another_server_waits_and_is_then_stale(desks: Desks) -> None:
    one, two = desks
    changes, late = (
        await one.decide(AssignNumber(PLAIN, 1)),
        await two.decide(AssignNumber(PLAIN, 5)),
    )
    answers: list[Delta | None] = []

    async def commit() -> None:
        answers.append(await two.try_commit(late))

    async with trio.open_nursery() as nursery, locked(one) as retreat:
        nursery.start_soon(commit)
        await trio.testing.wait_all_tasks_blocked()
        await retreat.commit(one.attempt(changes))
    (delta,) = answers
    assert delta is not None
    assert delta.complete
    assert [entry.command_id for entry in delta.entries] == [changes[0].command_id]


async def test_two_servers_that_lock_take_turns(desks: Desks) -> None:
    done: list[int] = []

    async def fence(desk: Desk) -> None:
        for _ in range(5):
            change = desk.fence()
            async with locked(desk) as retreat:
                revision = 0 if retreat.delta is None else retreat.delta.version.revision
                at = max(desk.board.revision, revision)
                await retreat.commit(desk.attempt([replace(change, revision=at + 1)], at=at))
                done.append(at + 1)
            await trio.lowlevel.checkpoint()

    async with trio.open_nursery() as nursery:
        for desk in desks:
            nursery.start_soon(fence, desk)
    assert sorted(done) == [*range(1, 11)]


async def test_whoever_freezes_loses_the_lock_and_the_other_goes_on(desks: Desks) -> None:
    one, two = desks
    changes = await one.decide(AssignNumber(PLAIN, 1))
    async with locked(one) as retreat:
        with trio.fail_after(5):
            await two.do(AssignNumber(OTHER, 5))
        with pytest.raises(LockLost, match="lost"):
            await retreat.commit(one.attempt(changes))
    loaded = await two.loaded()
    assert (loaded.revision, loaded.registrations[PLAIN - 1].gbs_number) == (1, None)
    assert one.store.statistics().unknown_outcomes == 0
    assert await one.loaded() == loaded


async def test_whoever_freezes_behind_the_end_of_the_block_had_no_effect(desks: Desks) -> None:
    one, two = desks
    async with locked(one):
        with trio.fail_after(5):
            await two.do(AssignNumber(OTHER, 5))
    with trio.fail_after(5):
        await two.do(AssignNumber(OTHER, 1))


async def test_a_block_without_a_commit_changes_nothing_and_leaves_no_lock(desks: Desks) -> None:
    one, two = desks
    async with locked(one):
        pass
    await two.do(AssignNumber(OTHER, 5))
    async with locked(one) as retreat:
        assert retreat.delta is not None
    assert (await one.loaded()).revision == 1


async def test_a_block_that_raises_leaves_no_lock(desks: Desks) -> None:
    one, two = desks
    with pytest.raises(LookupError):
        async with locked(one):
            raise LookupError
    await two.do(AssignNumber(OTHER, 5))


async def test_a_block_that_is_cancelled_leaves_no_lock(desks: Desks) -> None:
    one, two = desks
    with trio.CancelScope() as scope:
        async with locked(one):
            scope.cancel()
            await trio.sleep_forever()
    await two.do(AssignNumber(OTHER, 5))


async def test_whoever_is_cancelled_while_it_waits_for_a_lock_gets_none(desks: Desks) -> None:
    one, two = desks
    changes = await one.decide(AssignNumber(PLAIN, 1))

    async def wait() -> None:
        async with locked(two):
            raise AssertionError("it has the lock")

    async with locked(one) as retreat:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(wait)
            await trio.testing.wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
        await retreat.commit(one.attempt(changes))
    assert (await two.loaded()).revision == 1


async def test_another_retreat_is_not_locked(nodes: tuple[AnyStore, AnyStore]) -> None:
    one, two = nodes
    summer, winter = await Desk.of(one, "summer"), await Desk.of(two, "winter")
    changes = await summer.decide()
    async with locked(summer) as retreat:
        await winter.do(AssignNumber(winter.board.rows()[-1].id, 7))
        await retreat.commit(summer.attempt(changes))


async def test_an_attempt_on_another_state_is_a_mistake_of_the_caller(desks: Desks) -> None:
    one, two = desks
    await two.do(AssignNumber(OTHER, 5))
    changes = await one.decide(AssignNumber(PLAIN, 1))
    async with locked(one) as retreat:
        with pytest.raises(ValueError, match="revision"):
            await retreat.commit(one.attempt(changes))
    async with locked(one) as retreat:
        with pytest.raises(ValueError, match="numbered 1"):
            await retreat.commit(one.attempt(changes, at=1))
    assert (await one.loaded()).revision == 1


async def test_a_repeat_is_found_and_the_lock_is_released(desks: Desks) -> None:
    one, two = desks
    (first,) = await two.do(AssignNumber(PLAIN, 1))
    for repeatable in ([first.command_id], []):
        again: list[Change] = [replace(first, revision=2)]
        async with locked(one) as retreat:
            with pytest.raises(RepeatedCommands) as repeated:
                await retreat.commit(one.attempt(again, repeatable, at=1))
            assert repeated.value.entries[first.command_id].revision == 1
            with pytest.raises(StoreUnavailable):
                await retreat.commit(one.attempt([], at=1))
    await two.do(AssignNumber(OTHER, 5))


async def test_rows_that_are_not_as_expected_are_refused(desks: Desks) -> None:
    one, two = desks
    (change,) = await one.decide(AssignNumber(PLAIN, 42))
    with pytest.raises(CommitRefused) as refused:
        async with locked(one) as retreat:
            await retreat.commit(one.attempt([replace(change, groups=())]))
    assert not refused.value.data_error
    await two.do(AssignNumber(OTHER, 5))


async def test_a_value_that_cannot_be_stored_is_refused(desks: Desks) -> None:
    one, two = desks
    (change,) = await one.decide(AssignNumber(PLAIN, 42))
    broken = replace(change, registration_id=2**70)
    with pytest.raises(CommitRefused) as refused:
        async with locked(one) as retreat:
            await retreat.commit(one.attempt([broken]))
    assert refused.value.data_error
    await two.do(AssignNumber(OTHER, 5))


async def test_a_retreat_that_is_not_there_cannot_be_locked(store: AnyStore) -> None:
    with pytest.raises(StoreUnavailable, match="no retreat"):
        async with store.locked(99, "epoch", 0):
            pass


async def test_it_is_committed_once(desks: Desks) -> None:
    one, _ = desks
    changes = await one.decide(AssignNumber(PLAIN, 1))
    attempt = one.attempt(changes)
    async with locked(one) as retreat:
        await retreat.commit(attempt)
        with pytest.raises(StoreUnavailable):
            await retreat.commit(attempt)
    assert await one.store.committed(one.retreat_id, attempt.id)
    assert one.store.statistics().commits == 1


async def test_a_server_whose_commits_are_always_too_late_commits_under_the_lock(
    desks: Desks,
) -> None:
    fast, slow = desks
    attempts: list[UUID] = []

    async def keep_committing() -> None:
        fence = fast.fence()
        while True:
            delta = await fast.try_commit([fence], at=fence.revision - 1)
            revision = fence.revision if delta is None else delta.version.revision
            # With another id than the one that is in the log by now.
            fence = replace(fast.fence(), revision=revision + 1)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(keep_committing)
        for _ in range(10):
            fence = slow.fence()
            async with locked(slow) as retreat:
                behind = retreat.delta
                version = slow.board.revision if behind is None else behind.version.revision
                attempt = slow.attempt([replace(fence, revision=version + 1)], at=version)
                await retreat.commit(attempt)
                attempts.append(attempt.id)
        nursery.cancel_scope.cancel()
    for attempt_id in attempts:
        assert await fast.store.committed(fast.retreat_id, attempt_id)
