"""What can be set on a server, with defaults that are safe in public."""

from __future__ import annotations

from dataclasses import dataclass, field

from gbs_actor.socketio.channel.outbox import OutboxLimits


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """Settings of a server; times are in seconds."""

    path: str = "/socket.io/"
    """Where Engine.IO is served."""
    ping_interval: float = 25.0
    ping_timeout: float = 60.0
    """How long after a ping was due its pong may come."""
    max_payload: int = 1_000_000
    """Bytes of one message from a client."""
    connect_timeout: float = 45.0
    """Counted once from the handshake: by then a namespace has to be joined."""
    upgrade_timeout: float = 10.0
    """How long a client may probe a WebSocket before it is closed."""
    body_timeout: float = 30.0
    """How long the body of a POST may take to arrive."""
    restore_timeout: float = 10.0
    """How long restoring a client's session may take; then it gets a new one."""
    close_timeout: float = 5.0
    """How long a client may take to finish the closing handshake."""
    disconnect_timeout: float = 5.0
    """How long all ``on_disconnect`` handlers of a connection may take."""
    max_connections: int = 10_000
    """Further ones get a 503."""
    max_connections_per_address: int = 2_000
    """The same for one IP address, from which a whole house may come."""
    max_unanswered: int = 256
    """Events without their acknowledgement above which a connection is not read on."""
    max_waiting_events: int = 256
    """Events behind a running handler above which a connection is not read on."""
    max_held_bytes: int = 1_000_000
    """Bytes of events that wait or are under way above which a connection is not read on.

    What a client says of itself to join a namespace may take as many.
    """
    packet_rate: float = 10_000.0
    """Packets, and frames, of one connection per second; what comes faster is read later."""
    packet_burst: int = 10_000
    """Those of one connection at once, before the rate counts."""
    max_attachments: int = 10
    """Binary values in one event."""
    max_attachment_bytes: int = 1_000_000
    """Their size together."""
    deflate: bool = False
    """Whether to compress for clients that offer it (permessage-deflate, RFC 7692)."""
    allowed_origins: tuple[str, ...] = ()
    """Foreign pages that may poll, and connect with a user's cookie."""
    cors_headers: tuple[str, ...] = ("Authorization", "Content-Type")
    """Headers that these pages may send along."""
    cookie_names: tuple[str, ...] = ()
    """Cookies that authenticate a user; only requests with one have their origin checked."""
    trusted_proxies: tuple[str, ...] = ()
    """Addresses and networks whose ``X-Forwarded-*`` headers count."""
    outbox: OutboxLimits = field(default_factory=OutboxLimits)

    def __post_init__(self) -> None:
        """Refuse settings that cannot work.

        :raises ValueError: with one sentence that names the setting.
        """
        if not (self.path.startswith("/") and self.path.endswith("/")):
            raise ValueError(f"path must begin and end with a slash, not be {self.path!r}")
        for name in (
            "ping_interval",
            "ping_timeout",
            "max_payload",
            "connect_timeout",
            "upgrade_timeout",
            "body_timeout",
            "restore_timeout",
            "close_timeout",
            "disconnect_timeout",
            "max_connections",
            "max_connections_per_address",
            "max_unanswered",
            "max_waiting_events",
            "max_held_bytes",
            "packet_rate",
            "packet_burst",
            "max_attachment_bytes",
        ):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be greater than 0")
