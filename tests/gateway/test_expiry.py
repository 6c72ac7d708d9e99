from __future__ import annotations

import gc
import itertools
import weakref
from dataclasses import replace
from typing import cast
from unittest.mock import Mock

import pytest
import trio
import trio.testing
from pydantic import SecretStr

from gbs_actor.auth import Credentials, Role, TokenSource, User, Verifier
from gbs_actor.gateway.client import Client, Peer
from gbs_actor.gateway.clients import Clients
from gbs_actor.gateway.expiry import MAX_SLEEP, ExpiryWatch
from gbs_actor.gateway.limits import TokenBucket, UserConnectionLimit
from gbs_actor.settings import AuthSettings
from gbs_actor.socketio import Outbox
from gbs_actor.testing.environment import SimWall
from tests.gateway.serving import NOW, SECRET, world

USER = User(7, 7, "김하늘", "", Role.LINEUP_STAFF, None, NOW + 100, TokenSource.PAYLOAD)


class RecordingPeer:
    """Records what the watch does to it; the watch uses nothing else of a peer."""

    def __init__(self) -> None:
        self.done: list[tuple[float, str]] = []
        self.failure: Exception | None = None
        self.outbox = Mock(spec=Outbox)

    def send_event(self, name: str, payload: bytes) -> None:
        if self.failure is not None:
            raise self.failure
        self._record("notified")

    def abort(self) -> None:
        self._record("aborted")

    def close_expired(self, source: TokenSource) -> None:
        self._record("closed")

    def _record(self, what: str) -> None:
        self.done.append((trio.current_time(), what))


def client(
    expires_in: float | None, source: TokenSource = TokenSource.PAYLOAD
) -> tuple[Client, RecordingPeer]:
    peer = RecordingPeer()
    expires_at = None if expires_in is None else NOW + expires_in
    user = replace(USER, expires_at=expires_at, source=source)
    buckets = TokenBucket(1, 1, 0.0), TokenBucket(1, 1, 0.0)
    made = Client(cast(Peer, peer), Credentials(user, 3_600.0), *buckets, sid="sid")
    return made, peer


async def watching(nursery: trio.Nursery, clock: SimWall) -> ExpiryWatch:
    watch = ExpiryWatch(clock)
    nursery.start_soon(watch.run)
    await trio.testing.wait_all_tasks_blocked()
    return watch


async def test_many_tokens_are_each_notified_at_their_own_time(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with trio.open_nursery() as nursery:
        watch = await watching(nursery, SimWall())
        begin = trio.current_time()
        made = [client(expires_in) for expires_in in (300, 5, 100, 5.25)]
        for each, _ in made:
            watch.watch(each)
        await trio.sleep(335)
        notified = [peer.done[0] for _, peer in made]
        assert notified == [(begin + 30 + after, "notified") for after in (300, 5, 100, 5.25)]
        nursery.cancel_scope.cancel()


async def test_a_connection_that_has_ended_is_not_kept_until_its_token_would_expire() -> None:
    watch = ExpiryWatch(SimWall())
    ended, peer = client(43_200)
    watch.watch(ended)
    watch.remove(ended)
    gone = weakref.ref(peer)
    del ended, peer
    gc.collect()
    assert gone() is None


async def test_a_connection_that_has_ended_is_left_alone(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with trio.open_nursery() as nursery:
        watch = await watching(nursery, SimWall())
        ended, peer = client(5)
        watch.watch(ended)
        watch.remove(ended)
        await trio.sleep(500)
        assert peer.done == []
        nursery.cancel_scope.cancel()


async def test_a_token_without_an_end_is_never_notified(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with trio.open_nursery() as nursery:
        watch = await watching(nursery, SimWall())
        endless, peer = client(None)
        watch.watch(endless)
        await trio.sleep(80_000)
        assert peer.done == []
        nursery.cancel_scope.cancel()


async def test_a_clock_that_is_set_ahead_is_noticed_within_a_minute(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with trio.open_nursery() as nursery:
        clock = SimWall()
        watch = await watching(nursery, clock)
        early, peer = client(10_000)
        watch.watch(early)
        clock.advance(9_975)
        await trio.sleep(MAX_SLEEP + 1)
        assert [what for _, what in peer.done] == ["notified"]
        nursery.cancel_scope.cancel()


async def test_a_token_that_is_over_already_is_notified_at_once(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with trio.open_nursery() as nursery:
        watch = await watching(nursery, SimWall())
        late, peer = client(-35)
        watch.watch(late)
        await trio.sleep(0.001)
        assert [what for _, what in peer.done] == ["notified"]
        nursery.cancel_scope.cancel()


async def test_coming_and_going_does_not_fill_the_memory() -> None:
    async with trio.open_nursery() as nursery:
        watch = await watching(nursery, SimWall())
        for _ in range(5_000):
            passing, _ = client(10_000)
            watch.watch(passing)
            watch.remove(passing)
        assert watch._queue.allocated <= 64 + 2
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("expiries", [(10_000.0,), (10_000.0, 9_000.0), (10_000.0, 9_000.0, None)])
async def test_tokens_given_again_and_again_do_not_fill_the_memory(
    expiries: tuple[float | None, ...],
) -> None:
    async with trio.open_nursery() as nursery:
        watch = await watching(nursery, SimWall())
        made, _ = client(10_000)
        credentials = made.credentials
        for expires_in in itertools.islice(itertools.cycle(expiries), 5_000):
            expires_at = None if expires_in is None else NOW + expires_in
            user = replace(credentials.user, expires_at=expires_at)
            made.credentials = replace(credentials, user=user)
            watch.watch(made)
        assert watch._queue.allocated <= 64 + 2
        nursery.cancel_scope.cancel()


async def test_a_client_that_cannot_be_notified_is_aborted_and_the_others_are_notified(
    autojump_clock: trio.testing.MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    async with trio.open_nursery() as nursery:
        watch = await watching(nursery, SimWall())
        broken, broken_peer = client(5)
        other, peer = client(5)
        broken_peer.failure = RuntimeError("a bug")
        watch.watch(broken)
        watch.watch(other)
        await trio.sleep(36)
        assert [what for _, what in broken_peer.done] == ["aborted"]
        assert [what for _, what in peer.done] == ["notified"]
        assert "a bug" in caplog.text
        assert watch.failures == 1
        nursery.cancel_scope.cancel()


class BreakingClock(SimWall):
    """Raises while it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.broken = False

    def __call__(self) -> float:
        if self.broken:
            raise RuntimeError("a bug")
        return super().__call__()


async def test_an_unexpected_failure_of_the_watch_is_logged_and_the_watch_goes_on(
    autojump_clock: trio.testing.MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    async with world() as here:
        clock = BreakingClock()
        verifier = Verifier(AuthSettings(jwt_secret=SecretStr(SECRET)), now=clock)
        services = here.services
        clients = Clients(
            here.rooms,
            verifier,
            services.authorizer,
            services.settings,
            connection_limit=UserConnectionLimit(9),
            events=here.events,
        )
        async with clients.running():
            made, peer = client(100)
            clients.connect(cast(Peer, peer), made.credentials, sid=made.sid)
            await trio.sleep(50)
            clock.broken = True
            await trio.sleep(MAX_SLEEP)
            statistics = clients.statistics().expiry_watch
            assert statistics.failures >= 1
            assert statistics.last_error == "RuntimeError: a bug"
            assert "a bug" in caplog.text
            clock.broken = False
            await trio.sleep(60)
            assert [what for _, what in peer.done] == ["notified"]
            assert clients.statistics().expiry_watch.running
