"""The names of the metrics, by the rules of Prometheus: ``gbs_``, base units, ``_total``.

Those of the process have the names that they have in every client library. Every set of labels
is bounded: reasons and codes that are not known become ``other``.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from itertools import accumulate
from platform import python_version
from typing import Final

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
)
from prometheus_client.metrics_core import Metric

from gbs_actor import __version__
from gbs_actor.auth import AuthErrorCode
from gbs_actor.gateway.http.metrics.snapshot import Snapshot
from gbs_actor.gateway.nodes import NodeState
from gbs_actor.lineup.codes import Code
from gbs_actor.observability import HistogramTotals
from gbs_actor.rooms import RoomLoad, RoomState

BUCKETS: Final = (
    *(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5),
    *(1.0, 2.5, 5.0, 10.0),
)
"""Upper bounds of the histograms of durations, in seconds."""
OTHER: Final = "other"
OTHER_ROOMS: Final = "(others)"
"""Stands for all rooms that are not shown by themselves; no slug has parentheses."""

_CLOSES: Final = frozenset(
    {
        "transport close",
        "transport error",
        "ping timeout",
        "parse error",
        "server shutting down",
        "client namespace disconnect",
        "server namespace disconnect",
    }
)
_CODES: Final = frozenset({*Code, *AuthErrorCode})
_REFUSALS: Final = frozenset(
    {
        *_CODES,
        *_CLOSES,
        "too many connections",
        "too many connections of this user",
        "too many connections from this address",
        "Invalid namespace",
        "no namespace joined in time",
        # Of Engine.IO:
        "Transport unknown",
        "Session ID unknown",
        "Bad handshake method",
        "Bad request",
        "Forbidden",
        "Unsupported protocol version",
    }
)


def families(taken: Snapshot) -> Iterator[Metric]:
    """Yield all metrics of a snapshot."""
    build = {"version": __version__, "python": python_version()}
    yield InfoMetricFamily("gbs_build", "The program that runs.", build)
    yield _gauge(
        "gbs_ready", "Whether clients should be sent here, as /readyz has it.", taken.ready
    )
    yield from _connections(taken)
    yield from _events(taken)
    yield from _commands(taken)
    yield from _pages(taken)
    yield from _rooms(taken)
    yield from _nodes(taken)
    yield from _limits(taken)
    yield from _store(taken)
    yield from _process(taken)


def _connections(taken: Snapshot) -> Iterator[Metric]:
    sockets, plain = taken.sockets, taken.plain
    connections = GaugeMetricFamily(
        "gbs_connections", "Connections of clients.", labels=["protocol", "transport"]
    )
    connections.add_metric(["socket.io", "websocket"], sockets.connections - sockets.polling)
    connections.add_metric(["socket.io", "polling"], sockets.polling)
    connections.add_metric(["websocket", "websocket"], plain.connections)
    yield connections
    yield _gauge("gbs_clients", "Clients that are authenticated.", taken.clients.clients)
    by_protocol = {"socket.io": sockets, "websocket": plain}
    for name, text, figure in (
        ("handshakes", "Connections that were opened.", "handshakes"),
        ("received_messages", "Messages of clients.", "received_messages"),
        ("received_bytes", "Bytes of clients' messages.", "received_bytes"),
        ("sent_messages", "Messages that were sent to clients, pings included.", "sent_messages"),
        ("sent_bytes", "Bytes that were sent to clients.", "sent_bytes"),
    ):
        values = {protocol: getattr(each, figure) for protocol, each in by_protocol.items()}
        yield _counters(f"gbs_{name}_total", text, "protocol", values)
    yield _counter(
        "gbs_upgrades_total",
        "Connections that moved from polling to a WebSocket.",
        sockets.upgrades,
    )
    yield _counter(
        "gbs_conflations_total",
        "Messages that a newer one has replaced, while both waited for a slow client.",
        taken.conflated,
    )
    closes = CounterMetricFamily(
        "gbs_closes_total", "Connections that have ended.", labels=["protocol", "reason"]
    )
    for protocol, each in by_protocol.items():
        for reason, count in _bounded(each.closes, _CLOSES).items():
            closes.add_metric([protocol, reason], count)
    yield closes
    yield _counters(
        "gbs_refused_handshakes_total",
        "Clients that were refused, or have ended without asking for anything.",
        "reason",
        _bounded(taken.refusals, _REFUSALS),
    )
    if taken.front_door is not None:
        yield _gauge(
            "gbs_open_sockets",
            "Connections at the public address, HTTP included.",
            taken.front_door.connections,
        )


def _events(taken: Snapshot) -> Iterator[Metric]:
    events = taken.events
    yield _counter("gbs_events_total", "Events of clients.", events.events)
    yield _counters(
        "gbs_event_errors_total",
        "Events that got an error.",
        "code",
        _bounded(events.errors, _CODES),
    )
    yield _counter("gbs_joins_total", "Joins that succeeded.", events.joins)
    yield _counters(
        "gbs_recoveries_total",
        "Attempts of clients to resume their session.",
        "result",
        taken.recoveries,
    )
    yield _sizes(
        "gbs_recovery_rows", "Rows that a recovered client had missed.", taken.recovered_rows
    )


def _commands(taken: Snapshot) -> Iterator[Metric]:
    rooms = taken.rooms
    yield _counters(
        "gbs_commands_total",
        "Commands that a room has replied to.",
        "result",
        {"accepted": rooms.accepted, "rejected": rooms.rejected, "repeated": rooms.repeated},
    )
    yield _durations(
        "gbs_ack_seconds",
        "From the read of a command's bytes until its acknowledgement was handed to the socket.",
        taken.ack,
    )
    yield _durations(
        "gbs_delivery_seconds",
        "From the read of an accepted command until the last subscriber was sent its rows.",
        taken.delivered,
    )
    yield _durations("gbs_commit_seconds", "How long commits took.", taken.commit)
    yield _sizes("gbs_batch_commands", "Commands that share a commit.", taken.batch_sizes)
    yield _counter(
        "gbs_deliveries_total",
        "How often a subscriber was handed rows; those that go together count once.",
        rooms.deliveries,
    )
    yield _counter(
        "gbs_unknown_outcomes_total",
        "Commits whose outcome had to be resolved.",
        rooms.unknown_outcomes,
    )
    yield _counter(
        "gbs_stale_commits_total", "Commits that another writer forestalled.", rooms.stale_commits
    )
    yield _counter(
        "gbs_deltas_total", "Changes of other servers that a room has taken over.", rooms.deltas
    )
    yield _counter(
        "gbs_locks_total", "Commits for which the retreat was to be locked.", rooms.locks
    )
    yield _durations("gbs_lock_seconds", "How long retreats were locked for commits.", taken.locked)
    yield _durations(
        "gbs_absorb_lag_seconds",
        "From the first change of other programs in a retreat until some were absorbed.",
        taken.absorb_lag,
    )
    yield _counter("gbs_freshness_checks_total", "Reads of the revisions of rooms.", rooms.checks)
    yield _gauge(
        "gbs_behind_seconds",
        "For how long what other servers have changed may be missing here.",
        rooms.behind,
    )
    yield _gauge("gbs_other_servers", "Servers whose users are shown here.", rooms.other_servers)


def _pages(taken: Snapshot) -> Iterator[Metric]:
    pages = taken.pages
    for name, text, value in (
        ("reports", "Reports of pages about themselves.", pages.reports),
        ("reported_seconds", "How long the reporting pages were open.", pages.seconds),
        ("connection_attempts", "Connections that pages tried to open.", pages.attempts),
        ("connections", "Connections of pages that were opened.", pages.successes),
        ("reconnections", "Of these, those that were not the page's first.", pages.reconnects),
    ):
        yield _counter(f"gbs_client_{name}_total", text, value)
    yield _sizes(
        "gbs_client_answer_seconds",
        "From the emit of a command until its answer arrived, as pages measure it.",
        pages.answers,
    )
    yield _sizes(
        "gbs_client_screen_seconds",
        "From an edit until a screen showed it, as pages measure it.",
        pages.screens,
    )


def _rooms(taken: Snapshot) -> Iterator[Metric]:
    rooms = taken.rooms
    yield _gauges(
        "gbs_rooms",
        "Rooms that are open.",
        "state",
        {state.value: rooms.states.get(state, 0) for state in RoomState},
    )
    yield _gauge("gbs_subscribers", "Subscribers of all rooms.", rooms.subscribers)
    yield _counter("gbs_room_crashes_total", "Crashes of rooms.", rooms.crashes)
    yield _counter("gbs_room_restarts_total", "Starts of rooms after a crash.", rooms.restarts)
    # No counters: which rooms are shown changes, and that of all others would go down.
    loads = {**taken.loads.named, OTHER_ROOMS: taken.loads.others}
    yield _of_rooms("gbs_room_subscribers", "Subscribers.", loads, "subscribers")
    yield _of_rooms("gbs_room_mailbox_items", "What is queued for them.", loads, "mailbox_depth")
    yield _of_rooms(
        "gbs_room_commands_per_second",
        "Commands per second, over the last 30 to 60 seconds.",
        loads,
        "commands_per_second",
    )


def _nodes(taken: Snapshot) -> Iterator[Metric]:
    if taken.nodes:
        yield _gauges(
            "gbs_nodes",
            "Servers on the database, this one included, as this one sees them.",
            "state",
            {state.value: taken.nodes.get(state, 0) for state in NodeState},
        )
    bus = taken.bus
    if bus is None:
        return
    yield _gauge("gbs_bus_connected", "Whether the bus is, as far as is known.", bus.connected)
    yield _counters(
        "gbs_bus_messages_total",
        "Messages on the bus: sent, received of other servers, and own ones that came back.",
        "kind",
        {"sent": bus.sent, "received": bus.received, "own": bus.own},
    )
    for name, text, value in (
        ("gaps", "Times that messages of other servers may have been lost.", bus.gaps),
        ("unreadable", "Messages that could not be read.", bus.unreadable),
        ("failures", "Connections of the bus that failed or ended.", bus.failures),
    ):
        yield _counter(f"gbs_bus_{name}_total", text, value)
    yield _gauge("gbs_bus_pending", "Rooms with changes that wait to be sent.", bus.pending)
    yield _gauge(
        "gbs_bus_pending_presence",
        "Rooms and editing marks whose latest state waits to be sent.",
        bus.pending_presence,
    )
    if bus.lag is not None:
        yield _gauge("gbs_bus_lag_seconds", "How long the latest own message took.", bus.lag)


def _limits(taken: Snapshot) -> Iterator[Metric]:
    used = {each.name: each.used for each in taken.limits}
    most = {each.name: each.limit for each in taken.limits}
    yield _gauges("gbs_limit_used", "How much of a limit is used.", "limit", used)
    yield _gauges("gbs_limit_max", "The limit.", "limit", most)
    front_door = taken.front_door
    hits = {
        "rates": taken.events.refused_by_rate,
        "mailbox_size": taken.rooms.refused_busy,
        "max_connections_per_user": taken.clients.refused,
        "outbox": taken.sockets.overflows + taken.plain.overflows,
        "connections": 0 if front_door is None else front_door.refused,
        "max_unauthenticated": 0 if front_door is None else front_door.evicted,
    }
    yield _counters("gbs_limit_hits_total", "How often a limit took effect.", "limit", hits)


def _store(taken: Snapshot) -> Iterator[Metric]:
    store = taken.store
    yield _gauge("gbs_database_up", "Whether it stores changes.", taken.storing)
    yield _gauge(
        "gbs_database_lease_held",
        "Whether this is the one server that may write, as far as is known.",
        store.lease_held,
    )
    yield _gauges(
        "gbs_database_connections",
        "Connections to the database.",
        "state",
        {"busy": store.busy_connections, "idle": store.idle_connections},
    )
    yield _gauge("gbs_database_waiting", "Calls that wait for a connection.", store.waiting)
    yield _counter("gbs_commits_total", "Commits that succeeded.", store.commits)
    yield _counter(
        "gbs_commit_failures_total", "Commits that failed, for any reason.", store.commit_failures
    )
    yield _counter(
        "gbs_database_terminated_connections_total",
        "Connections to the database that ended at a deadline or by a failure.",
        store.terminated_connections,
    )
    checks = taken.write_check
    yield _counters(
        "gbs_write_checks_total",
        "Writes that the server makes by itself, to find out whether the database stores changes.",
        "result",
        {"succeeded": checks.writes, "failed": checks.failures},
    )
    audit = taken.audit
    yield _gauge("gbs_audit_queued", "Audit records that wait for the database.", audit.queued)
    yield _counters(
        "gbs_audit_records_total",
        "Audit records that were stored, and those that are lost: they are in the log only.",
        "result",
        {"stored": audit.stored, "lost": audit.lost},
    )
    roles = taken.roles
    yield _counters(
        "gbs_role_lookups_total",
        "Roles that were looked up.",
        "source",
        {"cache": roles.hits, "store": roles.lookups, "stale cache": roles.stale_hits},
    )


def _process(taken: Snapshot) -> Iterator[Metric]:
    process = taken.process
    yield _durations("gbs_loop_lag_seconds", "How late timers fired.", taken.loop_lag)
    yield _counter(
        "process_cpu_seconds_total", "CPU time in user and system mode.", process.cpu_seconds
    )
    yield _gauge(
        "process_start_time_seconds", "When it was started, in Unix time.", process.started_at
    )
    yield _gauge("process_threads", "Threads.", process.threads)
    for name, text, value in (
        ("process_resident_memory_bytes", "Resident memory.", process.memory_bytes),
        ("process_open_fds", "Open files and sockets.", process.open_descriptors),
        ("process_max_fds", "As many may be open.", process.descriptor_limit),
    ):
        if value is not None:
            yield _gauge(name, text, value)


# How a family is made


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, text, value=float(value))


def _gauges(name: str, text: str, label: str, values: Mapping[str, float]) -> Metric:
    family = GaugeMetricFamily(name, text, labels=[label])
    for each, value in values.items():
        family.add_metric([each], value)
    return family


def _of_rooms(name: str, text: str, loads: Mapping[str, RoomLoad], figure: str) -> Metric:
    values = {slug: float(getattr(load, figure)) for slug, load in loads.items()}
    return _gauges(name, text, "room", values)


def _counter(name: str, text: str, value: float) -> Metric:
    return CounterMetricFamily(name, text, value=value)


def _counters(name: str, text: str, label: str, values: Mapping[str, float]) -> Metric:
    family = CounterMetricFamily(name, text, labels=[label])
    for each, value in values.items():
        family.add_metric([each], value)
    return family


def _durations(name: str, text: str, totals: HistogramTotals) -> Metric:
    below = totals.up_to(BUCKETS)
    return _histogram(name, text, dict(zip(BUCKETS, below, strict=True)), totals)


def _sizes(name: str, text: str, totals: HistogramTotals) -> Metric:
    below = accumulate(totals.counts)
    return _histogram(name, text, dict(zip(totals.bounds, below, strict=False)), totals)


def _histogram(name: str, text: str, below: Mapping[float, int], totals: HistogramTotals) -> Metric:
    """Return a histogram.

    :param below: how many values are not above each bound.
    """
    buckets = [(str(bound), float(count)) for bound, count in below.items()]
    buckets.append(("+Inf", sum(totals.counts)))
    return HistogramMetricFamily(name, text, buckets=buckets, sum_value=totals.total)


def _bounded(counts: Mapping[str, int], known: Collection[str]) -> dict[str, int]:
    """Return counts with those of unknown names together as one."""
    bounded: dict[str, int] = {}
    for name, count in counts.items():
        shown = str(name) if name in known else OTHER
        bounded[shown] = bounded.get(shown, 0) + count
    return bounded
