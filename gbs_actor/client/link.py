"""One connection to the server, from the TCP handshake to its end."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import NoReturn, cast

import msgspec
import trio
import trio_websocket

from gbs_actor.client import packets
from gbs_actor.client.dialing import ConnectStream, Endpoint
from gbs_actor.client.errors import ClientError, ConnectError
from gbs_actor.client.replies import Reply
from gbs_actor.concurrency import exceptions_in

MAX_MESSAGE_SIZE = 32 * 1024 * 1024
"""The largest message taken from a server, in bytes; a list of 1,000 rows has 0.6 MB."""

_RECEIVE_SIZE = 64 * 1024

_PONGS = 4
"""How many pongs may be queued for a server that does not read."""

_SERVER_ERROR = 500
"""With HTTP statuses from here on a later attempt may succeed (RFC 9110 §15.6)."""


class LinkLost(ClientError):
    """The connection has ended, or could not be opened; another attempt may succeed."""


class _HandshakeInterrupted(Exception):
    """The stream ended before the response to the WebSocket handshake."""


_ENDS = (
    LinkLost,
    ConnectError,
    _HandshakeInterrupted,
    OSError,
    trio.TooSlowError,
    trio_websocket.HandshakeError,
    trio_websocket.ConnectionClosed,
)


class _Opening(trio.abc.Stream):
    """A stream whose end is an error until the WebSocket handshake is done.

    trio-websocket waits forever if a server accepts a connection and ends it without a
    response, as a killed server does.
    """

    def __init__(self, stream: trio.abc.Stream) -> None:
        self._stream = stream
        self.opened = False

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        try:
            data = await self._stream.receive_some(max_bytes)
        except trio.BrokenResourceError:
            if self.opened:
                raise
            data = b""
        if not data and not self.opened:
            raise _HandshakeInterrupted
        return data

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        try:
            await self._stream.send_all(data)
        except trio.BrokenResourceError:
            if self.opened:
                raise
            raise _HandshakeInterrupted from None

    async def wait_send_all_might_not_block(self) -> None:
        await self._stream.wait_send_all_might_not_block()

    async def aclose(self) -> None:
        await self._stream.aclose()


@dataclass(slots=True, eq=False)
class PendingCall:
    """An event that waits for its acknowledgement.

    ``on_reply`` runs in the reading task, in the order in which the server has sent; the
    caller may have been cancelled meanwhile.
    """

    on_reply: Callable[[Reply], None]
    reply: Reply | None = None
    done: trio.Event = field(default_factory=trio.Event)


_reply_decoder = msgspec.json.Decoder(Reply)


class Link:
    """A WebSocket, its Engine.IO session, and one namespace.

    :param connect_stream: opens the byte stream.
    :param namespace: e.g. ``/gbs-lineup``.
    :param headers: of the WebSocket handshake.
    :param auth: payload of the Socket.IO ``CONNECT``; ``None``: none.
    :param on_event: called for each event, in order of arrival; must not block.
    :param max_pending: how many events may wait for their acknowledgements at a time.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        connect_stream: ConnectStream,
        *,
        namespace: str,
        headers: Sequence[tuple[str, str]],
        auth: object,
        on_event: Callable[[packets.Event], None],
        max_pending: int,
    ) -> None:
        self._endpoint = endpoint
        self._connect_stream = connect_stream
        self._namespace = namespace
        self._headers = headers
        self._auth = auth
        self._on_event = on_event
        self._pending: dict[int, PendingCall] = {}
        self._next_id = 0
        self._slots = trio.Semaphore(max_pending)
        # Calls always fit, since each has a slot; the rest is for pongs.
        self._to_send, self._sending = trio.open_memory_channel[str](max_pending + _PONGS)
        self._lost: str | None = None
        self._stream: _Opening | None = None
        self._websocket: trio_websocket.WebSocketConnection | None = None
        self._ping_deadline = math.inf
        self._ping_wait = math.inf

    @property
    def pending(self) -> int:
        """How many events wait for their acknowledgement."""
        return len(self._pending)

    async def serve(
        self, opened: Callable[[Link], Awaitable[None]], *, open_timeout: float
    ) -> NoReturn:
        """Open the connection and read it until it ends; never returns normally.

        :param opened: run concurrently with the reading, once the namespace is connected.
        :param open_timeout: seconds for everything up to then.
        :raises LinkLost: there was no connection, or it has ended. Every call
            without a reply raises the same.
        :raises ConnectError: the server refused this client.

        Cancelled, it closes the stream at once.
        """
        end: LinkLost | ConnectError = LinkLost("the connection was abandoned")
        try:
            async with trio.open_nursery() as nursery:
                try:
                    with trio.fail_after(open_timeout):
                        websocket = await self._open(nursery)
                    nursery.start_soon(self._write, websocket)
                    nursery.start_soon(opened, self)
                    await self._read(websocket)
                finally:
                    # First the stream: under a cancelled scope its closing would raise
                    # Cancelled in place of what ended the link.
                    if self._stream is not None:
                        await trio.aclose_forcefully(self._stream)
                    nursery.cancel_scope.cancel()
        except* _ENDS as group:
            end = _reason(group)
        finally:
            self._end(end)
        raise end

    async def call(self, name: str, argument: object, on_reply: Callable[[Reply], None]) -> Reply:
        """Send an event and wait for its acknowledgement.

        :param name: the event's name.
        :param argument: its only argument; anything msgspec can encode.
        :param on_reply: called in the reading task, in the order of arrival, even
            if the caller was cancelled meanwhile.
        :raises LinkLost: the connection ended before the reply arrived.

        Cancelled while it waits for a slot, nothing is sent; cancelled later, the event was
        sent, and its outcome is unknown.
        """
        await self._slots.acquire()
        if self._lost is not None:
            self._slots.release()
            raise LinkLost(self._lost)
        ack_id = self._next_id
        self._next_id += 1
        call = self._pending[ack_id] = PendingCall(on_reply)
        self._to_send.send_nowait(packets.event(self._namespace, ack_id, name, argument))
        await call.done.wait()
        if call.reply is None:
            raise LinkLost(self._lost or "no answer")
        return call.reply

    async def close(self) -> None:
        """Leave the namespace and close the WebSocket (RFC 6455 §7.1.2).

        Waits for the server's part of it; cancelled, it stops waiting.
        """
        if self._websocket is None or self._lost is not None:
            return
        try:
            await self._websocket.send_message(packets.disconnect(self._namespace))
            await self._websocket.aclose()
        except trio_websocket.ConnectionClosed:
            return

    async def _open(self, nursery: trio.Nursery) -> trio_websocket.WebSocketConnection:
        self._stream = stream = _Opening(
            await self._connect_stream(self._endpoint.host, self._endpoint.port)
        )
        self._websocket = websocket = await trio_websocket.wrap_client_stream(
            nursery,
            cast("trio.SocketStream", stream),  # any stream does
            self._endpoint.authority,
            self._endpoint.resource,
            extra_headers=[(k.encode(), v.encode()) for k, v in self._headers],
            max_message_size=MAX_MESSAGE_SIZE,
            receive_buffer_size=_RECEIVE_SIZE,
        )
        stream.opened = True
        match await self._receive(websocket):
            case packets.Open(ping_interval=interval, ping_timeout=timeout):
                self._ping_wait = (interval + timeout) / 1000
                self._ping_deadline = trio.current_time() + self._ping_wait
            case other:
                raise LinkLost(f"the server did not open the session but sent {other}")
        await websocket.send_message(packets.connect(self._namespace, self._auth))
        while True:
            match await self._receive(websocket):
                case packets.Connected():
                    return websocket
                case packets.ConnectError(message=message, data=data):
                    raise ConnectError(message, data.code)
                case packets.Ping() as ping:
                    await websocket.send_message(packets.pong(ping))
                case packets.Close():
                    raise LinkLost("the server closed the session")

    async def _read(self, websocket: trio_websocket.WebSocketConnection) -> NoReturn:
        while True:
            with trio.move_on_at(self._ping_deadline) as timeout:
                packet = await self._receive(websocket)
            if timeout.cancelled_caught:
                raise LinkLost(f"no ping from the server for {self._ping_wait:g} s")
            match packet:
                case packets.Ping() as ping:
                    self._ping_deadline = trio.current_time() + self._ping_wait
                    try:
                        self._to_send.send_nowait(packets.pong(ping))
                    except trio.WouldBlock:
                        raise LinkLost("the server stopped reading") from None
                case packets.Event() as event:
                    try:
                        self._on_event(event)
                    except (msgspec.MsgspecError, RecursionError) as error:
                        raise LinkLost(f"not a {event.name}: {error}") from error
                case packets.Ack() as ack:
                    self._receive_ack(ack)
                case packets.Disconnect():
                    raise ConnectError("The server ended the namespace", "DISCONNECTED")
                case packets.Close():
                    raise LinkLost("the server closed the session")

    def _receive_ack(self, ack: packets.Ack) -> None:
        call = self._pending.pop(ack.id, None)
        if call is None:
            raise LinkLost(f"the server acknowledged {ack.id}, which is not pending")
        if len(ack.arguments) != 1:
            raise LinkLost(f"an acknowledgement with {len(ack.arguments)} arguments")
        try:
            reply = _reply_decoder.decode(ack.arguments[0])
            call.on_reply(reply)
        except (msgspec.MsgspecError, RecursionError) as error:
            raise LinkLost(f"not an acknowledgement: {error}") from error
        else:
            call.reply = reply
        finally:
            call.done.set()
            self._slots.release()

    async def _receive(self, websocket: trio_websocket.WebSocketConnection) -> packets.Packet:
        try:
            message = await websocket.get_message()
        except trio_websocket.ConnectionClosed as error:
            raise LinkLost(f"the WebSocket was closed: {error.reason}") from error
        if isinstance(message, bytes):
            raise LinkLost("the server sent a binary frame")
        try:
            return packets.parse(message, self._namespace)
        except packets.BadPacket as error:
            raise LinkLost(str(error)) from error

    async def _write(self, websocket: trio_websocket.WebSocketConnection) -> None:
        # One task writes, so that a caller's cancellation cannot truncate a frame.
        async for packet in self._sending:
            try:
                await websocket.send_message(packet)
            except trio_websocket.ConnectionClosed:
                return  # the reading task sees it too, and knows why

    def _end(self, reason: LinkLost | ConnectError) -> None:
        self._lost = str(reason)
        for call in self._pending.values():
            call.done.set()
            self._slots.release()
        self._pending.clear()


def _reason(group: BaseExceptionGroup) -> LinkLost | ConnectError:
    """Return the exception that ended a link; of several, the first that explains the end."""
    errors = exceptions_in(group)
    for error in errors:
        if isinstance(error, LinkLost | ConnectError):
            return error
    match errors[0]:
        case trio_websocket.ConnectionRejected(status_code=status) if status < _SERVER_ERROR:
            return ConnectError("The WebSocket handshake was refused", f"HTTP_{status}")
        case trio_websocket.ConnectionRejected(status_code=status):
            return LinkLost(f"the server answered the handshake with {status}")
        case trio.TooSlowError():
            return LinkLost("the server took too long to open the session")
        case error:
            return LinkLost(f"{type(error).__name__}: {error}")
