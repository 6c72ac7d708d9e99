"""A session carried by long-polling: a GET waits for packets, a POST sends them.

See the Engine.IO protocol, revision 4, "HTTP long-polling".
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import trio

from gbs_actor.socketio.channel.channel import Channel
from gbs_actor.socketio.channel.message import Message
from gbs_actor.socketio.channel.outbox import Outbox
from gbs_actor.socketio.channel.traffic import ReadRate
from gbs_actor.socketio.channel.wire import Buffer, Encode
from gbs_actor.socketio.engineio.packets import PacketType
from gbs_actor.socketio.engineio.payload import POLLING, SEPARATOR, decode_payload, fitting
from gbs_actor.socketio.engineio.session import Session
from gbs_actor.socketio.net.http_exchange import ClientGone, HttpExchange
from gbs_actor.socketio.websocket.close_code import CloseCode, ProtocolViolation

NOOP: Final = PacketType.NOOP.encode()
CLOSE: Final = PacketType.CLOSE.encode()

_CLOSE: Final = Message(CLOSE)
_NOOP: Final = Message(NOOP)
_PACKETS_PER_TURN: Final = 64  # handled before other connections get theirs


class PollWire:
    """Writes into the GET that waits, one payload each; the GET's task is the writer.

    :param max_payload: bytes up to which packets are joined.
    :param max_packets: packets in one payload, at most.
    """

    separator = SEPARATOR
    direct = False  # what is sent next goes into the same response
    immediate = True

    def __init__(self, max_payload: int, max_packets: int) -> None:
        self.encode: Encode = POLLING
        self.batch = max_payload
        self.batch_messages = max_packets
        self.ready = False
        """Whether a GET waits."""
        self._payload = b""
        """The response to the GET; never empty."""
        self._changed = trio.lowlevel.ParkingLot()

    def send_nowait(self, data: Buffer) -> int:
        """See :class:`~gbs_actor.socketio.channel.wire.Wire`."""
        if not self.ready:
            raise BlockingIOError
        # A message with attachments is more than one packet.
        size = fitting(data, self.batch, self.batch_messages)
        self._respond(bytes(data[:size]))
        return size if size == len(data) else size + len(SEPARATOR)

    async def send_all(self, data: Buffer) -> None:
        """Never called, as the wire is :attr:`immediate`."""
        raise NotImplementedError

    async def wait_writable(self) -> None:
        """Never called, as no task but that of a GET writes."""
        raise NotImplementedError

    async def poll(self, outbox: Outbox, *, ready: bool) -> bytes:
        """Wait for a payload: of the outbox, or of :meth:`respond`.

        Cancelled, the next GET receives what was to be sent.

        :param ready: there is one, which is written within this turn of the scheduler. Then it is
            returned even if cancelled: who has ended only its side of the connection reads it.
        """
        self.ready, self._payload = True, b""
        try:
            with trio.CancelScope(shield=ready):
                await trio.lowlevel.checkpoint()
                while True:
                    if self.ready:
                        outbox.write_some()
                    if self._payload:
                        break
                    await self._changed.park()
            return self._payload
        finally:
            self.ready = False

    def wake(self) -> None:
        """Let the GET that waits write what is queued by its turn."""
        self._changed.unpark_all()

    def respond(self, payload: bytes) -> None:
        """Respond to the waiting GET, if there is one, ahead of what is queued."""
        if self.ready:
            self._respond(payload)

    def _respond(self, payload: bytes) -> None:
        self._payload = payload
        self.ready = False
        self.wake()


class OverlappingRequests(Exception):
    """A second GET or POST came before the response to the first; the session has ended."""


class PollingTransport:
    """Carries one session by the requests of its client.

    :param max_payload: bytes up to which packets are joined into one response.
    :param max_packets: packets in one response, at most.
    :param read_rate: how fast packets are read.
    """

    name = "polling"
    upgrades: tuple[str, ...] = ("websocket",)
    pings = False

    def __init__(self, max_payload: int, max_packets: int, read_rate: ReadRate) -> None:
        self.wire = PollWire(max_payload, max_packets)
        self._read_rate = read_rate
        self._getting = False
        self._posting = False

    def write_queued(self, channel: Channel) -> None:
        """See :class:`~gbs_actor.socketio.channel.channel.Transport`."""
        self.wire.wake()

    async def finish(self, channel: Channel) -> None:
        """See :class:`~gbs_actor.socketio.channel.channel.Transport`."""
        await channel.outbox.flushed.wait()

    async def get(
        self, session: Session, exchange: HttpExchange, *, opening: bool = False
    ) -> bytes:
        """Return the next payload; waits for one, unless the client is upgrading.

        Cancelled, or if the client disconnects while it waits, end the session.

        :param opening: whether the session is about to send its first packet.
        :raises OverlappingRequests: another GET waits already.
        :raises ClientGone: the client has disconnected.
        """
        if self._getting:
            self._overlap(session)
        self._getting = True
        payload = None
        try:
            if session.upgrading and not session.outbox.waiting:
                await trio.lowlevel.checkpoint()
                payload = NOOP
            elif opening or session.outbox.waiting:
                payload = await self.wire.poll(session.outbox, ready=True)
            else:
                payload = await self._poll_while_connected(session.outbox, exchange)
        finally:
            self._getting = False
            if payload is None and session.transport is self:  # else it moved to a WebSocket
                session.lose("transport close")
        if payload is None:
            raise ClientGone
        return payload

    async def _poll_while_connected(self, outbox: Outbox, exchange: HttpExchange) -> bytes | None:
        """Wait for a payload; return ``None`` if the client disconnects."""
        payload = None
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_cancel_when_disconnected, exchange, nursery.cancel_scope)
            payload = await self.wire.poll(outbox, ready=False)
            nursery.cancel_scope.cancel()
        return payload

    @contextmanager
    def posting(self, session: Session) -> Iterator[None]:
        """Receive and handle the body of a POST within the block, and no other one.

        :raises OverlappingRequests: another one has no response yet.
        """
        if self._posting:
            self._overlap(session)
        self._posting = True
        try:
            yield
        finally:
            self._posting = False

    async def post(self, session: Session, body: bytes) -> None:
        """Pass a payload of the client to its session; wait while reading is paused.

        Cancelled, an unknown number of the packets was passed.

        :raises ProtocolViolation: the session has ended before all of it was passed, by this
            payload or for another reason; not if the client itself has closed.
        """
        session.received_at = trio.current_time()
        try:
            for number, packet in enumerate(decode_payload(body), 1):
                # Before a packet, not after the last one: the client may fetch only after the
                # response to its POST.
                if session.paused:
                    await session.wait_unpaused()
                elif number % _PACKETS_PER_TURN == 0:
                    await trio.lowlevel.checkpoint()
                await self._read_rate.wait(1)
                _receive(session, packet)
                if session.reason is not None:
                    break
        except ProtocolViolation as violation:
            session.violated(violation)
            raise
        if session.reason == "parse error":
            raise ProtocolViolation("the session has ended")

    def close(self, outbox: Outbox, code: int, reason: str, *, discard: bool) -> None:
        """See :class:`~gbs_actor.socketio.channel.channel.Transport`."""
        discard = discard or code in {
            CloseCode.PROTOCOL_ERROR,
            CloseCode.INVALID_DATA,
            CloseCode.TOO_LARGE,
        }
        if discard and not self.wire.ready:
            outbox.stop()
        else:
            outbox.finish(_CLOSE, discard=discard)

    def close_for_peer(self, outbox: Outbox) -> None:
        """Respond to the GET that waits with a no-op; the client sends no other one."""
        if self.wire.ready:
            outbox.finish(_NOOP, discard=True)
        else:
            outbox.stop()

    def abort(self) -> None:
        """See :class:`~gbs_actor.socketio.channel.channel.Transport`."""
        self.wire.respond(CLOSE)

    def release(self) -> None:
        """See :class:`~gbs_actor.socketio.channel.channel.Transport`."""

    def respond_noop(self) -> None:
        """Respond to the GET that waits, as the client is upgrading."""
        self.wire.respond(NOOP)

    def retire(self, session: Session) -> None:
        """Stop carrying a session: it has moved to another transport, and is written there."""
        self.wire.respond(NOOP)
        if session.outbox.write_some():
            session.start_writer()

    def _overlap(self, session: Session) -> None:
        session.end("transport error", CloseCode.PROTOCOL_ERROR, "request overlap", discard=True)
        raise OverlappingRequests


async def _cancel_when_disconnected(exchange: HttpExchange, scope: trio.CancelScope) -> None:
    await exchange.wait_disconnected()
    scope.cancel()


def _receive(session: Session, packet: str | bytes) -> None:
    """Pass one packet to its session.

    :raises ProtocolViolation: the session has ended before.
    """
    if session.reason is not None:
        raise ProtocolViolation("the session has ended")
    if isinstance(packet, str):
        session.receive_text(packet)
    else:
        session.receive_binary(packet)
