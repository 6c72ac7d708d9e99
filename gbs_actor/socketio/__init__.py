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
        door = FrontDoor({server.options.path: server.serve_websocket}, fallback)
        await door.serve(await trio.open_tcp_listeners(8080))
"""

from gbs_actor.socketio.asgi import EngineApp, WebSocketApp, answer_over_asgi
from gbs_actor.socketio.backlog import Backlog
from gbs_actor.socketio.channel import Channel, OnEnd, Transport, UpgradeTransport
from gbs_actor.socketio.channel_server import ChannelServer, ChannelStatistics
from gbs_actor.socketio.close_code import CloseCode
from gbs_actor.socketio.connection import Application, Connection
from gbs_actor.socketio.cors import CorsPolicy, is_preflight, origins_of
from gbs_actor.socketio.engine import EngineServer, ServerStatistics
from gbs_actor.socketio.errors import (
    AlreadyAnswered,
    ConnectRefused,
    InvalidArguments,
    ProtocolViolation,
    SocketClosed,
    SocketIOError,
)
from gbs_actor.socketio.event import Event
from gbs_actor.socketio.front_door import (
    Fallback,
    FrontDoor,
    FrontDoorStatistics,
    UpgradeHandler,
)
from gbs_actor.socketio.handshake import Handshake, join_fields
from gbs_actor.socketio.http_answer import HttpAnswer, send_answer
from gbs_actor.socketio.lifespan import with_lifespan
from gbs_actor.socketio.live_channel import LiveChannel
from gbs_actor.socketio.memory_recovery import MemoryRecovery, RecoveryStatistics
from gbs_actor.socketio.message import Message
from gbs_actor.socketio.namespace import Namespace
from gbs_actor.socketio.options import ServerOptions
from gbs_actor.socketio.origin import OriginPolicy
from gbs_actor.socketio.outbox import Outbox, OutboxLimits, OutboxStatistics
from gbs_actor.socketio.peer import is_secure, peer_address, peer_address_with_port
from gbs_actor.socketio.places import NoPlace, Places
from gbs_actor.socketio.recovery import Recovery, Restored
from gbs_actor.socketio.refusal import Refusal
from gbs_actor.socketio.replay_stream import ReplayStream
from gbs_actor.socketio.request import Request
from gbs_actor.socketio.server import SocketServer
from gbs_actor.socketio.socket import Socket
from gbs_actor.socketio.subprotocol import offered_subprotocols
from gbs_actor.socketio.surrogates import without_surrogates
from gbs_actor.socketio.timers import Timers
from gbs_actor.socketio.tls import TlsListener, TlsStream
from gbs_actor.socketio.trusted_proxies import Caller, TrustedProxies

__all__ = [
    "AlreadyAnswered",
    "Application",
    "Backlog",
    "Caller",
    "Channel",
    "ChannelServer",
    "ChannelStatistics",
    "CloseCode",
    "ConnectRefused",
    "Connection",
    "CorsPolicy",
    "EngineApp",
    "EngineServer",
    "Event",
    "Fallback",
    "FrontDoor",
    "FrontDoorStatistics",
    "Handshake",
    "HttpAnswer",
    "InvalidArguments",
    "LiveChannel",
    "MemoryRecovery",
    "Message",
    "Namespace",
    "NoPlace",
    "OnEnd",
    "OriginPolicy",
    "Outbox",
    "OutboxLimits",
    "OutboxStatistics",
    "Places",
    "ProtocolViolation",
    "Recovery",
    "RecoveryStatistics",
    "Refusal",
    "ReplayStream",
    "Request",
    "Restored",
    "ServerOptions",
    "ServerStatistics",
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
    "answer_over_asgi",
    "is_preflight",
    "is_secure",
    "join_fields",
    "offered_subprotocols",
    "origins_of",
    "peer_address",
    "peer_address_with_port",
    "send_answer",
    "with_lifespan",
    "without_surrogates",
]
