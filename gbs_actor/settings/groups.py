"""Every setting, in groups, with its unit, its default and its limits.

A group is a table of the TOML file (``[rooms]``); a field is a key in it, and the
environment variable ``GBS_<FIELD>``. Names are therefore unique over all groups.
"""

from __future__ import annotations

import os
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

import platformdirs
from annotated_types import Ge, Gt, Le
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, model_validator

from gbs_actor.settings.roles import DEFAULT_EDITORS, DEFAULT_OPERATORS, DEFAULT_READERS, Role

Seconds = Annotated[float, Gt(0), Le(86_400 * 365)]
Rate = Annotated[float, Gt(0), Le(1_000_000)]
Count = Annotated[int, Ge(1)]
Bytes = Annotated[int, Ge(1)]
Algorithm = Literal["HS256", "RS256", "ES256"]

MINIMUM_SECRET = 32
"""Bytes an HS256 secret has at least (RFC 7518 §3.2: as long as the hash)."""


def default_data_dir() -> Path:
    """Return where the embedded database and the demo secret are kept by default.

    For root ``/var/lib/gbs-actor``, for anyone else the user's data directory.
    """
    if os.geteuid() == 0:
        return Path("/var/lib/gbs-actor")
    return platformdirs.user_data_path("gbs-actor", appauthor=False)


def _origin(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("must be like https://page.example.org")
    if parts.path or parts.query or parts.fragment or "@" in parts.netloc:
        raise ValueError("must be scheme, host and port only, without a slash at the end")
    return value.lower()


def _path(value: str) -> str:
    if not value.startswith("/") or not value.endswith("/") or value == "/":
        raise ValueError('must begin and end with "/" and have a name between')
    return value


def _proxy(value: str) -> str:
    try:
        if value != "unix":
            ip_network(value)
    except ValueError:
        raise ValueError('must be an IP address, a network such as 10.0.0.0/8, or "unix"') from None
    return value


def _secret(value: SecretStr) -> SecretStr:
    length = len(value.get_secret_value().encode())
    if length < MINIMUM_SECRET:
        raise ValueError(f"must have at least {MINIMUM_SECRET} bytes, and has {length}")
    return value


def _signing_secret(value: SecretStr) -> SecretStr:
    if _secret(value).get_secret_value().lstrip().startswith("-----BEGIN "):
        # A public key is known to all: whoever has it could sign tokens with it.
        raise ValueError("must not be a PEM key; keys go into jwt_public_key_file")
    return value


def _database_url(value: SecretStr) -> SecretStr:
    if urlsplit(value.get_secret_value()).scheme not in {"postgresql", "postgres"}:
        raise ValueError("must begin with postgresql://")
    return value


class Group(BaseModel):
    """Base of the groups: immutable, strangers refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)


class ServerSettings(Group):
    """Where the server listens and how it stops."""

    host: str = Field(
        default="127.0.0.1",
        min_length=1,
        description="Address to listen on. The default is reached from this machine only; "
        "0.0.0.0 or :: opens it to the network.",
    )
    port: int = Field(default=8080, ge=0, le=65_535, description="TCP port; 0 takes any free one.")
    backlog: Count = Field(
        default=1024, description="Connections the kernel holds until the server accepts them."
    )
    shutdown_grace: Seconds = Field(
        default=10.0,
        description="Seconds between the wish to stop and the end: running commits finish, "
        "submitted commands are answered, connections are closed.",
    )
    tls_certificate: Path | None = Field(
        default=None,
        description="PEM file with the certificate for TLS (https, wss) and those that lead to "
        "its root. It is read again on SIGHUP. Without it the server speaks plain HTTP.",
    )
    tls_key: Path | None = Field(
        default=None, description="PEM file with the private key of tls_certificate."
    )
    tls_key_password: SecretStr | None = Field(
        default=None, description="Password of tls_key, where that is encrypted."
    )

    @property
    def tls(self) -> bool:
        """Whether the server speaks TLS."""
        return self.tls_certificate is not None

    @model_validator(mode="after")
    def _certificate_has_its_key(self) -> ServerSettings:
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError("tls_certificate and tls_key must be set both, or neither")
        if self.tls_key_password is not None and self.tls_key is None:
            raise ValueError("tls_key_password is set, but not tls_key")
        return self


class HttpSettings(Group):
    """Limits of the HTTP side, and which pages may use the server."""

    allowed_origins: tuple[Annotated[str, AfterValidator(_origin)], ...] = Field(
        default=(),
        description="Origins of pages that may connect with cookies, each like "
        "https://page.example.org. The server's own origin is always allowed.",
    )
    trusted_proxies: tuple[Annotated[str, AfterValidator(_proxy)], ...] = Field(
        default=(),
        description="Reverse proxies whose X-Forwarded-For, -Proto and -Host count: IP "
        "addresses, networks such as 10.0.0.0/8, or unix for those that come over a Unix "
        "socket. Of anybody else these fields are disregarded.",
    )
    http_connections: Count = Field(
        default=1_000,
        description="Connections of plain HTTP that there is room for beside max_connections; "
        "beyond both together 503.",
    )
    connections_per_address: Count = Field(
        default=4_000,
        description="Connections of any kind, idle ones too, from one IP address (of IPv6, a "
        "/64); further ones get 503. Those of trusted_proxies are not counted.",
    )
    head_limit: Bytes = Field(
        default=16_384, ge=1024, description="Bytes of a request's head, at most."
    )
    head_timeout: Seconds = Field(
        default=10.0,
        description="Seconds within which a request's head must have arrived, and a TLS "
        "handshake be done.",
    )
    http_idle_timeout: Seconds = Field(
        default=75.0,
        description="Seconds without a request after which an HTTP connection is closed. A proxy "
        "that keeps connections should close them sooner.",
    )
    request_timeout: Seconds = Field(
        default=30.0, description="Seconds from the first byte of an HTTP request to its last."
    )
    write_timeout: Seconds = Field(
        default=30.0, description="Seconds a peer may take to accept what is written to it."
    )
    max_body: Bytes = Field(default=65_536, description="Bytes of an HTTP request's body, at most.")


class SocketSettings(Group):
    """The Socket.IO side: heartbeat, limits, and how much may wait for a slow client."""

    socketio_path: Annotated[str, AfterValidator(_path)] = Field(
        default="/socket.io/", description="Path of the Socket.IO endpoint."
    )
    ping_interval: Seconds = Field(default=25.0, description="Seconds between two pings.")
    ping_timeout: Seconds = Field(
        default=60.0,
        description="Seconds a client may take to answer a ping before it counts as gone.",
    )
    max_payload: Bytes = Field(
        default=1_000_000, ge=1024, description="Bytes of one message from a client, at most."
    )
    connect_timeout: Seconds = Field(
        default=45.0, description="Seconds within which a connection must have joined a namespace."
    )
    upgrade_timeout: Seconds = Field(
        default=10.0, description="Seconds a polling client may take to move to a WebSocket."
    )
    deflate: bool = Field(
        default=False,
        description="Compress messages for WebSocket clients that offer it (permessage-deflate): "
        "a list has a tenth of the bytes then, an update two thirds. Each message is compressed "
        "once for all.",
    )
    max_attachments: Count = Field(
        default=10, description="Binary values in one event from a client, at most."
    )
    max_attachment_bytes: Bytes = Field(
        default=1_000_000, description="Bytes of an event's binary values together, at most."
    )
    max_connections: Count = Field(
        default=10_000, description="Connections at the same time, at most."
    )
    max_connections_per_address: Count = Field(
        default=2_000,
        description="Connections of one IP address (of IPv6, a /64) at the same time, at most. "
        "Behind a proxy, trusted_proxies decides whose address counts.",
    )
    max_unanswered_events: Count = Field(
        default=256,
        description="Events of one connection that may be waiting for their answer; "
        "reading pauses beyond that.",
    )
    max_held_bytes: Bytes = Field(
        default=1_000_000,
        description="Bytes of one connection's events that may be waiting or under way; "
        "reading pauses beyond that. What a client sends to join may take as many.",
    )
    event_rate: Rate = Field(
        default=50.0, description="Events per second one connection may send in the long run."
    )
    event_burst: Count = Field(
        default=200, description="Events one connection may send at once before the rate counts."
    )
    packet_rate: Rate = Field(
        default=500.0,
        description="Packets and frames of any kind per second of one connection in the long run; "
        "what comes faster is read later.",
    )
    packet_burst: Count = Field(
        default=2_000,
        description="Packets and frames of one connection at once, before the rate counts.",
    )
    outbox_messages: Count = Field(
        default=20_000, description="Messages that may wait for a slow client before it is cut off."
    )
    outbox_bytes: Bytes = Field(
        default=16_777_216,
        description="Bytes that may wait for a slow client before it is cut off.",
    )


class LimitSettings(Group):
    """What one user may do, over all their connections and whichever way they come in."""

    user_rate: Rate = Field(
        default=500.0,
        description="Events and HTTP requests per second of one user in the long run.",
    )
    user_burst: Count = Field(
        default=5000,
        description="Events and HTTP requests of one user at once, before the rate counts.",
    )
    user_editing_rate: Rate = Field(
        default=100.0,
        description="Editing marks (user-editing) per second of one user in the long run; they "
        "count as events besides.",
    )
    user_editing_burst: Count = Field(
        default=500,
        description="Editing marks of one user at once, before the rate counts.",
    )
    max_connections_per_user: Count = Field(
        default=1000,
        description="Realtime connections of one user at the same time, at most. Scripts often "
        "share one token.",
    )


class RoomSettings(Group):
    """How rooms work: mailbox, commits, crashes, presence."""

    mailbox_size: Count = Field(
        default=1024, description="Commands that may wait for a room; beyond that ROOM_BUSY."
    )
    batch_size: Count = Field(
        default=256, description="Commands decided and committed together, at most."
    )
    idle_timeout: Seconds = Field(
        default=60.0, description="Seconds without a subscriber after which a room stops."
    )
    commit_timeout: Seconds = Field(
        default=5.0, description="Seconds a commit may take before its connection is ended."
    )
    commit_resolve_timeout: Seconds = Field(
        default=10.0,
        description="Seconds a command waits while it is unknown whether its commit took "
        "effect; then OUTCOME_UNKNOWN.",
    )
    crash_backoff_initial: Seconds = Field(
        default=0.1, description="Seconds before a crashed room starts again the first time."
    )
    crash_backoff_max: Seconds = Field(
        default=5.0, description="Seconds before a crashed room starts again, at most."
    )
    max_crashes: Count = Field(
        default=5,
        description="Crashes within crash_window that a room may have; one more fails it.",
    )
    crash_window: Seconds = Field(
        default=60.0, description="Seconds over which crashes are counted."
    )
    crash_cool_down: Seconds = Field(
        default=60.0, description="Seconds after which a failed room may be tried again."
    )
    editing_timeout: Seconds = Field(
        default=10.0, description="Seconds after which an editing mark that is not renewed ends."
    )
    editing_interval: Seconds = Field(
        default=0.1,
        description="Seconds between two messages about the editing marks of a room, at least.",
    )
    editing_interval_large: Seconds = Field(
        default=0.5, description="The same in a large room, in seconds."
    )
    presence_interval: Seconds = Field(
        default=0.5, description="Seconds between two presence messages of a room, at least."
    )
    presence_interval_large: Seconds = Field(
        default=2.0, description="The same in a large room, in seconds."
    )
    presence_large_room: Count = Field(
        default=50, description="Users from which on a room counts as large."
    )
    memo_id_block: Count = Field(
        default=64, description="Memo ids a room reserves from the database at once."
    )

    @model_validator(mode="after")
    def _backoff_grows(self) -> RoomSettings:
        if self.crash_backoff_max < self.crash_backoff_initial:
            raise ValueError("crash_backoff_max must not be below crash_backoff_initial")
        return self


class StoreSettings(Group):
    """Where the data is kept."""

    database_url: Annotated[SecretStr, AfterValidator(_database_url)] | None = Field(
        default=None,
        description="PostgreSQL to use, like postgresql://user:password@host/name. Without it "
        "the server starts a PostgreSQL of its own in data_dir.",
    )
    data_dir: Path = Field(
        default_factory=default_data_dir,
        description="Folder of the embedded PostgreSQL and of the demo secret. Default: "
        "/var/lib/gbs-actor for root, the user's data directory for anyone else.",
    )
    pool_size: Annotated[int, Ge(2), Le(100)] = Field(
        default=4, description="Database connections for reads and commits."
    )
    read_timeout: Seconds = Field(default=10.0, description="Seconds a read may take.")
    database_connect_timeout: Seconds = Field(
        default=5.0, description="Seconds a connection to the database may take to open."
    )
    lock_timeout: Seconds = Field(
        default=3.0,
        description="Seconds to wait at the start for another server on the same database to go.",
    )
    history_days: Annotated[int, Ge(1), Le(36_500)] = Field(
        default=90,
        description="Days that accepted changes are kept in the log. The server prunes older ones "
        "once a day; a command sent again after that is decided anew.",
    )


class AuthSettings(Group):
    """Whose tokens count, and which role may do what."""

    jwt_secret: Annotated[SecretStr, AfterValidator(_signing_secret)] | None = Field(
        default=None, description="Secret of HS256 tokens, at least 32 bytes."
    )
    jwt_public_key_file: Path | None = Field(
        default=None, description="PEM file with the public key of RS256 or ES256 tokens."
    )
    jwks_file: Path | None = Field(
        default=None,
        description="JSON Web Key Set with public keys, chosen by the token's kid. It is read "
        "again when it changes, so keys can be rotated without a restart.",
    )
    jwt_algorithms: tuple[Algorithm, ...] = Field(
        default=("HS256", "RS256", "ES256"),
        min_length=1,
        description="Algorithms a token may be signed with, of those that a key is set for.",
    )
    jwt_issuer: str | None = Field(
        default=None, min_length=1, description="What the claim iss must be; without it any."
    )
    jwt_audience: str | None = Field(
        default=None, min_length=1, description="What the claim aud must contain; without it any."
    )
    cookie_name: str = Field(
        default="accessToken",
        pattern=r"^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$",
        description="Cookie that holds the token of a browser.",
    )
    cookie_grace: Annotated[float, Ge(0), Le(43_200)] = Field(
        default=43_200.0,
        description="Seconds a connection that came with a cookie reads on after its token "
        "has expired, at most 12 hours.",
    )
    grant_ttl: Annotated[float, Ge(0), Le(3_600)] = Field(
        default=30.0,
        description="Seconds a per-retreat grant is remembered before it is asked for again.",
    )
    reader_roles: tuple[Role, ...] = Field(
        default=DEFAULT_READERS, description="Roles that may see the line-up."
    )
    editor_roles: tuple[Role, ...] = Field(
        default=DEFAULT_EDITORS,
        description="Roles that may change the line-up; they may see it, too.",
    )
    operator_roles: tuple[Role, ...] = Field(
        default=DEFAULT_OPERATORS, description="Roles that may use the admin endpoints."
    )

    @property
    def has_key(self) -> bool:
        """Whether there is anything to verify a token with."""
        return bool(self.jwt_secret or self.jwt_public_key_file or self.jwks_file)


class RecoverySettings(Group):
    """Coming back to a session after a lost connection (Socket.IO connection state recovery)."""

    recovery_secret: Annotated[SecretStr, AfterValidator(_secret)] | None = Field(
        default=None,
        description="Secret that clients' recovery ids are signed with, at least 32 bytes. "
        "Without it one is derived from jwt_secret; without that, too, sessions are not "
        "recovered after a restart.",
    )
    recovery_max_age: Seconds = Field(
        default=43_200.0,
        description="Seconds from its beginning for which a session can be come back to.",
    )


class LoggingSettings(Group):
    """What is logged, and how it looks."""

    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        default="INFO", description="Least level that is logged."
    )
    log_format: Literal["console", "json"] = Field(
        default="console",
        description="console for people, json for log shippers: one object per line.",
    )
