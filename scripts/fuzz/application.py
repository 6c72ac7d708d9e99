"""A Socket.IO server whose handlers do everything that handlers may do, and their records."""

from __future__ import annotations

from collections import Counter
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
from scripts.fuzz.simulation import ON_PURPOSE, instances

PATH: Final = "/socket.io/"
NAMESPACES: Final = ("/", "/custom", "/bare")
"""The last one has no handlers."""
MAX_PAYLOAD: Final = 2_000
MAX_CONNECTIONS: Final = 12
ANSWERS: Final = ("answer", "answers")
"""What clients acknowledge "ask" with."""
LARGE: Final = 15_000
"""Bytes of an event that no socket takes at once."""
SLOW: Final = 7.3
"""Seconds that slow handlers take."""

_OPTIONS: Final[dict[str, Any]] = {
    "socketio_path": PATH,
    "ping_timeout": 20.0,
    "upgrade_timeout": 100.0,  # longer than slow handlers can keep a client waiting
    "max_payload": MAX_PAYLOAD,
    "max_connections": MAX_CONNECTIONS,
    "max_unanswered_events": 4,
    "max_waiting_events": 4,
    "max_held_bytes": 1_500,
    "max_attachments": 4,
    "max_attachment_bytes": 1_500,
    "cookie_names": ("accessToken",),
    "allowed_origins": ("https://page.example",),
    "outbox": OutboxLimits(
        pause_messages=4, pause_bytes=600, outbox_messages=400, outbox_bytes=500_000, max_keys=50
    ),
}


class Application:
    """The server, and what its handlers have done.

    A client whose query has ``good`` is never disconnected by a handler.
    """

    def __init__(self, **options: Any) -> None:
        self.server = SocketServer(**(_OPTIONS | options))
        self._accepted: Counter[str] = Counter()
        """How often ``on_connect`` has returned, per socket."""
        self._disconnected: Counter[str] = Counter()
        """How often ``on_disconnect`` was called, per socket."""
        self.unanswered: list[Event] = []
        """Events that are answered later, or never."""
        self._seen: WeakSet[Socket] = WeakSet()
        self._ticks: Counter[str] = Counter()
        for name in NAMESPACES[:2]:
            self._register(self.server.namespace(name))
        self.server.namespace(NAMESPACES[2])

    @property
    def sockets(self) -> list[Socket]:
        """All that are connected now."""
        return [socket for name in NAMESPACES for socket in self.server.namespace(name).sockets]

    # Handlers.

    def _register(self, space: Namespace) -> None:
        @space.on_connect
        def connect(socket: Socket, auth: Any) -> Any:
            assert socket.closed or not self._has_ended(socket), "a client joins that has gone"
            self._seen.add(socket)
            how = auth.get("how") if isinstance(auth, dict) else None
            if how == "slow" or (how == "refuse" and auth.get("slow")):
                return self._connect_slowly(socket, how)
            return self._connect(socket, how)

        @space.on_disconnect
        def disconnect(socket: Socket, reason: str) -> Any:
            self._disconnected[socket.id] += 1
            assert reason and socket.closed
            how = socket.data.how
            if how == "fail-at-end":
                raise ValueError(ON_PURPOSE)
            return trio.sleep(SLOW) if how == "slow" else None

        @space.on("echo")
        def echo(socket: Socket, *args: Any) -> tuple[Any, ...]:
            return args

        @space.on("slow")
        async def slow(socket: Socket, *args: Any) -> tuple[Any, ...]:
            await trio.sleep(SLOW)
            return args

        @space.on("shielded")
        async def shielded(socket: Socket, *args: Any) -> None:
            with trio.CancelScope(shield=True):
                await trio.sleep(SLOW)

        @space.on("fail")
        def fail(socket: Socket, *args: Any) -> None:
            raise ValueError(ON_PURPOSE)

        @space.on("fail-later")
        async def fail_later(socket: Socket, *args: Any) -> None:
            await trio.lowlevel.checkpoint()
            raise ValueError(ON_PURPOSE)

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

        @space.on("volatile")
        def volatile(socket: Socket, *args: Any) -> None:
            socket.emit_volatile("volatile", *args)

        @space.on("broadcast")
        def broadcast(socket: Socket, *args: Any) -> None:
            space.emit("broadcast", *args[:2])

        @space.on("leave")
        def leave(socket: Socket, *args: Any) -> str:
            if not is_good(socket):
                socket.disconnect(close=bool(args))
            return "left"

        @space.on("close")
        def close(socket: Socket, *args: Any) -> None:
            if not is_good(socket):
                socket.close_transport(1012 if args else 1013, "on purpose")

        @space.on("abort")
        def abort(socket: Socket, *args: Any) -> None:
            if not is_good(socket):
                socket.abort()

        @space.on_any
        def anything(socket: Socket, event: Event) -> Any:
            if event.name == "drop":
                event.release()
                return None
            self.unanswered.append(event)
            return trio.lowlevel.checkpoint() if event.name == "later" else None

        @space.on_error
        def error(socket: Socket, event: Event, error: Exception) -> None:
            assert isinstance(error, (InvalidArguments, ValueError, TypeError)), error
            if event.wants_ack and event.name == "fail":
                event.reply("failed")

    def _has_ended(self, socket: Socket) -> bool:
        """Return whether another socket of the same session knows that it has ended."""
        query = socket.handshake.query
        ends = {each.reason for each in self._seen if each.handshake.query is query}
        return any(not end.endswith("namespace disconnect") for end in ends if end)

    def _connect(self, socket: Socket, how: Any) -> None:
        match how:
            case "refuse":
                raise ConnectError("Refused", {"code": "ON_PURPOSE"})
            case "fail" if not is_good(socket):
                raise ValueError(ON_PURPOSE)
            case "emit":
                for _ in range(3):
                    self.tick(socket)
            case "leave" if not is_good(socket):
                socket.disconnect()
        socket.data.how = how
        self._accepted[socket.id] += 1

    async def _connect_slowly(self, socket: Socket, how: str) -> None:
        await trio.sleep(SLOW)
        self._connect(socket, how)

    # What the application does by itself.

    def tick(self, socket: Socket, filling: bytes = b"") -> None:
        """Send a socket its next numbered event: none may be lost, doubled or late."""
        socket.deliver(self._tick(socket, filling))

    def _tick(self, socket: Socket, filling: bytes) -> Message:
        number = self._ticks[socket.id]
        self._ticks[socket.id] += 1
        args: tuple[Any, ...] = (filling,) if filling else ()
        return encode_event(socket.namespace.name, "tick", socket.id, number, *args)

    def _state(self, space: Namespace, key: str) -> Message:
        """Return the next state under a key; it may replace an older one that is queued."""
        self._ticks["state"] += 1
        json = str(self._ticks["state"]).encode()
        return encode_raw_event(space.name, "state", json, key=key)

    async def call(self, socket: Socket, timeout: float) -> None:  # noqa: ASYNC109
        """Call a client, with binary in it."""
        try:
            answer = await socket.call("ask", b"\x00", ["?"], timeout=timeout)
        except (trio.TooSlowError, SocketClosed, InvalidArguments):
            return
        assert not is_good(socket) or answer == list(ANSWERS), answer

    def answer(self) -> None:
        """Answer what is unanswered."""
        for event in self.unanswered:
            event.reply("late")
        self.unanswered.clear()

    def release(self) -> None:
        """Answer no event that is unanswered, so that none counts against its client."""
        for event in self.unanswered:
            event.release()
        self.unanswered.clear()

    # What must hold.

    def check_disconnected(self) -> None:
        """Check that ``on_disconnect`` ran once for each socket that was let in."""
        assert self._disconnected == self._accepted, "on_disconnect has not run once for each"

    def check_empty(self, sessions: int = 0) -> None:
        """Check that nothing is left but of so many sessions, neither counted nor in memory."""
        server = self.server
        assert server.statistics().connections == sessions, "sessions"
        assert len(server.connection_limit) == sessions, "connection limit"
        assert len(server._timers) == sessions, "timers"
        ours = [each for each in instances(Session) if each._options is server.options]
        assert len(ours) == sessions, "sessions in memory"


def is_good(socket: Socket) -> bool:
    """Return whether a socket's client keeps to the protocol, and has to be served."""
    return "good" in socket.handshake.query


def _small(number: Any, limit: int) -> int:
    return min(number, limit) if isinstance(number, int) and number > 0 else 0
