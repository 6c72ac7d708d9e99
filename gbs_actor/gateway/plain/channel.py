"""The channel of one client of a plain WebSocket, from its handshake to its end."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import ClassVar, Final

from gbs_actor.auth import TokenSource
from gbs_actor.contract.payloads import JoinRequest
from gbs_actor.gateway.client import Client, ClientTracer, sink_statistics
from gbs_actor.gateway.clients import Clients, TooManyConnections
from gbs_actor.gateway.dispatch import Dispatch
from gbs_actor.gateway.plain import close_frame
from gbs_actor.gateway.plain.close_frame import CloseFrame
from gbs_actor.gateway.plain.frame import Frame, PlainFormat, parse_frame
from gbs_actor.gateway.plain.handshake import PlainHandshake
from gbs_actor.gateway.plain.invocation import ConnectInvocation, FrameEvent, PlainInvocation
from gbs_actor.gateway.plain.tracing import report_received, report_sent
from gbs_actor.rooms import SinkStatistics, Snapshot
from gbs_actor.socketio import (
    Backlog,
    ChannelTasks,
    CloseCode,
    Contained,
    LiveChannel,
    Liveness,
    Message,
    OnEnd,
    Outbox,
    ProtocolViolation,
    ServerOptions,
    TimerWheel,
    TracedSink,
    Transport,
)

_PING: Final = Message.ping()


class PlainChannel(LiveChannel):
    """The channel of one client; also its :class:`gbs_actor.gateway.client.Peer`.

    :param handshake: the client's handshake.
    :param wire_format: shared by all plain WebSockets of the same form.

    The other parameters are those of :class:`~gbs_actor.socketio.LiveChannel`.
    """

    __slots__ = (
        "_backlog",
        "_clients",
        "_dispatch",
        "_format",
        "_observe_frame",
        "_sink",
        "client",
        "handshake",
    )

    def __init__(
        self,
        transport: Transport,
        tasks: ChannelTasks,
        *,
        handshake: PlainHandshake,
        clients: Clients,
        dispatch: Dispatch,
        wire_format: PlainFormat,
        options: ServerOptions,
        wheel: TimerWheel[Liveness],
        on_end: OnEnd,
    ) -> None:
        super().__init__(transport, tasks, options, on_end)
        self.handshake = handshake
        self._clients = clients
        self._dispatch = dispatch
        self._format = wire_format
        self._backlog = Backlog(self, options)
        self._observe_frame: Callable[[Frame], None] | None = None
        self._sink: Outbox | TracedSink = self.outbox
        """Where messages go."""
        self.client: Client | None = None
        """From its admission until it has left its room."""
        if transport.pings:
            self.start_liveness(wheel)

    # What the transport calls.

    def open(self) -> None:
        """Join the room, or close: pages can read a close frame, but no response to a handshake."""
        who = self.handshake.who
        if isinstance(who, CloseFrame):
            self.close(who.code, who.reason)
            return
        try:
            presence = self.handshake.wants_presence
            sid = f"w-{self._clients.environment.token(9)}"
            self.client = self._clients.connect(self, who, sid=sid, wants_presence=presence)
        except TooManyConnections:
            refused = close_frame.TOO_MANY_OF_USER
            self.close(refused.code, refused.reason)
        else:
            self._backlog.submit(partial(self._join, self.client))

    def _join(self, client: Client) -> Awaitable[None]:
        slug, dispatch = self.handshake.slug, self._dispatch
        invocation = ConnectInvocation(self, slug, dispatch.errors)
        return dispatch.join(client, JoinRequest(slug), invocation)

    def receive_text(self, text: str) -> None:
        """Receive an event."""
        if self.client is not None:
            frame = parse_frame(text)
            if self._observe_frame is not None:
                self._observe_frame(frame)
            event = FrameEvent(frame, self._backlog)
            self._backlog.submit_event(event, self._handle, self.client)

    def _handle(self, client: Client, event: FrameEvent) -> Awaitable[None] | None:
        if self.reason is not None:
            return None
        invocation = PlainInvocation(self, event, self._dispatch.errors)
        if event.problem is None:
            return self._dispatch.handle(client, invocation)
        self._dispatch.reject(client, invocation, event.problem)
        return None

    def receive_binary(self, payload: bytes) -> None:
        """Close: binary frames are not supported."""
        self.violated(
            ProtocolViolation("binary messages are not understood", CloseCode.UNSUPPORTED_DATA)
        )

    def receive_pong(self) -> None:
        """Receive a pong."""
        self.pong_received()

    # As the client's peer.

    protocol: ClassVar[str] = "websocket"

    @property
    def format(self) -> PlainFormat:
        """The format shared with the other plain WebSockets of the same form."""
        return self._format

    @property
    def address(self) -> str | None:
        """The client's IP address; ``None`` if it has none."""
        return self.handshake.address

    @property
    def user_agent(self) -> str | None:
        """What the client says that it is; ``None``: nothing."""
        return self.handshake.user_agent

    def trace(self, tracer: ClientTracer | None) -> None:
        """Report the client's frames and those to it; see :class:`Peer`."""
        if tracer is None:
            self._observe_frame, self._sink = None, self.outbox
        else:
            self._observe_frame = Contained(partial(report_received, tracer))
            self._sink = TracedSink(self.outbox, partial(report_sent, tracer))

    def deliver(self, message: Message) -> None:
        """Send now, or queue in the outbox; never blocks."""
        self._sink.send(message)

    def hold(self) -> None:
        """Hold back what is sent, up to :meth:`release`."""
        self.outbox.hold()

    def release(self) -> None:
        """Send what was held back, by one write if possible."""
        self.outbox.release()

    def send_event(self, name: str, payload: bytes) -> None:
        """Send an event."""
        self._sink.send(self._format.event(name, payload))

    def send_list(self, snapshot: Snapshot) -> None:
        """Send a room's rows as event ``initial-data``."""
        self._sink.send(self._format.initial_data(snapshot))

    def close_expired(self, source: TokenSource) -> None:
        """Close the connection as its token has expired."""
        self.close(close_frame.EXPIRED.code, close_frame.EXPIRED.reason)

    def close_forbidden(self) -> None:
        """Close the connection as its user may no longer read."""
        self.close(close_frame.REVOKED.code, close_frame.REVOKED.reason)

    def close_restarting(self) -> None:
        """Close the connection; the client comes back with a back-off."""
        self.close(close_frame.RESTARTING.code, close_frame.RESTARTING.reason)

    def statistics(self) -> SinkStatistics:
        """Return how far behind the outbox is, and how long the last ping took."""
        return sink_statistics(
            self.outbox.statistics(),
            self.protocol,
            transport="websocket",
            round_trip=self.round_trip,
        )

    # Back-pressure, heartbeat, end.

    def lag_changed(self) -> None:
        """See :class:`~gbs_actor.socketio.LiveChannel`."""
        if self.client is not None:
            self._clients.lag_changed(self.client, lagging=self.lagging)

    def resume_events(self) -> None:
        """Start the events that have waited until the outbox is not congested any more."""
        self._backlog.resume()

    @property
    def ping_message(self) -> Message:
        """A WebSocket ping (RFC 6455 §5.5.2)."""
        return _PING

    async def run_disconnect_handlers(self) -> None:
        """Leave the room, once the client's running handlers have ended."""
        await self._backlog.stop()
        self.trace(None)
        client, self.client = self.client, None
        if client is not None:
            self._clients.disconnected(client)

    def __repr__(self) -> str:
        client = "without client" if self.client is None else self.client.sid
        return f"<PlainChannel {client} to {self.handshake.slug!r}>"
