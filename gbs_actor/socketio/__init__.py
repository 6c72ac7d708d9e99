"""A Trio-native Engine.IO v4 / Socket.IO v5 server.

It stands alone: nothing here knows what the messages are about. Register handlers on the
namespaces of a :class:`SocketServer`, and give its :meth:`~SocketServer.serve_websocket`
to a :class:`FrontDoor`::

    server = SocketServer()
    chat = server.namespace("/chat")

    @chat.on("message")
    async def message(socket, text):
        chat.emit("message", text)

    async with server.serving():
        door = FrontDoor({server.path: server.serve_websocket}, fallback)
        await door.serve(await trio.open_tcp_listeners(8080))
"""

from gbs_actor.socketio.channel.asgi import WebSocketApp
from gbs_actor.socketio.channel.backlog import Backlog, BacklogEvent, KeptEvent
from gbs_actor.socketio.channel.channel import Channel, OnEnd, Transport, UpgradeTransport
from gbs_actor.socketio.channel.close_code import CloseCode, ProtocolViolation
from gbs_actor.socketio.channel.handshake import Handshake, join_fields, offered_subprotocols
from gbs_actor.socketio.channel.liveness import LiveChannel
from gbs_actor.socketio.channel.message import Message
from gbs_actor.socketio.channel.options import ServerOptions
from gbs_actor.socketio.channel.outbox import Outbox, OutboxLimits, OutboxStatistics
from gbs_actor.socketio.channel.server import ChannelServer, ChannelStatistics
from gbs_actor.socketio.channel.timers import Deadline, DeadlineQueue, Timers
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
from gbs_actor.socketio.memory_recovery import MemoryRecovery, RecoveryStatistics
from gbs_actor.socketio.namespace import Namespace
from gbs_actor.socketio.net.asgi import respond_over_asgi, with_lifespan
from gbs_actor.socketio.net.connection_limit import ConnectionLimit, ConnectionLimitReached
from gbs_actor.socketio.net.cors import CorsPolicy, is_preflight, origins_of
from gbs_actor.socketio.net.front_door import (
    Fallback,
    FrontDoor,
    FrontDoorStatistics,
    UpgradeHandler,
)
from gbs_actor.socketio.net.http_response import HttpResponse, RequestRefused, send_response
from gbs_actor.socketio.net.http_stream import HttpStream
from gbs_actor.socketio.net.origin import OriginPolicy
from gbs_actor.socketio.net.peer import is_secure, peer_address, peer_address_with_port
from gbs_actor.socketio.net.request import Request
from gbs_actor.socketio.net.tls import TlsListener, TlsStream
from gbs_actor.socketio.net.trusted_proxies import RemoteEndpoint, TrustedProxies
from gbs_actor.socketio.packet import without_surrogates
from gbs_actor.socketio.recovery import Recovery, RestoredSession
from gbs_actor.socketio.server import SocketServer
from gbs_actor.socketio.socket import Socket

__all__ = [
    "AlreadyAcknowledged",
    "Application",
    "Backlog",
    "BacklogEvent",
    "Channel",
    "ChannelServer",
    "ChannelStatistics",
    "CloseCode",
    "ConnectError",
    "ConnectionLimit",
    "ConnectionLimitReached",
    "CorsPolicy",
    "Deadline",
    "DeadlineQueue",
    "EngineApp",
    "EngineServer",
    "Event",
    "Fallback",
    "FrontDoor",
    "FrontDoorStatistics",
    "Handshake",
    "HttpResponse",
    "HttpStream",
    "InvalidArguments",
    "KeptEvent",
    "LiveChannel",
    "MemoryRecovery",
    "Message",
    "Namespace",
    "OnEnd",
    "OriginPolicy",
    "Outbox",
    "OutboxLimits",
    "OutboxStatistics",
    "ProtocolViolation",
    "Recovery",
    "RecoveryStatistics",
    "RemoteEndpoint",
    "Request",
    "RequestRefused",
    "RestoredSession",
    "ServerOptions",
    "ServerStatistics",
    "Session",
    "Socket",
    "SocketClosed",
    "SocketIOError",
    "SocketServer",
    "Timers",
    "TlsListener",
    "TlsStream",
    "Transport",
    "TrustedProxies",
    "UpgradeHandler",
    "UpgradeTransport",
    "WebSocketApp",
    "encode_event",
    "encode_raw_event",
    "is_preflight",
    "is_secure",
    "join_fields",
    "offered_subprotocols",
    "origins_of",
    "peer_address",
    "peer_address_with_port",
    "respond_over_asgi",
    "send_response",
    "with_lifespan",
    "without_surrogates",
]
