"""Upgrades under stock Hypercorn whose polls and WebSocket go over different HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Literal

import httpx
import pytest
import trio
from trio_websocket import WebSocketConnection, connect_websocket_url

from tests.certificates import Authority
from tests.e2e.server_process import ServerProcess, running_server, token
from tests.hosted.http2_websocket import Http2WebSocket, http2_websocket
from tests.mixed.peers import PATIENCE
from tests.mixed.socketio_peer import PATH, SocketIOPeer
from tests.mixed.test_all_clients import Editor, check_log, check_views, upgrade_in_the_middle

EDITS = 200
"""By each client."""

Http = Literal["HTTP/1.1", "HTTP/2"]
ORDERS: tuple[tuple[Http, Http], ...] = (
    ("HTTP/2", "HTTP/1.1"),
    ("HTTP/1.1", "HTTP/2"),
    ("HTTP/2", "HTTP/2"),
    ("HTTP/1.1", "HTTP/1.1"),
)
"""What carries the polls, and what the WebSocket after them."""


@dataclass
class Secured:
    """A server that speaks both, and who vouches for it."""

    server: ServerProcess
    authority: Authority


@pytest.fixture
def secured(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Secured]:
    folder = tmp_path_factory.mktemp("tls")
    authority = Authority()
    (folder / "authority.pem").write_text(authority.pem)
    monkeypatch.setenv("SSL_CERT_FILE", str(folder / "authority.pem"))
    issued = authority.issue(folder)
    environment = {"GBS_EVENT_RATE": "100000", "GBS_USER_RATE": "100000"}
    options = ("--certfile", str(issued.certificate), "--keyfile", str(issued.key))
    with running_server(environment=environment, hosted=True, options=options) as server:
        yield Secured(server, authority)


class Upgrading(SocketIOPeer):
    """A client that says over which HTTP its WebSocket goes."""

    def __init__(
        self,
        tasks: trio.Nursery,
        secured: Secured,
        http: httpx.AsyncClient,
        sockets: AsyncExitStack,
        after: Http,
    ) -> None:
        super().__init__(tasks, secured.server, http)
        self._secured = secured
        self._sockets = sockets
        self._after = after

    async def _dial(self, query: str) -> WebSocketConnection | Http2WebSocket:
        server, authority = self._secured.server, self._secured.authority
        target = f"{PATH}websocket{query}"
        if self._after == "HTTP/2":
            context = authority.client_context(["h2"])
            return await self._sockets.enter_async_context(http2_websocket(server, target, context))
        return await connect_websocket_url(
            self._tasks,
            f"wss://{server.host}:{server.port}{target}",
            ssl_context=authority.client_context(),
        )


@asynccontextmanager
async def polling_over(secured: Secured, http: Http) -> AsyncIterator[httpx.AsyncClient]:
    """A client for polls over one version of HTTP, and no other."""
    over2 = http == "HTTP/2"
    async with httpx.AsyncClient(
        base_url=secured.server.url,
        verify=secured.authority.client_context(),
        http1=not over2,
        http2=over2,
        timeout=PATIENCE,
        limits=httpx.Limits(max_connections=None),
    ) as client:
        assert (await client.get("/healthz")).http_version == http
        yield client


async def test_edits_in_the_middle_of_them_are_neither_lost_nor_doubled(secured: Secured) -> None:
    async with (
        AsyncExitStack() as sockets,
        polling_over(secured, "HTTP/1.1") as http1,
        polling_over(secured, "HTTP/2") as http2,
        trio.open_nursery() as tasks,
    ):
        polls = {"HTTP/1.1": http1, "HTTP/2": http2}
        peers = [
            Upgrading(tasks, secured, polls[before], sockets, after) for before, after in ORDERS
        ]
        for user, peer in enumerate(peers, 101):
            await peer.open(token(user), "polling")
        rows = peers[0].view.rows.values()
        people = [row["id"] for row in rows if not row["isLeader"]]
        free = [row["id"] for row in rows if row["lineupMemoId"] is None]
        editors = [
            Editor(peer, seed, people, free[seed :: len(peers)]) for seed, peer in enumerate(peers)
        ]
        async with trio.open_nursery() as nursery:
            for editor, peer in zip(editors, peers, strict=True):
                nursery.start_soon(editor.work, EDITS)
                nursery.start_soon(upgrade_in_the_middle, editor, peer, EDITS)

        await check_log(secured.server, editors, len(peers) * EDITS)
        await check_views(secured.server, peers)
        assert all(peer.ways["polling"] and peer.ways["websocket"] for peer in peers)
        tasks.cancel_scope.cancel()
