"""A whole line-up server for tests: real but for the network, the store, and chance."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from functools import lru_cache
from typing import Final, get_args

import msgspec
import trio
from pydantic import SecretStr
from websockets.datastructures import Headers, HeadersLike

from gbs_actor.auth import mint
from gbs_actor.client import Backoff, Client, connect
from gbs_actor.demo import demo_retreat
from gbs_actor.environment import Environment
from gbs_actor.roles import Role
from gbs_actor.rooms.tracepoints import Observer, ignore
from gbs_actor.settings import Settings
from gbs_actor.store.protocol import RetreatExists
from gbs_actor.store.seed.seed import RetreatSeed
from gbs_actor.testing.environment import seeded_environment
from gbs_actor.testing.network import PERFECT, Conditions, SimStream
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
from gbs_actor.testing.peers.transport import Dial
from gbs_actor.testing.restartable import RestartableServer
from gbs_actor.testing.store import SimStore

SECRET: Final = "a-secret-for-tests-of-32-bytes-or-more"  # noqa: S105  (it protects nothing)
"""Signs the tokens, if the settings have no ``jwt_secret``."""
PEOPLE: Final = 20
"""Of a made-up retreat."""


class LineupServer(RestartableServer):
    """A running server, and everything around it; made by :func:`lineup_server`."""

    make_peer: Callable[[trio.Nursery, Dial, PeerOptions, OnMessage | None], Peer] = Peer
    """What :meth:`peer` makes; for who records what peers do."""

    def token(
        self,
        user: int = 1,
        role: Role = Role.LINEUP_STAFF,
        *,
        expires_in: float | None = 8 * 3600,
        name: str = "",
        email: str = "",
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
            email=email,
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
        presence: bool = True,
        headers: Mapping[str, str] | None = None,
        address: str | None = None,
        conditions: Conditions | None = None,
        on_message: OnMessage | None = None,
    ) -> Peer:
        """Connect a client, which stays until the end of the block.

        :param protocol: what it speaks, see
            :data:`~gbs_actor.testing.peers.PeerProtocol`; ``upgraded`` is as stock clients are.
        :param user: the id of its user.
        :param join: slug of the retreat that it joins; with Socket.IO also the argument of
            ``join-retreat``. With a plain WebSocket it is needed.
        :param token: default: one for ``user`` and ``role``; "": none.
        :param cookie: whether the token goes into the cookie.
        :param batch: whether to ask for the batch form of updates.
        :param recovery: whether to ask for a session that :meth:`Peer.reconnect` recovers.
        :param presence: whether to be sent who is there each time that changes.
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
        host = self._addresses.next_host() if address is None else address

        async def dial() -> SimStream:
            return await self.open_stream(host, conditions=conditions)

        options = PeerOptions(
            protocol=protocol,
            retreat=join if isinstance(join, str) else None,
            token=self.token(user, role) if token is None else token or None,
            cookie=cookie,
            batch=batch,
            recovery=recovery,
            presence=presence,
            headers=headers or {},
        )
        peer = self.make_peer(self._nursery, dial, options, on_message)
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

        It comes back by itself after a cut and a restart. For other options, and in code that
        connects by itself, call :func:`gbs_actor.client.connect` with
        ``connect_stream=server.connect_stream``; its address does not matter.

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
        headers: HeadersLike | None = None,
        body: bytes | None = None,
        address: str | None = None,
    ) -> HttpReply:
        """Send a request over a connection of its own; return the response, whatever its status.

        :param path: with its query.
        :param json: the body; ``None``: none.
        :param user: whose token it carries; ``None``: nobody's.
        :param headers: in addition, a mapping or pairs; an ``Authorization`` takes the token's
            place.
        :param body: instead of ``json``.
        :raises PeerClosed: the connection ended without a response.
        """
        fields = Headers(headers or {})
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
    demo_sign_in: bool = False,
) -> AsyncIterator[LineupServer]:
    """Run a whole server within the block, without a socket and without a thread.

    It begins at 2023-11-14T22:13:20Z on its own wall clock; its deadlines are those of Trio's
    clock, whichever that is. At the end of the block it is killed; for an orderly end call
    :meth:`LineupServer.stop`.

    An exception of the block is raised as itself, not in a group. One of the server's tasks
    cancels the block, and is raised as itself as well.

    :param retreats: what is in the store at the start: slugs, for which people are made up, or
        whole retreats. One that the store has already is left as it is.
    :param people: of each made-up retreat, with ids from 1 on. Nine in ten are in groups of four;
        who leads one (``isLeader``) cannot be moved.
    :param settings: default: ``Settings()``, which the environment has no part in; or only what
        differs, as ``{"rooms": {"idle_timeout": 60}}``. Without keys for tokens they get some.
        With ``admin_listen`` there is no ``/admin``: nothing listens there.
    :param store: default: a new one.
    :param environment: time of day and random bytes; default: those of ``seed``.
    :param seed: decides what is left to chance.
    :param conditions: what connections do to their bytes; default: nothing. Their generator also
        decides which connection the server serves first.
    :param plane: whether one task drives all WebSockets, as over sockets; otherwise each has one of
        its own, as over TLS.
    :param observe: called at every tracepoint of every room; lets it crash by what it raises.
    :param demo_sign_in: whether anybody may sign in as one of the people, as under ``--demo``.
    :raises ValueError: a setting is wrong, or asks for TLS.
    :raises RuntimeError: this runs on another event loop than Trio's.
    """
    settings = _settings(settings)
    environment = seeded_environment(seed) if environment is None else environment
    store = SimStore(environment=environment) if store is None else store
    async with owned_tasks() as nursery:
        for retreat in retreats:
            whole = _made_up(retreat, people) if isinstance(retreat, str) else retreat
            with suppress(RetreatExists):
                await store.import_retreat(whole)
        server = LineupServer(
            nursery,
            settings,
            store,
            environment,
            conditions=conditions,
            plane=plane,
            observe=observe,
            demo_sign_in=demo_sign_in,
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
    if settings.server.tls_certificate is not None:
        raise ValueError("TLS needs a port: lineup_server opens none")
    if not settings.auth.has_key:
        auth = settings.auth.model_copy(update={"jwt_secret": SecretStr(SECRET)})
        settings = settings.model_copy(update={"auth": auth})
    return settings
