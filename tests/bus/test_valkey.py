"""The bus through Valkey or Redis, over a real server."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path

import pytest
import trio

from gbs_actor.bus import Hint
from gbs_actor.bus.channel import ChannelLost
from gbs_actor.bus.valkey import _ValkeyChannel, valkey_channel
from tests.bus.running import (
    EPOCH,
    bus,
    disconnected,
    presence_passes,
    received,
    running,
    until,
    until_back,
    until_gap,
    until_hint,
)
from tests.bus.servers import PATIENCE, PROGRAM, ValkeyServer, Wire, resp, wire
from tests.certificates import Authority
from tests.store.proxy import listening

pytestmark = pytest.mark.skipif(
    PROGRAM is None, reason="neither valkey-server nor redis-server is installed"
)
NAME = "gbs_actor:db"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ValkeyServer]:
    """A running server."""
    server = ValkeyServer(tmp_path)
    server.start()
    yield server
    server.kill()


@pytest.fixture
def with_password(tmp_path: Path) -> Iterator[ValkeyServer]:
    """A running server with a password that needs quoting in a URL."""
    server = ValkeyServer(tmp_path, password="ge/h@im")
    server.start()
    yield server
    server.kill()


async def test_presence_reaches_the_other_nodes_and_so_does_a_leave(server: ValkeyServer) -> None:
    first, second = (bus(node, valkey_channel(server.url, NAME)) for node in "ab")
    await presence_passes(first, second)


async def test_hints_reach_the_other_nodes(server: ValkeyServer) -> None:
    first, second = (bus(node, valkey_channel(server.url, NAME)) for node in "ab")
    async with running(first, second):
        first.publish(1, EPOCH, 5)
        await until_hint(second, Hint(1, EPOCH, 5))
        second.publish(1, EPOCH, 6)
        await until_hint(first, Hint(1, EPOCH, 6))
        await until(first, lambda statistics: statistics.lag is not None)


async def test_hints_of_many_retreats_arrive(server: ValkeyServer) -> None:
    first, second = (bus(node, valkey_channel(server.url, NAME)) for node in "ab")
    async with running(first, second):
        for retreat in range(2_000):
            first.publish(retreat, "0123456789abcdef", 5)
        got: set[int] = set()
        while len(got) < 2_000:
            got |= {hint.retreat_id for hint in (await received(second)).latest}


async def test_another_database_does_not_hear_of_them(server: ValkeyServer) -> None:
    first, second = (bus(node, valkey_channel(server.url, NAME)) for node in "ab")
    other = bus("c", valkey_channel(server.url, "gbs_actor:other"))
    async with running(first, second, other):
        first.publish(1, EPOCH, 5)
        await until_hint(second, Hint(1, EPOCH, 5))
        await until(other, lambda statistics: statistics.own > 1)
        assert other.statistics().received == 0


async def test_a_killed_server(server: ValkeyServer) -> None:
    first, second = (bus(node, valkey_channel(server.url, NAME)) for node in "ab")
    async with running(first, second):
        server.kill()
        await until(first, disconnected)
        await until(second, disconnected)
        first.publish(1, EPOCH, 5)
        server.start()
        await until_back(first, second)
        first.publish(1, EPOCH, 6)
        await until_hint(second, Hint(1, EPOCH, 6))


async def test_the_end_of_a_connection_is_noticed_at_once(server: ValkeyServer) -> None:
    subscribe = valkey_channel(server.url, NAME)
    lost: list[ChannelLost] = []
    with trio.fail_after(PATIENCE):
        try:
            async with subscribe(lambda _data: None, trio.current_time() + 10) as channel:
                server.kill()
                await channel.receive()
        except* ChannelLost as errors:
            lost += [error for error in errors.exceptions if isinstance(error, ChannelLost)]
    assert [str(error) for error in lost] == ["the connection was closed"]


async def test_a_frozen_server_holds_nobody(server: ValkeyServer) -> None:
    first, second = (bus(node, valkey_channel(server.url, NAME)) for node in "ab")
    async with running(first, second):
        with server.frozen():
            first.publish(1, EPOCH, 5)
            await until(first, disconnected)
            await until(second, disconnected)
            first.publish(1, EPOCH, 6)
        await until_back(first, second)
        first.publish(1, EPOCH, 7)
        await until_hint(second, Hint(1, EPOCH, 7))


async def test_a_half_open_connection_is_noticed(server: ValkeyServer) -> None:
    first = bus("a", valkey_channel(server.url, NAME))
    async with wire(server.path) as (line, port):
        second = bus("b", valkey_channel(f"redis://127.0.0.1:{port}/0", NAME))
        async with running(first, second):
            line.swallows = True
            await until(second, disconnected)
            second.publish(2, EPOCH, 7)
            line.swallows = False
            await until_hint(first, Hint(2, EPOCH, 7))
            await until_gap(second)


async def test_a_connection_that_the_server_ends_is_made_again(server: ValkeyServer) -> None:
    first, second = (bus(node, valkey_channel(server.url, NAME)) for node in "ab")
    async with running(first, second):
        server.command("CLIENT", "KILL", "TYPE", "pubsub")
        for each in (first, second):
            await until(each, lambda statistics: statistics.failures > 0)
        await until_back(first, second)
        first.publish(1, EPOCH, 6)
        await until_hint(second, Hint(1, EPOCH, 6))


async def test_a_flood_does_not_pile_up(server: ValkeyServer) -> None:
    """coredis's queue is without a bound, and gives out one message at each step of the loop."""
    number = 50_000
    piled_up = seen = 0
    with trio.fail_after(60):
        done = trio.Event()

        def receive(_data: bytes) -> None:
            nonlocal piled_up, seen
            assert isinstance(channel, _ValkeyChannel)
            statistics = channel._connection._push_message_buffer_out.statistics()
            piled_up = max(piled_up, statistics.current_buffer_used)
            seen += 1
            if seen == number:
                done.set()

        subscribe = valkey_channel(server.url, NAME)
        async with subscribe(receive, trio.current_time() + 10) as channel:
            flood = resp("PUBLISH", NAME, "x") * number
            await trio.to_thread.run_sync(partial(server.send, flood, 4 * number))
            await done.wait()
    assert piled_up < number / 10


class TestCredentials:
    async def test_a_password_in_the_url(self, with_password: ValkeyServer) -> None:
        async with wire(with_password.path) as (_, port):
            url = f"valkey://:ge%2Fh%40im@127.0.0.1:{port}"
            only = bus("a", valkey_channel(url, NAME))
            async with running(only):
                await until(only, lambda statistics: statistics.own > 0)

    @pytest.mark.parametrize("given", ["", ":wrong-one@"])
    async def test_a_wrong_one_is_reported_without_it(
        self, with_password: ValkeyServer, given: str, capfd: pytest.CaptureFixture[str]
    ) -> None:
        async with wire(with_password.path) as (_, port):
            url = f"valkey://{given}127.0.0.1:{port}"
            only = bus("a", valkey_channel(url, NAME))
            async with trio.open_nursery() as nursery:
                await nursery.start(only.run)
                error = only.statistics().last_error
                nursery.cancel_scope.cancel()
        assert error is not None
        assert "authenticate" in error or "invalid username-password" in error
        assert "wrong-one" not in error + "".join(capfd.readouterr())

    async def test_a_user_that_may_not_use_the_channel_learns_why(
        self, server: ValkeyServer
    ) -> None:
        server.command("ACL", "SETUSER", "me", "on", ">pw", "+@all", "resetchannels")
        async with wire(server.path) as (_, port):
            only = bus("a", valkey_channel(f"valkey://me:pw@127.0.0.1:{port}", NAME))
            async with trio.open_nursery() as nursery:
                await nursery.start(only.run)
                error = only.statistics().last_error
                nursery.cancel_scope.cancel()
        assert error is not None
        assert "channel" in error


async def test_no_server_is_reported(tmp_path: Path) -> None:
    only = bus("a", valkey_channel(f"unix://{tmp_path}/nowhere", NAME))
    async with trio.open_nursery() as nursery:
        await nursery.start(only.run)
        assert only.statistics().last_error == "[Errno 2] No such file or directory"
        nursery.cancel_scope.cancel()


class TestTLS:
    @pytest.fixture
    def context(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
        """That of a server whose certificate for localhost is trusted."""
        authority = Authority()
        issued = authority.issue(tmp_path)
        (tmp_path / "authority.pem").write_text(authority.pem)
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(issued.certificate, issued.key)
        return context

    @pytest.fixture
    async def port(self, server: ValkeyServer, context: ssl.SSLContext) -> AsyncIterator[int]:
        """Where the server is reached by TLS."""
        line = Wire(server.path)

        async def serve(client: trio.SocketStream) -> None:
            await line.serve(trio.SSLStream(client, context, server_side=True))

        async with listening(serve) as port:
            yield port

    async def test_the_connection_is_encrypted(self, port: int) -> None:
        only = bus("a", valkey_channel(f"valkeys://localhost:{port}", NAME))
        async with running(only):
            await until(only, lambda statistics: statistics.own > 0)

    async def test_the_name_in_the_certificate_is_verified(self, port: int) -> None:
        """Another spelling of 127.0.0.1, which the certificate does not have."""
        assert "not valid for '127.1'" in await self.refused(f"rediss://127.1:{port}")

    async def test_the_authority_is_verified(
        self, port: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("SSL_CERT_FILE")
        assert "unable to get local issuer" in await self.refused(f"rediss://localhost:{port}")

    async def refused(self, url: str) -> str:
        """Return why a connection is not made."""
        only = bus("a", valkey_channel(url, NAME))
        async with trio.open_nursery() as nursery:
            await nursery.start(only.run)
            nursery.cancel_scope.cancel()
        statistics = only.statistics()
        assert statistics.failures == 1
        return str(statistics.last_error)
