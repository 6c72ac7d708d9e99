"""What ``top`` knows of a server at one moment."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec
import trio

MAX_ROOMS = 500
"""Rooms of one page, at most, as the server has it."""


class AdminReader(Protocol):
    """Reads JSON below ``/admin``."""

    async def get(self, path: str, params: Mapping[str, str | int] | None = None) -> Any:
        """Return the document at a path."""
        ...


class Times(msgspec.Struct, frozen=True):
    """Percentiles of the last five minutes, in seconds."""

    count: int
    p50: float
    p95: float
    p99: float


class Room(msgspec.Struct, frozen=True, rename="camel"):
    """One line of the table."""

    slug: str
    state: str
    subscriber_count: int
    revision: int | None
    mailbox_depth: int
    mailbox_high_water: int
    commands_per_second: float
    commit: Times
    hand_out: Times
    restarts: int
    idle_for: float
    last_error: str | None
    node: str | None = None
    """The server that it runs on; ``None``: there is only one."""


class Rooms(msgspec.Struct, frozen=True):
    """The rooms on the screen."""

    total: int
    rooms: tuple[Room, ...]


class _Process(msgspec.Struct, frozen=True, rename="camel"):
    cpu_seconds: float
    memory_bytes: int | None
    open_descriptors: int | None


class _Store(msgspec.Struct, frozen=True, rename="camel"):
    available: bool
    lease_held: bool
    commits: int
    commit_failures: int
    busy_connections: int
    open_connections: int
    waiting: int


class _Channels(msgspec.Struct, frozen=True):
    connections: int


class _Events(msgspec.Struct, frozen=True, rename="camel"):
    events: int


class Limit(msgspec.Struct, frozen=True):
    """How near a limit is."""

    name: str
    used: int
    limit: int


class System(msgspec.Struct, frozen=True, rename="camel"):
    """The whole server."""

    version: str
    uptime: float
    process: _Process
    store: _Store
    sockets: _Channels
    plain: _Channels
    events: _Events
    loop_lag: Times
    ack: Times
    delivered: Times
    limits: tuple[Limit, ...]


@dataclass(frozen=True)
class Snapshot:
    """A server at one moment, as ``top`` shows it."""

    at: float
    """Trio time."""
    rooms: Rooms
    system: System | None
    """``None``: the token is for some retreats only, which shows nothing of the whole server."""
    document: Mapping[str, Any]
    """What the server has sent: ``system`` and ``rooms``."""
    node: str | None = None
    """Which one of several servers ``system`` is of; ``None``: there is only one."""

    def states(self) -> Counter[str]:
        """Return how many of the rooms on the screen are in each state."""
        return Counter(room.state for room in self.rooms.rooms)


@dataclass(frozen=True)
class Rates:
    """What happened between two snapshots, per second."""

    events: float
    commits: float
    cpu: float
    """Share of one core."""

    @classmethod
    def between(cls, former: Snapshot | None, snapshot: Snapshot) -> Rates | None:
        """Return the rates; ``None`` if there is no former one, or it is of another run."""
        if former is None or former.system is None or snapshot.system is None:
            return None
        if former.node != snapshot.node:
            return None
        seconds = snapshot.at - former.at
        before, after = former.system, snapshot.system
        if seconds <= 0 or after.uptime <= before.uptime:
            return None
        seconds = after.uptime - before.uptime  # the server may show the same for a second
        return cls(
            events=(after.events.events - before.events.events) / seconds,
            commits=(after.store.commits - before.store.commits) / seconds,
            cpu=(after.process.cpu_seconds - before.process.cpu_seconds) / seconds,
        )


async def take(
    client: AdminReader, query: Mapping[str, str | int], *, whole: bool, node: str | None = None
) -> Snapshot:
    """Ask the server.

    :param query: of ``/rooms``.
    :param whole: whether the token shows the whole server.
    :param node: which one of several servers; a proxy would ask another one each time.
    :raises msgspec.ValidationError: the server is of another version.
    """
    rooms = await client.get("/rooms", query)
    of_one = None if node is None else {"node": node}
    system = await client.get("/system", of_one) if whole else None
    return Snapshot(
        trio.current_time(),
        msgspec.convert(rooms, Rooms),
        None if system is None else msgspec.convert(system, System),
        {"system": system, **rooms},
        node,
    )
