"""One attack from start to figures: a server of its own, people at work, the attacker."""

from __future__ import annotations

import json
import os
import resource
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import trio

from scripts.attack.attacks import Attack
from scripts.attack.figures import Measured
from scripts.attack.honest import People
from tests.e2e.server_process import (
    ROOT,
    ServerProcess,
    data_folder,
    demo_data,
    start_server,
    token,
)
from tests.faults.postgres_processes import kill, postmaster
from tests.store.fixtures import copy_folder

WARM_UP = 2.0
"""Seconds that people work before the attack."""
SAMPLE = 0.1
"""Seconds between two looks at the server's memory."""
RECONNECT = 1.0
"""Seconds that the server may take to connect to a database that is up again."""
ATTACKERS = (66_666, 66_667)
"""The users whose tokens an attacker has: staff, like those at work."""

Advance = Callable[[float], None]
"""Called with the seconds that have passed."""


@dataclass(frozen=True)
class Length:
    """How long an attack takes, in seconds, and how large it is."""

    seconds: float
    recovery: float
    """How long people go on behind it."""
    scale: float = 1.0
    """0 to 1."""

    @property
    def total(self) -> float:
        """All of it, with what comes before."""
        return WARM_UP + self.seconds + self.recovery


async def measure(
    attack: Attack | None, length: Length, advance: Advance = lambda _: None
) -> Measured:
    """Let people work on a fresh server while it is attacked, and for a time behind that.

    :param attack: ``None``: without any.
    """
    measured = Measured()
    with _server(None if attack is None else attack.descriptors) as server:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_sample_memory, server, measured)
            async with People(server, measured).at_work():
                await _pass(WARM_UP, advance)
                await _attack(attack, server, measured, length, advance)
                await _pass(length.recovery, advance)
                measured.observed = trio.current_time()
            nursery.cancel_scope.cancel()
        measured.log_lines = server.log().count("\n")
    return measured


async def _attack(
    attack: Attack | None,
    server: ServerProcess,
    measured: Measured,
    length: Length,
    advance: Advance,
) -> None:
    cpu, own = _cpu_of(server), _own_cpu(resource.RUSAGE_SELF)
    children = _own_cpu(resource.RUSAGE_CHILDREN)
    measured.began = trio.current_time()
    async with trio.open_nursery() as nursery:
        if attack is not None:
            nursery.start_soon(_attacker, attack, server, length, measured)
            if attack.kills_database:
                nursery.start_soon(_kill_database, server, measured, length.seconds / 3)
        await _pass(length.seconds, advance)
    measured.ended = trio.current_time()
    measured.server_cpu = max(0.0, _cpu_of(server) - cpu)  # nothing where it is gone
    measured.own_cpu = _own_cpu(resource.RUSAGE_SELF) - own
    measured.attacker_cpu = _own_cpu(resource.RUSAGE_CHILDREN) - children


async def _attacker(
    attack: Attack, server: ServerProcess, length: Length, measured: Measured
) -> None:
    command = [
        *(sys.executable, "-m", "scripts.attack.attacker", attack.name),
        *("--port", str(server.port), "--seconds", str(length.seconds)),
        *("--scale", str(length.scale)),
        *("--tokens", *(token(user_id, "간사") for user_id in ATTACKERS)),
    ]
    done = await trio.run_process(command, capture_stdout=True, cwd=ROOT)
    measured.attack = Counter(json.loads(done.stdout))


async def _kill_database(server: ServerProcess, measured: Measured, after: float) -> None:
    """Kill PostgreSQL, and note until when there was none."""
    await trio.sleep(after)
    pid = postmaster(server)
    assert pid is not None
    began = trio.current_time()
    kill(pid)
    while server.alive() and not _is_up(server, pid):
        await trio.sleep(SAMPLE)
    measured.outage = began, trio.current_time() + RECONNECT


def _is_up(server: ServerProcess, former: int) -> bool:
    """Whether another PostgreSQL than the former one accepts connections."""
    try:
        lines = (server.pgdata / "postmaster.pid").read_text().splitlines()
    except OSError:
        return False
    return len(lines) > 7 and lines[0] != str(former) and lines[7].strip() == "ready"


async def _sample_memory(server: ServerProcess, measured: Measured) -> None:
    while server.alive():
        measured.memory = max(measured.memory, server.memory())
        await trio.sleep(SAMPLE)
    measured.alive = False


async def _pass(seconds: float, advance: Advance) -> None:
    until = trio.current_time() + seconds
    while (left := until - trio.current_time()) > 0:
        step = min(left, 0.5)
        await trio.sleep(step)
        advance(step)


@contextmanager
def _server(descriptors: int | None) -> Iterator[ServerProcess]:
    """A server with default settings and the demo's data, on disk, where commits take time."""
    with data_folder() as data_dir:
        copy_folder(demo_data(), data_dir)
        server = start_server(data_dir, log_path=data_dir.with_name("log"), descriptors=descriptors)
        try:
            yield server
        finally:
            if server.alive():
                server.stop(patience=60)


def _cpu_of(server: ServerProcess) -> float:
    """Return the seconds of CPU of the server's process."""
    try:
        stat = Path("/proc", str(server.pid), "stat").read_text()
    except OSError:
        return 0.0
    user, system = stat.rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def _own_cpu(who: int) -> float:
    usage = resource.getrusage(who)
    return usage.ru_utime + usage.ru_stime
