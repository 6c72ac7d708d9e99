"""A server of two small retreats under test, and who uses it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal

import trio
from websockets.datastructures import Headers, HeadersLike

from gbs_actor.contract.events import NAMESPACE
from gbs_actor.gateway.clients import Clients
from gbs_actor.gateway.dispatch import Dispatch
from gbs_actor.gateway.http import Services
from gbs_actor.lineup.records import Gender, Retreat
from gbs_actor.observability import OperatorEvents
from gbs_actor.rooms import RoomSupervisor
from gbs_actor.settings import declarations
from gbs_actor.store.protocol import Attempt, Delta
from gbs_actor.testing import (
    Environment,
    HttpReply,
    LineupServer,
    Peer,
    PeerRefused,
    RetreatSeed,
    Role,
    SeedGrade,
    SeedPerson,
    SeedSchedule,
    SeedUnivGroup,
    Settings,
    SimStore,
    SocketPeer,
    lineup_server,
    seeded_environment,
)
from gbs_actor.testing.environment import START
from gbs_actor.testing.owned_tasks import owned_tasks
from gbs_actor.testing.peers import SOCKETIO_PATH
from tests.gateway.plain_peer import PlainPeer, talking_plainly

SECRET: Final = "0123456789abcdef0123456789abcdef"
SLUG: Final = "2024-winter"
OTHER_SLUG: Final = "2024-summer"
LINE_UP: Final = f"/api/v1/retreat/{SLUG}/line-up"
LINEUPS: Final = f"{LINE_UP}/user-lineups"
NOW: Final = START
"""Unix time at which every test begins."""
DAY: Final = datetime(2024, 1, 19, 10, tzinfo=UTC)
PAGE: Final = "https://page.example"
"""The origin whose pages may use the server."""

Transport = Literal["socketio", "plain"]
PEER_OPTIONS: Final = {"token", "headers", "presence", "batch"}


def seed(slug: str = SLUG, grants: tuple[tuple[int, str], ...] = ()) -> RetreatSeed:
    """Return six people: one leader, who is in group 1, and five in no group."""
    people = tuple(
        SeedPerson(
            name=f"사람{number}",
            gender=Gender.MALE if number % 2 else Gender.FEMALE,
            phone_number=f"010-0000-000{number}",
            univ_group_number=1,
            grade_number=1,
            current_leader="박리더",
            is_leader=number == 0,
            user_type=None,
            schedules=(0,),
            registered_at=DAY - timedelta(days=100),
            gbs_number=1 if number == 0 else None,
        )
        for number in range(6)
    )
    return RetreatSeed(
        slug=slug,
        title=slug,
        univ_groups=(SeedUnivGroup(1, "1부", (SeedGrade(1, "1학년"),)),),
        schedules=(SeedSchedule("첫째 날 저녁", DAY),),
        people=people,
        grants=grants,
    )


RETREATS: Final = (
    seed(grants=((50, "SHUTTLE_BUS_ACCOUNT_STAFF"), (51, "NOBODY"))),
    seed(OTHER_SLUG, grants=((52, "LINEUP_STAFF"),)),
)
"""In the first, user 50 has the role of a mere reader and 51 none that may read; in the second,
user 52 has that of an editor."""


def sequence(peer: Peer) -> list[str]:
    """Return the names of the events so far, "reply" for each reply, "disconnected" for that."""
    return [each.name or each.kind for each in peer.received if each.kind != "connected"]


async def ending(peer: Peer) -> tuple[int | None, str]:
    """Wait for the end of the connection; return code and reason of the server's close frame."""
    with trio.fail_after(10):
        await peer.closed.wait()
    return peer.close_code, peer.close_reason


async def disconnection(peer: Peer) -> None:
    """Wait until the server has ended the namespace."""
    with trio.fail_after(10):
        await peer.disconnected.wait()


def settings_with(**values: object) -> Settings:
    """Return settings that differ from the defaults in these, each given by its name alone."""
    tables: dict[str, dict[str, object]] = {
        "http": {"allowed_origins": (PAGE,)},
        "auth": {"jwt_secret": SECRET},
    }
    for group, name, _ in declarations():
        if name in values:
            tables.setdefault(group, {})[name] = values.pop(name)
    assert not values, f"no settings: {values}"
    return Settings.model_validate(tables)


class HeldStore(SimStore):
    """A store that holds calls back until a test lets them go on."""

    def __init__(self, environment: Environment | None = None) -> None:
        super().__init__(environment=environment)
        self.commits_may_go_on = _set()
        self.commit_waits = trio.Event()
        self.loads_may_go_on = _set()
        self.roles_may_go_on = _set()
        self.role_waits = trio.Event()
        self.grant_queries: list[frozenset[str]] = []

    async def load(self, slug: str) -> Retreat | None:
        await self.loads_may_go_on.wait()
        return await super().load(slug)

    async def commit(self, attempt: Attempt) -> Delta | None:
        if not self.commits_may_go_on.is_set():
            self.commit_waits.set()
        await self.commits_may_go_on.wait()
        return await super().commit(attempt)

    async def grants(self, slugs: Collection[str]) -> dict[str, dict[int, str]]:
        if not self.roles_may_go_on.is_set():
            self.role_waits.set()
        await self.roles_may_go_on.wait()
        self.grant_queries.append(frozenset(slugs))
        return await super().grants(slugs)


def _set() -> trio.Event:
    event = trio.Event()
    event.set()
    return event


class World:
    """The server, and ways to it; its users are 7 and an editor unless told otherwise."""

    def __init__(self, server: LineupServer, store: HeldStore) -> None:
        self.server = server
        self.store = store
        self.seen = 0
        """The last operator event that a test has looked at."""

    # Its parts

    @property
    def services(self) -> Services:
        return self.server.composition.services

    @property
    def rooms(self) -> RoomSupervisor:
        return self.services.rooms

    @property
    def clients(self) -> Clients:
        return self.services.clients

    @property
    def dispatch(self) -> Dispatch:
        return self.services.dispatch

    @property
    def events(self) -> OperatorEvents:
        return self.services.events

    def token(
        self,
        user_id: int = 7,
        role: Role = Role.LINEUP_STAFF,
        *,
        name: str = "김하늘",
        email: str = "",
        expires_in: float | None = 3_600,
        retreats: Sequence[str] | None = None,
    ) -> str:
        """Return a token that the server accepts."""
        return self.server.token(
            user_id, role, name=name, email=email, expires_in=expires_in, retreats=retreats
        )

    # Realtime clients, each for a block

    @asynccontextmanager
    async def connect(
        self, transport: Transport, slug: str = SLUG, *, cookie: str | None = None, **how: Any
    ) -> AsyncIterator[Peer]:
        """Connect with a token or a cookie; a plain WebSocket is in the room by that.

        :param how: options of :meth:`LineupServer.peer`, or what the token says.
        """
        options = {name: how.pop(name) for name in PEER_OPTIONS & how.keys()}
        options.setdefault("token", self.token(**how) if cookie is None else cookie)
        peer = await self.server.peer(
            transport,
            join=slug if transport == "plain" else None,
            cookie=cookie is not None,
            **options,
        )
        yield peer
        await peer.close()

    @asynccontextmanager
    async def joined_by(
        self, transport: Transport, slug: str = SLUG, **how: Any
    ) -> AsyncIterator[Peer]:
        """Join a retreat by either transport."""
        async with self.connect(transport, slug, **how) as peer:
            if transport == "plain":
                peer.forget()
            else:
                await peer.join(slug)
            yield peer

    @asynccontextmanager
    async def outside_by(
        self, transport: Transport, slug: str = SLUG, **how: Any
    ) -> AsyncIterator[Peer]:
        """Connect by either transport, and be in no room.

        :param slug: where a plain WebSocket has to go in to get there.
        """
        async with self.connect(transport, slug, **how) as peer:
            if transport == "plain":
                await peer.call("leave-retreat", slug)
                peer.forget()
            yield peer

    @asynccontextmanager
    async def connect_with_auth(
        self, auth: Mapping[str, object] | None, headers: Mapping[str, str] | None = None
    ) -> AsyncIterator[SocketPeer]:
        """Connect by Socket.IO with any payload at all."""
        async with owned_tasks() as nursery:
            peer = SocketPeer(
                nursery,
                self.server.open_stream,
                namespace=NAMESPACE,
                path=SOCKETIO_PATH,
                carrier="websocket",
                auth=auth,
                headers=headers or {},
            )
            await peer.connect()
            yield peer
            await peer.close()

    @asynccontextmanager
    async def plainly_with(self, slug: str = SLUG, **how: Any) -> AsyncIterator[PlainPeer]:
        """Connect by a plain WebSocket whose frames are seen, as :func:`talking_plainly` does."""
        async with talking_plainly(await self.server.open_stream(), slug, **how) as peer:
            yield peer

    def plainly(self, slug: str = SLUG, **token: Any) -> AbstractAsyncContextManager[PlainPeer]:
        """Connect so with a token in the header."""
        return self.plainly_with(slug, token=self.token(**token))

    @asynccontextmanager
    async def joined_plainly(self, slug: str = SLUG, **token: Any) -> AsyncIterator[PlainPeer]:
        """Connect so, and wait for the rows."""
        async with self.plainly(slug, **token) as peer:
            await peer.event("initial-data")
            yield peer

    async def refusal(
        self, transport: Transport, slug: str = SLUG, **how: Any
    ) -> tuple[str | int | None, str]:
        """Connect, and return why that is refused: code and message."""
        try:
            async with self.connect(transport, slug, **how):
                raise AssertionError("it was let in")
        except PeerRefused as refused:
            return refused.code, refused.message

    # HTTP

    def bearer(self, **token: Any) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token(**token)}"}

    async def get(self, path: str, headers: HeadersLike | None = None) -> HttpReply:
        """Send a request with these headers and no others."""
        return await self.server.http("GET", path, user=None, headers=headers)

    async def send(
        self,
        method: str,
        path: str,
        content: Any = None,
        headers: HeadersLike | None = None,
        *,
        token: dict[str, Any] | None = None,
        raw: bytes | None = None,
    ) -> HttpReply:
        """Send JSON below the line-up as an editor, unless told otherwise.

        :param headers: an ``Authorization`` or a ``Cookie`` among them stands for the token.
        :param raw: a body that need not be JSON.
        """
        sent = Headers(headers or {})
        if "Authorization" not in sent and "Cookie" not in sent:
            sent.update(self.bearer(**(token or {})))
        if raw:
            sent.setdefault("Content-Type", "application/json")
        path = path if path.startswith("/api") else LINE_UP + path
        return await self.server.http(method, path, content, user=None, headers=sent, body=raw)

    async def rows(self, path: str = LINEUPS) -> dict[str, Any]:
        reply = await self.get(path, self.bearer())
        assert reply.status == 200
        answer: dict[str, Any] = reply.json()
        return answer

    async def row(self, registration_id: int) -> dict[str, Any]:
        rows = (await self.rows())["userRetreatGbsLineups"]
        row: dict[str, Any] = next(row for row in rows if row["id"] == registration_id)
        return row

    async def assign(self, registration_id: int, number: int | None) -> None:
        """Put somebody into a group."""
        reply = await self.send("PUT", f"/user-lineups/{registration_id}", {"gbsNumber": number})
        assert reply.ok, reply


@asynccontextmanager
async def world(
    settings: Settings | None = None,
    *,
    store: HeldStore | None = None,
    demo_sign_in: bool = False,
    seed: int = 0,
) -> AsyncIterator[World]:
    """Serve within the block.

    :param seed: of chance; servers side by side need one each.
    """
    environment = seeded_environment(seed)
    store = store or HeldStore(environment)
    async with lineup_server(
        retreats=RETREATS,
        settings=settings or settings_with(),
        store=store,
        environment=environment,
        demo_sign_in=demo_sign_in,
    ) as server:
        yield World(server, store)
