"""What can be set on a server, with defaults that are safe in public."""

from __future__ import annotations

from dataclasses import dataclass, field

from gbs_actor.socketio.outbox import OutboxLimits


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """Settings of a :class:`~gbs_actor.socketio.SocketServer`; times are in seconds."""

    path: str = "/socket.io/"
    """Where Engine.IO is served."""
    ping_interval: float = 25.0
    ping_timeout: float = 60.0
    """How long after a ping was due its pong may come."""
    max_payload: int = 1_000_000
    """Bytes of one message from a client."""
    connect_timeout: float = 45.0
    """Counted once from the handshake: by then a namespace has to be joined."""
    close_timeout: float = 5.0
    """How long a client may take to finish the closing handshake."""
    disconnect_timeout: float = 5.0
    """How long all ``on_disconnect`` handlers of a connection may take."""
    max_connections: int = 10_000
    """Further ones get a 503."""
    max_unanswered: int = 256
    """Events without their acknowledgement above which a connection is not read on."""
    max_waiting_events: int = 256
    """Events behind a running handler above which a connection is not read on."""
    max_held_bytes: int = 1_000_000
    """Bytes of events that wait or are under way above which a connection is not read on."""
    max_attachments: int = 10
    """Binary values in one event."""
    allowed_origins: tuple[str, ...] = ()
    """Foreign pages that may connect with a user's cookie."""
    cookie_names: tuple[str, ...] = ()
    """Cookies that authenticate a user; only requests with one have their origin checked."""
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
            "close_timeout",
            "disconnect_timeout",
            "max_connections",
            "max_unanswered",
            "max_waiting_events",
            "max_held_bytes",
        ):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be greater than 0")
