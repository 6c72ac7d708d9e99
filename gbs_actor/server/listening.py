"""Opens the server's listeners."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import trio

from gbs_actor.socketio import TcpListener, TlsListener


@dataclass(frozen=True, slots=True)
class BoundAddress:
    """An address that clients can connect to."""

    host: str
    port: int
    """The actual port, even if 0 was requested."""


async def open_listeners(host: str, port: int, backlog: int) -> list[TcpListener]:
    """Listen on every address of the host name.

    :param port: 0 takes any free one, for each address its own.
    :param backlog: connections the kernel holds until they are accepted.
    :raises OSError: an address cannot be listened on; its ``filename`` is the address.
    """
    try:
        listeners = await trio.open_tcp_listeners(port, host=host, backlog=backlog)
    except OSError as error:
        # Trio raises a group; an operator needs one sentence with the address.
        raise OSError(error.errno, error.strerror or str(error), f"{host}:{port}") from error
    return [TcpListener(listener) for listener in listeners]


def bound_addresses(listeners: Sequence[TcpListener]) -> tuple[BoundAddress, ...]:
    """Return the addresses of the listeners."""
    return tuple(BoundAddress(*listener.socket.getsockname()[:2]) for listener in listeners)


def with_tls(
    listeners: Sequence[TcpListener], context: Callable[[], ssl.SSLContext]
) -> list[TlsListener]:
    """Return listeners that expect TLS on the same connections.

    :param context: called for each connection.
    """
    return [TlsListener(listener, context) for listener in listeners]
