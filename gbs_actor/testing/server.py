"""A whole line-up server for tests: real but for the network, the store, and chance."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import lru_cache
from typing import Final, get_args

import msgspec
import trio
from pydantic import SecretStr
from trio.testing import wait_all_tasks_blocked

from gbs_actor.auth import mint
from gbs_actor.client import Backoff, Client, connect
from gbs_actor.demo import demo_retreat
from gbs_actor.environment import Environment
from gbs_actor.roles import Role
from gbs_actor.rooms import RoomStatistics, Tracepoint
from gbs_actor.rooms.tracepoints import Observer, ignore
from gbs_actor.server.composition import Composition
from gbs_actor.settings import Settings
from gbs_actor.store.protocol import RetreatExists
from gbs_actor.store.seed.seed import RetreatSeed
from gbs_actor.testing.environment import SimWall, seeded_environment
from gbs_actor.testing.network import PERFECT, Address, Conditions, SimListener, SimStream
from gbs_actor.testing.owned_tasks import owned_tasks
from gbs_actor.testing.peers import (
    HOST,
    HttpConnection,
    HttpReply,
    Json,
    OnMessage,
    Peer,
    PeerClosed,
    PeerOptions,
    PeerProtocol,
    TransportClosed,
)
from gbs_actor.testing.process import ServerProcess
from gbs_actor.testing.store import SimStore

SECRET: Final = "a-secret-for-tests-of-32-bytes-or-more"  # noqa: S105  (it protects nothing)
"""Signs the tokens, if the settings have no ``jwt_secret``."""
PEOPLE: Final = 20
"""Of a made-up retreat."""
_FIRST_PORT: Final = 49_152
_PORTS: Final = 16_384  # that clients take theirs from


class RoomCrash(Exception):
    """What :meth:`LineupServer.crash_room` lets a room crash with."""


class LineupServer:
    """A running server, and everything around it; made by :func:`lineup_server`."""

    def __init__(
        self,
        nursery: trio.Nursery,
        settings: Settings,
        store: SimStore,
        environment: Environment,
        *,
        conditions: Conditions,
        plane: bool,
        observe: Observer,
    ) -> None:
        self.settings = settings
        """Those of each process."""
        self.environment = environment
        """Where it takes the time of day and random bytes from."""
        self._nursery = nursery
        self._conditions = conditions
        self._plane = plane
        self._observer = observe
        self._store = store
        self._process: ServerProcess | None = None
        self._crashes: defaultdict[str, deque[Tracepoint | None]] = defaultdict(deque)
        self._addresses = self._connections = 0

    # What it is

    @property
    def store(self) -> SimStore:
        """What the server stores in: read it, or let it fail. A restarted server has another."""
        return self._store

    @property
    def wall(self) -> SimWall:
        """The time of day; ``wall.advance(60)`` moves it, and no deadline.

        The server notices at the next command; on connections that are idle, within a minute.

        :raises TypeError: the environment was given, and has another wall clock.
        """
        wall = self.environment.wall
        if not isinstance(wall, SimWall):
            raise TypeError("the environment given to lineup_server has no SimWall: use its own")
        return wall

    @property
    def composition(self) -> Composition:
        """The parts of the process that runs.

        :raises ConnectionRefusedError: none does.
        """
        return self._running().composition

    @property
    def open_sockets(self) -> int:
        """How many connections the process that runs has open.

        :raises ConnectionRefusedError: none does.
        """
        return self._running().open_sockets

    @property
    def listener(self) -> SimListener:
        """Where the process that runs is connected to.

        :raises ConnectionRefusedError: none does.
        """
        return self._running().listener

    def room(self, retreat: str) -> RoomStatistics:
        """Return a retreat's room as it is now.

        :raises LookupError: it is not open: nobody has joined it, or it has stopped.
        """
        rooms = self._running().composition.rooms
        statistics = rooms.room_statistics(retreat)
        if statistics is None:
            is_open = ", ".join(rooms.matching()) or "none"
            raise LookupError(f"no room of {retreat!r} is open (open: {is_open})")
        return statistics

    # Clients

    def token(
        self,
        user: int = 1,
        role: Role = Role.LINEUP_STAFF,
        *,
        expires_in: float | None = 8 * 3600,
        name: str = "",
        retreats: Sequence[str] | None = None,
    ) -> str:
        """Return a token that the server accepts.

        :param user: the user's id.
        :param expires_in: seconds on :attr:`wall`; ``None``: never.
        :param retreats: slugs that the user may enter; ``None``: all.
        :raises ValueError: the server verifies tokens with keys that nothing can be signed with.
        """
        auth = self.settings.auth
        if auth.jwt_secret is None:
            raise ValueError("the settings have no jwt_secret: give tokens of your own, token=…")
        return mint(
            auth.jwt_secret.get_secret_value(),
            user_id=user,
            role=role,
            name=name,
            expires_in=expires_in,
            retreats=retreats,
            issuer=auth.jwt_issuer,
            audience=auth.jwt_audience,
            now=self.environment.wall(),
        )

    async def peer(
        self,
        protocol: PeerProtocol = "socketio",
        *,
        user: int = 1,
        role: Role = Role.LINEUP_STAFF,
        join: str | Mapping[str, Json] | None = None,
        token: str | None = None,
        cookie: bool = False,
        batch: bool = False,
        recovery: bool = False,
        headers: Mapping[str, str] | None = None,
        address: str | None = None,
        conditions: Conditions | None = None,
        on_message: OnMessage | None = None,
    ) -> Peer:
        """Connect a client, which stays until the end of the block.

        :param protocol: what it speaks.
        :param user: the id of its user.
        :param join: slug of the retreat that it joins; with Socket.IO also the argument of
            ``join-retreat``. With a plain WebSocket it is needed.
        :param token: default: one for ``user`` and ``role``; "": none.
        :param cookie: whether the token goes into the cookie.
        :param batch: whether to ask for the batch form of updates.
        :param recovery: whether to ask for a session that :meth:`Peer.reconnect` recovers.
        :param headers: of the handshake, in addition.
        :param address: its IP address; default: one of its own.
        :param conditions: of its connections; default: those of the server.
        :param on_message: called for each message received; see there.
        :raises PeerRefused: the server does not let it in.
        :raises AssertionError: the join is refused.
        """
        if protocol not in get_args(PeerProtocol):
            known = ", ".join(map(repr, get_args(PeerProtocol)))
            raise ValueError(f"no protocol {protocol!r}; there are {known}")
        if protocol == "plain" and not isinstance(join, str):
            raise ValueError('a plain WebSocket enters a retreat: give its slug, join="…"')
        host = self._next_address() if address is None else address

        async def dial() -> SimStream:
            return await self.open_stream(host, conditions=conditions)

        options = PeerOptions(
            protocol=protocol,
            retreat=join if isinstance(join, str) else None,
            token=self.token(user, role) if token is None else token or None,
            cookie=cookie,
            batch=batch,
            recovery=recovery,
            headers=headers or {},
        )
        peer = Peer(self._nursery, dial, options, on_message)
        await peer.connect()
        if join is not None and protocol != "plain":
            await peer.join(join)
        return peer

    def client(
        self,
        user: int = 1,
        role: Role = Role.LINEUP_STAFF,
        *,
        token: str | None = None,
        command_timeout: float = 30.0,
        backoff: Backoff | None = None,
    ) -> AbstractAsyncContextManager[Client]:
        """Connect the project's own client within an ``async with`` block.

        It comes back by itself after a cut and a restart. For other options call
        :func:`gbs_actor.client.connect` with ``connect_stream=server.connect_stream``.

        :param user: the id of its user.
        :param token: default: one for ``user`` and ``role``; "": none.
        """
        return connect(
            f"http://{HOST}",
            self.token(user, role) if token is None else token or None,
            command_timeout=command_timeout,
            backoff=backoff,
            connect_stream=self.connect_stream,
            environment=self.environment,
        )

    async def http(
        self,
        method: str,
        path: str,
        json: Json = None,
        *,
        user: int | None = 1,
        role: Role = Role.LINEUP_STAFF,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        address: str | None = None,
    ) -> HttpReply:
        """Send a request over a connection of its own; return the response, whatever its status.

        :param path: with its query.
        :param json: the body; ``None``: none.
        :param user: whose token it carries; ``None``: nobody's.
        :param headers: in addition; an ``Authorization`` takes the token's place.
        :param body: instead of ``json``.
        :raises PeerClosed: the connection ended without a response.
        """
        fields = dict(headers or {})
        if user is not None:
            fields.setdefault("Authorization", f"Bearer {self.token(user, role)}")
        if json is not None:
            fields.setdefault("Content-Type", "application/json")
            body = msgspec.json.encode(json)
        stream = await self.open_stream(address)
        try:
            return await HttpConnection(stream).request(
                method, path, headers=fields, body=body or b""
            )
        except TransportClosed:
            raise PeerClosed(f"the connection ended without a response to {path}") from None
        finally:
            stream.socket.close()

    async def open_stream(
        self, address: str | None = None, *, conditions: Conditions | None = None
    ) -> SimStream:
        """Open a connection, and say nothing on it.

        :param address: the IP address that it comes from; default: one of its own.
        :param conditions: what it does to its bytes; default: those of the server.
        :raises OSError: no server listens.
        """
        await trio.lowlevel.checkpoint()
        listener = self._running().listener
        self._connections += 1
        client = Address(
            self._next_address() if address is None else address,
            _FIRST_PORT + self._connections % _PORTS,
        )
        return listener.connect(client, self._conditions if conditions is None else conditions)

    async def connect_stream(self, host: str, port: int) -> SimStream:
        """Open a connection, for :func:`gbs_actor.client.connect`; host and port do not matter.

        :raises OSError: no server listens.
        """
        return await self.open_stream()

    # What happens to it

    def crash_room(self, retreat: str, at: Tracepoint | None = None) -> None:
        """Let a retreat's room crash with :exc:`RoomCrash`, as a bug in it would let it.

        Further calls let it crash again, in their order. :attr:`RoomStatistics.crash_history` has
        them afterwards.

        :param at: the next time that it is at this step of its loop; ``None``: at any.
        :raises ValueError: there is no such retreat.
        """
        if retreat not in self._store.slugs:
            known = ", ".join(self._store.slugs) or "none"
            raise ValueError(f"no retreat {retreat!r} here; there are {known}")
        self._crashes[retreat].append(at)

    async def settle(self) -> None:
        """Return once everything is done that can be at this instant of Trio's clock.

        What waits for a deadline, as for a delayed byte, is left waiting.
        """
        await wait_all_tasks_blocked()

    async def restart(self, *, kill: bool = False) -> None:
        """End the server and start another one, over the same data and with the same settings.

        :param kill: whether it is killed; see :meth:`stop`.
        """
        await self.stop(kill=kill)
        await self.start()

    async def stop(self, *, kill: bool = False) -> None:
        """End the server; until :meth:`start` nothing listens. Idempotent.

        :param kill: ``False``: it finishes the commands in flight and closes the connections,
            within ``shutdown_grace``. ``True``: it ends in one step, as if the process were
            killed. All connections are reset, and commits that were sent take effect now, later,
            or never.
        """
        process, self._process = self._process, None
        if process is None:
            await trio.lowlevel.checkpoint()
            return
        if kill:
            self._kill(process)
        else:
            process.stop()
        await process.ended.wait()

    async def start(self) -> None:
        """Start a server.

        :raises RuntimeError: one is running.
        """
        if self._process is not None:
            raise RuntimeError("the server is running")
        process = ServerProcess(
            self._store,
            self.settings,
            self.environment,
            observe=self._observe,
            plane=self._plane,
            random=self._conditions.random,
        )
        await self._nursery.start(process.run)
        self._process = process

    def kill(self) -> None:
        """Kill the server, if one runs, without waiting until its tasks have ended."""
        process, self._process = self._process, None
        if process is not None:
            self._kill(process)

    def _kill(self, process: ServerProcess) -> None:
        self._store = process.kill()

    def _running(self) -> ServerProcess:
        if self._process is None or self._process.ended.is_set():
            raise ConnectionRefusedError("no server is running")
        return self._process

    def _observe(self, retreat: str, tracepoint: Tracepoint) -> None:
        self._observer(retreat, tracepoint)
        crashes = self._crashes.get(retreat)
        if crashes and crashes[0] in (None, tracepoint):
            crashes.popleft()
            raise RoomCrash(f"at {tracepoint}, as the test wants it")

    def _next_address(self) -> str:
        self._addresses += 1
        return f"198.18.{self._addresses // 250 % 250}.{self._addresses % 250 + 1}"


@asynccontextmanager
async def lineup_server(
    *,
    retreats: Sequence[str | RetreatSeed] = ("winter",),
    people: int = PEOPLE,
    settings: Settings | Mapping[str, Mapping[str, object]] | None = None,
    store: SimStore | None = None,
    environment: Environment | None = None,
    seed: int = 0,
    conditions: Conditions = PERFECT,
    plane: bool = True,
    observe: Observer = ignore,
) -> AsyncIterator[LineupServer]:
    """Run a whole server within the block, without a socket and without a thread.

    It begins at 2023-11-14T22:13:20Z on its own wall clock; its deadlines are those of Trio's
    clock, whichever that is. At the end of the block it is killed; for an orderly end call
    :meth:`LineupServer.stop`.

    An exception of the block is raised as itself, not in a group. One of the server's tasks
    cancels the block, and is raised as itself as well.

    :param retreats: what is in the store at the start: slugs, for which people are made up, or
        whole retreats. One that the store has already is left as it is.
    :param people: of each made-up retreat.
    :param settings: default: ``Settings()``, which the environment has no part in; or only what
        differs, as ``{"rooms": {"idle_timeout": 60}}``. Without keys for tokens they get some.
    :param store: default: a new one.
    :param environment: time of day and random bytes; default: those of ``seed``.
    :param seed: decides what is left to chance.
    :param conditions: what connections do to their bytes; default: nothing. Their generator also
        decides which connection the server serves first.
    :param plane: whether one task drives all WebSockets, as over sockets; otherwise each has one of
        its own, as over TLS.
    :param observe: called at every tracepoint of every room; lets it crash by what it raises.
    :raises ValueError: a setting is wrong, or opens a port.
    """
    settings = _settings(settings)
    environment = seeded_environment(seed) if environment is None else environment
    store = SimStore(environment=environment) if store is None else store
    for retreat in retreats:
        whole = _made_up(retreat, people) if isinstance(retreat, str) else retreat
        try:
            await store.import_retreat(whole)
        except RetreatExists:
            continue
    async with owned_tasks() as nursery:
        server = LineupServer(
            nursery,
            settings,
            store,
            environment,
            conditions=conditions,
            plane=plane,
            observe=observe,
        )
        await server.start()
        try:
            yield server
        finally:
            server.kill()


@lru_cache
def _made_up(slug: str, people: int) -> RetreatSeed:
    return demo_retreat(slug, people=people)


def _settings(settings: Settings | Mapping[str, Mapping[str, object]] | None) -> Settings:
    if not isinstance(settings, Settings):
        settings = Settings.model_validate(settings or {})
    if settings.admin.admin_listen is not None or settings.server.tls_certificate is not None:
        raise ValueError("admin_listen and TLS need a port: lineup_server opens none")
    if not settings.auth.has_key:
        auth = settings.auth.model_copy(update={"jwt_secret": SecretStr(SECRET)})
        settings = settings.model_copy(update={"auth": auth})
    return settings
