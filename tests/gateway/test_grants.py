"""Grants that change while clients are in rooms."""

from __future__ import annotations

import logging
from collections.abc import Collection
from itertools import pairwise

import pytest
import trio
from trio.testing import MockClock

from gbs_actor.auth import Role
from gbs_actor.gateway.namespace.peer import SocketPeer
from gbs_actor.testing import Peer
from tests.gateway.serving import (
    OTHER_SLUG,
    SLUG,
    HeldStore,
    Transport,
    World,
    disconnection,
    ending,
    seed,
    sequence,
    settings_with,
    world,
)

EDIT = {"lineupId": 2, "gbsNumber": 3}
MARK = {"lineupId": 2, "field": "lineupMemo"}
GRANT_TTL = 30.0
READER, EDITOR, NOBODY = "ACCOUNT_STAFF", "LINEUP_STAFF", "NOBODY"


@pytest.fixture(params=["socketio", "plain"])
def transport(request: pytest.FixtureRequest) -> Transport:
    value: Transport = request.param
    return value


async def until_kicked(peer: Peer) -> None:
    """Wait for the error, and for what ends the client's stay right behind it."""
    error = await peer.event("error", 2 * GRANT_TTL)
    assert (error["code"], error["event"]) == ("FORBIDDEN", None)
    if peer.protocol == "plain":
        assert await ending(peer) == (4403, "FORBIDDEN")
        assert sequence(peer)[-1] == "error"
    else:
        await disconnection(peer)
        assert sequence(peer)[-2:] == ["error", "disconnected"]


async def test_who_may_no_longer_read_is_disconnected_within_the_time(
    autojump_clock: MockClock, transport: Transport
) -> None:
    async with (
        world() as here,
        here.joined_by(transport, user_id=8) as other,
        here.joined_by(transport) as peer,
    ):
        await peer.call("user-editing", MARK)
        assert (await other.event("user-editing"))["editing"]
        revoked_at = trio.current_time()
        here.store.grant(SLUG, 7, NOBODY)
        await until_kicked(peer)
        assert trio.current_time() - revoked_at <= GRANT_TTL
        await other.event("user-editing", where=lambda mark: not mark["editing"])
        await other.event("room-presence", where=lambda presence: presence["total"] == 1)
        peer.forget()
        await other.call("update-gbs-number", EDIT)
        assert sequence(peer) == []
        assert here.clients.statistics().revoked == 1


async def test_who_may_no_longer_edit_reads_on_without_a_mark(
    autojump_clock: MockClock, transport: Transport
) -> None:
    async with (
        world() as here,
        here.joined_by(transport, user_id=8) as other,
        here.joined_by(transport) as peer,
    ):
        await trio.sleep(GRANT_TTL)
        await peer.call("user-editing", MARK)
        assert (await other.event("user-editing"))["editing"]
        other.forget()
        here.store.grant(SLUG, 7, READER)
        allowed = True
        with trio.fail_after(GRANT_TTL):
            while allowed:
                allowed = (await peer.call("user-editing", MARK))["status"] == "OK"
                await trio.sleep(0.5)
        with trio.fail_after(1):
            await other.event("user-editing", where=lambda mark: not mark["editing"])
        for event, argument in (("update-gbs-number", EDIT), ("user-editing", MARK)):
            assert (await peer.call(event, argument))["code"] == "FORBIDDEN"
        await other.call("update-gbs-number", EDIT)
        assert (await peer.event("lineup-updated"))["gbsNumber"] == 3
        assert peer.named("error") == []


async def test_a_grant_that_is_given_takes_effect_too_and_one_that_is_removed_falls_back(
    autojump_clock: MockClock, transport: Transport
) -> None:
    async with world() as here, here.joined_by(transport, role=Role.ACCOUNT_STAFF) as peer:
        here.store.grant(SLUG, 7, EDITOR)
        await trio.sleep(GRANT_TTL)
        assert (await peer.call("update-gbs-number", EDIT))["status"] == "OK"
        here.store.grant(SLUG, 7, None)
        await trio.sleep(GRANT_TTL)
        assert (await peer.call("update-gbs-number", EDIT))["code"] == "FORBIDDEN"


async def test_a_grant_counts_in_its_retreat_only(
    autojump_clock: MockClock, transport: Transport
) -> None:
    async with (
        world() as here,
        here.joined_by(transport) as peer,
        here.joined_by(transport, OTHER_SLUG) as elsewhere,
    ):
        here.store.grant(SLUG, 7, NOBODY)
        await until_kicked(peer)
        assert (await elsewhere.call("leave-retreat", OTHER_SLUG))["status"] == "OK"


async def test_a_role_that_was_cached_before_a_join_is_not_in_force_for_longer(
    autojump_clock: MockClock, transport: Transport
) -> None:
    async with world() as here, here.joined_by(transport, OTHER_SLUG, user_id=8):
        async with here.joined_by(transport):
            pass
        await trio.sleep(0.1)
        revoked_at = trio.current_time()
        here.store.grant(SLUG, 7, NOBODY)
        await trio.sleep(GRANT_TTL / 3 - 1)
        async with here.joined_by(transport) as peer:
            await until_kicked(peer)
        assert trio.current_time() - revoked_at <= GRANT_TTL


async def test_a_grant_revoked_while_the_join_waits_for_its_room_is_found_behind_it(
    autojump_clock: MockClock,
) -> None:
    async with world() as here, here.connect("socketio") as peer:
        here.store.loads_may_go_on = trio.Event()
        join = await peer.begin("join-retreat", SLUG)
        await trio.sleep(GRANT_TTL)
        here.store.grant(SLUG, 7, NOBODY)
        joined_at = trio.current_time()
        here.store.loads_may_go_on.set()
        assert (await peer.reply(join))["status"] == "OK"
        await until_kicked(peer)
        assert trio.current_time() == joined_at


async def test_the_roles_of_a_room_are_one_query_a_round_and_without_subscribers_none(
    autojump_clock: MockClock, transport: Transport
) -> None:
    async with world() as here:
        queries = here.store.grant_queries
        async with (
            here.joined_by(transport),
            here.joined_by(transport),
            here.joined_by(transport, user_id=8),
        ):
            queries.clear()
            await trio.sleep(GRANT_TTL)
            assert set(queries) == {frozenset({SLUG})}
            assert len(queries) in (2, 3)
        await trio.sleep(1)
        queries.clear()
        await trio.sleep(2 * GRANT_TTL)
        assert queries == []


async def test_the_queries_of_many_rooms_are_spread_and_every_room_is_in_time(
    autojump_clock: MockClock,
) -> None:
    class Watched(HeldStore):
        def __init__(self) -> None:
            super().__init__()
            self.looked_up: dict[str, list[float]] = {}
            self.running = self.most = 0

        async def grants(self, slugs: Collection[str]) -> dict[str, dict[int, str]]:
            (slug,) = slugs
            self.looked_up.setdefault(slug, []).append(trio.current_time())
            self.running += 1
            self.most = max(self.most, self.running)
            await trio.sleep(0.005)
            self.running -= 1
            return await super().grants(slugs)

    store = Watched()
    slugs = [f"retreat-{number}" for number in range(100)]
    for slug in slugs:
        await store.import_retreat(seed(slug))
    async with world(store=store) as here, trio.open_nursery() as nursery:

        async def stay(slug: str, *, task_status: trio.TaskStatus[None]) -> None:
            async with here.joined_by("plain", slug):
                task_status.started()
                await trio.sleep_forever()

        for slug in slugs:
            await nursery.start(stay, slug)
        await trio.sleep(GRANT_TTL)
        store.looked_up.clear()
        store.most, started = 0, trio.current_time()
        await trio.sleep(GRANT_TTL)
        nursery.cancel_scope.cancel()
    assert store.most == 1
    assert store.looked_up.keys() == set(slugs)
    times = sorted(time - started for all_ in store.looked_up.values() for time in all_)
    in_each_second = [sum(int(time) == second for time in times) for second in range(30)]
    assert max(in_each_second) <= 11
    gaps = [
        later - earlier for all_ in store.looked_up.values() for earlier, later in pairwise(all_)
    ]
    assert max(gaps) <= 2 * GRANT_TTL / 3


async def test_while_the_store_fails_roles_stay_and_are_looked_up_again(
    autojump_clock: MockClock, transport: Transport, caplog: pytest.LogCaptureFixture
) -> None:
    async with world() as here, here.joined_by(transport) as peer:
        here.store.grant(SLUG, 7, NOBODY)
        here.store.begin_outage()
        with caplog.at_level(logging.WARNING):
            await trio.sleep(10 * GRANT_TTL)
        assert len([each for each in caplog.records if "looked up again" in each.getMessage()]) == 1
        assert (await peer.call("user-editing", MARK))["status"] == "OK"
        assert here.clients.statistics().grant_failures > 1
        assert here.clients.statistics().grant_watch.failures == 0
        here.store.end_outage()
        reachable_at = trio.current_time()
        await until_kicked(peer)
        assert trio.current_time() - reachable_at <= GRANT_TTL


async def test_a_client_that_cannot_be_notified_is_aborted_and_the_next_one_is_not_forgotten(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("on purpose")

    monkeypatch.setattr(SocketPeer, "send_event", fail)
    async with (
        world() as here,
        here.joined_by("socketio") as broken,
        here.joined_by("plain") as peer,
    ):
        here.store.grant(SLUG, 7, NOBODY)
        await until_kicked(peer)
        with trio.fail_after(GRANT_TTL):
            await broken.closed.wait()
        await _until_empty(here)
        assert here.clients.statistics().grant_watch.failures == 0


async def test_a_short_time_is_kept_too(autojump_clock: MockClock, transport: Transport) -> None:
    async with (
        world(settings_with(grant_ttl=0.6)) as here,
        here.joined_by(transport) as peer,
    ):
        revoked_at = trio.current_time()
        here.store.grant(SLUG, 7, NOBODY)
        await until_kicked(peer)
        assert trio.current_time() - revoked_at <= 0.6


# authenticate


async def test_a_new_token_that_may_only_read_ends_the_mark(
    autojump_clock: MockClock, transport: Transport
) -> None:
    async with (
        world() as here,
        here.joined_by(transport, user_id=8) as other,
        here.joined_by(transport) as peer,
    ):
        await peer.call("user-editing", MARK)
        await other.event("user-editing")
        token = here.token(role=Role.ACCOUNT_STAFF)
        assert (await peer.call("authenticate", {"token": token}))["status"] == "OK"
        with trio.fail_after(1):
            await other.event("user-editing", where=lambda mark: not mark["editing"])
        assert (await peer.call("update-gbs-number", EDIT))["code"] == "FORBIDDEN"


@pytest.mark.parametrize("reason", ["role", "retreats"])
async def test_who_may_not_read_with_a_new_token_is_disconnected(
    transport: Transport, reason: str
) -> None:
    async with (
        world(settings_with(reader_roles=(Role.LINEUP_STAFF,))) as here,
        here.joined_by(transport) as peer,
    ):
        token = (
            here.token(role=Role.ACCOUNT_STAFF)
            if reason == "role"
            else here.token(retreats=(OTHER_SLUG,))
        )
        assert (await peer.call("authenticate", {"token": token}))["code"] == "FORBIDDEN"
        await until_kicked(peer)
        await _until_empty(here)


async def _until_empty(here: World) -> None:
    with trio.fail_after(10):
        while any(room.subscriber_count for room in here.rooms.statistics().rooms):
            await trio.lowlevel.checkpoint()
