"""/admin at an address of its own."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import trio
from pydantic import SecretStr

from gbs_actor.auth import Role
from gbs_actor.concurrency import first_exception
from gbs_actor.server import serve_on
from gbs_actor.server.descriptors import ADMIN_CONNECTIONS, fit_to_descriptors
from gbs_actor.server.hosted import HostedServer
from gbs_actor.settings import AdminSettings, Settings, StoreSettings
from gbs_actor.startup import explain
from tests.certificates import Authority
from tests.gateway.serving import SLUG
from tests.server.running import (
    Running,
    answer,
    everything,
    running,
    secured,
    settings,
    small_store,
    token,
)
from tests.server.test_serving import HEALTH

OPERATOR = {"Authorization": f"Bearer {token(Role.ADMIN_MINISTER)}"}
LOG = "gbs_actor.server.admin_front"


def with_admin(base: Settings | None = None, listen: str = "127.0.0.1:0") -> Settings:
    update = {"admin": AdminSettings(admin_listen=listen)}
    return (base or settings()).model_copy(update=update)


@dataclass
class TwoAddresses:
    public: Running
    host: str
    port: int

    def admin(self, path: str, scheme: str = "http") -> str:
        return f"{scheme}://{self.host}:{self.port}{path}"


def logged_address(caplog: pytest.LogCaptureFixture) -> tuple[str, int]:
    """Return the address that the log names."""
    (record,) = (each for each in caplog.records if each.name == LOG)
    assert isinstance(record.args, tuple)
    host, port = record.args
    assert isinstance(host, str)
    assert isinstance(port, int)
    return host, port


@asynccontextmanager
async def two_addresses(
    caplog: pytest.LogCaptureFixture, using: Settings | None = None
) -> AsyncIterator[TwoAddresses]:
    with caplog.at_level(logging.INFO, LOG):
        async with running(using=using or with_admin()) as public:
            yield TwoAddresses(public, *logged_address(caplog))


async def test_admin_is_there_and_nowhere_else(caplog: pytest.LogCaptureFixture) -> None:
    async with two_addresses(caplog) as server, httpx.AsyncClient(headers=OPERATOR) as http:
        for path in ("/admin/rooms", "/admin/system", "/admin/task-tree", "/admin/session"):
            assert (await http.get(server.admin(path))).status_code == 200
            elsewhere = await http.get(server.public.url + path)
            assert (elsewhere.status_code, elsewhere.json()["code"]) == (404, "NOT_FOUND")
        lineups = f"/api/v1/retreat/{SLUG}/line-up/user-lineups"
        for path in ("/", "/healthz", "/docs", "/openapi.json", lineups):
            assert (await http.get(server.public.url + path)).status_code == 200
            assert (await http.get(server.admin(path))).status_code == 404


async def test_it_shows_the_same_server(caplog: pytest.LogCaptureFixture) -> None:
    async with (
        two_addresses(caplog) as server,
        server.public.connect() as peer,
        httpx.AsyncClient(headers=OPERATOR) as http,
    ):
        await peer.call("join-retreat", SLUG)
        room = (await http.get(server.admin(f"/admin/rooms/{SLUG}"))).json()
        assert [each["userId"] for each in room["subscribers"]] == [7]
        system = (await http.get(server.admin("/admin/system"))).json()
        assert system["sockets"]["connections"] == 1
        assert system["sockets"]["plane"]["connections"] == 1
        assert system["frontDoor"]["connections"] == 1
        assert system["loopLag"]["count"] >= 0
        limits = {each["name"]: each["used"] for each in system["limits"]}
        assert limits["max_connections"] == 1


async def test_a_full_first_address_does_not_close_the_second(
    caplog: pytest.LogCaptureFixture,
) -> None:
    base = settings()
    narrow = base.model_copy(
        update={
            "socketio": base.socketio.model_copy(update={"max_connections": 1}),
            "http": base.http.model_copy(update={"http_connections": 1}),
        }
    )
    async with (
        two_addresses(caplog, with_admin(narrow)) as server,
        server.public.connect(),
        await server.public.stream() as idle,
        httpx.AsyncClient(headers=OPERATOR) as http,
    ):
        assert (await answer(idle, HEALTH)).startswith(b"HTTP/1.1 200")
        assert (await http.get(server.public.url + "/healthz")).status_code == 503
        assert (await http.get(server.admin("/admin/system"))).status_code == 200


def test_its_connections_have_descriptors_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    def connections(using: Settings) -> int:
        fitted = fit_to_descriptors(using)
        return fitted.socketio.max_connections + fitted.http.http_connections

    monkeypatch.setattr("gbs_actor.server.descriptors._raised_limit", lambda: 1_000)
    assert connections(settings()) - connections(with_admin()) == ADMIN_CONNECTIONS


async def test_no_websocket_is_served_there(caplog: pytest.LogCaptureFixture) -> None:
    upgrade = (
        b"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\n"
        b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    async with (
        two_addresses(caplog) as server,
        await trio.open_tcp_stream(server.host, server.port) as stream,
    ):
        await stream.send_all(upgrade)
        assert (await everything(stream)).startswith(b"HTTP/1.1 404 ")


async def test_it_speaks_tls_where_the_server_does(
    caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    authority = Authority()
    async with (
        two_addresses(caplog, with_admin(secured(authority.issue(tmp_path)))) as server,
        httpx.AsyncClient(headers=OPERATOR, verify=authority.client_context()) as http,
    ):
        begun = await http.post(server.admin("/admin/session", "https"))
        assert begun.status_code == 200
        assert "Secure" in begun.headers["Set-Cookie"]


async def test_an_address_in_use_stops_the_start_with_one_sentence() -> None:
    async with running() as other:
        taken = f"{other.address.host}:{other.address.port}"
        with pytest.raises(ExceptionGroup) as refused:
            await serve_on(await small_store(), with_admin(listen=taken))
    assert explain(first_exception(refused.value)) == f"{taken}: Address already in use"


async def test_a_shutdown_answers_what_has_arrived_there(caplog: pytest.LogCaptureFixture) -> None:
    async with two_addresses(caplog) as server:
        async with await trio.open_tcp_stream(server.host, server.port) as stream:
            await stream.send_all(b"GET /admin/system HTTP/1.1\r\nHost: h\r\n\r\n")
            server.public.scope.cancel()
            received = await everything(stream)
        assert received.startswith(b"HTTP/1.1 401 ")
        with trio.fail_after(10):
            await server.public.ended.wait()
        with pytest.raises(OSError, match="all attempts to connect"):
            await trio.open_tcp_stream(server.host, server.port)


async def test_under_another_asgi_server_it_listens_itself(
    caplog: pytest.LogCaptureFixture, database_url: str
) -> None:
    using = with_admin().model_copy(
        update={"store": StoreSettings(database_url=SecretStr(database_url))}
    )
    hosted = HostedServer(lambda: using)
    transport = httpx.ASGITransport(hosted)
    with caplog.at_level(logging.INFO, LOG):
        async with (
            hosted.running(),
            httpx.AsyncClient(transport=transport, base_url="http://server.test") as public,
            httpx.AsyncClient(headers=OPERATOR) as http,
        ):
            host, port = logged_address(caplog)
            system = (await http.get(f"http://{host}:{port}/admin/system")).json()
            assert system["frontDoor"] is None
            assert (await public.get("/admin/system", headers=OPERATOR)).status_code == 404
