"""``top``: what it asks for, what it shows, and how it behaves on a terminal."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from typing import Any

import msgspec
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from trio.testing import MockClock

from gbs_actor.cli.admin_client import AdminRequestFailed
from gbs_actor.cli.failures import CommandFailed
from gbs_actor.cli.top.live_screen import LiveScreen
from gbs_actor.cli.top.screen import duration, milliseconds, screen
from gbs_actor.cli.top.snapshot import Rates, Rooms, Snapshot, System, take
from gbs_actor.cli.top.view import SORTS, View
from gbs_actor.cli.top.watch import Watch
from gbs_actor.client import connect
from gbs_actor.concurrency import background
from tests.cli.conftest import Command
from tests.cli.demo_process import Demo
from tests.cli.pty_process import on_terminal
from tests.cli.test_terminal import EVIL, RETREAT, token
from tests.observability.test_terminal import STYLING, dangers

TIMES = {"count": 3, "p50": 0.001, "p95": 0.002, "p99": 0.25, "longest": 0.3}
ROOM = {
    "slug": "2024-winter",
    "state": "running",
    "subscriberCount": 12,
    "revision": 1234,
    "mailboxDepth": 1,
    "mailboxHighWater": 9,
    "commandsPerSecond": 3.5,
    "commit": TIMES,
    "handOut": TIMES,
    "restarts": 2,
    "idleFor": 61.0,
    "lastError": None,
}
SYSTEM: dict[str, Any] = {
    "version": "1.0",
    "uptime": 100.0,
    "process": {"cpuSeconds": 10.0, "memoryBytes": 2**27, "openDescriptors": 20},
    "store": {
        "available": True,
        "leaseHeld": True,
        "commits": 50,
        "commitFailures": 0,
        "busyConnections": 1,
        "openConnections": 4,
        "waiting": 0,
    },
    "sockets": {"connections": 5},
    "plain": {"connections": 2},
    "events": {"events": 1000},
    "loopLag": TIMES,
    "ack": TIMES,
    "delivered": TIMES,
    "limits": [{"name": "pool_size", "used": 1, "limit": 4}],
}


class Server:
    """What answers ``top``."""

    def __init__(
        self,
        *rooms: Mapping[str, object],
        retreats: list[str] | None = None,
        node: str | None = None,
    ) -> None:
        self.rooms = rooms
        self.node = node
        self.retreats = retreats
        self.asked: list[tuple[str, dict[str, str | int]]] = []
        self.system = SYSTEM
        self.failure: AdminRequestFailed | None = None
        """With which it refuses to show itself."""

    async def get(self, path: str, params: Mapping[str, str | int] | None = None) -> Any:
        self.asked.append((path, dict(params or {})))
        if path == "/session":
            return {"retreats": self.retreats, "node": self.node}
        if path == "/system":
            assert self.retreats is None, "would be refused"
            if self.failure is not None:
                raise self.failure
            return self.system
        assert path == "/rooms"
        return {"total": len(self.rooms), "rooms": list(self.rooms), "crashes": 0}


def text_of(snapshot: Snapshot, rates: Rates | None = None, view: View | None = None) -> str:
    out = io.StringIO()
    console = Console(file=out, width=200, force_terminal=True, highlight=False)
    console.print(screen(snapshot, rates, view or View(), url="http://here"))
    return STYLING.sub("", out.getvalue())


async def test_it_shows_the_figures_of_rooms_and_server() -> None:
    snapshot = await take(Server(ROOM), {}, whole=True)
    shown = text_of(snapshot)
    (line,) = [line for line in shown.splitlines() if "2024-winter" in line]
    assert line.split()[:7] == ["2024-winter", "running", "12", "1,234", "1", "9", "3.5"]
    assert "1m 1s" in line
    assert "connections 7 (5 Socket.IO)" in shown
    assert "ack 1 ms p95 2 ms p99 250 ms" in shown


async def test_names_from_outside_do_nothing_to_the_terminal() -> None:
    room = {**ROOM, "slug": EVIL, "state": EVIL, "lastError": EVIL}
    shown = text_of(await take(Server(room), {}, whole=True))
    assert dangers(shown) <= {"\r", "\n"}


async def test_of_several_servers_it_shows_where_each_room_runs() -> None:
    assert "server" not in text_of(await take(Server(ROOM), {}, whole=True))
    rooms = ({**ROOM, "node": "node-a"}, {**ROOM, "node": EVIL})
    shown = text_of(await take(Server(*rooms), {}, whole=True))
    assert "server" in shown
    assert "node-a" in shown
    assert dangers(shown) <= {"\r", "\n"}


async def test_a_token_for_some_retreats_is_shown_their_rooms() -> None:
    server = Server(ROOM, retreats=["2024-winter"], node="a")
    watch = Watch(server, View())
    assert (await watch.look(10)).system is None
    await watch.look(10)
    assert [path for path, _ in server.asked] == ["/session", "/rooms", "/rooms"]
    assert watch.snapshot is not None
    assert "2024-winter" in text_of(watch.snapshot)
    assert "server a" not in text_of(watch.snapshot)  # they are the rooms of all


async def test_behind_a_proxy_its_figures_are_of_the_server_that_was_asked_first() -> None:
    server = Server(ROOM, node="a")
    watch = Watch(server, View())
    await watch.look(10)
    server.node = "b"
    await watch.look(10)
    systems = [params for path, params in server.asked if path == "/system"]
    assert systems == [{"node": "a"}, {"node": "a"}]
    assert not any("node" in params for path, params in server.asked if path == "/rooms")
    assert watch.snapshot is not None
    assert "server a" in text_of(watch.snapshot)


@pytest.mark.parametrize(
    ("status", "shown_then"), [(404, "b"), (429, "a")], ids=["it is gone", "it is asked too much"]
)
async def test_where_that_server_refuses_the_live_screen_goes_on(
    status: int, shown_then: str, autojump_clock: MockClock
) -> None:
    server = Server(ROOM, node="a")
    watch = Watch(server, View())
    live = LiveScreen(watch, Console(file=io.StringIO(), width=200, height=20), "http://here")

    async def refuse_once() -> None:
        await trio.sleep(0.5)
        server.failure = AdminRequestFailed("It is not to be seen.", status)
        server.node = "b"
        await trio.sleep(1)
        server.failure = None
        server.system = {**SYSTEM, "uptime": 200.0}

    async with background(refuse_once):
        await live.run(3, 1.0)
    assert server.asked[-1] == ("/system", {"node": shown_then})
    assert watch.snapshot is not None
    assert f"server {shown_then}" in text_of(watch.snapshot)
    assert (watch.rates is None) == (shown_then == "b"), "no rates between two servers"


async def test_a_server_that_is_named_is_waited_for(autojump_clock: MockClock) -> None:
    server = Server(ROOM, node="a")
    watch = Watch(server, View(), "b")
    await watch.look(10)
    server.failure = AdminRequestFailed("There is no server b, or it is gone.", 404)
    with pytest.raises(AdminRequestFailed):
        await watch.look(10)
    server.failure = None
    await watch.look(10)
    assert server.asked[-1] == ("/system", {"node": "b"})


async def test_a_server_that_is_named_is_shown_with_its_rooms_only() -> None:
    server = Server(ROOM, node="a")
    await Watch(server, View(), "b").look(10)
    assert [params.get("node") for _, params in server.asked] == [None, "b", "b"]


async def test_another_version_of_the_server_is_named_as_the_fault() -> None:
    with pytest.raises(CommandFailed, match="another version"):
        await Watch(Server({"slug": "x"}), View()).look(10)


@given(st.integers(0, 1000), st.integers(0, 1000), st.floats(0.1, 100), st.floats(0.1, 100))
def test_rates_are_the_differences_per_second(
    events: int, commits: int, cpu: float, seconds: float
) -> None:
    def at(uptime: float, share: int) -> Snapshot:
        document = {
            **SYSTEM,
            "uptime": uptime,
            "events": {"events": events * share},
            "store": {**SYSTEM["store"], "commits": commits * share},
            "process": {**SYSTEM["process"], "cpuSeconds": cpu * share},
        }
        return Snapshot(uptime, Rooms(0, ()), msgspec.convert(document, System), {})

    rates = Rates.between(at(5.0, 1), at(5.0 + seconds, 2))
    assert rates is not None
    assert rates.events * seconds == pytest.approx(events)
    assert rates.commits * seconds == pytest.approx(commits)
    assert rates.cpu * seconds == pytest.approx(cpu)
    assert Rates.between(at(5.0 + seconds, 2), at(5.0, 1)) is None, "it was started again"
    assert Rates.between(None, at(5.0, 1)) is None


def test_keys_change_what_is_asked_for() -> None:
    view = View()
    assert view.query(20) == {"sort": "-commandsPerSecond", "limit": 20}
    view.press("r")
    assert view.query(20)["sort"] == "commandsPerSecond"
    view.press("r")
    seen = []
    for _ in SORTS:
        view.press("s")
        seen.append(view.query(1)["sort"])
    assert sorted(map(str, seen)) == sorted(SORTS.values())
    view.press("f")
    assert view.query(1)["state"] == "failed"
    view.press("x")
    assert not view.ended
    view.press("q")
    assert view.ended


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0s"), (59.9, "59s"), (60, "1m 0s"), (3_661, "1h 1m"), (90_000, "1d 1h")],
)
def test_durations_have_two_units(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_slow_times_are_marked() -> None:
    assert str(milliseconds(0.0123)) == "12.3 ms"
    assert not milliseconds(0.0123).style
    assert milliseconds(0.1).style
    assert str(milliseconds(2.5)) == "2.5 s"


def test_one_snapshot_is_written_as_json_or_as_a_table(command: Command, demo: Demo) -> None:
    settings = {"GBS_DATA_DIR": str(demo.data)}
    document = json.loads(command("top", "--url", demo.url, "-o", "json", **settings).output)
    assert document["system"]["store"]["available"] is True
    assert document["rooms"] == []
    table = command("top", "--url", demo.url, "-o", "-", **settings).output
    assert "database available" in table
    assert "no room" in table


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--token", "nobody's"), "Invalid token. Set GBS_ADMIN_TOKEN"),
        (("--state", "tired"), "state must be one of"),
        (("--sort", "beauty"), "--sort must be one of"),
        (("--url", "ftp://x"), "is no URL"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(
    command: Command, demo: Demo, arguments: tuple[str, ...], sentence: str
) -> None:
    given_url = () if "--url" in arguments else ("--url", demo.url)
    result = command("top", "-o", "-", *given_url, *arguments, GBS_DATA_DIR=str(demo.data))
    assert result.exit_code != 0
    assert sentence in result.output
    assert "Traceback" not in result.output


async def test_it_is_live_on_a_terminal_until_q_is_pressed(demo: Demo) -> None:
    arguments = ("top", "--url", demo.url, "--interval", "0.5")
    with on_terminal(*arguments, data=demo.data, COLUMNS="180", LINES="30") as terminal:
        await terminal.until("no room")
        async with connect(demo.url, token(demo, "editor")) as client:
            await client.join(RETREAT)
            await terminal.until(RETREAT)
        await terminal.write("s")
        await terminal.until("sorted by subscribers")
        await terminal.write("q")
        await terminal.until("\x1b[?1049l")
