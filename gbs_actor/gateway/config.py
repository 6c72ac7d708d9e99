"""The limits and names the gateway works with."""

from __future__ import annotations

from dataclasses import dataclass

from gbs_actor.settings import Settings


@dataclass(frozen=True, slots=True)
class GatewayConfig:
    """How the gateway treats its clients; all times in seconds."""

    cookie_name: str = "accessToken"
    """Cookie that holds the token of a browser."""
    cookie_grace: float = 43_200.0
    """How long a connection that came with a cookie reads on after its token expired."""
    event_rate: float = 50.0
    """Events per second one connection may send in the long run; further: RATE_LIMITED."""
    event_burst: int = 200
    """Events one connection may send at once before the rate counts."""
    commands_under_way: int = 256
    """Commands of one connection without an answer; further ones get RATE_LIMITED."""
    user_rate: float = 500.0
    """Events and HTTP requests per second of one user, over all their ways in."""
    user_burst: int = 5_000
    """The same at once, before the rate counts."""
    user_editing_rate: float = 100.0
    """Editing marks per second of one user, over all their connections."""
    user_editing_burst: int = 500
    """The same at once, before the rate counts."""
    max_connections_per_user: int = 1_000
    """Realtime connections of one user at the same time."""
    allowed_origins: frozenset[str] = frozenset()
    """Origins of pages that may read answers over HTTP, each like ``https://page.example``."""
    ready_timeout: float = 2.0
    """How long ``/readyz`` waits for the store."""
    max_body: int = 65_536
    """Bytes of an HTTP request's body."""
    body_timeout: float = 30.0
    """How long an HTTP request's body may take to arrive."""
    retry_after: int = 2
    """What ``Retry-After`` says on 429 and 503."""

    @classmethod
    def from_settings(cls, settings: Settings) -> GatewayConfig:
        """Take what concerns the gateway from the settings."""
        return cls(
            cookie_name=settings.auth.cookie_name,
            cookie_grace=settings.auth.cookie_grace,
            event_rate=settings.socketio.event_rate,
            event_burst=settings.socketio.event_burst,
            commands_under_way=settings.socketio.max_unanswered_events,
            user_rate=settings.limits.user_rate,
            user_burst=settings.limits.user_burst,
            user_editing_rate=settings.limits.user_editing_rate,
            user_editing_burst=settings.limits.user_editing_burst,
            max_connections_per_user=settings.limits.max_connections_per_user,
            allowed_origins=frozenset(settings.http.allowed_origins),
            max_body=settings.http.max_body,
            body_timeout=settings.http.request_timeout,
        )
