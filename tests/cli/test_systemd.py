"""systemd is notified of start, reload and stop, and that the event loop turns."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from gbs_actor.cli.signals import MARGIN, serve_until_signal
from gbs_actor.cli.systemd import ServiceManager
from gbs_actor.server.descriptors import descriptors_for
from gbs_actor.settings import Settings
from tests.cli.test_signals import Reloading, send
from tests.e2e.server_process import ROOT, running_server

UNIT = ROOT / "config" / "gbs-actor.service"


class Manager:
    """Systemd's end of the socket."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind("\0" + address[1:] if address.startswith("@") else address)

    def receive(self, timeout: float = 30.0) -> dict[str, str]:
        """Return the next message."""
        self._socket.settimeout(timeout)
        lines = self._socket.recv(4096).decode().split("\n")
        return dict(line.split("=", 1) for line in lines)

    def received(self) -> list[dict[str, str]]:
        """Return the messages that have come so far."""
        messages = []
        while True:
            try:
                messages.append(self.receive(timeout=0.0))
            except BlockingIOError:
                return messages

    def close(self) -> None:
        self._socket.close()


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Manager]:
    abstract = f"@gbs-actor-test-{os.getpid()}-{time.monotonic_ns()}"
    made = Manager(str(tmp_path / "notify") if request.param == "path" else abstract)
    yield made
    made.close()


def test_each_state_is_one_message(manager: Manager) -> None:
    with ServiceManager(manager.address) as notified:
        notified.ready()
        assert manager.receive() == {"READY": "1", "STATUS": "Serving"}
        before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1_000
        notified.reloading()
        reloading = manager.receive()
        assert reloading.pop("STATUS")
        assert reloading.pop("RELOADING") == "1"
        assert 0 <= int(reloading.pop("MONOTONIC_USEC")) - before < 10_000_000
        assert reloading == {}
        notified.stopping()
        assert manager.receive()["STOPPING"] == "1"


def test_the_variables_are_read_and_removed(manager: Manager) -> None:
    environment = {
        "NOTIFY_SOCKET": manager.address,
        "WATCHDOG_USEC": "30000000",
        "WATCHDOG_PID": str(os.getpid()),
        "HOME": "/root",
    }
    with ServiceManager.from_environment(environment) as notified:
        notified.ready()
    assert manager.receive()["READY"] == "1"
    assert environment == {"HOME": "/root"}


@pytest.mark.parametrize(
    "address", [None, "", "vsock:2:1234", "/nonexistent/notify", "@nobody", "/" + 200 * "x"]
)
def test_without_a_manager_nothing_happens(address: str | None) -> None:
    environment = {} if address is None else {"NOTIFY_SOCKET": address}
    with ServiceManager.from_environment(environment) as notified:
        notified.ready()


def test_a_manager_that_reads_nothing_holds_nothing_up(manager: Manager) -> None:
    with ServiceManager(manager.address) as notified:
        for _ in range(10_000):
            notified.ready()
    assert 0 < len(manager.received()) < 10_000


async def test_the_watchdog_is_notified_twice_in_its_time(
    manager: Manager, autojump_clock: MockClock
) -> None:
    environment = {"NOTIFY_SOCKET": manager.address, "WATCHDOG_USEC": "20000000"}
    with ServiceManager.from_environment(environment) as notified, trio.move_on_after(45):
        await notified.keep_alive()
    assert manager.received() == 5 * [{"WATCHDOG": "1"}]


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"WATCHDOG_USEC": "0"},
        {"WATCHDOG_USEC": "soon"},
        {"WATCHDOG_USEC": "20000000", "WATCHDOG_PID": "1"},
    ],
)
async def test_without_a_watchdog_of_this_process_nothing_is_sent(
    manager: Manager, variables: dict[str, str], autojump_clock: MockClock
) -> None:
    environment = {"NOTIFY_SOCKET": manager.address, **variables}
    with ServiceManager.from_environment(environment) as notified:
        await notified.keep_alive()
    assert manager.received() == []


async def test_a_server_notifies_of_its_start_its_reloads_and_its_stop(
    manager: Manager, autojump_clock: MockClock
) -> None:
    server = Reloading(trio.lowlevel.checkpoint)
    states: list[list[str]] = []

    def note() -> None:
        states.append([next(iter(message)) for message in manager.received()])

    async def script() -> None:
        await trio.testing.wait_all_tasks_blocked()
        note()
        await send(signal.SIGHUP)
        note()
        server.looks.set()
        await trio.testing.wait_all_tasks_blocked()
        note()
        await send(signal.SIGTERM)

    with ServiceManager(manager.address) as notified:
        async with trio.open_nursery() as nursery:
            await serve_until_signal(
                server,
                Settings(),
                demo=False,
                announce=lambda _: nursery.start_soon(script),
                manager=notified,
            )
    note()
    assert states == [["READY"], [], ["RELOADING", "READY"], ["STOPPING"]]
    assert server.reloads == 1


def test_a_real_server_notifies_while_its_loop_turns(tmp_path: Path) -> None:
    manager = Manager(str(tmp_path / "notify"))
    variables = {"NOTIFY_SOCKET": manager.address, "WATCHDOG_USEC": "1000000"}
    seen = []
    with running_server(environment=variables) as server:
        while "READY" not in (message := manager.receive()):
            seen.append(message)
        server.process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, server.pid, os.WSTOPPED)
        manager.received()
        with pytest.raises(TimeoutError):
            manager.receive(timeout=1.5)
        server.process.send_signal(signal.SIGCONT)
        assert manager.receive() == {"WATCHDOG": "1"}
    assert {"WATCHDOG": "1"} in seen, "also while it starts"
    assert any("STOPPING" in message for message in manager.received())
    manager.close()


def unit() -> dict[str, list[str]]:
    """Return the unit's values by name; a name may have several."""
    values: dict[str, list[str]] = {}
    for name, value in re.findall(r"^(\w+)=(.*)$", UNIT.read_text(), re.MULTILINE):
        values.setdefault(name, []).append(value)
    return values


def test_the_unit_fits_the_settings() -> None:
    (stop,), (files,) = unit()["TimeoutStopSec"], unit()["LimitNOFILE"]
    assert int(stop) > Settings().server.shutdown_grace + MARGIN
    assert int(files) >= descriptors_for(Settings())
    assert unit()["Type"] == ["notify"]


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")
def test_the_unit_is_one_that_systemd_reads(tmp_path: Path) -> None:
    path = tmp_path / UNIT.name
    installed = re.sub(
        r"^ExecStart=\S+", f"ExecStart={sys.executable}", UNIT.read_text(), flags=re.M
    )
    path.write_text(installed)
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(path)],
        capture_output=True,
        text=True,
        check=False,
    )
    about_it = [line for line in done.stderr.splitlines() if UNIT.name in line]
    assert (done.returncode, about_it) == (0, [])
