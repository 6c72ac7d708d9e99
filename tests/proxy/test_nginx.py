"""The shipped nginx configuration in front of real servers."""

from __future__ import annotations

import json
import os
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio

from gbs_actor.gateway.http import with_remote_endpoint
from gbs_actor.gateway.http.cors import cors_policy
from gbs_actor.server.hypercorn import HttpServer
from gbs_actor.settings import Settings
from gbs_actor.socketio import EngineApp, FrontDoor, SocketServer, TrustedProxies
from tests.certificates import Authority, IssuedCertificate
from tests.e2e.drivers import Driver
from tests.e2e.server_process import RETREAT, ServerProcess, running_server
from tests.e2e.server_process import token as process_token
from tests.e2e.stock_client import stock_client
from tests.gateway.peer import Peer, talking
from tests.gateway.serving import SLUG
from tests.proxy.nginx import (
    CONFIG,
    HOST,
    NGINX,
    NODES_CONFIG,
    PATIENCE,
    NginxProcess,
    placed,
    proxy,
    refusing_port,
    with_tls,
)
from tests.server.running import Running, answer, everything, running, settings, token
from tests.server.test_serving import BEARER, EDIT, LINEUPS

CLIENT = "127.0.0.77"
"""The client's address; nginx, the proxy, has another one."""


async def stream_to(nginx: NginxProcess, tls: ssl.SSLContext | None = None) -> trio.abc.Stream:
    port = nginx.port if tls is None else nginx.tls_port
    stream = await trio.open_tcp_stream(HOST, port, local_address=CLIENT)
    if tls is None:
        return stream
    return trio.SSLStream(stream, tls, server_hostname=HOST, https_compatible=True)


# What the server learns


@dataclass
class Mirror:
    """A server whose app responds with the request that it has seen."""

    door: FrontDoor
    sockets: SocketServer
    port: int


@asynccontextmanager
async def mirror(*trusted: str) -> AsyncIterator[Mirror]:
    sockets = SocketServer(trusted_proxies=trusted)
    sockets.namespace("/gbs-lineup")
    app = EngineApp(sockets, with_remote_endpoint(_echo_request, TrustedProxies(trusted)))
    http = HttpServer(app, head_limit=16_384, max_payload=1_000_000, http_idle_timeout=75)
    door = FrontDoor({"/socket.io/": sockets.serve_websocket}, http.serve)
    listeners = await trio.open_tcp_listeners(0, host=HOST)
    async with sockets.serving(), trio.open_nursery() as nursery:
        await nursery.start(door.serve, listeners)
        yield Mirror(door, sockets, listeners[0].socket.getsockname()[1])
        nursery.cancel_scope.cancel()


async def _echo_request(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        raise NotImplementedError  # as ASGI has it for an app without one
    headers = [(name.decode(), value.decode()) for name, value in scope["headers"]]
    while (await receive()).get("more_body"):
        pass  # an answer before the body has come would end the connection under nginx
    seen = {"client": scope["client"][0], "scheme": scope["scheme"], "headers": headers}
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": json.dumps(seen).encode()})


async def request_seen(
    stream: trio.abc.Stream, *, headers: Sequence[str] = (), host: str = "gbs.example:8443"
) -> dict[str, Any]:
    lines = ["GET /what HTTP/1.1", f"Host: {host}", "Connection: close", *headers, "", ""]
    await stream.send_all("\r\n".join(lines).encode())
    received = b""
    with trio.fail_after(PATIENCE):
        while data := await stream.receive_some():
            received += data
    seen: dict[str, Any] = json.loads(received[received.index(b"{") : received.rindex(b"}") + 1])
    seen["headers"] = dict(seen["headers"])
    return seen


async def test_the_clients_address_scheme_and_host_come_through() -> None:
    async with mirror(HOST) as server, proxy(server.port) as nginx:
        seen = await request_seen(await stream_to(nginx))
    assert (seen["client"], seen["scheme"]) == (CLIENT, "http")
    assert seen["headers"]["host"] == "gbs.example:8443"


async def test_where_nginx_ends_tls_the_scheme_is_https(
    authority: Authority, certificate: IssuedCertificate
) -> None:
    async with mirror(HOST) as server, proxy(server.port, certificate=certificate) as nginx:
        seen = await request_seen(await stream_to(nginx, authority.client_context()))
    assert (seen["client"], seen["scheme"]) == (CLIENT, "https")


async def test_what_a_client_claims_of_itself_is_not_believed() -> None:
    claims = [
        "X-Forwarded-For: 6.6.6.6",
        "X-Forwarded-Proto: https",
        "X-Forwarded-Host: elsewhere.example",
    ]
    async with mirror(HOST) as server, proxy(server.port) as nginx:
        seen = await request_seen(await stream_to(nginx), headers=claims)
        assert (seen["client"], seen["scheme"]) == (CLIENT, "http")
        assert seen["headers"]["host"] == "gbs.example:8443"
        past_nginx = await trio.open_tcp_stream(HOST, server.port, local_address=CLIENT)
        seen = await request_seen(past_nginx, headers=claims)
        assert (seen["client"], seen["scheme"]) == (CLIENT, "http")


async def test_a_proxy_that_is_not_trusted_is_the_client() -> None:
    async with mirror() as server, proxy(server.port) as nginx:
        seen = await request_seen(await stream_to(nginx))
    assert (seen["client"], seen["scheme"]) == (HOST, "http")


async def test_a_sockets_handshake_tells_of_the_client(
    authority: Authority, certificate: IssuedCertificate
) -> None:
    async with (
        mirror(HOST) as server,
        proxy(server.port, certificate=certificate) as nginx,
        talking(await stream_to(nginx, authority.client_context())),
    ):
        (socket,) = server.sockets.namespace("/gbs-lineup").sockets
        assert socket.handshake.remote_address == CLIENT
        assert socket.handshake.secure


# How requests get there


async def test_requests_share_connections_and_an_upgrade_gets_a_fresh_one() -> None:
    async with mirror(HOST) as server, proxy(server.port) as nginx:
        async with httpx.AsyncClient() as http:
            for _ in range(20):
                assert (await http.get(f"{nginx.url}/what")).status_code == 200
        kept = server.door.statistics().accepted
        assert kept <= 2  # one for each worker
        async with talking(await stream_to(nginx)):
            statistics = server.door.statistics()
            assert statistics.accepted == kept + 1
            # It came to the handler for streams of our own, and is none of HTTP's.
            assert statistics.http_connections == kept
            assert statistics.connections == kept + 1


async def test_no_other_upgrade_is_passed_on() -> None:
    upgrade = ["Upgrade: h2c", "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA"]
    async with mirror(HOST) as server, proxy(server.port) as nginx:
        seen = await request_seen(await stream_to(nginx), headers=upgrade)
    assert "upgrade" not in seen["headers"]
    assert "connection" not in seen["headers"]


async def test_a_body_beyond_the_servers_limit_is_refused() -> None:
    async with mirror(HOST) as server, proxy(server.port) as nginx, httpx.AsyncClient() as http:
        path = f"{nginx.url}/what"
        assert (await http.post(path, content=bytes(1_000_000))).status_code == 200
        assert (await http.post(path, content=bytes(1_000_001))).status_code == 413


async def test_a_spreadsheet_may_be_larger() -> None:
    async with mirror(HOST) as server, proxy(server.port) as nginx, httpx.AsyncClient() as http:
        path = f"{nginx.url}/api/v1/retreat/{SLUG}/line-up/imports"
        assert (await http.post(path, content=bytes(5_308_416))).status_code == 200
        assert (await http.post(path, content=bytes(5_308_417))).status_code == 413
        assert (await http.post(f"{path}elsewhere", content=bytes(1_000_001))).status_code == 413


async def test_without_a_server_reads_may_be_tried_again_and_writes_are_unknown() -> None:
    async with without_a_server() as http:
        read = await http.get("/anything")
        write = await http.put("/anything", json={})
        poll = await http.get("/socket.io/", params={"EIO": "4", "transport": "polling"})
    assert (read.status_code, read.json()["code"]) == (503, "ROOM_UNAVAILABLE")
    assert (write.status_code, write.json()["code"]) == (504, "OUTCOME_UNKNOWN")
    assert poll.status_code == 503
    for each in (read, write, poll):
        assert each.headers["Retry-After"] == "2"
        assert each.headers["Content-Type"] == "application/json"


async def test_the_servers_own_errors_come_through() -> None:
    async with lineup() as (_, nginx), httpx.AsyncClient() as http:
        refused = await http.get(nginx.url + LINEUPS)
        missing = await http.get(f"{nginx.url}/nothing")
    assert (refused.status_code, refused.json()["code"]) == (401, "AUTH_REQUIRED")
    assert (missing.status_code, missing.json()["code"]) == (404, "NOT_FOUND")


async def test_where_nginx_itself_fails_a_write_is_unknown_too() -> None:
    async with mirror(HOST) as server, proxy(server.port) as nginx, httpx.AsyncClient() as http:
        shutil.rmtree(nginx.folder / "client_body")  # where larger bodies wait for their end
        write = await http.put(f"{nginx.url}/what", content=bytes(100_000))
    assert (write.status_code, write.json()["code"]) == (504, "OUTCOME_UNKNOWN")


# What pages of other origins can read

PAGE = "https://page.example.org"
"""The origin of a page that is allowed."""
FOREIGN = "https://evil.example"
"""That of one that is not."""
HUGE = bytes(1_000_001)
PREFLIGHT = {"Access-Control-Request-Method": "PUT"}

OwnAnswer = tuple[str, dict[str, Any], int]
"""Method, what else the request has, and the status of nginx's own answer."""

OWN_ANSWERS = [
    pytest.param(("GET", {}, 503), id="a read without a server"),
    pytest.param(("PUT", {"json": {}}, 504), id="a write without a server"),
    pytest.param(("OPTIONS", {}, 503), id="a question without a server"),
    pytest.param(("POST", {"content": HUGE}, 413), id="a body that is too large"),
    pytest.param(("GET", {"headers": {"X": 9_000 * "x"}}, 431), id="a head that is too large"),
]


def cors_fields(response: httpx.Response) -> list[tuple[str, str]]:
    """Return what an answer says to pages of other origins, repetitions included."""
    return sorted(
        (name, value)
        for name, value in response.headers.multi_items()
        if name == "vary" or name.startswith("access-control-")
    )


def lower(fields: list[tuple[str, str]]) -> list[tuple[str, str]]:
    return sorted((name.lower(), value) for name, value in fields)


@asynccontextmanager
async def without_a_server(*allowed_origins: str) -> AsyncIterator[httpx.AsyncClient]:
    """Clients of an nginx that knows these pages, and whose server is down."""
    with refusing_port() as gone:
        async with (
            proxy(gone, allowed_origins=allowed_origins) as nginx,
            httpx.AsyncClient(base_url=nginx.url) as http,
        ):
            yield http


@pytest.mark.parametrize("own", OWN_ANSWERS)
async def test_a_page_that_is_allowed_can_read_what_nginx_itself_answers(own: OwnAnswer) -> None:
    method, request, status = own
    async with without_a_server(PAGE) as http:
        http.headers["Origin"] = PAGE
        response = await http.request(method, "/any", **request)
    assert response.status_code == status
    assert response.json()["code"]
    assert cors_fields(response) == lower(cors_policy(frozenset({PAGE})).response_fields([PAGE]))


@pytest.mark.parametrize("own", OWN_ANSWERS)
@pytest.mark.parametrize("headers", [{"Origin": FOREIGN}, {"Origin": "null"}, {}])
async def test_no_other_page_can_read_what_nginx_itself_answers(
    own: OwnAnswer, headers: dict[str, str]
) -> None:
    method, request, status = own
    async with without_a_server(PAGE) as http:
        http.headers.update(headers)
        response = await http.request(method, "/any", **request)
    assert response.status_code == status
    assert cors_fields(response) == [("vary", "Origin")]


async def test_without_a_server_a_page_is_let_ask_and_told_then() -> None:
    async with without_a_server(PAGE) as http:
        yes = await http.options("/any", headers={**PREFLIGHT, "Origin": PAGE})
        no = await http.options("/any", headers={**PREFLIGHT, "Origin": FOREIGN})
    assert (yes.status_code, yes.content) == (204, b"")
    of_the_server = lower(cors_policy(frozenset({PAGE})).preflight_fields([PAGE]))
    # Not how long that holds, so that the server is asked as soon as it is back; and what can
    # be read of an answer's fields stands in the answer.
    left_out = {"access-control-max-age", "access-control-expose-headers"}
    assert cors_fields(yes) == [field for field in of_the_server if field[0] not in left_out]
    assert "retry-after" not in yes.headers
    assert (no.status_code, cors_fields(no)) == (503, [("vary", "Origin")])


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("GET", LINEUPS, BEARER, 200),
        ("GET", LINEUPS, {}, 401),
        ("GET", "/nothing", {}, 404),
        ("OPTIONS", LINEUPS, PREFLIGHT, 204),
        ("GET", "/socket.io/?EIO=4&transport=polling", {}, 200),
        ("GET", "/socket.io/?EIO=3&transport=polling", {}, 400),
        ("OPTIONS", "/socket.io/?EIO=4&transport=polling", PREFLIGHT, 204),
    ],
)
@pytest.mark.parametrize("origin", [PAGE, FOREIGN])
async def test_of_the_servers_answers_nginx_changes_nothing_that_pages_go_by(
    method: str, path: str, headers: dict[str, str], status: int, origin: str
) -> None:
    headers = {**headers, "Origin": origin}
    async with (
        lineup(allowed_origins=(PAGE,)) as (server, nginx),
        httpx.AsyncClient(headers=headers) as http,
    ):
        passed_on = await http.request(method, nginx.url + path)
        seen = await http.request(method, server.url + path)
    assert passed_on.status_code == seen.status_code == status
    assert cors_fields(passed_on) == cors_fields(seen)
    names = [name for name, _ in cors_fields(passed_on)]
    assert len(names) == len(set(names))
    assert ("access-control-allow-origin" in names) == (origin == PAGE)


@pytest.mark.parametrize(
    ("content", "headers"),
    [
        pytest.param(HUGE, {"Content-Type": "application/json"}, id="body"),
        pytest.param(b"", {"X": 20_000 * "x"}, id="head"),
    ],
)
async def test_what_is_too_large_is_refused_in_the_servers_words(
    content: bytes, headers: dict[str, str]
) -> None:
    async with lineup() as (server, nginx), httpx.AsyncClient(headers=BEARER) as http:
        request = partial(http.put, content=content, headers=headers)
        seen = await request(f"{server.url}{LINEUPS}/1")
        by_nginx = await request(f"{nginx.url}{LINEUPS}/1")
    assert seen.status_code in {413, 431}
    assert (by_nginx.status_code, by_nginx.json()) == (seen.status_code, seen.json())


# The line-up through it


def behind_nginx(allowed_origins: tuple[str, ...]) -> Settings:
    http = settings().http.model_copy(
        update={"trusted_proxies": (HOST,), "allowed_origins": allowed_origins}
    )
    return settings().model_copy(update={"http": http})


@asynccontextmanager
async def joined(stream: trio.abc.Stream) -> AsyncIterator[Peer]:
    async with talking(stream, auth={"token": token()}) as peer:
        assert (await peer.call("join-retreat", SLUG))["status"] == "OK"
        yield peer


@asynccontextmanager
async def lineup(
    certificate: IssuedCertificate | None = None,
    allowed_origins: tuple[str, ...] = (),
) -> AsyncIterator[tuple[Running, NginxProcess]]:
    async with (
        running(using=behind_nginx(allowed_origins)) as server,
        proxy(
            server.address.port, certificate=certificate, allowed_origins=allowed_origins
        ) as nginx,
    ):
        yield server, nginx


async def test_an_edit_through_nginx_is_seen_through_nginx_and_past_it() -> None:
    async with (
        lineup() as (server, nginx),
        joined(await stream_to(nginx)) as peer,
        joined(await server.stream()) as other,
        httpx.AsyncClient() as http,
    ):
        assert (await peer.call("update-gbs-number", EDIT))["status"] == "OK"
        for each in (peer, other):
            assert (await each.event("lineup-updated"))["gbsNumber"] == 3
        lineups = (await http.get(nginx.url + LINEUPS, headers=BEARER)).json()
        assert lineups["revision"] == 1


async def test_over_tls_the_same_works_and_http_2_too(
    authority: Authority, certificate: IssuedCertificate
) -> None:
    context = authority.client_context()
    async with lineup(certificate) as (_, nginx):
        async with joined(await stream_to(nginx, context)) as peer:
            assert (await peer.call("update-gbs-number", EDIT))["status"] == "OK"
        async with httpx.AsyncClient(http2=True, verify=authority.client_context()) as http:
            response = await http.get(nginx.url + LINEUPS, headers=BEARER)
            assert (response.status_code, response.http_version) == (200, "HTTP/2")
            plain = await http.get(f"http://{HOST}:{nginx.port}{LINEUPS}?since=1")
        assert plain.status_code == 308
        assert plain.headers["Location"] == f"https://{HOST}{LINEUPS}?since=1"


async def test_the_servers_own_page_needs_no_permission_behind_tls(
    authority: Authority, certificate: IssuedCertificate
) -> None:
    async with lineup(certificate) as (_, nginx):
        stream = await stream_to(nginx, authority.client_context())
        request = (
            "GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: gbs.example\r\n"
            "Cookie: accessToken=x\r\nOrigin: {}\r\n\r\n"
        )
        own = await answer(stream, request.format("https://gbs.example").encode())
        assert own.startswith(b"HTTP/1.1 200")
        for origin in ("https://evil.example", "http://gbs.example"):
            foreign = await answer(stream, request.format(origin).encode())
            assert foreign.startswith(b"HTTP/1.1 403")


async def test_who_ends_its_side_behind_a_request_gets_the_response() -> None:
    edit = b'{"gbsNumber":3}'
    head = f"HTTP/1.1\r\nHost: a\r\nAuthorization: {BEARER['Authorization']}\r\n"
    write = f"PUT {LINEUPS}/2 {head}Content-Length: {len(edit)}\r\n\r\n".encode() + edit
    read = f"GET {LINEUPS} {head}\r\n".encode()
    async with lineup() as (_, nginx):
        for request in (write, read):
            async with await stream_to(nginx) as stream:
                assert isinstance(stream, trio.SocketStream)
                await stream.send_all(request)
                await stream.send_eof()
                received = await everything(stream)
            assert received.startswith(b"HTTP/1.1 200 ")
            assert b'"revision":1' in received


async def test_a_poll_that_a_client_cancels_ends_its_session() -> None:
    path = "/socket.io/?EIO=4&transport=polling"
    async with lineup() as (_, nginx), httpx.AsyncClient(base_url=nginx.url) as http:
        sid = json.loads((await http.get(path)).text[1:])["sid"]
        poll = f"{path}&sid={sid}"
        with trio.fail_after(PATIENCE):
            while (await http.post(poll, content="3")).status_code != 400:
                async with await stream_to(nginx) as stream:
                    await stream.send_all(f"GET {poll} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
                    with trio.move_on_after(0.2):  # for the poll to reach the server
                        await stream.receive_some()


async def test_a_reload_ends_websockets_soon_and_new_ones_are_served() -> None:
    async with lineup() as (_, nginx), joined(await stream_to(nginx)) as peer:
        old = nginx.workers()
        await trio.to_thread.run_sync(nginx.reload)
        async with joined(await stream_to(nginx)) as other:
            with trio.fail_after(PATIENCE):  # worker_shutdown_timeout is 2 s
                await peer.closed.wait()
            await trio.to_thread.run_sync(nginx.wait_until_workers_are_gone, old)
            assert (await other.call("update-gbs-number", EDIT))["status"] == "OK"


@pytest.mark.parametrize("graceful", [True, False])
async def test_after_a_restart_it_serves_at_the_same_place(graceful: bool) -> None:
    async with lineup() as (_, nginx):
        url = nginx.url
        async with joined(await stream_to(nginx)) as peer:
            await trio.to_thread.run_sync(partial(nginx.restart, graceful=graceful))
            with trio.fail_after(PATIENCE):
                await peer.closed.wait()
        assert nginx.url == url
        async with joined(await stream_to(nginx)) as peer:
            assert (await peer.call("update-gbs-number", EDIT))["status"] == "OK"


@pytest.fixture(scope="module")
def process() -> Iterator[ServerProcess]:
    with running_server(environment={"GBS_TRUSTED_PROXIES": HOST}) as server:
        yield server


async def test_a_stock_client_joins_and_edits_through_it(
    process: ServerProcess, driver: Driver
) -> None:
    async with proxy(process.port) as nginx, stock_client(driver) as client:
        await client.connect(nginx.url, process_token())
        rows = (await client.ask("join-retreat", RETREAT))["data"]
        person = next(row["id"] for row in rows if not row["isLeader"])
        edit = {"lineupId": person, "gbsNumber": 31}
        assert (await client.ask("update-gbs-number", edit))["status"] == "OK"
        await client.event("lineup-updated", lambda row: row["id"] == person)
        assert len(nginx.requests()) == 0 or "?" not in nginx.requests()[0]


# The file itself


def accepts(config: Path) -> str:
    """Return what nginx finds wrong with a configuration, "" for nothing."""
    assert NGINX is not None
    command = [NGINX, "-t", "-q", "-c", str(config)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    return result.stderr if result.returncode or "[warn]" in result.stderr else ""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may use the paths and ports of a system")
@pytest.mark.parametrize("shipped", [CONFIG, NODES_CONFIG], ids=lambda file: file.name)
def test_the_file_as_it_is_shipped_is_right(
    tmp_path: Path, certificate: IssuedCertificate, shipped: Path
) -> None:
    assert accepts(shipped) == ""
    secure = tmp_path / "nginx.conf"
    here = "/etc/letsencrypt/live/gbs.example.org"
    secure.write_text(
        placed(
            with_tls(shipped.read_text()),
            {
                f"{here}/fullchain.pem": str(certificate.certificate),
                f"{here}/privkey.pem": str(certificate.key),
            },
        )
    )
    assert accepts(secure) == ""
