"""Roles say who may do what, and grants override them in single retreats."""

from __future__ import annotations

from collections.abc import Collection

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from gbs_actor.auth import Authorizer, Policy, Role, TokenSource, User
from gbs_actor.auth import authorizer as module
from gbs_actor.auth.authorizer import NO_ROLE
from gbs_actor.settings import AuthSettings
from gbs_actor.store.memory import MemoryStore
from gbs_actor.store.protocol import StoreUnavailable

POLICY = Policy.from_settings(AuthSettings())


class Grants(MemoryStore):
    """A store with grants that can be changed, and that can be out of reach."""

    def __init__(self, **roles: str) -> None:
        super().__init__()
        self.roles = roles
        self.reachable = True
        self.asked: list[tuple[str, ...]] = []

    async def grants(self, slugs: Collection[str]) -> dict[str, dict[int, str]]:
        await trio.lowlevel.checkpoint()
        self.asked.append(tuple(slugs))
        if not self.reachable:
            raise StoreUnavailable("out of reach")
        return {slug: {7: self.roles[slug]} for slug in slugs if slug in self.roles}


def user(
    role: Role = Role.LEADER_STAFF,
    retreats: Collection[str] | None = None,
    number: int = 7,
) -> User:
    return User(
        user_id=number,
        admin_user_id=number,
        name="김하늘",
        email="",
        role=role,
        retreats=None if retreats is None else frozenset(retreats),
        expires_at=None,
        source=TokenSource.PAYLOAD,
    )


def test_by_default_line_up_staff_and_ministers_edit() -> None:
    editors = {role for role in Role if POLICY.may_edit(role)}
    assert editors == {Role.LINEUP_STAFF, Role.ADMIN_MINISTER}


def test_by_default_every_listed_role_reads() -> None:
    assert all(POLICY.may_read(role) for role in Role)


def test_by_default_only_ministers_of_the_administration_operate() -> None:
    assert [role for role in Role if POLICY.is_operator(role)] == [Role.ADMIN_MINISTER]


def test_who_may_edit_may_read() -> None:
    settings = AuthSettings(reader_roles=(), editor_roles=(Role.LINEUP_STAFF,))
    assert Policy.from_settings(settings).may_read(Role.LINEUP_STAFF)


@pytest.mark.parametrize("role", ["", "BOSS", "lineup_staff"])
def test_an_unknown_role_may_do_nothing(role: str) -> None:
    for may in (POLICY.may_read, POLICY.may_edit, POLICY.is_operator):
        assert not may(role)


async def test_without_a_grant_the_tokens_role_counts() -> None:
    assert await Authorizer(Grants(), POLICY).role_for(user(), "winter") == "LEADER_STAFF"


async def test_a_grant_overrides_the_tokens_role_in_its_retreat_only() -> None:
    authorizer = Authorizer(Grants(winter="LINEUP_STAFF"), POLICY)
    assert await authorizer.role_for(user(), "winter") == "LINEUP_STAFF"
    assert await authorizer.role_for(user(), "summer") == "LEADER_STAFF"


async def test_a_grant_can_take_rights_away() -> None:
    authorizer = Authorizer(Grants(winter="NOBODY"), POLICY)
    role = await authorizer.role_for(user(Role.ADMIN_MINISTER), "winter")
    assert not POLICY.may_read(role)


async def test_a_grant_is_cached_for_its_time_and_no_longer(
    autojump_clock: MockClock,
) -> None:
    store = Grants(winter="LINEUP_STAFF")
    authorizer = Authorizer(store, POLICY, grant_ttl=30)
    await authorizer.role_for(user(), "winter")
    store.roles.clear()
    await trio.sleep(authorizer.max_age - 0.1)
    assert await authorizer.role_for(user(), "winter") == "LINEUP_STAFF"
    assert len(store.asked) == 1
    await trio.sleep(0.2)
    assert await authorizer.role_for(user(), "winter") == "LEADER_STAFF"


async def test_a_role_need_not_be_awaited_while_its_grant_is_cached(
    autojump_clock: MockClock,
) -> None:
    store = Grants(winter="LINEUP_STAFF")
    authorizer = Authorizer(store, POLICY, grant_ttl=30)
    assert authorizer.cached_role(user(), "winter") is None
    await authorizer.role_for(user(), "winter")
    await trio.sleep(authorizer.max_age - 0.1)
    assert authorizer.cached_role(user(), "winter") == "LINEUP_STAFF"
    assert authorizer.cached_role(user(), "summer") is None
    assert authorizer.cached_role(user(retreats=["summer"]), "winter") == NO_ROLE
    assert authorizer.statistics().hits == 1
    await trio.sleep(0.2)
    assert authorizer.cached_role(user(), "winter") is None


async def test_that_there_is_no_grant_is_cached_too() -> None:
    store = Grants()
    authorizer = Authorizer(store, POLICY)
    await authorizer.role_for(user(), "winter")
    await authorizer.role_for(user(), "winter")
    assert store.asked == [("winter",)]


async def test_who_comes_first_is_looked_up_for_all_who_come_to_the_retreat() -> None:
    store = Grants(winter="LINEUP_STAFF")
    authorizer = Authorizer(store, POLICY)
    assert await authorizer.role_for(user(number=8), "winter") == "LEADER_STAFF"
    assert authorizer.cached_role(user(), "winter") == "LINEUP_STAFF"
    assert authorizer.cached_role(user(number=9), "winter") == "LEADER_STAFF"
    assert store.asked == [("winter",)]


async def test_while_the_store_is_unreachable_the_last_grant_counts_however_old(
    autojump_clock: MockClock,
) -> None:
    store = Grants(winter="LINEUP_STAFF")
    authorizer = Authorizer(store, POLICY)
    await authorizer.role_for(user(), "winter")
    store.reachable = False
    await trio.sleep(3600)
    assert await authorizer.role_for(user(), "winter") == "LINEUP_STAFF"
    assert authorizer.statistics().stale_hits == 1


async def test_when_the_store_is_back_grants_are_looked_up_again(autojump_clock: MockClock) -> None:
    store = Grants(winter="LINEUP_STAFF")
    authorizer = Authorizer(store, POLICY)
    await authorizer.role_for(user(), "winter")
    store.reachable = False
    await trio.sleep(60)
    await authorizer.role_for(user(), "winter")
    store.reachable, store.roles = True, {}
    assert await authorizer.role_for(user(), "winter") == "LEADER_STAFF"


async def test_nothing_is_assumed_of_a_grant_that_was_never_looked_up() -> None:
    store = Grants()
    store.reachable = False
    with pytest.raises(StoreUnavailable):
        await Authorizer(store, POLICY).role_for(user(Role.ADMIN_MINISTER), "winter")


async def test_the_cache_is_bounded_and_drops_the_oldest_grants_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "MAX_GRANTS", 3)
    store = Grants(b="LINEUP_STAFF")
    authorizer = Authorizer(store, POLICY)
    for slug in ("a", "b", "b", "c"):
        await authorizer.current_roles(slug, [user()])
    assert authorizer.statistics().cached == 2
    store.asked.clear()
    await authorizer.role_for(user(), "c")
    await authorizer.role_for(user(), "b")
    assert store.asked == []
    await authorizer.role_for(user(), "a")
    assert store.asked == [("a",)]


async def test_grants_that_are_more_than_the_bound_are_cached_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "MAX_GRANTS", 1)
    store = Grants(winter="LINEUP_STAFF", summer="LINEUP_STAFF")
    authorizer = Authorizer(store, POLICY)
    for slug in ("winter", "summer"):
        await authorizer.role_for(user(), slug)
        assert authorizer.cached_role(user(), slug) == "LINEUP_STAFF"
    assert authorizer.statistics().cached == 1


async def test_when_the_cache_is_cleared_every_grant_is_looked_up_anew() -> None:
    store = Grants(winter="LINEUP_STAFF")
    authorizer = Authorizer(store, POLICY)
    await authorizer.role_for(user(), "winter")
    store.roles = {"winter": "ADMIN_MINISTER"}
    authorizer.clear_cache()
    assert await authorizer.role_for(user(), "winter") == "ADMIN_MINISTER"


async def test_a_token_for_other_retreats_gives_no_role_there_whatever_is_granted() -> None:
    store = Grants(winter="ADMIN_MINISTER")
    role = await Authorizer(store, POLICY).role_for(user(retreats=["summer"]), "winter")
    assert not any(may(role) for may in (POLICY.may_read, POLICY.may_edit, POLICY.is_operator))
    assert store.asked == []


async def test_the_roles_in_several_retreats_are_one_query_for_those_not_cached() -> None:
    store = Grants(winter="LINEUP_STAFF")
    authorizer = Authorizer(store, POLICY)
    await authorizer.role_for(user(), "spring")
    store.asked.clear()
    someone = user(retreats=["winter", "summer", "spring"])
    roles = await authorizer.roles_for(someone, ["winter", "summer", "spring", "autumn"])
    assert roles == {
        "winter": "LINEUP_STAFF",
        "summer": "LEADER_STAFF",
        "spring": "LEADER_STAFF",
        "autumn": NO_ROLE,
    }
    assert store.asked == [("winter", "summer")]


async def test_a_list_shows_by_the_token_what_cannot_be_looked_up() -> None:
    store = Grants(winter="NOBODY")
    store.reachable = False
    someone = user(Role.ADMIN_MINISTER, retreats=["winter"])
    roles = await Authorizer(store, POLICY).roles_for(someone, ["winter", "summer"])
    assert roles == {"winter": "ADMIN_MINISTER", "summer": NO_ROLE}


async def test_the_current_roles_of_several_users_are_one_query_and_are_cached() -> None:
    store = Grants(winter="LINEUP_STAFF")
    authorizer = Authorizer(store, POLICY)
    await authorizer.role_for(user(), "winter")
    store.roles["winter"] = "NOBODY"
    assert await authorizer.current_roles("winter", [user(), user(retreats=[])]) == [
        "NOBODY",
        NO_ROLE,
    ]
    assert await authorizer.role_for(user(), "winter") == "NOBODY"
    assert len(store.asked) == 2


async def test_a_lookup_that_was_overtaken_does_not_bring_back_what_it_found(
    autojump_clock: MockClock,
) -> None:
    class Slow(Grants):
        async def grants(self, slugs: Collection[str]) -> dict[str, dict[int, str]]:
            found = await super().grants(slugs)
            if len(self.asked) == 1:
                await trio.sleep(1)
            return found

    store = Slow(winter="LINEUP_STAFF")
    authorizer = Authorizer(store, POLICY)
    roles: list[str] = []

    async def look_up() -> None:
        roles.append(await authorizer.role_for(user(), "winter"))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(look_up)
        await wait_all_tasks_blocked()
        store.roles["winter"] = "NOBODY"
        await trio.sleep(0.5)
        assert await authorizer.current_roles("winter", [user()]) == ["NOBODY"]
    assert roles == ["NOBODY"]
    assert await authorizer.role_for(user(), "winter") == "NOBODY"


class Gated(Grants):
    """A store that replies to a query for each release of ``gate``."""

    def __init__(self, **roles: str) -> None:
        super().__init__(**roles)
        self.gate = trio.Semaphore(0)

    async def grants(self, slugs: Collection[str]) -> dict[str, dict[int, str]]:
        found = await super().grants(slugs)
        await self.gate.acquire()
        return found


async def test_lookups_that_begin_during_a_query_share_the_next_one() -> None:
    store = Gated(winter="LINEUP_STAFF")
    authorizer = Authorizer(store, POLICY)
    roles: dict[tuple[int, str], str] = {}

    async def look_up(number: int, slug: str) -> None:
        roles[number, slug] = await authorizer.role_for(user(number=number), slug)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(look_up, 7, "winter")
        await wait_all_tasks_blocked()
        for number in (2, 3):
            nursery.start_soon(look_up, number, "winter")
            await wait_all_tasks_blocked()
        nursery.start_soon(look_up, 3, "summer")
        await wait_all_tasks_blocked()
        store.gate.release()
        store.gate.release()
    assert store.asked == [("winter",), ("winter", "summer")]
    assert roles == {
        (7, "winter"): "LINEUP_STAFF",
        (2, "winter"): "LEADER_STAFF",
        (3, "winter"): "LEADER_STAFF",
        (3, "summer"): "LEADER_STAFF",
    }
    assert authorizer.statistics().cached == 2


async def test_a_shared_query_that_fails_fails_for_all_who_wait_for_it() -> None:
    store = Gated()
    authorizer = Authorizer(store, POLICY)
    failed: list[int] = []

    async def look_up(number: int) -> None:
        try:
            await authorizer.role_for(user(number=number), "winter")
        except StoreUnavailable:
            failed.append(number)

    async with trio.open_nursery() as nursery:
        for number in (1, 2, 3):
            nursery.start_soon(look_up, number)
            await wait_all_tasks_blocked()
        store.reachable = False
        store.gate.release()
    assert failed == [2, 3]
    assert len(store.asked) == 2


async def test_a_shared_query_outlives_the_one_that_runs_it() -> None:
    store = Gated(winter="LINEUP_STAFF")
    authorizer = Authorizer(store, POLICY)
    running = trio.CancelScope()

    async def look_up(number: int, scope: trio.CancelScope) -> None:
        with scope:
            await authorizer.role_for(user(), str(number))

    async with trio.open_nursery() as nursery:
        for number in (1, 2, 3):
            nursery.start_soon(look_up, number, running if number == 2 else trio.CancelScope())
            await wait_all_tasks_blocked()
        store.gate.release()
        await wait_all_tasks_blocked()
        running.cancel()
        await wait_all_tasks_blocked()
        store.gate.release()
    assert store.asked == [("1",), ("2", "3"), ("2", "3")]
    assert authorizer.statistics().cached == 3


async def test_a_cancelled_lookup_leaves_nothing_in_the_cache() -> None:
    class Slow(Grants):
        async def grants(self, slugs: Collection[str]) -> dict[str, dict[int, str]]:
            await trio.sleep_forever()
            raise AssertionError

    authorizer = Authorizer(Slow(), POLICY)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(authorizer.role_for, user(), "winter")
        await wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    assert authorizer.statistics().cached == 0
