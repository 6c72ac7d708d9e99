"""A whole server in the test's own event loop, on a free port."""

from __future__ import annotations

import logging
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import trio
from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.config import Config
from hypercorn.trio.run import worker_serve
from pydantic import SecretStr

from gbs_actor.auth import Role, mint
from gbs_actor.environment import SYSTEM
from gbs_actor.server import BoundAddress, serve, serve_on
from gbs_actor.server.composition import Composition
from gbs_actor.server.hypercorn import limit_hypercorn
from gbs_actor.settings import AuthSettings, RoomSettings, ServerSettings, Settings
from gbs_actor.socketio import with_lifespan
from gbs_actor.store.protocol import Store
from tests.certificates import IssuedCertificate
from tests.gateway.peer import Peer, talking
from tests.gateway.serving import SECRET, HeldStore, seed


def settings(*, grace: float = 10.0, commit_timeout: float = 5.0) -> Settings:
    """Return settings for a free port, and a secret."""
    return Settings(
        server=ServerSettings(port=0, shutdown_grace=grace),
        rooms=RoomSettings(commit_timeout=commit_timeout),
        auth=AuthSettings(jwt_secret=SecretStr(SECRET)),
    )


def secured(issued: IssuedCertificate, **more: Any) -> Settings:
    """Return the same with a certificate, and with more of the group ``server`` changed."""
    server = settings().server.model_copy(
        update={"tls_certificate": issued.certificate, "tls_key": issued.key, **more}
    )
    return settings().model_copy(update={"server": server})


def token(role: Role = Role.LINEUP_STAFF) -> str:
    """Return a token that such a server accepts."""
    return mint(SECRET, user_id=7, role=role, name="김하늘")


@dataclass
class Running:
    """A server that serves."""

    address: BoundAddress
    scope: trio.CancelScope
    """Cancel it to wish for the server's end."""
    ended: trio.Event = field(default_factory=trio.Event)
    tls: ssl.SSLContext | None = None
    """What clients connect with, where the server speaks TLS."""

    @property
    def url(self) -> str:
        """Where it can be reached."""
        scheme = "http" if self.tls is None else "https"
        return f"{scheme}://{self.address.host}:{self.address.port}"

    async def stream_below(self) -> trio.SocketStream:
        """Connect, without TLS in any case."""
        return await trio.open_tcp_stream(self.address.host, self.address.port)

    async def stream(self) -> trio.abc.Stream:
        """Connect."""
        if self.tls is None:
            return await self.stream_below()
        return trio.SSLStream(
            await self.stream_below(),
            self.tls,
            server_hostname=self.address.host,
            https_compatible=True,
        )

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[Peer]:
        """Connect to the namespace."""
        async with talking(await self.stream(), auth={"token": token()}) as peer:
            yield peer

    async def ask(self, request: bytes) -> bytes:
        """Send bytes on a connection of their own; return all that comes until it closes."""
        async with await self.stream() as stream:
            await stream.send_all(request)
            return await everything(stream)


async def everything(stream: trio.abc.Stream) -> bytes:
    """Return what comes until the peer closes, however it does."""
    received = b""
    with trio.fail_after(10):
        try:
            async for chunk in stream:
                received += chunk
        except trio.BrokenResourceError:
            pass
    return received


async def answer(stream: trio.abc.Stream, request: bytes) -> bytes:
    """Send a request and return one answer with a Content-Length."""
    await stream.send_all(request)
    received = b""
    with trio.fail_after(10):
        while True:
            head, end, body = received.partition(b"\r\n\r\n")
            if end:
                length = int(head.lower().partition(b"content-length:")[2].split()[0])
                if len(body) >= length:
                    return received
            chunk = await stream.receive_some()
            assert chunk, received
            received += chunk


@asynccontextmanager
async def running(
    store: Store | None = None,
    *,
    using: Settings | None = None,
    tls: ssl.SSLContext | None = None,
    reloads: AsyncIterator[object] | None = None,
) -> AsyncIterator[Running]:
    """Run a server over a store, by default one in memory with a retreat of six.

    :param tls: what clients connect with, where the settings name a certificate.
    """
    if store is None:
        store = await small_store()
    serve_it = partial(serve_on, store, using or settings(), reloads=reloads)
    async with _started(serve_it) as server:
        server.tls = tls
        yield server


@asynccontextmanager
async def running_hosted(
    store: Store | None = None, *, using: Settings | None = None
) -> AsyncIterator[Running]:
    """Run the ASGI application under stock Hypercorn, over a store as :func:`running`."""
    limit_hypercorn()
    composition = Composition(store or await small_store(), using or settings())
    config = Config()
    config.bind = ["127.0.0.1:0"]
    config.graceful_timeout = 0.1
    config.errorlog = logging.getLogger("hypercorn.error")
    app = ASGIWrapper(with_lifespan(composition.app, composition.running))
    serve_it = partial(worker_serve, app, config)
    async with trio.open_nursery() as nursery:
        (bind,) = await nursery.start(serve_it)
        host, _, port = bind.removeprefix("http://").partition(":")
        yield Running(BoundAddress(host, int(port)), nursery.cancel_scope)
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def running_demo(using: Settings) -> AsyncIterator[Running]:
    """Run a demo server over the database of its settings."""
    async with _started(partial(serve, using, demo=True)) as server:
        yield server


@asynccontextmanager
async def _started(server: Callable[..., Awaitable[None]]) -> AsyncIterator[Running]:
    made: list[Running] = []
    async with trio.open_nursery() as nursery:
        scope = trio.CancelScope()

        async def run(task_status: trio.TaskStatus[tuple[BoundAddress, ...]]) -> None:
            with scope:
                await server(task_status=task_status)
            for each in made:
                each.ended.set()

        (address,) = await nursery.start(run)
        made.append(Running(address, scope))
        yield made[0]
        scope.cancel()


async def small_store() -> HeldStore:
    """Return a store with one retreat of six people."""
    store = HeldStore(SYSTEM)
    await store.import_retreat(seed())
    return store
