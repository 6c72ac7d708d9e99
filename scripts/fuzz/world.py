"""A Socket.IO server whose handlers do everything that handlers may do, and its bookkeeping."""

from __future__ import annotations

import gc
import logging
import sys
import warnings
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final
from weakref import WeakSet

import trio
import trio.lowlevel

from gbs_actor.socketio import (
    ConnectError,
    Event,
    InvalidArguments,
    Message,
    Namespace,
    OutboxLimits,
    Session,
    Socket,
    SocketClosed,
    SocketServer,
    encode_event,
    encode_raw_event,
)
from gbs_actor.socketio.conversation import Conversation

PATH: Final = "/socket.io/"
NAMESPACES: Final = ("/", "/custom", "/bare")
MAX_PAYLOAD: Final = 2_000
ANSWERS: Final = ("answer", "answers")
LARGE: Final = 15_000
"""Bytes of an event that no socket takes at once."""
DAWDLING: Final = 7.3
"""Seconds that slow handlers take."""

_EXPECTED_ERRORS: Final = ("on_connect of ", "a handler failed", "on_disconnect of ")
"""What the log says of handlers that fail on purpose."""


class _Conversation(Conversation):
    __slots__ = ("__weakref__",)


class Server(SocketServer):
    """Knows its conversations as long as anybody else does."""

    def __init__(self, **options: Any) -> None:
        super().__init__(
            **{
                "socketio_path": PATH,
                "ping_timeout": 20.0,
                "upgrade_timeout": 100.0,  # longer than slow handlers can keep a client waiting
                "max_payload": MAX_PAYLOAD,
                "max_connections": 12,
                "max_connections_per_address": 9,
                "max_unanswered_events": 4,
                "max_waiting_events": 4,
                "max_held_bytes": 1_500,
                "max_attachments": 4,
                "max_attachment_bytes": 1_500,
                "cookie_names": ("accessToken",),
                "allowed_origins": ("https://page.example",),
                "outbox": OutboxLimits(
                    pause_messages=4,
                    pause_bytes=600,
                    outbox_messages=400,
                    outbox_bytes=500_000,
                    max_keys=50,
                ),
                **options,
            },
        )
        self.conversations: WeakSet[Conversation] = WeakSet()

    def _converse(self, connection: Session) -> Conversation:
        conversation = _Conversation(connection, self._namespaces, self.options)
        self.conversations.add(conversation)
        return conversation


class World:
    """The server and what its handlers have seen.

    A client whose query says ``good`` is never thrown out by a handler.
    """

    def __init__(self, **options: Any) -> None:
        self.server = Server(**options)
        self.let_in: Counter[str] = Counter()
        """How often ``on_connect`` has returned, per socket."""
        self.parted: Counter[str] = Counter()
        """How often ``on_disconnect`` was called, per socket."""
        self.kept: list[Event] = []
        """Events that are answered later, or never."""
        self._ticks: Counter[str] = Counter()
        for name in NAMESPACES[:2]:
            self._furnish(self.server.namespace(name))
        self.server.namespace(NAMESPACES[2])

    def _furnish(self, space: Namespace) -> None:
        @space.on_connect
        def connect(socket: Socket, auth: Any) -> Any:
            owner: Any = socket._owner
            ended = owner._connection.reason is not None
            assert socket.closed or not ended, "a client joins that has gone"
            how = auth.get("how") if isinstance(auth, dict) else None
            if how == "slow" or (how == "refuse" and auth.get("slow")):
                return self._connect_slowly(socket, how)
            return self._connect(socket, how)

        @space.on_disconnect
        def disconnect(socket: Socket, reason: str) -> Any:
            self.parted[socket.id] += 1
            assert reason
            assert socket.closed
            how = socket.data.goodbye
            if how == "grumble":
                raise ValueError("on purpose")
            return _dawdle() if how == "slow" else None

        @space.on("echo")
        def echo(socket: Socket, *args: Any) -> tuple[Any, ...]:
            return args

        @space.on("slow")
        async def slow(socket: Socket, *args: Any) -> tuple[Any, ...]:
            await trio.sleep(DAWDLING)
            return args

        @space.on("stubborn")
        async def stubborn(socket: Socket, *args: Any) -> None:
            with trio.CancelScope(shield=True):
                await trio.sleep(DAWDLING)

        @space.on("fail")
        def fail(socket: Socket, *args: Any) -> None:
            raise ValueError("on purpose")

        @space.on("fail-slowly")
        async def fail_slowly(socket: Socket, *args: Any) -> None:
            await trio.lowlevel.checkpoint()
            raise ValueError("on purpose")

        @space.on("tick")
        def tick(socket: Socket, number: Any = 1, size: Any = 0, *rest: Any) -> None:
            for _ in range(_small(number, 20)):
                self.tick(socket, b"x" * _small(size, 2_500))

        @space.on("large")
        def large(socket: Socket, *args: Any) -> None:
            self.tick(socket, b"x" * LARGE)

        @space.on("bundle")
        def bundle(socket: Socket, *args: Any) -> None:
            ticks = [self._tick(socket, b"" if number else b"\x01") for number in range(3)]
            socket.deliver(Message.bundle([self._state(space, "bundled"), *ticks]))

        @space.on("state")
        def state(socket: Socket, key: Any = "", *rest: Any) -> None:
            socket.deliver(self._state(space, str(key)))

        @space.on("now-or-never")
        def now_or_never(socket: Socket, *args: Any) -> None:
            socket.emit_volatile("volatile", *args)

        @space.on("tell")
        def tell(socket: Socket, *args: Any) -> None:
            space.emit("told", *args[:2])

        @space.on("leave")
        def leave(socket: Socket, *args: Any) -> str:
            if not _is_good(socket):
                socket.disconnect(close=bool(args))
            return "left"

        @space.on("close")
        def close(socket: Socket, *args: Any) -> None:
            if not _is_good(socket):
                socket.close_transport(1012 if args else 1013, "on purpose")

        @space.on("abort")
        def abort(socket: Socket, *args: Any) -> None:
            if not _is_good(socket):
                socket.abort()

        @space.on_any
        def anything(socket: Socket, event: Event) -> Any:
            if event.name == "forget":
                event.release()
                return None
            self.kept.append(event)
            return _dawdle(0) if event.name == "later" else None

        @space.on_error
        def error(socket: Socket, event: Event, error: Exception) -> None:
            assert isinstance(error, (InvalidArguments, ValueError, TypeError)), error
            if event.wants_ack and event.name == "fail":
                event.reply("failed")

    def _connect(self, socket: Socket, how: Any) -> None:
        match how:
            case "refuse":
                raise ConnectError("Refused", {"code": "ON_PURPOSE"})
            case "raise":
                if not _is_good(socket):
                    raise ValueError("on purpose")
            case "emit":
                for _ in range(3):
                    self.tick(socket)
            case "leave":
                if not _is_good(socket):
                    socket.disconnect()
        socket.data.goodbye = how
        self.let_in[socket.id] += 1

    async def _connect_slowly(self, socket: Socket, how: str) -> None:
        await trio.sleep(DAWDLING)
        self._connect(socket, how)

    def tick(self, socket: Socket, filling: bytes = b"") -> None:
        """Send a socket its next numbered event: none may be lost, doubled or late."""
        socket.deliver(self._tick(socket, filling))

    def _tick(self, socket: Socket, filling: bytes) -> Message:
        number = self._ticks[socket.id]
        self._ticks[socket.id] += 1
        args: tuple[Any, ...] = (filling,) if filling else ()
        return encode_event(socket.namespace.name, "tick", socket.id, number, *args)

    def _state(self, space: Namespace, key: str) -> Message:
        """Return the next state under a key: it may replace an older one that waits."""
        self._ticks["state"] += 1
        json = str(self._ticks["state"]).encode()
        return encode_raw_event(space.name, "state", json, key=key)

    @property
    def sockets(self) -> list[Socket]:
        """All that are connected now."""
        return [socket for name in NAMESPACES for socket in self.server.namespace(name).sockets]

    async def call(self, socket: Socket, timeout: float) -> None:  # noqa: ASYNC109
        """Ask a client something, with binary in it."""
        try:
            answer = await socket.call("ask", b"\x00", ["?"], timeout=timeout)
        except (trio.TooSlowError, SocketClosed, InvalidArguments):
            return
        assert not _is_good(socket) or answer == list(ANSWERS), answer

    def answer_kept(self) -> None:
        """Answer what was left unanswered."""
        for event in self.kept:
            event.reply("late")
        self.kept.clear()

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """Serve within the block."""
        async with self.server.serving():
            yield

    def check_parted(self) -> None:
        """Check that goodbyes were said once to each who was let in.

        :raises AssertionError: not so.
        """
        assert set(self.parted) <= set(self.let_in), "a goodbye to one who was never let in"
        assert self.parted == self.let_in, "no goodbye, or several"

    def check_empty(self, connections: int = 0) -> None:
        """Check that nothing is left of clients but of so many.

        :raises AssertionError: something is.
        """
        server = self.server
        statistics = server.statistics()
        assert statistics.connections == connections, f"{statistics.connections} connections"
        assert len(server._channels) == connections, "channels"
        assert len(server.connection_limit) == connections, (
            f"{len(server.connection_limit)} places taken"
        )
        # Streams in memory have no address, so only some of them count.
        assert sum(server.connection_limit._per_address.values()) <= connections, (
            "places of addresses"
        )
        assert bool(server._open) == bool(connections), f"{server._open} at work"
        assert len(server._timers) == connections, f"{len(server._timers)} timers"

    def check_garbage(self, connections: int = 0) -> None:
        """Check that no objects are left of clients but of so many."""
        if len(self.server.conversations) != connections:
            gc.collect()
        assert len(self.server.conversations) == connections, "conversations in memory"


async def _dawdle(seconds: float = DAWDLING) -> None:
    await trio.sleep(seconds)


def _is_good(socket: Socket) -> bool:
    return "good" in socket.handshake.query


def _small(number: Any, limit: int) -> int:
    return min(number, limit) if isinstance(number, int) and number > 0 else 0


class _Complaints(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.records: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if not text.startswith(_EXPECTED_ERRORS) or not _is_on_purpose(record):
            self.records.append(self.format(record))


def _is_on_purpose(record: logging.LogRecord) -> bool:
    error = record.exc_info[1] if record.exc_info else None
    return isinstance(error, ValueError) and str(error) == "on purpose"


@contextmanager
def no_complaints() -> Iterator[None]:
    """Take warnings, errors in the log, and exceptions in finalisers for findings."""
    complaints = _Complaints()
    loggers = [logging.getLogger(name) for name in ("gbs_actor", "hypercorn.error")]
    propagate = [logger.propagate for logger in loggers]
    for logger in loggers:
        logger.propagate = False
        logger.addHandler(complaints)
    hook = sys.unraisablehook

    def unraisable(args: Any) -> None:
        complaints.records.append(f"{args.err_msg}: {args.exc_value!r} in {args.object!r}")

    sys.unraisablehook = unraisable
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            yield
        complaints.records.extend(str(each.message) for each in caught)
    finally:
        sys.unraisablehook = hook
        for logger, before in zip(loggers, propagate, strict=True):
            logger.removeHandler(complaints)
            logger.propagate = before
    assert not complaints.records, "\n".join(complaints.records)
