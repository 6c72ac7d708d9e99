"""Clients of each protocol for tests, as small and fast as they can be.

They know the protocols' documents and nothing of the server's code, so that a test of both has two
independent peers.

``lineup``        a client of a line-up server, by any realtime protocol
``socketio``      one of any Socket.IO server
``conversation``  what they share: sends events, keeps what comes, and waits for it
``session``       the protocols above the transport, without I/O; ``packets``: those of Socket.IO
``transport``     what carries messages: ``websocket``, ``polling``, ``upgrading``
``http``          HTTP/1.1
``messages``      what is received
"""

from gbs_actor.testing.peers.conversation import OnMessage
from gbs_actor.testing.peers.http import HttpConnection
from gbs_actor.testing.peers.lineup import Peer, PeerOptions, PeerProtocol
from gbs_actor.testing.peers.messages import (
    HttpReply,
    Json,
    PeerClosed,
    PeerRefused,
    Received,
    Reply,
)
from gbs_actor.testing.peers.socketio import SOCKETIO_PATH, Carrier, SocketPeer
from gbs_actor.testing.peers.transport import HOST, Dial, TransportClosed

__all__ = [
    "HOST",
    "SOCKETIO_PATH",
    "Carrier",
    "Dial",
    "HttpConnection",
    "HttpReply",
    "Json",
    "OnMessage",
    "Peer",
    "PeerClosed",
    "PeerOptions",
    "PeerProtocol",
    "PeerRefused",
    "Received",
    "Reply",
    "SocketPeer",
    "TransportClosed",
]
