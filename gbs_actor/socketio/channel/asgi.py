"""Channels over the WebSockets of an ASGI server that runs on Trio.

Carries the WebSockets that are not on a stream of our own: those on a reused connection, and
all under a stock ASGI server. The framing is the ASGI server's.
"""

from __future__ import annotations

from collections.abc import Mapping
from struct import Struct
from typing import Any, Final

import trio

from gbs_actor.socketio.channel.channel import Channel
from gbs_actor.socketio.channel.handshake import join_fields
from gbs_actor.socketio.channel.message import Message
from gbs_actor.socketio.channel.outbox import Outbox
from gbs_actor.socketio.channel.server import ChannelServer
from gbs_actor.socketio.channel.traffic import ReadRate, Traffic
from gbs_actor.socketio.channel.wire import WEBSOCKET, Buffer, Encode
from gbs_actor.socketio.net.asgi import (
    App,
    Receive,
    Scope,
    Send,
    not_found,
    peer_of,
    refuse_handshake,
    request_of,
)
from gbs_actor.socketio.net.http_response import RequestRefused
from gbs_actor.socketio.websocket import frame as ws
from gbs_actor.socketio.websocket.close_code import CloseCode, ProtocolViolation
from gbs_actor.socketio.websocket.subprotocol import offered_subprotocols, select_subprotocol

_CLOSE_FRAME: Final = 0x88
_CODE: Final = Struct("!H")
_CLOSE_TIMEOUT: Final = 1.0  # seconds for a close frame, if the ASGI server cancels us


class WebSocketApp:
    """An ASGI application that serves WebSockets at a server's path.

    :param server: has to be served meanwhile; see :meth:`ChannelServer.serving`.
    :param other: gets everything else, the lifespan included; by default responds with 404.
    """

    def __init__(self, server: ChannelServer[Any], other: App | None = None) -> None:
        self._sockets = server
        self._other = not_found if other is None else other

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one WebSocket; pass everything else on."""
        if scope["type"] == "websocket" and scope["path"].startswith(self._sockets.path):
            await self._websocket(scope, receive, send)
        else:
            await self._other(scope, receive, send)

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()  # websocket.connect
        with self._sockets.counted_as_open():
            await self._serve_websocket(scope, receive, send)

    async def _serve_websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        server = self._sockets
        request, secure = request_of(scope), scope["scheme"] == "wss"
        try:
            accepted = server.accept(request, peer_of(scope), secure=secure)
        except RequestRefused as refusal:
            response = server.refusal_response(refusal, request, peer_of(scope))
            await refuse_handshake(scope, send, response)
            return
        try:
            offered = offered_subprotocols(join_fields(request.fields))
            subprotocol = select_subprotocol(offered, server.subprotocols(accepted))
            await send({"type": "websocket.accept", "subprotocol": subprotocol})
            if not server.accepting:  # any longer
                await send({"type": "websocket.close", "code": CloseCode.GOING_AWAY})
                server.release(accepted)
                return
        except BaseException:
            server.release(accepted)
            raise
        transport = AsgiTransport(
            receive,
            send,
            server.received,
            server.read_rate(),
            max_payload=server.options.max_payload,
        )
        server.open_channel(transport, accepted, trio.lowlevel.current_task().context)
        await transport.run()


class AsgiTransport:
    """Carries a channel by the messages of an ASGI WebSocket, after it was accepted.

    :param received: what counts incoming data.
    :param read_rate: how fast messages are read.
    :param max_payload: bytes of a message.
    """

    name = "websocket"
    upgrades: tuple[str, ...] = ()
    pings = False  # ASGI has none; the server may send its own

    def __init__(
        self,
        receive: Receive,
        send: Send,
        received: Traffic,
        read_rate: ReadRate,
        *,
        max_payload: int,
    ) -> None:
        self.wire = AsgiWire(send)
        self.channel: Channel | None = None
        """Receives the messages; a probe is replaced by its session."""
        self._receive = receive
        self._send = send
        self._received = received
        self._read_rate = read_rate
        self._max_payload = max_payload
        self._reading = trio.CancelScope()
        self._read_to_end = trio.Event()
        self._released = trio.Event()
        self._aborted = False

    async def run(self) -> None:
        """Receive until the channel has ended, and what that has run.

        Cancelled, nothing more is written.
        """
        try:
            with self._reading:
                while self.channel is not None and self.channel.reason is None:
                    await self._receive_message(await self._receive())
            self._read_to_end.set()
            await self._released.wait()
        except trio.Cancelled:
            # The ASGI server shuts down, and its own grace period has passed. Or it drops the
            # connection. From here on nothing may be sent after the close, and the session
            # may have another task, which is not cancelled.
            if self.channel is not None:
                self.channel.lose("server shutting down")
            with trio.move_on_after(_CLOSE_TIMEOUT, shield=True):
                await self._send(
                    {"type": "websocket.close", "code": CloseCode.GOING_AWAY, "reason": ""}
                )
            raise
        finally:
            if self.channel is not None:
                self.channel.lose("transport close")
            self._read_to_end.set()
            with trio.CancelScope(shield=True):
                await self._released.wait()

    async def _receive_message(self, message: Mapping[str, Any]) -> None:
        channel = self._current
        if message["type"] == "websocket.disconnect":
            channel.lose("transport close")
            return
        text, payload = message.get("text"), message.get("bytes")
        size = len(payload or b"") if text is None else len(text.encode())
        self._received.messages += 1
        self._received.bytes += size
        channel.received_at = trio.current_time()
        if size > self._max_payload:
            channel.violated(ProtocolViolation("message too large", CloseCode.TOO_LARGE))
        elif text is None:
            channel.receive_binary(bytes(payload or b""))
        else:
            channel.receive_text(text)
        await self._read_rate.wait(1)
        if self._current.paused:
            await self._current.wait_unpaused()

    @property
    def _current(self) -> Channel:
        assert self.channel is not None
        return self.channel

    async def finish(self, channel: Channel) -> None:
        """Write the rest, then wait for the client's side of the closing handshake.

        The ASGI server drops the connection when this returns, which could overtake what was
        sent.
        """
        if self._aborted:
            return
        await self._read_to_end.wait()
        await channel.outbox.flushed.wait()
        while (await self._receive())["type"] != "websocket.disconnect":
            pass

    def close(self, outbox: Outbox, code: int, reason: str, *, discard: bool) -> None:
        """See :class:`~gbs_actor.socketio.channel.channel.Transport`."""
        frame = ws.frame(_CODE.pack(code) + reason.encode()[:123], _CLOSE_FRAME)
        outbox.finish(Message.control(frame), discard=discard)
        self._reading.cancel()

    def close_for_peer(self, outbox: Outbox) -> None:
        """See :class:`~gbs_actor.socketio.channel.channel.Transport`."""
        self.close(outbox, CloseCode.NORMAL, "", discard=False)

    def abort(self) -> None:
        """See :class:`~gbs_actor.socketio.channel.channel.Transport`."""
        self._aborted = True
        self._reading.cancel()

    def release(self) -> None:
        """See :class:`~gbs_actor.socketio.channel.channel.Transport`."""
        self.channel = None  # it refers to this transport
        self._released.set()

    def write_queued(self, channel: Channel) -> None:
        """See :class:`~gbs_actor.socketio.channel.channel.Transport`."""
        channel.tasks.start_soon(channel.outbox.write)


class AsgiWire:
    """Sends frames as the messages in them; the ASGI server frames these again."""

    separator = b""
    batch = 65_536
    batch_messages = 65_536
    direct = False
    immediate = False
    ready = True

    def __init__(self, send: Send) -> None:
        self.encode: Encode = WEBSOCKET
        self._send = send

    def send_nowait(self, data: Buffer) -> int:
        """Raise: an ASGI server may block its sender."""
        raise BlockingIOError

    async def send_all(self, data: Buffer) -> None:
        """See :class:`~gbs_actor.socketio.channel.wire.Wire`.

        Any exception of an ASGI server that cannot send counts as a broken connection.
        """
        try:
            await self._send_frames(data)
        except Exception as error:
            raise trio.BrokenResourceError(f"the ASGI server does not send: {error!r}") from error

    async def _send_frames(self, data: Buffer) -> None:
        for head, payload in ws.split(data):
            if head == ws.TEXT:
                await self._send({"type": "websocket.send", "text": payload.decode()})
            elif head == ws.BINARY:
                await self._send({"type": "websocket.send", "bytes": payload})
            elif head == _CLOSE_FRAME:
                (code,) = _CODE.unpack(payload[:2])
                reason = payload[2:].decode(errors="ignore")
                await self._send({"type": "websocket.close", "code": code, "reason": reason})

    async def wait_writable(self) -> None:
        """See :class:`~gbs_actor.socketio.channel.wire.Wire`."""
        await trio.lowlevel.checkpoint()
