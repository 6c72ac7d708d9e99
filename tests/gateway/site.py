"""The HTTP side over real rooms, and a client of it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any
from uuid import uuid4

import trio
from quart import Response
from quart.typing import TestClientProtocol as QuartClient
from quart_trio import QuartTrio
from werkzeug.datastructures import Headers

from gbs_actor.environment import SYSTEM
from gbs_actor.gateway.audit_trail import AuditTrail
from gbs_actor.gateway.client_metrics import ClientMetricsTotals
from gbs_actor.gateway.clients import Clients
from gbs_actor.gateway.closed_sessions import ClosedSessions
from gbs_actor.gateway.dispatch import Dispatch
from gbs_actor.gateway.http import Services, create_app
from gbs_actor.gateway.imports import Importer
from gbs_actor.gateway.plain import PlainServer
from gbs_actor.lineup.commands import AssignNumber, Author, Command
from gbs_actor.observability import (
    DURATION_BOUNDS,
    LogLevels,
    LoopProfiler,
    RecentHistogram,
)
from gbs_actor.observability.history import History, Sample
from gbs_actor.rooms.delivery import Accepted
from gbs_actor.settings import Settings
from gbs_actor.socketio import SocketServer
from gbs_actor.store.write_check import WriteCheck
from tests.gateway.composing import SLUG, Parts, composed

LINE_UP = f"/api/v1/retreat/{SLUG}/line-up"
LINEUPS = f"{LINE_UP}/user-lineups"


@dataclass
class Site:
    parts: Parts
    app: QuartTrio
    client: QuartClient
    services: Services
    store_failure: str | None = None
    draining: bool = False

    @property
    def closed_sessions(self) -> ClosedSessions:
        """What has ended and was refused."""
        return self.services.closed_sessions

    def bearer(self, **token: Any) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.parts.token(**token)}"}

    async def get(self, path: str, headers: dict[str, str] | None = None) -> Response:
        response = await self.client.get(path, headers=headers)
        assert isinstance(response, Response)
        return response

    async def send(
        self,
        method: str,
        path: str,
        content: Any = None,
        headers: dict[str, str] | Headers | None = None,
        *,
        token: dict[str, Any] | None = None,
        raw: bytes | None = None,
    ) -> Response:
        """Send JSON below the line-up as an editor, unless told otherwise.

        :param headers: an ``Authorization`` or a ``Cookie`` among them stands for the token.
        :param raw: a body that need not be JSON.
        """
        sent = Headers(headers)
        if "Authorization" not in sent and "Cookie" not in sent:
            sent.extend(self.bearer(**(token or {})))
        data = raw if raw is not None else b"" if content is None else json.dumps(content).encode()
        if data and "Content-Type" not in sent:
            sent["Content-Type"] = "application/json"
        ask = getattr(self.client, method.lower())
        response = await ask(
            path if path.startswith("/api") else LINE_UP + path, headers=sent, data=data
        )
        assert isinstance(response, Response)
        return response

    async def row(self, registration_id: int) -> dict[str, Any]:
        rows = (await self.rows())["userRetreatGbsLineups"]
        return next(row for row in rows if row["id"] == registration_id)

    async def rows(self, path: str = LINEUPS) -> dict[str, Any]:
        response = await self.get(path, self.bearer())
        assert response.status_code == 200
        return await body(response)

    async def assign(self, registration_id: int, number: int | None) -> Accepted:
        outcomes: list[object] = []
        answered = trio.Event()

        def reply(outcome: object) -> None:
            outcomes.append(outcome)
            answered.set()

        command = Command(AssignNumber(registration_id, number), Author(7, "김하늘", 7), uuid4())
        self.parts.rooms.submit_to(SLUG, command, reply)
        await answered.wait()
        assert isinstance(outcomes[0], Accepted)
        return outcomes[0]


class Exchange:
    """One request by hand, piece by piece, as an ASGI server hands it to the app."""

    def __init__(self) -> None:
        self.status: int | None = None
        self.headers: list[tuple[bytes, bytes]] = []
        self._to_app, self._incoming = trio.open_memory_channel[dict[str, Any]](10)

    async def body(self, data: bytes, *, more: bool = False) -> None:
        await self._to_app.send({"type": "http.request", "body": data, "more_body": more})

    async def disconnect(self) -> None:
        await self._to_app.send({"type": "http.disconnect"})

    async def receive(self) -> dict[str, Any]:
        return await self._incoming.receive()

    async def answer(self, event: dict[str, Any]) -> None:
        await trio.lowlevel.checkpoint()
        if event["type"] == "http.response.start":
            self.status = event["status"]
            self.headers = list(event["headers"])


@asynccontextmanager
async def exchange(
    app: QuartTrio,
    method: str,
    path: str,
    headers: dict[str, str],
    query: str = "",
    *,
    asking: Exchange | None = None,
) -> AsyncIterator[Exchange]:
    """Begin a request; at the end of the block, wait until the app is done with it."""
    asking = asking or Exchange()
    scope: dict[str, Any] = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.1"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(k.lower().encode(), v.encode()) for k, v in headers.items()],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
        "extensions": {},
        "state": {},
    }
    async with trio.open_nursery() as nursery:
        call: Any = app
        nursery.start_soon(call, scope, asking.receive, asking.answer)
        yield asking


async def body(response: Response) -> dict[str, Any]:
    value = json.loads(await response.get_data())
    assert isinstance(value, dict)
    return value


def services_over(
    parts: Parts,
    clients: Clients,
    dispatch: Dispatch,
    closed_sessions: ClosedSessions,
    *,
    sockets: SocketServer,
    plain: PlainServer,
    store_failure: Callable[[], str | None] = lambda: None,
    draining: Callable[[], bool] = lambda: False,
    demo_sign_in: bool = False,
) -> Services:
    """Return what the HTTP side of a server that nobody can stop has below it."""
    return Services(
        settings=parts.settings,
        current_settings=lambda: parts.settings,
        demo_sign_in=demo_sign_in,
        environment=replace(SYSTEM, wall=parts.clock),
        store=parts.store,
        rooms=parts.rooms,
        verifier=parts.verifier,
        authorizer=parts.authorizer,
        rates=parts.rates,
        store_failure=store_failure,
        draining=draining,
        shut_down=lambda: None,
        importer=Importer(parts.store, parts.rooms, parts.settings.imports),
        client_metrics=ClientMetricsTotals(),
        clients=clients,
        closed_sessions=closed_sessions,
        dispatch=dispatch,
        sockets=sockets,
        plain=plain.statistics,
        front_door=lambda: None,
        recoveries={"recovered": 0},
        loop_lag=RecentHistogram(DURATION_BOUNDS),
        write_check=WriteCheck(parts.store, 5.0, parts.events).statistics,
        history=History(Sample),
        events=parts.events,
        audit_trail=AuditTrail(parts.store),
        log_levels=LogLevels(),
        profiler=LoopProfiler(),
    )


@asynccontextmanager
async def site(
    config: Settings | None = None, *, demo_sign_in: bool = False
) -> AsyncIterator[Site]:
    """Run the HTTP side, without anything that listens."""
    async with composed(config) as parts:
        made: list[Site] = []
        sockets, clients = SocketServer(), parts.clients()
        dispatch = parts.dispatch(clients)
        closed_sessions = ClosedSessions(10, events=parts.events)
        plain = PlainServer(
            clients,
            dispatch,
            sockets.options,
            connection_limit=sockets.connection_limit,
            unauthenticated=sockets.unauthenticated,
            closed_sessions=closed_sessions,
        )
        services = services_over(
            parts,
            clients,
            dispatch,
            closed_sessions,
            sockets=sockets,
            plain=plain,
            store_failure=lambda: made[0].store_failure,
            draining=lambda: made[0].draining,
            demo_sign_in=demo_sign_in,
        )
        app = create_app(services)
        made.append(Site(parts, app, app.test_client(), services))
        async with services.audit_trail.running():
            yield made[0]
