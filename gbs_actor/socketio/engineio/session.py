"""One Engine.IO session: its packets, its heartbeat and its end, over any transport."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

from gbs_actor.socketio.channel.channel import Channel, OnEnd, Transport
from gbs_actor.socketio.channel.handshake import Handshake
from gbs_actor.socketio.channel.liveness import LiveChannel, Liveness
from gbs_actor.socketio.channel.message import Message
from gbs_actor.socketio.channel.options import ServerOptions
from gbs_actor.socketio.channel.tasks import ChannelTasks
from gbs_actor.socketio.channel.timers import TimerWheel
from gbs_actor.socketio.engineio import packets
from gbs_actor.socketio.engineio.packets import PacketType
from gbs_actor.socketio.engineio.payload import BASE64, decode_binary, payload_frames
from gbs_actor.socketio.net.unauthenticated import Unauthenticated
from gbs_actor.socketio.websocket.close_code import CloseCode, ProtocolViolation

_PING = Message(PacketType.PING.encode(), key=PacketType.PING)
_MESSAGE: Final = PacketType.MESSAGE.value
_PONG: Final = PacketType.PONG.value


class Application(Protocol):
    """What handles the messages of a session: Socket.IO, or another protocol."""

    @property
    def joined(self) -> bool:
        """Whether the client was accepted; else its session ends after ``connect_timeout``."""
        ...

    def resume_events(self) -> None:
        """Start the events that have waited for the outbox; called when it is not congested."""
        ...

    def receive_text(self, text: str, start: int) -> None:
        """Take the message that is in ``text`` from ``start`` on.

        :raises ProtocolViolation: the session has to end.
        """
        ...

    def receive_binary(self, payload: bytes) -> None:
        """Take a binary message.

        :raises ProtocolViolation: the session has to end.
        """
        ...

    def lag_changed(self, lagging: bool) -> None:
        """Called when the client begins to lag, or has caught up; must not block or raise."""
        ...

    def ended(self, reason: str) -> None:
        """Called once, when the session has ended; must not block."""
        ...

    async def run_disconnect_handlers(self) -> None:
        """Finish in bounded time, shielded; called once, after the end."""
        ...


class Session(LiveChannel):
    """One client's Engine.IO session, from the open packet to its end.

    :param sid: its id; unguessable.
    :param make_application: given the session, returns what handles its messages.

    The other parameters are those of :class:`~gbs_actor.socketio.channel.channel.Channel`.
    """

    __slots__ = (
        "_application",
        "handshake",
        "probe",
        "sid",
        "unauthenticated",
        "upgrading",
    )

    def __init__(
        self,
        transport: Transport,
        tasks: ChannelTasks,
        *,
        sid: str,
        handshake: Handshake,
        options: ServerOptions,
        wheel: TimerWheel[Liveness],
        on_end: OnEnd,
        make_application: Callable[[Session], Application],
    ) -> None:
        super().__init__(transport, tasks, options, on_end)
        self.sid = sid
        self.handshake = handshake
        self.probe: Channel | None = None
        """The WebSocket that the client may move to."""
        self.upgrading = False
        """Whether the client has begun to move there, so that no poll may wait."""
        self.unauthenticated: Unauthenticated | None = None
        """Limits it until its client is accepted in a namespace."""
        self._application = make_application(self)
        self.start_liveness(wheel)

    def count_as(self, unauthenticated: Unauthenticated) -> None:
        """Count as unauthenticated until :meth:`authenticated`, or the end.

        If it has to make room, it ends.
        """
        self.unauthenticated = unauthenticated
        unauthenticated.on_eviction(self.abort)

    def authenticated(self) -> None:
        """Note that the application has accepted the client; may be called more than once."""
        if self.unauthenticated is not None:
            self.unauthenticated.release()
            self.unauthenticated = None

    def open(self) -> None:
        """Send the open packet."""
        options = self._options
        packet = packets.Open(
            sid=self.sid,
            upgrades=self.transport.upgrades,
            ping_interval=round(options.ping_interval * 1000),
            ping_timeout=round(options.ping_timeout * 1000),
            max_payload=options.max_payload,
        )
        self.outbox.send(Message(packets.encode_open(packet)))

    def send(self, data: str | bytes) -> None:
        """Send one message of Engine.IO. Never blocks; after the end, does nothing."""
        if isinstance(data, str):
            self.outbox.send(Message(PacketType.MESSAGE.encode() + data.encode()))
        else:
            self.outbox.send(Message.binary(data))

    # Receiving.

    def receive_text(self, text: str) -> None:
        """Take a text packet; the session may have ended after that."""
        if self.reason is not None:
            return  # it had been read when the session ended
        kind = text[:1]
        try:
            if kind == _MESSAGE:
                self._application.receive_text(text, 1)
            elif kind == _PONG:
                self.pong_received()
            elif kind == PacketType.CLOSE:
                if self._end("transport close"):
                    self.transport.close_for_peer(self.outbox)
            elif kind == BASE64:  # over a WebSocket, of clients with forceBase64
                self._application.receive_binary(decode_binary(text))
            elif kind == PacketType.PING:
                self.violated(ProtocolViolation("ping from a client outside a probe"))
            else:
                self.violated(ProtocolViolation("unknown Engine.IO packet type"))
        except ProtocolViolation as violation:
            self.violated(violation)

    def receive_binary(self, payload: bytes) -> None:
        """Take a binary packet; the session may have ended after that."""
        if self.reason is not None:
            return
        try:
            self._application.receive_binary(payload)
        except ProtocolViolation as violation:
            self.violated(violation)

    def move(self, transport: Transport) -> None:
        """Continue on another transport, with all that is queued."""
        self.transport = transport
        if self.unauthenticated is not None:
            self.unauthenticated.connection = True
        self.probe = None
        self.upgrading = False
        self.outbox.move(transport.wire, payload_frames)

    # Ending.

    def ended(self, reason: str) -> None:
        """See :class:`~gbs_actor.socketio.channel.channel.Channel`."""
        super().ended(reason)
        self.authenticated()  # it does not count any longer
        self._application.ended(reason)
        if self.probe is not None:
            self.probe.close(CloseCode.GOING_AWAY, "the session has ended")

    async def run_disconnect_handlers(self) -> None:
        """See :class:`~gbs_actor.socketio.channel.channel.Channel`."""
        await self._application.run_disconnect_handlers()

    def release(self) -> None:
        """Drop the application, which refers to the session; nothing is received after that.

        So both are freed at once, and not by the garbage collector: it would have to look at
        thousands of sessions that have ended.
        """
        del self._application

    # Back-pressure and deadlines.

    def lag_changed(self) -> None:
        """See :class:`LiveChannel`."""
        self._application.lag_changed(self.lagging)

    @property
    def ping_message(self) -> Message:
        """See :class:`LiveChannel`."""
        return _PING

    def resume_events(self) -> None:
        """See :class:`Application`."""
        self._application.resume_events()

    @property
    def may_start_events(self) -> bool:
        """Whether events are started: what is queued does not count during an upgrade.

        The client no longer polls then, and its POST waits for events if many have to wait.
        """
        return self.upgrading or not self.outbox.congested

    @property
    def paused(self) -> bool:
        """Whether reading is paused.

        What is queued does not count during an upgrade: the client no longer polls then, and
        moves only after the response to its POST.
        """
        return self.reason is None and (
            self.backlogged or (self.outbox.congested and not self.upgrading)
        )

    @property
    def joined(self) -> bool:
        """See :class:`~gbs_actor.socketio.channel.liveness.LivenessOwner`."""
        return self._application.joined

    def __repr__(self) -> str:
        node, dot, random = self.sid.rpartition(".")
        return f"<Session {node}{dot}{random[:4]}…>"  # the whole id is a secret
