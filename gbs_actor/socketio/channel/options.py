"""The options of a server, with defaults that are safe in public."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from gbs_actor.socketio.channel.outbox_limits import OutboxLimits
from gbs_actor.socketio.net.front_door import REQUEST_TIMEOUT

_NODE: Final = re.compile(r"[A-Za-z0-9-]+", re.ASCII)


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """Options of a server; times are in seconds."""

    socketio_path: str = "/socket.io/"
    """Path of the endpoint."""
    node: str | None = None
    """Name of this server among several behind one proxy, which sends it what is for its sessions:
    their ids begin with the name and a dot. Letters, digits and "-".
    """
    ping_interval: float = 25.0
    ping_timeout: float = 60.0
    """From the time a ping is due until its pong must have come."""
    max_payload: int = 1_000_000
    """Bytes of one message from a client."""
    max_poll_packets: int = 16
    """Packets in the response to one poll; the Python client refuses more than 16."""
    connect_timeout: float = 45.0
    """From the handshake until the client must have joined a namespace."""
    upgrade_timeout: float = 10.0
    """How long a client may take to move from polling to a WebSocket."""
    request_timeout: float = REQUEST_TIMEOUT
    """How long the body of a POST may take to arrive."""
    restore_timeout: float = 10.0
    """How long restoring a session may take; after that the client gets a new one."""
    close_timeout: float = 5.0
    """How long a client may take to finish the closing handshake."""
    disconnect_timeout: float = 5.0
    """How long all ``on_disconnect`` handlers of a connection may take."""
    max_connections: int = 10_000
    """Further ones get a 503."""
    max_connections_per_address: int = 2_000
    """Of one IP address (of IPv6, a /64), which many users may share."""
    max_unauthenticated: int = 4_000
    """Sessions without a namespace, and connections without a session, at the same time."""
    max_unauthenticated_per_address: int = 1_000
    """Of these, from one IP address (of IPv6, a /64)."""
    unauthenticated_grace: float = 2.0
    """Seconds after which one of these makes room for another one, if there is none."""
    max_unanswered_events: int = 256
    """Events without their ack above which reading pauses."""
    max_waiting_events: int = 256
    """Events queued behind a running handler above which reading pauses."""
    max_held_bytes: int = 1_000_000
    """Bytes of events queued or in flight above which reading pauses.

    The payload of a CONNECT may have as many.
    """
    packet_rate: float = 500.0
    """Packets and frames of one connection per second; faster ones are read later."""
    packet_burst: int = 2_000
    """Packets and frames of one connection at once, before the rate counts."""
    max_attachments: int = 10
    """Binary values in one event."""
    max_attachment_bytes: int = 1_000_000
    """Bytes of the binary values of one event together."""
    deflate: bool = False
    """Whether to compress for clients that offer it (permessage-deflate, RFC 7692)."""
    allowed_origins: tuple[str, ...] = ()
    """Origins of other sites whose pages may poll, and connect with a user's cookie."""
    cors_headers: tuple[str, ...] = ("Authorization", "Content-Type")
    """Headers that these pages may send."""
    cookie_names: tuple[str, ...] = ()
    """Cookies that authenticate a user; only requests with one have their origin checked."""
    trusted_proxies: tuple[str, ...] = ()
    """Addresses and networks whose ``X-Forwarded-*`` headers count."""
    outbox_bytes_in_all: int = 134_217_728
    """Bytes queued on all connections, each message counted once; beyond that the connections
    that take most of it are closed.
    """
    outbox: OutboxLimits = field(default_factory=OutboxLimits)

    def __post_init__(self) -> None:
        """Check the values.

        :raises ValueError: a value cannot work; the message names it.
        """
        path = self.socketio_path
        if not (path.startswith("/") and path.endswith("/")):
            raise ValueError(f"socketio_path must begin and end with a slash, not be {path!r}")
        if self.node is not None and _NODE.fullmatch(self.node) is None:
            raise ValueError(f'node must have letters, digits and "-" only, not be {self.node!r}')
        for name in (
            "ping_interval",
            "ping_timeout",
            "max_payload",
            "max_poll_packets",
            "connect_timeout",
            "upgrade_timeout",
            "request_timeout",
            "restore_timeout",
            "close_timeout",
            "disconnect_timeout",
            "max_connections",
            "max_connections_per_address",
            "max_unauthenticated",
            "max_unauthenticated_per_address",
            "unauthenticated_grace",
            "max_unanswered_events",
            "max_waiting_events",
            "max_held_bytes",
            "packet_rate",
            "packet_burst",
            "max_attachment_bytes",
            "outbox_bytes_in_all",
        ):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be greater than 0")
