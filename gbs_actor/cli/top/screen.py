"""A snapshot as tables."""

from __future__ import annotations

from typing import Final

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from gbs_actor.cli.top.snapshot import Limit, Rates, Room, Snapshot, System, Times
from gbs_actor.cli.top.view import HELP, View
from gbs_actor.observability import visible

HEADER_LINES: Final = 9
"""Lines of the screen that no room gets."""

_STATE_STYLES: Final = {
    "running": "green",
    "starting": "cyan",
    "restarting": "yellow",
    "backoff": "yellow",
    "draining": "magenta",
    "failed": "bold red",
    "stopped": "dim",
}
_UNITS: Final = (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1))
_NEAR: Final = 0.8
"""Share of a limit from which it is marked."""
_SLOW: Final = 0.1
"""Seconds from which a percentile is marked."""


def screen(
    snapshot: Snapshot,
    rates: Rates | None,
    view: View,
    *,
    url: str,
    live: bool = False,
    fault: str = "",
) -> RenderableType:
    """Return the whole screen.

    :param live: whether keys change the view.
    :param fault: why the snapshot is an old one; empty if it is not.
    """
    parts: list[RenderableType] = [_head(snapshot, url)]
    if snapshot.system is not None:
        parts.append(_system(snapshot.system, rates))
    if fault:
        parts.append(Text(visible(fault), style="bold red"))
    parts.append(_rooms(snapshot))
    shown = f"{HELP}   {_state_of(view)}" if live else _state_of(view)
    parts.append(Text(shown, style="dim"))
    return Group(*parts)


def _state_of(view: View) -> str:
    shown = [f"sorted by {view.sort}{', reversed' if view.reverse else ''}"]
    if view.state is not None:
        shown.append(f"only {view.state}")
    if view.search:
        shown.append(f"with {view.search!r}")
    if view.paused:
        shown.append("paused")
    return ", ".join(shown)


def _head(snapshot: Snapshot, url: str) -> Text:
    text = Text.assemble(("gbs-actor", "bold"), f"  {visible(url)}")
    if snapshot.node is not None:
        text.append(f"  server {visible(snapshot.node)}")
    if snapshot.system is not None:
        system = snapshot.system
        text.append(f"  {visible(system.version)}, up {duration(system.uptime)}")
    text.append(f"  rooms {snapshot.rooms.total:,}: ")
    for state, count in sorted(snapshot.states().items()):
        text.append(f"{count:,} {visible(state)}  ", style=_STATE_STYLES.get(state, ""))
    return text


def _system(system: System, rates: Rates | None) -> Table:
    store, process = system.store, system.process
    table = Table.grid(padding=(0, 3))
    for _ in range(3):
        table.add_column(no_wrap=True, min_width=34)
    connections = system.sockets.connections + system.plain.connections
    table.add_row(
        _figures(
            "connections",
            f"{connections:,} ({system.sockets.connections:,} Socket.IO)",
        ),
        _figures("events/s", "-" if rates is None else f"{rates.events:,.1f}"),
        _figures("commits/s", "-" if rates is None else f"{rates.commits:,.1f}"),
    )
    table.add_row(
        _times("ack", system.ack),
        _times("last send", system.delivered),
        _times("loop lag", system.loop_lag),
    )
    state = Text("available", style="green")
    if not store.available:
        state = Text("NOT AVAILABLE", style="bold red")
    elif not store.lease_held:
        state = Text("LEASE LOST", style="bold red")
    database = Text.assemble(("database ", "dim"), state)
    table.add_row(
        database,
        _figures("pool", f"{store.busy_connections} of {store.open_connections} busy"),
        _figures("waiting", f"{store.waiting}, failed commits {store.commit_failures:,}"),
    )
    memory = "-" if process.memory_bytes is None else f"{process.memory_bytes / 2**20:,.0f} MiB"
    table.add_row(
        _figures("memory", memory),
        _figures("CPU", "-" if rates is None else f"{rates.cpu:.0%} of a core"),
        _limits(system.limits),
    )
    return table


def _limits(limits: tuple[Limit, ...]) -> Text:
    nearest = max(limits, key=_share, default=None)
    if nearest is None:
        return Text()
    style = "bold red" if _share(nearest) >= _NEAR else ""
    return _figures(
        "nearest limit",
        f"{visible(nearest.name)} {nearest.used:,} of {nearest.limit:,}",
        style,
    )


def _share(limit: Limit) -> float:
    return limit.used / limit.limit if limit.limit else 0.0


def _figures(name: str, value: str, style: str = "") -> Text:
    return Text.assemble((f"{name} ", "dim"), (value, style))


def _times(name: str, times: Times) -> Text:
    if not times.count:
        return _figures(name, "-")
    return Text.assemble(
        (f"{name} ", "dim"),
        milliseconds(times.p50),
        (" p95 ", "dim"),
        milliseconds(times.p95),
        (" p99 ", "dim"),
        milliseconds(times.p99),
    )


def _rooms(snapshot: Snapshot) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1))
    several = any(room.node is not None for room in snapshot.rooms.rooms)
    table.add_column("room", no_wrap=True, overflow="ellipsis", max_width=32)
    if several:
        table.add_column("server", no_wrap=True)
    table.add_column("state", no_wrap=True)
    for name in ("subscribers", "revision", "mailbox", "highest", "cmd/s", "commit p50", "p99"):
        table.add_column(name, justify="right", no_wrap=True)
    for name in ("hand-out p99", "restarts", "idle"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("last error", no_wrap=True, overflow="ellipsis")
    for room in snapshot.rooms.rooms:
        slug, *figures = _cells(room)
        table.add_row(slug, *([Text(visible(room.node or ""))] if several else ()), *figures)
    if not snapshot.rooms.rooms:
        table.add_row(Text("no room", style="dim"))
    return table


def _cells(room: Room) -> list[Text]:
    return [
        Text(visible(room.slug)),
        Text(visible(room.state), style=_STATE_STYLES.get(room.state, "")),
        Text(f"{room.subscriber_count:,}"),
        Text("-" if room.revision is None else f"{room.revision:,}"),
        Text(f"{room.mailbox_depth:,}"),
        Text(f"{room.mailbox_high_water:,}"),
        Text(f"{room.commands_per_second:,.1f}"),
        milliseconds(room.commit.p50) if room.commit.count else Text("-"),
        milliseconds(room.commit.p99) if room.commit.count else Text("-"),
        milliseconds(room.hand_out.p99) if room.hand_out.count else Text("-"),
        Text(f"{room.restarts:,}", style="yellow" if room.restarts else ""),
        Text(duration(room.idle_for)),
        Text(visible(room.last_error or ""), style="red"),
    ]


def milliseconds(seconds: float) -> Text:
    """Return a time in milliseconds; long ones are marked."""
    return Text(
        f"{seconds * 1000:,.3g} ms" if seconds < 1 else f"{seconds:,.1f} s", style=_slow(seconds)
    )


def _slow(seconds: float) -> str:
    return "bold red" if seconds >= _SLOW else ""


def duration(seconds: float) -> str:
    """Return a duration with its two largest units."""
    whole = int(seconds)
    for unit, size, smaller, small in (
        ("d", 86_400, "h", 3_600),
        ("h", 3_600, "m", 60),
        ("m", 60, "s", 1),
    ):
        if whole >= size:
            return f"{whole // size}{unit} {whole % size // small}{smaller}"
    return f"{whole}s"
