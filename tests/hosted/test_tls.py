"""TLS under stock Hypercorn, configured as the README says: HTTP/1.1 whatever clients offer."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx
import pytest
import trio
from trio_websocket import WebSocketConnection, connect_websocket_url

from tests.certificates import Authority
from tests.e2e.server_process import ServerProcess, running_server, token
from tests.mixed.peers import PATIENCE
from tests.mixed.socketio_peer import PATH, SocketIOPeer
from tests.mixed.test_all_clients import Editor, check_log, check_views, upgrade_in_the_middle

EDITS = 200
"""By each client."""
CLIENTS = 2


@dataclass
class Secured:
    """A server, and who vouches for it."""

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
    config = folder / "hypercorn.toml"
    config.write_text(
        'alpn_protocols = ["http/1.1"]\n'
        f'certfile = "{issued.certificate}"\nkeyfile = "{issued.key}"\n'
    )
    options = ("--config", str(config))
    with running_server(environment=environment, hosted=True, options=options) as server:
        yield Secured(server, authority)


class Upgrading(SocketIOPeer):
    """A client whose WebSocket goes over TLS, as its polls do."""

    def __init__(self, tasks: trio.Nursery, secured: Secured, http: httpx.AsyncClient) -> None:
        super().__init__(tasks, secured.server, http)
        self._secured = secured

    async def _dial(self, query: str) -> WebSocketConnection:
        server, authority = self._secured.server, self._secured.authority
        return await connect_websocket_url(
            self._tasks,
            f"wss://{server.host}:{server.port}{PATH}websocket{query}",
            ssl_context=authority.client_context(),
        )


@asynccontextmanager
async def polling(secured: Secured) -> AsyncIterator[httpx.AsyncClient]:
    """A client for polls that offers HTTP/2."""
    async with httpx.AsyncClient(
        base_url=secured.server.url,
        verify=secured.authority.client_context(),
        http2=True,
        timeout=PATIENCE,
        limits=httpx.Limits(max_connections=None),
    ) as client:
        assert (await client.get("/healthz")).http_version == "HTTP/1.1"
        yield client


async def test_edits_in_the_middle_of_upgrades_over_tls_are_neither_lost_nor_doubled(
    secured: Secured,
) -> None:
    async with polling(secured) as http, trio.open_nursery() as tasks:
        peers = [Upgrading(tasks, secured, http) for _ in range(CLIENTS)]
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
