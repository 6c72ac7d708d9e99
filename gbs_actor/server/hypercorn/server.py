"""Hypercorn on single streams.

It brings HTTP/1.1 with keep-alive and HTTP/2 to a stream that the front door hands over. It
is contained here: whatever it raises ends that stream and nothing else. Of time it decides
nothing, since the stream itself ends what idles, asks too slowly or does not accept writes;
it is told when a request begins, has arrived, and is answered.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from math import inf
from typing import Any, Final, cast

import h2.exceptions
import h11
import trio
import wsproto.utilities
from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.config import Config
from hypercorn.logging import Logger
from hypercorn.trio.lifespan import Lifespan
from hypercorn.trio.tcp_server import TCPServer
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import (
    ASGIFramework,
    ASGIReceiveCallable,
    ASGIReceiveEvent,
    ASGISendCallable,
    ASGISendEvent,
    Scope,
)

from gbs_actor.server.hypercorn.leaf import first_leaf
from gbs_actor.server.hypercorn.limits import limit_hypercorn
from gbs_actor.socketio import HttpStream

LIFESPAN_TIMEOUT: Final = 10.0
"""Seconds the app may take to start, and again to stop."""

_PROTOCOL_ERRORS: Final = (
    h11.ProtocolError,
    h2.exceptions.H2Error,
    wsproto.utilities.ProtocolError,
    trio.BrokenResourceError,
    trio.ClosedResourceError,
)
"""What comes out of Hypercorn when a peer breaks the protocol, or its connection."""

logger = logging.getLogger(__name__)
_hypercorn_logger = logging.getLogger("hypercorn.error")


@dataclass(frozen=True, slots=True)
class HttpStatistics:
    """The HTTP side at one moment. Counters run since its start."""

    open_streams: int
    """Connections, idle ones included."""
    streams: int
    failed_streams: int
    """Connections that ended in an exception; mostly what peers sent is at fault."""


class HttpServer:
    """Serves an ASGI app on streams, one call of :meth:`serve` each.

    :param app: an ASGI 3 application for Trio.
    :param head_limit: bytes of a request's head.
    :param max_payload: bytes of a WebSocket's message.
    :param http_idle_timeout: seconds an idle connection may stay; the stream's own limit
        should not be shorter.
    :param ping_interval: seconds between two pings of a WebSocket; ``None``: it gets none.
    :param ping_timeout: seconds in which its peer has to answer one.
    """

    def __init__(
        self,
        app: ASGIFramework,
        *,
        head_limit: int,
        max_payload: int,
        http_idle_timeout: float,
        ping_interval: float | None = None,
        ping_timeout: float | None = None,
    ) -> None:
        limit_hypercorn()
        self._app = app
        self._config = _config(head_limit, max_payload, http_idle_timeout, ping_interval)
        self._silence = inf
        if ping_interval is not None and ping_timeout is not None:
            self._silence = ping_interval + ping_timeout
        self._context = WorkerContext(None)
        self._state: dict[str, Any] = {}
        self._open = self._streams = self._failed = 0

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Start the app before the block and stop it after, as ASGI's lifespan has it.

        Cancelled, the app still gets its shutdown event, and at most
        :data:`LIFESPAN_TIMEOUT` seconds to act on it.

        :raises LifespanFailureError: the app refused to start.
        """
        lifespan = Lifespan(ASGIWrapper(self._app), self._config, self._state)
        # Shielded, as the app has to outlive the cancellation of what it serves.
        life = trio.CancelScope(shield=True)
        async with trio.open_nursery() as nursery:
            with trio.CancelScope(shield=True):
                await nursery.start(_live, lifespan, life)
                await lifespan.wait_for_startup()
            try:
                yield
            finally:
                await self.stop_accepting()
                with trio.CancelScope(shield=True):
                    await lifespan.wait_for_shutdown()
                life.cancel()

    async def serve(self, stream: HttpStream) -> None:
        """Serve one connection until it ends, whoever ends it.

        Raises nothing that the peer or the app can cause. Cancelled, it closes the
        stream; Hypercorn shields its writes, which the stream bounds.
        """
        self._open += 1
        self._streams += 1
        try:
            served = False
            with stream.attended():
                await TCPServer(
                    ASGIWrapper(_reporting(self._app, stream, self._silence)),
                    self._config,
                    self._context,
                    self._state.copy(),
                    # Declared for TLS only; TCPServer asks for the attributes it uses.
                    cast(Any, (_EncryptedConnection if stream.secure else _Connection)(stream)),
                ).run()
                served = True
            if served:
                await stream.linger()
            elif not stream.over:
                self._failed += 1
                logger.info("an HTTP connection ended: its request was never answered")
        except* Exception as group:
            self._failed += 1
            # The peer decides how often this happens, so it gets one line and no trace.
            logger.info("an HTTP connection ended: %s", _innermost(group))
            logger.debug("an HTTP connection ended", exc_info=group)
        finally:
            self._open -= 1
            await trio.aclose_forcefully(stream)

    async def stop_accepting(self) -> None:
        """Let idle connections end now, and busy ones after the request under way."""
        await self._context.terminated.set()

    def statistics(self) -> HttpStatistics:
        """Return counters; never blocks."""
        return HttpStatistics(self._open, self._streams, self._failed)


async def _live(
    lifespan: Lifespan, scope: trio.CancelScope, *, task_status: trio.TaskStatus[None]
) -> None:
    """Run the app's lifespan until it has ended, or ``scope`` is cancelled."""
    with scope:
        await lifespan.handle_lifespan(task_status=task_status)


class _Connection:
    """A stream as Hypercorn knows one.

    When it has answered a request that has not arrived yet, its closing is no more than its
    leaving: the connection may have to last a little longer than Hypercorn's interest in it.
    """

    def __init__(self, stream: HttpStream) -> None:
        self._stream = stream
        self._reading = trio.CancelScope()
        self._left = False
        self.send_all = stream.send_all
        self.send_eof = stream.send_eof

    @property
    def socket(self) -> trio.socket.SocketType:
        return self._stream.socket

    async def receive_some(self, max_bytes: int) -> bytes | bytearray:
        with trio.CancelScope() as self._reading:
            if not self._left:
                return await self._stream.receive_some(max_bytes)
        raise trio.ClosedResourceError

    async def aclose(self) -> None:
        if self._stream.answered_early:
            self._left = True
            self._reading.cancel()
            await trio.lowlevel.checkpoint()
        else:
            await self._stream.aclose()


class _EncryptedConnection(_Connection):
    """The same with TLS. The handshake was the front door's."""

    def __init__(self, stream: HttpStream) -> None:
        super().__init__(stream)
        self.transport_stream = stream  # asked for its socket only

    async def do_handshake(self) -> None:
        await trio.lowlevel.checkpoint()

    def selected_alpn_protocol(self) -> str | None:
        return self._stream.alpn_protocol


def _reporting(app: ASGIFramework, stream: HttpStream, silence: float) -> ASGIFramework:
    """Tell the stream what requests the app is called with, so that it can keep time.

    :param silence: seconds that a WebSocket's peer may say nothing.
    """

    async def reporting(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        multiplexed = scope["type"] != "lifespan" and scope["http_version"] == "2"
        silent = silence if scope["type"] == "websocket" else inf
        with stream.answering(multiplexed=multiplexed, silence=silent) as arrived:

            async def noticing() -> ASGIReceiveEvent:
                event = await receive()
                if event["type"] == "http.request" and not event["more_body"]:
                    arrived()
                return event

            async def in_time(event: ASGISendEvent) -> None:
                # Over HTTP/2 it waits for the peer's window, and the connection's writes do not.
                with trio.move_on_after(stream.write_timeout if multiplexed else inf) as patience:
                    await send(event)
                if patience.cancelled_caught:
                    raise trio.BrokenResourceError("the peer does not take what is sent")

            if scope["type"] == "websocket":
                arrived()  # it has no end that could be waited for
            await app(scope, noticing, in_time)

    return reporting


class _Log(Logger):
    """Hypercorn's log, where a peer that breaks the protocol makes no errors and no traces."""

    async def exception(self, message: str, *args: Any, **kwargs: Any) -> None:
        error = sys.exc_info()[1]
        if error is None or not _is_peers_fault(error):
            await super().exception(message, *args, **kwargs)
        else:
            _hypercorn_logger.info("%s: %s", message, _innermost(error))


def _is_peers_fault(error: BaseException) -> bool:
    if isinstance(error, BaseExceptionGroup):
        return all(_is_peers_fault(each) for each in error.exceptions)
    return isinstance(error, (*_PROTOCOL_ERRORS, trio.Cancelled))


def _config(
    head_limit: int, max_payload: int, http_idle_timeout: float, ping_interval: float | None
) -> Config:
    config = Config()
    config.logger_class = _Log
    config.errorlog = _hypercorn_logger
    config.accesslog = None
    config.include_server_header = False
    config.h11_max_incomplete_size = head_limit
    config.h2_max_header_list_size = head_limit
    config.websocket_max_message_size = max_payload
    config.keep_alive_timeout = http_idle_timeout
    # A connection may serve any number; over HTTP/2 it does so in any case, see BoundedHttp2.
    config.keep_alive_max_requests = sys.maxsize
    config.websocket_ping_interval = ping_interval
    config.startup_timeout = LIFESPAN_TIMEOUT
    config.shutdown_timeout = LIFESPAN_TIMEOUT
    return config


def _innermost(error: BaseException) -> str:
    leaf = first_leaf(error)
    return f"{type(leaf).__name__}: {leaf}"
