"""The servers that are compared, each as a process of its own."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import trio

from scripts.bench.installation import PEERS, Installation
from scripts.bench.postgres import OTHER, OURS, ROOT, Postgres, python_of
from scripts.bench.postgres import PEERS as PEERS_DATABASE

OUR_NAME: Final = "ours"
BARE: Final = "bare"
TITLES: Final = {
    OUR_NAME: "gbs-actor",
    "other": "other checkout",
    "node": "Node",
    "python": "python-socketio",
    BARE: "bare send loop",
}
"""What the tables call each server. All but the bare loop serve every row."""
SECRET: Final = secrets.token_urlsafe(36)
"""Signs the tokens."""
START_TIMEOUT: Final = 60.0
STOP_TIMEOUT: Final = 30.0
_SETTLE: Final = 1.0
"""Seconds from the start of a server until it is measured."""
_UNLIMITED: Final = {
    f"GBS_{name}": "1000000"
    for name in (
        *("EVENT_RATE", "EVENT_BURST", "PACKET_RATE", "PACKET_BURST", "JOIN_RATE", "JOIN_BURST"),
        *("USER_RATE", "USER_BURST", "USER_JOIN_RATE", "USER_JOIN_BURST"),
        "MAX_CONNECTIONS_PER_USER",
    )
} | {"GBS_MAX_CONNECTIONS": "12000"}
"""The limits still count; they only refuse nothing. The peers have none."""


class ServerFailed(Exception):
    """A server does not start or does not stop; one sentence."""


@dataclass(frozen=True)
class Server:
    """A running server."""

    name: str
    port: int
    pid: int
    """Its process id."""


@dataclass(frozen=True)
class Servers:
    """Starts servers on one database.

    :param other: the checkout of the server ``other``.
    """

    installation: Installation
    postgres: Postgres
    other: Path | None = None

    def memos(self, name: str) -> Mapping[str, list[int]]:
        """Return the ids of the memos that clients of a server may edit, by retreat."""
        return self.postgres.other_memos if name == "other" else self.postgres.memos

    @asynccontextmanager
    async def running(self, name: str, *, alone: bool = False) -> AsyncIterator[Server]:
        """Run a server within the block.

        :param alone: of ours: the package ``gbs_actor.socketio`` without the line-up.
        :raises ServerFailed: it does not start or does not stop.
        """
        port = free_port()
        log = self.installation.logs / f"{name}.log"
        with log.open("ab") as output:
            process = await trio.lowlevel.open_process(
                self._command(name, alone),
                env={**os.environ, **self._environment(name, port)},
                cwd=self.installation.folder,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        try:
            if not await _wait_listening(process, port):
                raise ServerFailed(f"{TITLES[name]} does not start; see {log}")
            await trio.sleep(_SETTLE)
            yield Server(name, port, process.pid)
        finally:
            with trio.CancelScope(shield=True):
                stopped = await _stop(process)
        if not stopped:
            raise ServerFailed(f"{TITLES[name]} does not stop; see {log}")

    def _command(self, name: str, alone: bool) -> list[str]:
        if name == "node":
            return [shutil.which("node") or "node", str(PEERS / "node.cjs")]
        if name == "python":
            return [str(self.installation.python), str(PEERS / "python_socketio.py")]
        checkout = self.other if name == "other" and self.other is not None else ROOT
        python = python_of(checkout)
        if name == BARE:
            return [python, str(PEERS / "bare_send.py")]
        if alone:
            return [python, str(PEERS / "socketio_alone.py")]
        return [python, "-m", "gbs_actor.cli", "serve"]

    def _environment(self, name: str, port: int) -> dict[str, str]:
        common = {"PORT": str(port), "JWT_SECRET": SECRET}
        if name in {OUR_NAME, "other"}:
            database = OTHER if name == "other" else OURS
            checkout = self.other if name == "other" and self.other is not None else ROOT
            return {
                **common,
                **_UNLIMITED,
                "PYTHONPATH": str(checkout),
                "GBS_PORT": str(port),
                "GBS_DATABASE_URL": self.postgres.dsn(database),
                "GBS_JWT_SECRET": SECRET,
                "GBS_LOG_LEVEL": "WARNING",
            }
        return {
            **common,
            **self.postgres.environment(PEERS_DATABASE),
            "NODE_ENV": "production",
            "NODE_PATH": str(self.installation.node_modules),
        }


def free_port() -> int:
    """Return a TCP port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


async def _wait_listening(process: trio.Process, port: int) -> bool:
    with trio.move_on_after(START_TIMEOUT):
        while process.poll() is None:
            try:
                stream = await trio.open_tcp_stream("127.0.0.1", port)
            except OSError:
                await trio.sleep(0.05)
            else:
                await stream.aclose()
                return True
    return False


async def _stop(process: trio.Process) -> bool:
    """Stop a server; return whether it stopped by itself."""
    if process.poll() is None:
        process.terminate()
    with trio.move_on_after(STOP_TIMEOUT) as scope:
        await process.wait()
    if scope.cancelled_caught:
        process.kill()
        await process.wait()
    return not scope.cancelled_caught
