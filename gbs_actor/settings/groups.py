"""Every setting, in groups, with its unit, its default and its limits.

A group is a table of the TOML file (``[rooms]``); a field is a key in it, and the
environment variable ``GBS_<FIELD>``. Names are therefore unique over all groups. The
docstring of a field is the setting's documentation in ``config/gbs_actor.toml``.
"""

from __future__ import annotations

import inspect
import os
from pathlib import Path
from typing import Annotated

import platformdirs
from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, SecretStr, model_validator

from gbs_actor.roles import Role
from gbs_actor.settings.values import (
    Algorithm,
    BearerToken,
    BufferBytes,
    BusUrl,
    Bytes,
    CookieName,
    Count,
    DatabaseUrl,
    Interval,
    Link,
    ListenAddress,
    LogFormat,
    LogLevel,
    NodeName,
    Origin,
    Port,
    ProxyAddress,
    Rate,
    Seconds,
    Secret,
    Text,
    UrlPath,
)
from gbs_actor.socketio import FrontDoor, ServerOptions, parse_host

_OPTIONS = ServerOptions()
_DOOR = inspect.signature(FrontDoor).parameters


def default_data_dir() -> Path:
    """Return the default folder of the embedded database and of the demo secret.

    For root ``/var/lib/gbs-actor``, for other users their data directory.
    """
    if os.geteuid() == 0:
        return Path("/var/lib/gbs-actor")
    return platformdirs.user_data_path("gbs-actor", appauthor=False)


class Group(BaseModel):
    """Base of the groups: immutable; unknown names are refused."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", validate_default=True, use_attribute_docstrings=True
    )


class ServerSettings(Group):
    """Address, TLS, start and stop of the server."""

    host: Text = "127.0.0.1"
    """Address to listen on. The default accepts connections from this machine only; 0.0.0.0 or
    :: accepts them from the network.
    """
    port: Port = 8080
    """TCP port; 0 takes any free one."""
    backlog: Count = 4096
    """Connections the kernel holds until the server accepts them."""
    shutdown_grace: Seconds = 10.0
    """Seconds that a shutdown may take: commits in flight finish, submitted commands get their
    replies, connections are closed.
    """
    drain_spread: Interval = 2.0
    """Seconds of a shutdown over which many connections are closed, so that their clients do not
    all come back in one instant. 0: at once.
    """
    tls_certificate: Path | None = None
    """PEM file with the certificate for TLS (https, wss) and its chain. It is read again on
    SIGHUP. Without it the server speaks plain HTTP.
    """
    tls_key: Path | None = None
    """PEM file with the private key of tls_certificate."""
    tls_key_password: SecretStr | None = None
    """Password of tls_key, if it is encrypted."""

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

    allowed_origins: tuple[Origin, ...] = _OPTIONS.allowed_origins
    """Origins of pages that may connect with cookies, each like https://page.example.org. The
    server's own origin is always allowed.
    """
    trusted_proxies: tuple[ProxyAddress, ...] = _OPTIONS.trusted_proxies
    """Reverse proxies whose X-Forwarded-For, -Proto and -Host are trusted: IP addresses,
    networks such as 10.0.0.0/8, or unix for those that connect over a Unix socket. From
    other peers these headers are ignored. So is X-Request-ID: if it is 32 hexadecimal digits, as
    nginx's $request_id, a write without an Idempotency-Key that the proxy repeats is done once.
    """
    http_connections: Count = 1_000
    """Connections of plain HTTP on top of max_connections; beyond both together 503."""
    connections_per_address: Count = _DOOR["connections_per_address"].default
    """Connections of any kind, idle ones too, from one IP address (IPv6: a /64), at most;
    beyond that 503. Those of trusted_proxies are not counted.
    """
    max_unauthenticated: Count = _OPTIONS.max_unauthenticated
    """Connections and sessions without an authenticated client at the same time, at most: idle
    HTTP connections, and sessions that have not connected to the namespace. Half of
    max_connections if that is less. When there is no room, the oldest one of the address with
    the most makes room, or else the oldest one after unauthenticated_grace, or else the
    response is 503.
    """
    max_unauthenticated_per_address: Count = _OPTIONS.max_unauthenticated_per_address
    """Of these, from one IP address (IPv6: a /64), at most. When there is no room, the oldest one
    makes room after unauthenticated_grace, or else the response is 503. Behind one of
    trusted_proxies sessions count for the client's address.
    """
    unauthenticated_grace: Seconds = _OPTIONS.unauthenticated_grace
    """Seconds that a client has for its handshakes before it may have to make room."""
    head_limit: BufferBytes = _DOOR["head_limit"].default
    """Bytes of a request's head, at most."""
    head_timeout: Seconds = _DOOR["head_timeout"].default
    """Seconds that a request's head may take to arrive, and a TLS handshake to finish."""
    http_idle_timeout: Seconds = _DOOR["http_idle_timeout"].default
    """Seconds without a request after which an HTTP connection is closed. A proxy that keeps
    connections alive should close them sooner.
    """
    request_timeout: Seconds = _OPTIONS.request_timeout
    """Seconds from the first byte of an HTTP request to its last."""
    write_timeout: Seconds = _DOOR["write_timeout"].default
    """Seconds a peer may take to accept what is written to it."""
    max_body: Bytes = 65_536
    """Bytes of an HTTP request's body, at most."""


class SocketSettings(Group):
    """The Socket.IO side: heartbeat, limits, and the outbox of a slow client."""

    socketio_path: UrlPath = _OPTIONS.socketio_path
    """Path of the Socket.IO endpoint."""
    ping_interval: Seconds = _OPTIONS.ping_interval
    """Seconds between two pings."""
    ping_timeout: Seconds = _OPTIONS.ping_timeout
    """Seconds a client may take to send a pong before its session is closed."""
    max_payload: BufferBytes = _OPTIONS.max_payload
    """Bytes of one message from a client, at most."""
    max_poll_packets: Count = _OPTIONS.max_poll_packets
    """Packets in the response to one poll, at most; the rest is in the next. The Python client
    (python-engineio) drops its connection at more than 16.
    """
    connect_timeout: Seconds = _OPTIONS.connect_timeout
    """Seconds a client may take to join a namespace."""
    upgrade_timeout: Seconds = _OPTIONS.upgrade_timeout
    """Seconds a polling client may take to move to a WebSocket."""
    deflate: bool = _OPTIONS.deflate
    """Compress messages for WebSocket clients that offer it (permessage-deflate): a list then has
    a tenth of the bytes, an update two thirds. Each message is compressed once for all.
    """
    max_attachments: Count = _OPTIONS.max_attachments
    """Binary values in one event from a client, at most."""
    max_attachment_bytes: Bytes = _OPTIONS.max_attachment_bytes
    """Bytes of an event's binary values together, at most."""
    max_connections: Count = _OPTIONS.max_connections
    """Connections at the same time, at most."""
    max_connections_per_address: Count = _OPTIONS.max_connections_per_address
    """Connections of one IP address (IPv6: a /64) at the same time, at most. Behind one of
    trusted_proxies the client's address counts.
    """
    max_unanswered_events: Count = _OPTIONS.max_unanswered_events
    """Events of one connection without their ack, at most; reading pauses beyond that."""
    max_held_bytes: Bytes = _OPTIONS.max_held_bytes
    """Bytes of one connection's events queued or in flight, at most; reading pauses beyond
    that. The payload of a CONNECT may have as many.
    """
    event_rate: Rate = 50.0
    """Events per second one connection may send in the long run."""
    event_burst: Count = 200
    """Events one connection may send at once before the rate counts."""
    join_rate: Rate = 1.0
    """Joins per second of one connection in the long run; each is answered with a list."""
    join_burst: Count = 20
    """Joins of one connection at once before the rate counts."""
    packet_rate: Rate = _OPTIONS.packet_rate
    """Packets and frames of any kind per second of one connection in the long run; faster
    ones are read later.
    """
    packet_burst: Count = _OPTIONS.packet_burst
    """Packets and frames of one connection at once, before the rate counts."""
    outbox_messages: Count = _OPTIONS.outbox.outbox_messages
    """Messages queued for a slow client, at most; beyond that it is disconnected."""
    outbox_bytes: Bytes = _OPTIONS.outbox.outbox_bytes
    """Bytes queued for a slow client, at most; beyond that it is disconnected."""
    outbox_bytes_in_all: Bytes = _OPTIONS.outbox_bytes_in_all
    """Bytes queued for all clients, at most, what many of them are sent counted once; beyond that
    those that take most of it are disconnected.
    """
    closed_sessions: Count = 1_000
    """Sessions that have ended, which operators can look up, and as many refused handshakes."""


class LimitSettings(Group):
    """Limits of one user, over all connections and protocols. They change on SIGHUP."""

    user_rate: Rate = 500.0
    """Events and HTTP requests per second of one user in the long run."""
    user_burst: Count = 5000
    """Events and HTTP requests of one user at once, before the rate counts."""
    user_editing_rate: Rate = 100.0
    """Editing marks (user-editing) per second of one user in the long run; they also
    count as events.
    """
    user_editing_burst: Count = 500
    """Editing marks of one user at once, before the rate counts."""
    user_join_rate: Rate = 50.0
    """Joins per second of one user in the long run."""
    user_join_burst: Count = 2000
    """Joins of one user at once, before the rate counts."""
    outbox_bytes_per_user: Bytes = 33_554_432
    """Bytes queued for the connections of one user, at most, what several of them are sent counted
    once; beyond that those that take most of it are disconnected.
    """
    max_connections_per_user: Count = 1000
    """Realtime connections of one user at the same time, at most. Scripts often share one token."""


class RoomSettings(Group):
    """Rooms: mailbox, commits, crashes, presence."""

    mailbox_size: Count = 1024
    """Commands queued for a room, at most; beyond that ROOM_BUSY."""
    batch_size: Count = 256
    """Commands decided and committed together, at most."""
    idle_timeout: Seconds = 60.0
    """Seconds without a subscriber after which a room stops."""
    commit_timeout: Seconds = 5.0
    """Seconds a commit may take before its connection is closed."""
    commit_resolve_timeout: Seconds = 10.0
    """Seconds a command waits while the outcome of its commit is unknown; then
    OUTCOME_UNKNOWN.
    """
    commit_retries: NonNegativeInt = 2
    """Times a batch that provably did not take effect is committed again."""
    store_backoff_initial: Seconds = 0.1
    """Seconds before an unreachable database is tried again the first time."""
    store_backoff_max: Seconds = 2.0
    """Seconds before an unreachable database is tried again, at most."""
    crash_backoff_initial: Seconds = 0.1
    """Seconds before a crashed room starts again the first time."""
    crash_backoff_max: Seconds = 5.0
    """Seconds before a crashed room starts again, at most."""
    max_crashes: NonNegativeInt = 5
    """Crashes of a room within crash_window, at most; beyond that it is FAILED."""
    crash_window: Seconds = 60.0
    """Seconds over which crashes are counted."""
    crash_cool_down: Seconds = 60.0
    """Seconds after which a FAILED room starts again."""
    editing_timeout: Seconds = 10.0
    """Seconds after which an editing mark that is not renewed ends."""
    editing_interval: Interval = 0.1
    """Seconds between two messages about the editing marks of a room, at least."""
    editing_interval_large: Interval = 0.5
    """The same in a large room, in seconds."""
    editing_batch_size: Count = 64
    """Connections whose editing marks go into one such message, at most; the others' go into
    the next.
    """
    editing_batch_per_user: Count = 8
    """Connections of one user among them, at most."""
    presence_interval: Interval = 0.5
    """Seconds between two presence messages of a room, at least."""
    presence_interval_large: Interval = 2.0
    """The same in a large room, in seconds."""
    presence_rate: Rate = 500.0
    """Presence messages per second of a room to all its connections together, at most: with
    their number the time between two messages grows.
    """
    presence_large_room: Count = 50
    """Connections above which a room counts as large."""
    recent_changes_time: Interval = 120.0
    """Seconds for which a changed row also goes out behind the answer to a join without since,
    over Socket.IO (the 200 latest): the page that loads its list over HTTP, and ignores that of
    the join, would miss it. 0: never.
    """
    memo_id_block: Count = 64
    """Memo ids a room reserves from the database at once."""
    remembered_commands: NonNegativeInt = 4_096
    """Ids of accepted commands that a room keeps in memory; older ones are looked up in the
    database.
    """
    comparison_interval: Seconds = 0.25
    """Seconds between two looks for what others have changed in the database: other servers, where
    there are any, and other programs. For as long a change of theirs may go unseen.
    """
    deliveries_per_yield: Count = 256
    """Deliveries of a fan-out, and rows encoded for one, after which other tasks run."""

    @model_validator(mode="after")
    def _backoff_grows(self) -> RoomSettings:
        if self.store_backoff_max < self.store_backoff_initial:
            raise ValueError("store_backoff_max must not be below store_backoff_initial")
        if self.crash_backoff_max < self.crash_backoff_initial:
            raise ValueError("crash_backoff_max must not be below crash_backoff_initial")
        return self


class StoreSettings(Group):
    """The database."""

    database_url: DatabaseUrl | None = None
    """PostgreSQL to use, like postgresql://user:password@host/name. Without it the server
    starts an embedded PostgreSQL in data_dir.
    """
    data_dir: Path = Field(default_factory=default_data_dir)
    """Folder of the embedded PostgreSQL and of the demo secret. Default: /var/lib/gbs-actor
    for root, the user's data directory for other users.
    """
    node: NodeName | None = None
    """Name of this server where several serve one database: unique among them, of at most 16
    lower-case letters, digits and "-". The ids of its Socket.IO sessions begin with it and a dot:
    by that a proxy finds the server. All of them need the same secrets. Without a name the server
    is the only one of its database.
    """
    pool_size: Annotated[int, Field(ge=2, le=100)] = 4
    """Database connections for reads and commits."""
    read_timeout: Seconds = 10.0
    """Seconds a read may take."""
    database_connect_timeout: Seconds = 5.0
    """Seconds a connection to the database may take to open."""
    lock_timeout: Seconds = 3.0
    """Seconds to wait at the start for another server to release the database."""
    write_check_interval: Seconds = 5.0
    """Seconds between two small writes of the server's own that decide whether /readyz is 200;
    after one that failed the next ones come sooner."""
    history_days: Annotated[int, Field(ge=1, le=36_500)] = 90
    """Days that accepted changes are kept in the log. The server prunes older ones once a day; a
    command that is sent again after that counts as a new one.
    """
    audit_days: Annotated[int, Field(ge=1, le=36_500)] = 365
    """Days that the audit keeps what operators did and looked at. The server prunes older records
    once a day.
    """


class BusSettings(Group):
    """How several servers on one database tell each other of changes."""

    bus_url: BusUrl | None = None
    """Valkey or Redis through which they do, like valkey://user:password@host:6379; valkeys:// with
    TLS, unix:///path for a socket. Without it PostgreSQL notifies them, which costs it more.
    """
    bus_interval: Interval = 0.02
    """Seconds between two messages of a server, at least; each has all that is new."""


class AuthSettings(Group):
    """Verification of tokens, and what each role may do."""

    jwt_secret: Secret | None = None
    """Secret of HS256 tokens, at least 32 bytes."""
    jwt_public_key_file: Path | None = None
    """PEM file with the public key of RS256 or ES256 tokens."""
    jwks_file: Path | None = None
    """JSON Web Key Set with public keys, chosen by the token's kid. It is read again when it
    changes, so keys can be rotated without a restart.
    """
    jwt_algorithms: Annotated[tuple[Algorithm, ...], Field(min_length=1)] = (
        "HS256",
        "RS256",
        "ES256",
    )
    """Algorithms a token may be signed with, of those that a key is set for."""
    jwt_issuer: Text | None = None
    """Required value of the claim iss; without it any is accepted."""
    jwt_audience: Text | None = None
    """Value that the claim aud must contain; without it any is accepted."""
    cookie_name: CookieName = "accessToken"
    """Cookie that holds the token of a browser."""
    cookie_grace: Annotated[float, Field(ge=0, le=43_200)] = 43_200.0
    """Seconds that a connection authenticated by a cookie may read after its token has
    expired, at most 12 hours.
    """
    grant_ttl: Annotated[float, Field(ge=0, le=3_600)] = 30.0
    """Seconds within which a change of a per-retreat grant takes effect, on open connections too.
    0: as soon as possible, at a query for each request.
    """
    reader_roles: tuple[Role, ...] = tuple(Role)
    """Roles that may read the line-up."""
    editor_roles: tuple[Role, ...] = (Role.LINEUP_STAFF, Role.ADMIN_MINISTER)
    """Roles that may edit the line-up; they may read it, too."""
    operator_roles: tuple[Role, ...] = (Role.ADMIN_MINISTER,)
    """Roles that may use /admin."""

    @property
    def has_key(self) -> bool:
        """Whether a key to verify tokens is set."""
        return bool(self.jwt_secret or self.jwt_public_key_file or self.jwks_file)


class AdminSettings(Group):
    """What operators use at /admin, besides operator_roles."""

    admin_token: BearerToken | None = None
    """Token that may use all of /admin without a user, as "Authorization: Bearer": at least 32
    bytes of letters, digits and - . _ ~ + /
    """
    admin_listen: ListenAddress | None = None
    """A second address, host:port such as 127.0.0.1:9090, for /admin and /metrics: they are served
    there only then, with the certificate of the first one if there is one. Port 0 takes any free
    one.
    """
    metrics_token: BearerToken | None = None
    """Token with which Prometheus may read /metrics and nothing else, as "Authorization: Bearer".
    Without it, /metrics is open to everybody who reaches admin_listen; where that is not set, it
    is for operators only. It names the busiest retreats, but no user.
    """
    metrics_rooms: NonNegativeInt = 20
    """Rooms that /metrics shows by themselves: those with most to do; the others as one."""

    operator_events: Count = 5_000
    """Events that /admin/events keeps. The oldest one of the kind with the most makes room."""
    event_streams: Count = 20
    """Streams of events open at the same time, at most; beyond that 429."""

    @property
    def address(self) -> tuple[str, int] | None:
        """Host and port of ``admin_listen``."""
        if self.admin_listen is None:
            return None
        host = parse_host(self.admin_listen)
        assert host is not None
        name, port = host
        assert port is not None
        return name.strip("[]"), port


class PageSettings(Group):
    """The line-up page at / and /retreats/{slug}."""

    serve_page: bool = True
    """Serve the page. Without it, for who has a page of their own, / lists what the server has."""
    sign_in_url: Link | None = None
    """Where people sign in: the page links there if it has no valid token. The server has no
    sign-in of its own; the page at this address has to set cookie_name for this host.
    """
    largest_group: Count = 4
    """People of a group; if it has more, the page shows its figures in red."""


class ImportSettings(Group):
    """Sheets that are imported over HTTP."""

    import_size: Bytes = 5_242_880
    """Bytes of a file, at most."""
    import_timeout: Seconds = 1_800.0
    """Seconds from the upload within which an import can be applied."""
    imports: Count = 40
    """Imports that wait to be applied, at most, each with its file; the oldest one makes room."""
    imports_per_user: Count = 5
    """Of these, of one user; the oldest one makes room."""
    imports_at_once: Count = 2
    """Sheets that are read, compared or written at the same time, at most; the others wait."""
    imports_at_once_per_user: Count = 3
    """Sheets of one user that are uploaded, read, compared or written, or wait for that, at most;
    more are refused. Each counts as 100 requests, too.
    """


class RecoverySettings(Group):
    """Recovery of a session after a lost connection (Socket.IO connection state recovery)."""

    recovery_secret: Secret | None = None
    """Secret that signs clients' recovery ids, at least 32 bytes. Without it the key is derived
    from jwt_secret; without both, sessions are not recovered after a restart.
    """
    recovery_max_age: Seconds = 43_200.0
    """Seconds from its beginning for which a session can be recovered."""


class LoggingSettings(Group):
    """What is logged, and how. It changes on SIGHUP."""

    log_level: LogLevel = "INFO"
    """Lowest level that is logged."""
    log_format: LogFormat = "console"
    """console for people, json for log shippers: one object per line."""
    slow_command: Interval = 1.0
    """Seconds from which on a command is logged as slow, with where the time went; at most one
    such line a second. 0: none is.
    """
