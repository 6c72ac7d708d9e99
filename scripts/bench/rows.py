"""The rows of the table, and the figures that they show."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from scripts.bench.workloads import (
    ONE_ROOM,
    THOUSAND_ROOMS,
    TWENTY_ROOMS,
    Workload,
    fan_out,
    full_speed,
    idle,
    joins,
    large_retreat,
    lone_edit,
    paced_edits,
    small_events,
)


@dataclass(frozen=True)
class Figure:
    """One kind of figure."""

    title: str
    unit: str
    more_is_better: bool = False


FIGURES: Final = {
    "ms_per_edit": Figure("time", "ms"),
    "server_us": Figure("server CPU per edit", "µs"),
    "postgres_us": Figure("PostgreSQL CPU per edit", "µs"),
    "paced_ack_p50_ms": Figure("every 50 ms: ack p50", "ms"),
    "paced_ack_p99_ms": Figure("every 50 ms: ack p99", "ms"),
    "paced_server_us": Figure("every 50 ms: server CPU", "µs"),
    "paced_postgres_us": Figure("every 50 ms: PostgreSQL CPU", "µs"),
    "edits_per_s": Figure("edits", "/s", more_is_better=True),
    "ack_p50_ms": Figure("ack p50", "ms"),
    "ack_p99_ms": Figure("ack p99", "ms"),
    "last_screen_p50_ms": Figure("last screen p50", "ms"),
    "last_screen_p99_ms": Figure("last screen p99", "ms"),
    "delivered": Figure("updates delivered", "", more_is_better=True),
    "delivery_us": Figure("CPU per delivery", "µs"),
    "unwoken_delivery_us": Figure("CPU per delivery, clients awake", "µs"),
    "joins_per_s": Figure("joins", "/s", more_is_better=True),
    "join_us": Figure("CPU per join", "µs"),
    "kb_per_join": Figure("received per join", "KB"),
    "kb_per_connection": Figure("memory per connection", "KB"),
    "peak_mb": Figure("most memory", "MB"),
    "cpu_percent": Figure("CPU", "%"),
    "event_us": Figure("CPU per event", "µs"),
    "events_per_s": Figure("events", "/s", more_is_better=True),
    "growth": Figure("growth of server CPU", "×"),
    "postgres_growth": Figure("growth of PostgreSQL CPU", "×"),
    "errors": Figure("errors", ""),
    "load_share": Figure("load generator, cores", ""),
}
"""By the name that workloads give them."""


@dataclass(frozen=True)
class Row:
    """Something that people do with a server, measured."""

    name: str
    title: str
    workload: Workload
    headlines: tuple[str, ...]
    """The figures that stand in the table; the others are in the details."""
    with_bare: bool = False
    """Whether the bare loop of ``send`` can do it, too."""
    alone: bool = False
    """Whether ours is ``gbs_actor.socketio`` without the line-up."""
    connections: int = 0


def _rows() -> tuple[Row, ...]:
    fan_outs = (
        Row(
            f"fan-out-{subscribers}",
            f"one edit to {subscribers:,} subscribers",
            fan_out(subscribers, edits),
            ("delivery_us",),
            with_bare=True,
            connections=subscribers,
        )
        for subscribers, edits in ((50, 600), (500, 200), (5_000, 40))
    )
    return (
        Row(
            "lone-edit",
            "2 people, one edit at a time",
            lone_edit,
            ("ms_per_edit", "server_us", "postgres_us", "paced_ack_p50_ms"),
        ),
        Row(
            "editors-10",
            "10 people edit at full speed",
            full_speed(ONE_ROOM, 10, 4),
            ("edits_per_s",),
        ),
        Row(
            "room-of-50",
            "a room of 50 at full speed",
            full_speed(ONE_ROOM, 50, 5),
            ("edits_per_s",),
        ),
        Row(
            "rooms-20x20",
            "20 rooms of 20 at full speed",
            full_speed(TWENTY_ROOMS, 400, 5),
            ("edits_per_s",),
        ),
        *fan_outs,
        Row(
            "ack-50",
            "100 edits/s, 50 subscribers",
            paced_edits(ONE_ROOM, 50, 100, 8),
            ("ack_p50_ms",),
        ),
        Row(
            "last-screen-1000",
            "100 edits/s, 1,000 subscribers",
            paced_edits(ONE_ROOM, 1_000, 100, 8),
            ("last_screen_p99_ms",),
            connections=1_000,
        ),
        Row(
            "joins",
            "connect and join, 200 at a time",
            joins,
            ("joins_per_s",),
            connections=2_000,
        ),
        Row(
            "idle-10000",
            "10,000 idle connections",
            idle(10_000, polling=False),
            ("kb_per_connection", "cpu_percent"),
            connections=10_000,
        ),
        Row(
            "idle-10000-polling",
            "10,000 idle, begun with polling",
            idle(10_000, polling=True),
            ("kb_per_connection",),
            connections=10_000,
        ),
        Row(
            "small-event",
            "small event with ack, Socket.IO alone",
            small_events(["message-with-ack", {"lineupId": 123, "gbsNumber": 7}]),
            ("event_us",),
            alone=True,
        ),
        Row(
            "small-event-whole",
            "small event with ack, whole server",
            small_events(["leave-retreat", "nowhere"]),
            ("event_us",),
        ),
        Row(
            "large-retreat",
            "edit among 10,000, not 80",
            large_retreat,
            ("growth",),
        ),
        Row(
            "rooms-1000x10",
            "1,000 rooms of 10, 200 edits/s",
            paced_edits(THOUSAND_ROOMS, 10_000, 200, 20, editors=10),
            ("last_screen_p99_ms", "ack_p99_ms", "kb_per_connection", "cpu_percent"),
            connections=10_000,
        ),
    )


ROWS: Final = {row.name: row for row in _rows()}
"""All rows, in the order of the table."""
