"""A Trio-native Engine.IO v4 / Socket.IO v5 server, for any application.

Register handlers on the namespaces of a :class:`SocketServer`, and give its
:meth:`~SocketServer.serve_websocket` and :meth:`~SocketServer.serve_http` to a
:class:`FrontDoor`::

    server = SocketServer()
    chat = server.namespace("/chat")

    @chat.on("message")
    async def message(socket, text):
        chat.emit("message", text)

    async with server.serving():
        path = server.options.socketio_path
        requests = {path: server.serve_http}  # long-polling
        door = FrontDoor({path: server.serve_websocket}, fallback, requests=requests)
        await door.serve(await trio.open_tcp_listeners(8080))

Five layers; each imports only from those below it::

    socketio    SocketServer  Namespace  Socket  Event  Conversation  Recovery  Observer  Tracer
    ---------------------------------------------------------------------------
    engineio    EngineServer  Session  PollingTransport  Probe  EngineApp
    ---------------------------------------------------------------------------
    channel     ChannelServer  Channel  LiveChannel  Backlog  Outbox  Message
                WebSocketTransport  AsgiTransport  WebSocketApp  Plane
    ---------------------------------------------------------------------------
    websocket   Upgrade  FrameParser  DeflatedParser  frame  CloseCode
    ---------------------------------------------------------------------------
    net         FrontDoor  UnauthenticatedLimit  FairQueue  HttpStream  RequestLoop  Request

An event on its way in, one function call after the other in the task that reads::

    FrontDoor           reads the request head; a WebSocket upgrade goes to
    ChannelServer       checks it, and opens a channel; the socket goes to the
    Plane               one task that reads all plain sockets; others have a StreamDriver each
    WebSocketTransport  frames to messages, which go to a
    Session             Engine.IO packets; MESSAGE goes to a
    Conversation        Socket.IO packets, checked by its Membership; an EVENT goes to a
    Backlog             in order, counted; pauses reading when it is full
    Namespace           runs the handler: at once, or in the dispatcher's task if it awaits

A message on its way out; sending never blocks::

    encode_event        one Message, encoded once, shared by all sockets that get it
    Socket.deliver
    Outbox.send         writes to the wire at once, or queues; a keyed message replaces the
                        queued one with its key (send_text: an ack, which is no other socket's)
    SocketWire          sends, no task switch; PollWire: the response to a GET, from its task;
    StreamWire          TLS and memory streams, from the outbox's writer task

**What watches it.** Override methods of an :class:`Observer`, and :meth:`~SocketServer.observe`
by it::

    class Closes(Observer):
        def disconnected(self, socket, reason):
            print(socket.id, socket.transport, reason, socket.session.close_text)

    server.observe(Closes())

One server has any number of them. They see requests refused, sessions opened, upgraded and
ended, clients refused, connected and disconnected, and events both ways: one to all sockets once,
however many they are. A :class:`Tracer` sees what one socket receives and is sent, with
acknowledgements and shared messages: :meth:`Socket.trace`. An exception of either is logged, and
harms nobody. Events cost nothing more where nobody looks: a method that is not overridden is
never called.

**What may write to a connection.** Once a channel is open on it: its :class:`Outbox` alone,
and so no pong, close frame or acknowledgement passes it. Before that, the responses to a
request: :func:`send_response` (refusals, by the front door and the channel server) and the
101 of :class:`ChannelServer`. Besides, :class:`HttpStream` writes for the
:class:`RequestLoop` and the HTTP server that use it, and an ASGI server writes by itself.
"""

from gbs_actor.socketio.channel.asgi import WebSocketApp
from gbs_actor.socketio.channel.backlog import Backlog, BacklogEvent, KeptEvent
from gbs_actor.socketio.channel.channel import Channel, OnEnd, Transport, UpgradeTransport
from gbs_actor.socketio.channel.handshake import Handshake, join_fields
from gbs_actor.socketio.channel.liveness import LiveChannel, Liveness
from gbs_actor.socketio.channel.memory_limit import MemoryLimit
from gbs_actor.socketio.channel.message import DivisibleMessage, Message
from gbs_actor.socketio.channel.options import ServerOptions
from gbs_actor.socketio.channel.outbox import Outbox
from gbs_actor.socketio.channel.outbox_limits import OutboxLimits, OutboxStatistics
from gbs_actor.socketio.channel.plane import Plane, PlaneStatistics, open_plane
from gbs_actor.socketio.channel.server import ChannelServer, ChannelStatistics
from gbs_actor.socketio.channel.tasks import ChannelTasks
from gbs_actor.socketio.channel.timers import Deadline, DeadlineQueue, Timers, TimerWheel
from gbs_actor.socketio.encoding import encode_event, encode_raw_event
from gbs_actor.socketio.engineio.asgi import EngineApp
from gbs_actor.socketio.engineio.server import EngineServer, ServerStatistics
from gbs_actor.socketio.engineio.session import Application, Session
from gbs_actor.socketio.errors import (
    AlreadyAcknowledged,
    ConnectError,
    InvalidArguments,
    SocketClosed,
    SocketIOError,
)
from gbs_actor.socketio.event import Event
from gbs_actor.socketio.hook import Contained
from gbs_actor.socketio.memory_recovery import MemoryRecovery, RecoveryStatistics
from gbs_actor.socketio.namespace import Namespace
from gbs_actor.socketio.net.asgi import respond_over_asgi, with_lifespan
from gbs_actor.socketio.net.connection_limit import ConnectionLimit, ConnectionLimitReached
from gbs_actor.socketio.net.cors import CorsPolicy, is_preflight, origins_of
from gbs_actor.socketio.net.front_door import (
    Fallback,
    FrontDoor,
    FrontDoorStatistics,
    SocketHandler,
    UpgradeHandler,
)
from gbs_actor.socketio.net.front_door.fair_queue import FairQueue, FairQueueStatistics
from gbs_actor.socketio.net.front_door.http_stream import HttpStream
from gbs_actor.socketio.net.front_door.listener import AcceptedSocket, TcpListener
from gbs_actor.socketio.net.host import parse_host
from gbs_actor.socketio.net.http_exchange import HttpExchange, RequestHandler
from gbs_actor.socketio.net.http_response import HttpResponse, RequestRefused, send_response
from gbs_actor.socketio.net.origin import OriginPolicy, own_origin, parse_origin
from gbs_actor.socketio.net.peer import is_secure, peer_address, peer_address_with_port
from gbs_actor.socketio.net.request import Request
from gbs_actor.socketio.net.sockets import ConnectedSocket
from gbs_actor.socketio.net.tls import TlsListener, TlsStream
from gbs_actor.socketio.net.trusted_proxies import (
    BadForwardedField,
    RemoteEndpoint,
    TrustedProxies,
)
from gbs_actor.socketio.net.unauthenticated import (
    Unauthenticated,
    UnauthenticatedLimit,
    UnauthenticatedStatistics,
)
from gbs_actor.socketio.observer import Observer
from gbs_actor.socketio.packet import without_surrogates
from gbs_actor.socketio.recovery import Recovery, RestoredSession
from gbs_actor.socketio.server import SocketServer
from gbs_actor.socketio.sink import TracedSink
from gbs_actor.socketio.socket import Socket, Tracer
from gbs_actor.socketio.websocket.close_code import CloseCode, ProtocolViolation
from gbs_actor.socketio.websocket.subprotocol import offered_subprotocols

__all__ = [
    "AcceptedSocket",
    "AlreadyAcknowledged",
    "Application",
    "Backlog",
    "BacklogEvent",
    "BadForwardedField",
    "Channel",
    "ChannelServer",
    "ChannelStatistics",
    "ChannelTasks",
    "CloseCode",
    "ConnectError",
    "ConnectedSocket",
    "ConnectionLimit",
    "ConnectionLimitReached",
    "Contained",
    "CorsPolicy",
    "Deadline",
    "DeadlineQueue",
    "DivisibleMessage",
    "EngineApp",
    "EngineServer",
    "Event",
    "FairQueue",
    "FairQueueStatistics",
    "Fallback",
    "FrontDoor",
    "FrontDoorStatistics",
    "Handshake",
    "HttpExchange",
    "HttpResponse",
    "HttpStream",
    "InvalidArguments",
    "KeptEvent",
    "LiveChannel",
    "Liveness",
    "MemoryLimit",
    "MemoryRecovery",
    "Message",
    "Namespace",
    "Observer",
    "OnEnd",
    "OriginPolicy",
    "Outbox",
    "OutboxLimits",
    "OutboxStatistics",
    "Plane",
    "PlaneStatistics",
    "ProtocolViolation",
    "Recovery",
    "RecoveryStatistics",
    "RemoteEndpoint",
    "Request",
    "RequestHandler",
    "RequestRefused",
    "RestoredSession",
    "ServerOptions",
    "ServerStatistics",
    "Session",
    "Socket",
    "SocketClosed",
    "SocketHandler",
    "SocketIOError",
    "SocketServer",
    "TcpListener",
    "TimerWheel",
    "Timers",
    "TlsListener",
    "TlsStream",
    "TracedSink",
    "Tracer",
    "Transport",
    "TrustedProxies",
    "Unauthenticated",
    "UnauthenticatedLimit",
    "UnauthenticatedStatistics",
    "UpgradeHandler",
    "UpgradeTransport",
    "WebSocketApp",
    "encode_event",
    "encode_raw_event",
    "is_preflight",
    "is_secure",
    "join_fields",
    "offered_subprotocols",
    "open_plane",
    "origins_of",
    "own_origin",
    "parse_host",
    "parse_origin",
    "peer_address",
    "peer_address_with_port",
    "respond_over_asgi",
    "send_response",
    "with_lifespan",
    "without_surrogates",
]
