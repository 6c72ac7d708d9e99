"""Hypercorn on single streams: HTTP/1.1 with keep-alive, behind the front door.

Its exceptions end only their stream. It enforces no time limits: the stream does, which is
notified when a request begins, when it has arrived, and when it has its response.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from math import inf
from typing import Any, Final, cast

import h11
import msgspec
import trio
import wsproto.utilities
from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.config import Config
from hypercorn.logging import Logger
from hypercorn.trio.tcp_server import TCPServer
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import (
    ASGIFramework,
    ASGIReceiveCallable,
    ASGIReceiveEvent,
    ASGISendCallable,
    Scope,
)

from gbs_actor.concurrency import exceptions_in, first_exception
from gbs_actor.environment import SYSTEM
from gbs_actor.server.hypercorn.internals import limit_hypercorn
from gbs_actor.socketio import ConnectedSocket, HttpStream
from gbs_actor.socketio.net.http_response import http_date

_PEERS_FAULTS: Final = (
    h11.ProtocolError,
    wsproto.utilities.ProtocolError,
    trio.BrokenResourceError,
    trio.ClosedResourceError,
    trio.Cancelled,
)
"""Hypercorn's exceptions if a peer breaks the protocol, or its connection."""

logger = logging.getLogger(__name__)
_hypercorn_logger = logging.getLogger("hypercorn.error")


class HttpStatistics(msgspec.Struct, frozen=True, rename="camel"):
    """The HTTP side at one moment. Counters run since its start."""

    open_streams: int
    """Connections, idle ones included."""
    streams: int
    failed_streams: int
    """Connections that ended in an exception, mostly by a fault of the peer."""


class HttpServer:
    """Serves an ASGI app on streams, one call of :meth:`serve` each.

    :param app: an ASGI 3 application for Trio; its lifespan is not run.
    :param head_limit: bytes of a request's head.
    :param max_payload: bytes of a WebSocket's message.
    :param http_idle_timeout: seconds an idle connection may stay; the stream's own limit
        should not be shorter.
    :param ping_interval: seconds between two pings of a WebSocket; ``None``: it gets none.
    :param ping_timeout: seconds in which its peer has to send the pong.
    :param wall: returns the Unix time in seconds, for the dates of responses.
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
        wall: Callable[[], float] = SYSTEM.wall,
    ) -> None:
        limit_hypercorn()
        self._app = app
        self._config = _config(head_limit, max_payload, http_idle_timeout, ping_interval, wall)
        self._max_silence = inf
        if ping_interval is not None and ping_timeout is not None:
            self._max_silence = ping_interval + ping_timeout
        self._context = WorkerContext(None)
        self._open = self._streams = self._failed = 0

    async def serve(self, stream: HttpStream) -> None:
        """Serve one connection until either side ends it.

        The peer and the app cannot make it raise. Cancelled, it closes the
        stream; Hypercorn shields its writes, which the stream bounds.
        """
        self._open += 1
        self._streams += 1
        server = TCPServer(
            ASGIWrapper(_reporting(self._app, stream, self._max_silence)),
            self._config,
            self._context,
            {},
            # Declared for TLS only; TCPServer asks for the attributes it uses.
            cast(Any, (_EncryptedConnection if stream.secure else _Connection)(stream)),
        )
        try:
            stuck = True
            with stream.watchdog():
                await server.run()
                stuck = False
            if not stuck:
                await stream.linger()
            elif not stream.eof_received:
                self._failed += 1
                logger.info("an HTTP connection ended: its request was never answered")
        except* Exception as group:
            self._failed += 1
            # The peer decides how often this happens: one line, no traceback.
            logger.info("an HTTP connection ended: %s", _describe(group))
            logger.debug("an HTTP connection ended", exc_info=group)
        finally:
            self._open -= 1
            vars(server).clear()  # what it refers to refers to it, and is freed now
            await trio.aclose_forcefully(stream)

    def statistics(self) -> HttpStatistics:
        """Return counters; never blocks."""
        return HttpStatistics(self._open, self._streams, self._failed)


class _Connection:
    """An :class:`HttpStream` as TCPServer uses one.

    If Hypercorn closes it after an early response, while the rest of the request may still
    arrive, only Hypercorn's reading ends; the stream lingers, and :meth:`HttpServer.serve`
    closes it.
    """

    def __init__(self, stream: HttpStream) -> None:
        self._stream = stream
        self._reading = trio.CancelScope()
        self._closed = False
        self.send_all = stream.send_all
        self.send_eof = stream.send_eof

    @property
    def socket(self) -> ConnectedSocket:
        return self._stream.socket

    async def receive_some(self, max_bytes: int) -> bytes | bytearray:
        with trio.CancelScope() as self._reading:
            if not self._closed:
                return await self._stream.receive_some(max_bytes)
        raise trio.ClosedResourceError

    async def aclose(self) -> None:
        if self._stream.answered_early:
            self._closed = True
            self._reading.cancel()
            await trio.lowlevel.checkpoint()
        else:
            await self._stream.aclose()


class _EncryptedConnection(_Connection):
    """The same with TLS, whose handshake the front door has done."""

    def __init__(self, stream: HttpStream) -> None:
        super().__init__(stream)
        self.transport_stream = stream  # asked for its socket only

    async def do_handshake(self) -> None:
        await trio.lowlevel.checkpoint()

    def selected_alpn_protocol(self) -> str:
        return "http/1.1"


def _reporting(app: ASGIFramework, stream: HttpStream, max_silence: float) -> ASGIFramework:
    """Return an app that reports its requests to the stream.

    :param max_silence: seconds that a WebSocket's peer may send nothing.
    """

    async def reporting(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        is_websocket = scope["type"] == "websocket"
        with stream.answering(max_silence=max_silence if is_websocket else inf) as arrived:

            async def note_end() -> ASGIReceiveEvent:
                event = await receive()
                if event["type"] == "http.request" and not event["more_body"]:
                    arrived()
                return event

            if is_websocket:
                arrived()  # it has no end to wait for
            await app(scope, note_end, send)

    return reporting


class _Log(Logger):
    """Hypercorn's log, in which a peer's violation of the protocol is no error with a traceback."""

    async def exception(self, message: str, *args: Any, **kwargs: Any) -> None:
        error = sys.exc_info()[1]
        if error is None or not _is_peers_fault(error):
            await super().exception(message, *args, **kwargs)
        else:
            _hypercorn_logger.info("%s: %s", message, _describe(error))


def _is_peers_fault(error: BaseException) -> bool:
    return all(isinstance(each, _PEERS_FAULTS) for each in exceptions_in(error))


class _Config(Config):
    """Hypercorn's settings, with the date of responses from a clock of ours."""

    def __init__(self, wall: Callable[[], float]) -> None:
        super().__init__()
        self._wall = wall

    def response_headers(self, protocol: str) -> list[tuple[bytes, bytes]]:
        return [(b"date", http_date(self._wall()).encode())]


def _config(
    head_limit: int,
    max_payload: int,
    http_idle_timeout: float,
    ping_interval: float | None,
    wall: Callable[[], float],
) -> Config:
    config = _Config(wall)
    config.logger_class = _Log
    config.errorlog = _hypercorn_logger
    config.accesslog = None
    config.include_server_header = False
    config.h11_max_incomplete_size = head_limit
    config.websocket_max_message_size = max_payload
    config.keep_alive_timeout = http_idle_timeout
    config.keep_alive_max_requests = sys.maxsize
    config.websocket_ping_interval = ping_interval
    return config


def _describe(error: BaseException) -> str:
    cause = first_exception(error)
    return f"{type(cause).__name__}: {cause}"
