"""Opens the server's listeners."""

from __future__ import annotations

import logging
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import trio

from gbs_actor.settings import Settings
from gbs_actor.socketio import TcpListener, TlsListener

_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})

logger = logging.getLogger(__name__)


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


def is_loopback(host: str) -> bool:
    """Return whether only this machine reaches an address to listen on."""
    return host in _LOOPBACK


def warn_of_unknown_proxy(settings: Settings) -> None:
    """Warn if clients most likely come through a proxy that is not trusted."""
    if is_loopback(settings.server.host) and not settings.http.trusted_proxies:
        logger.warning(
            "the server listens on %s only, and trusted_proxies is empty: clients of a proxy on"
            " this machine all count as one address; if there is one, set"
            " GBS_TRUSTED_PROXIES=127.0.0.1,::1",
            settings.server.host,
        )
