"""A Valkey or Redis of a test's own, and a way to it that can be cut without a word."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import trio

from tests.store.proxy import listening

PROGRAM = shutil.which("valkey-server") or shutil.which("redis-server")
"""The server; ``None`` where neither is installed."""
VALKEY_CONFIG = Path(__file__).parents[2] / "config" / "valkey.conf"
"""The one that is shipped."""
PATIENCE = 20.0
"""Seconds after which something has gone wrong."""


@dataclass
class ValkeyServer:
    """A server on a Unix socket; everything it has is lost when it ends."""

    folder: Path
    password: str | None = None
    _process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def path(self) -> Path:
        """Its socket."""
        return self.folder / "valkey.sock"

    @property
    def url(self) -> str:
        return f"unix://{self.path}"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start it, and return when it answers."""
        assert PROGRAM is not None
        options = [str(VALKEY_CONFIG), "--port", "0", "--unixsocket", str(self.path)]
        if self.password is not None:
            options += ["--requirepass", self.password]
        self.path.unlink(missing_ok=True)
        self._process = subprocess.Popen(
            [PROGRAM, *options], cwd=self.folder, stdout=subprocess.DEVNULL
        )
        assert b"PONG" in self.command("PING") or self.password

    def command(self, *arguments: str) -> bytes:
        """Send a command on a connection of its own, and return the beginning of the answer."""
        return self.send(resp(*arguments))

    def send(self, data: bytes, size: int = 1) -> bytes:
        """Send bytes, and return at least ``size`` of the answer, if it is so long."""
        answer = b""
        with self._connected() as connection:
            connection.sendall(data)
            while len(answer) < size and (chunk := connection.recv(65_536)):
                answer += chunk
        return answer

    @contextmanager
    def _connected(self) -> Iterator[socket.socket]:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(PATIENCE)
            for _ in range(int(PATIENCE / 0.02)):
                with suppress(FileNotFoundError, ConnectionRefusedError):
                    connection.connect(str(self.path))
                    break
                assert self._process is not None
                with suppress(subprocess.TimeoutExpired):
                    self._process.wait(0.02)
            yield connection

    def kill(self) -> None:
        """End it the hard way."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Stop it in the middle of what it does, for the time of a block."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)


def resp(*arguments: str) -> bytes:
    """Return a command as it is sent."""
    parts = [f"*{len(arguments)}\r\n".encode()]
    for argument in arguments:
        data = argument.encode()
        parts.append(b"$%d\r\n%s\r\n" % (len(data), data))
    return b"".join(parts)


class Wire:
    """Passes connections on to a Unix socket, until it swallows what they carry."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.swallows = False

    async def serve(self, client: trio.abc.Stream) -> None:
        """Serve one connection; its end is not passed on, either, when it swallows."""
        async with (
            client,
            await trio.open_unix_socket(self._path) as server,
            trio.open_nursery() as nursery,
        ):
            nursery.start_soon(self._pass_on, client, server)
            await self._pass_on(server, client)
            nursery.cancel_scope.cancel()

    async def _pass_on(self, source: trio.abc.Stream, target: trio.abc.Stream) -> None:
        async for data in source:
            if not self.swallows:
                await target.send_all(data)


@asynccontextmanager
async def wire(path: Path) -> AsyncIterator[tuple[Wire, int]]:
    """Listen for connections to a Unix socket; the value has the port, too."""
    wire = Wire(path)
    async with listening(wire.serve) as port:
        yield wire, port
