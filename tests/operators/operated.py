"""A server with three rooms that operators see and steer, and what they do it with."""

from __future__ import annotations

import asyncio
import json
import subprocess
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

import asyncpg
import trio

from tests.cli.demo_process import CLI
from tests.e2e.server_process import (
    RETREAT,
    ROOT,
    ServerProcess,
    clean_environment,
    running_server,
)

OPERATOR_TOKEN: Final = "3lWv0yGmJx8Qk2RzTn5BdHs7CfAeUp9L"
BESIDE: Final = "2023-summer"
"""A second room."""
CRASHING: Final = "2023-winter"
"""The room that is made to crash."""
ROOMS: Final = (RETREAT, BESIDE, CRASHING)
CRASHES: Final = 3
"""As many make a room FAILED."""

PING_INTERVAL: Final = 6
"""Seconds; whether a client lags is looked at that often."""

UNLIMITED: Final = {
    **dict.fromkeys(
        ("GBS_EVENT_RATE", "GBS_EVENT_BURST", "GBS_USER_RATE", "GBS_USER_BURST"), "1000000"
    ),
    "GBS_ADMIN_TOKEN": OPERATOR_TOKEN,
    "GBS_MAX_CRASHES": str(CRASHES - 1),
    "GBS_CRASH_BACKOFF_INITIAL": "0.05",
    "GBS_CRASH_COOL_DOWN": "600",
    "GBS_DRAIN_SPREAD": "0.5",
    "GBS_PING_INTERVAL": str(PING_INTERVAL),
}


@contextmanager
def operated_server(slugs: Sequence[str] = (BESIDE, CRASHING)) -> Iterator[ServerProcess]:
    """A server whose database has retreats of these slugs besides those of the demo."""
    with running_server(environment=UNLIMITED, retreats=slugs) as server:
        yield server


# What operators see


async def admin(server: ServerProcess, path: str) -> Any:
    """Read a document below ``/admin``."""
    return await trio.to_thread.run_sync(server.get, f"/admin{path}", OPERATOR_TOKEN)


async def metrics(server: ServerProcess) -> str:
    """Read ``/metrics``."""

    def read() -> str:
        request = urllib.request.Request(f"{server.url}/metrics")
        request.add_header("Authorization", f"Bearer {OPERATOR_TOKEN}")
        with urllib.request.urlopen(request, timeout=10) as response:
            return str(response.read(), "utf-8")

    return await trio.to_thread.run_sync(read)


async def command(server: ServerProcess, *arguments: str) -> Any:
    """Run a command line with the operator token; return what it has written, as JSON."""
    group, *rest = arguments
    ran = await trio.run_process(
        [*CLI, group, "--url", server.url, *rest, "-o", "json"],
        env=_operators_environment(server),
        cwd=ROOT,
        capture_stdout=True,
        capture_stderr=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr.decode()
    return json.loads(ran.stdout)


async def followed_events(server: ServerProcess, count: int) -> list[dict[str, Any]]:
    """Return the first events that the command ``events`` writes, once it has written so many."""
    process = await trio.lowlevel.open_process(
        [*CLI, "events", "--url", server.url, "-o", "json", "--last", "500"],
        env=_operators_environment(server),
        cwd=ROOT,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    written = b""
    try:
        with trio.fail_after(30):
            while written.count(b"\n") < count:
                written += await process.stdout.receive_some()
    finally:
        process.kill()
        with trio.CancelScope(shield=True):
            await process.wait()
            await process.stdout.aclose()
    return [json.loads(line) for line in written.splitlines()[:count]]


def _operators_environment(server: ServerProcess) -> Mapping[str, str]:
    more = {"GBS_ADMIN_TOKEN": OPERATOR_TOKEN, "COLUMNS": "300", "PYTHONUNBUFFERED": "1"}
    return clean_environment(server.data_dir, more)


async def until_state(server: ServerProcess, slug: str, state: str) -> None:
    """Wait until a room is in a state in which it stays."""
    with trio.fail_after(30):
        # It notifies nobody who would be sure to hear of it.
        while (await admin(server, f"/rooms/{slug}"))["state"] != state:  # noqa: ASYNC110
            await trio.sleep(0.02)


# How a room is made to crash


async def spoil(server: ServerProcess, slug: str) -> None:
    """Give one person of a retreat what no server can load: the room crashes at its next start."""
    await _execute(
        server,
        "SET gbs.own = 'on'",  # else the room takes it over while it runs
        "ALTER TABLE user_profile DROP CONSTRAINT IF EXISTS user_profile_gender_check",
        f"UPDATE user_profile SET gender = 'SPOILT ' || gender WHERE id = {_somebody(slug)}",
    )


async def mend(server: ServerProcess, slug: str) -> None:
    """Undo :func:`spoil`."""
    await _execute(
        server,
        "SET gbs.own = 'on'",
        f"UPDATE user_profile SET gender = split_part(gender, ' ', 2) WHERE id = {_somebody(slug)}",
    )


def _somebody(slug: str) -> str:
    return (
        "(SELECT min(user_id) FROM user_retreat_registration g JOIN retreat r"
        f" ON r.id = g.retreat_id WHERE r.slug = '{slug}')"
    )


async def _execute(server: ServerProcess, *statements: str) -> None:
    async def run() -> None:
        connection = await asyncpg.connect(server.dsn)
        try:
            for statement in statements:
                await connection.execute(statement)
        finally:
            await connection.close()

    await trio.to_thread.run_sync(lambda: asyncio.run(run()))
