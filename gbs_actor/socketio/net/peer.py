"""The other end of a stream, with or without TLS in between."""

from __future__ import annotations

import socket as stdlib
from sys import intern

import trio

from gbs_actor.socketio.net.sockets import ConnectedSocket, Socket, SocketBased
from gbs_actor.socketio.net.tls import TlsStream


def socket_below(stream: trio.abc.AsyncResource) -> ConnectedSocket | None:
    """Return the socket that carries a stream; ``None`` if there is none."""
    while isinstance(stream, (TlsStream, trio.SSLStream)):
        stream = stream.transport_stream
    return stream.socket if isinstance(stream, (trio.SocketStream, SocketBased)) else None


def take_socket(stream: trio.abc.AsyncResource) -> Socket | None:
    """Take the socket out of a stream, which can then only be closed, and that has no effect.

    :returns: ``None`` if there is none, or something else in between, such as TLS.
    """
    if isinstance(stream, trio.SocketStream):
        return _take(stream.socket)
    return stream.take_socket() if isinstance(stream, SocketBased) else None


def _take(taken: trio.socket.SocketType) -> stdlib.socket:
    socket = stdlib.socket(taken.family, taken.type, taken.proto, fileno=taken.detach())
    socket.setblocking(False)
    return socket


def is_secure(stream: trio.abc.AsyncResource) -> bool:
    """Return whether a stream is encrypted on its way to us."""
    return isinstance(stream, (TlsStream, trio.SSLStream))


def peer_address(stream: trio.abc.AsyncResource) -> str | None:
    """Return the IP address of a stream's other end, a proxy perhaps.

    :returns: ``None`` if it has none: a Unix socket, a memory stream, or a connection
        that broke already.
    """
    peer = _peer(stream)
    return None if peer is None else peer[0]


def peer_address_with_port(stream: trio.abc.AsyncResource) -> str | None:
    """Return ``host:port`` of a stream's other end, otherwise as :func:`peer_address`."""
    peer = _peer(stream)
    if peer is None:
        return None
    host, port = peer
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _peer(stream: trio.abc.AsyncResource) -> tuple[str, int] | None:
    socket = socket_below(stream)
    if socket is None or socket.family not in {trio.socket.AF_INET, trio.socket.AF_INET6}:
        return None
    try:
        host, port = socket.getpeername()[:2]
    except OSError:
        return None
    return intern(host), port  # the connection keeps it, and others have the same
