"""The example apps as processes of their own: on our listener, and under stock Hypercorn."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Final

import trio

import gbs_actor
from tests.apps.options import VARIABLE
from tests.conformance.clients import Site

ROOT: Final = Path(gbs_actor.__file__).parents[1]
HOSTS: Final = ("own", "hypercorn")
APPS: Final = ("engineio", "socketio")

CONNECT_TIMEOUT: Final = 1.4
"""Seconds; long enough that no other test notices, and not when a ping is due."""
UPGRADE_TIMEOUT: Final = 0.6
PING_INTERVAL: Final = 0.3
PING_TIMEOUT: Final = 5.0
"""Seconds; long enough that no session ends because its client is slow on a busy machine."""
COOKIE: Final = "accessToken"
ORIGIN: Final = "https://page.test"

_OPTIONS: Final = {
    "ping_interval": PING_INTERVAL,
    "ping_timeout": PING_TIMEOUT,
    "connect_timeout": CONNECT_TIMEOUT,
    "upgrade_timeout": UPGRADE_TIMEOUT,
    "close_timeout": 1.0,  # as a shutdown waits for clients that are between two polls
    "cookie_names": [COOKIE],
    "allowed_origins": [ORIGIN],
}
_HYPERCORN: Final = ("--bind", "127.0.0.1:0", "--graceful-timeout", "1")
_START: Final = 30.0  # seconds a start may take
_STOP: Final = 15.0  # seconds an end may take: Hypercorn waits for its connections
_ADDRESS: Final = re.compile(r"http://127\.0\.0\.1:(\d+)")


class Process:
    """One app that runs, or is about to."""

    def __init__(self, host: str, app: str, log: Path, **options: object) -> None:
        self._name = f"{app} on {host}"
        self._log = log
        self._asked = False
        module = [sys.executable, "-m"]
        if host == "own":
            command = [*module, f"tests.apps.echo_{app}", "--port", "0"]
        else:
            target = f"tests.apps.asgi_{app}:app"
            command = [*module, "hypercorn", "-k", "trio", *_HYPERCORN, target]
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                command,
                cwd=ROOT,
                env={**os.environ, VARIABLE: json.dumps(_OPTIONS | options)},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def port(self) -> int:
        """Return where it listens, once it does."""
        late = time.monotonic() + _START
        while True:
            found = _ADDRESS.search(self.said())
            if found is not None:
                return int(found[1])
            if self._process.poll() is not None or time.monotonic() > late:
                raise RuntimeError(f"{self._name} does not serve:\n{self.said()}")
            time.sleep(0.02)

    def said(self) -> str:
        return self._log.read_text(errors="replace")

    def ask_to_stop(self) -> None:
        """Ask once: a second signal could come when nobody listens for it any more."""
        if not self._asked and self._process.poll() is None:
            self._asked = True
            self._process.send_signal(signal.SIGTERM)

    def stop(self) -> None:
        """Wait for its end, which it was asked for, and which has to be a good one."""
        try:
            code = self._process.wait(_STOP)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            raise AssertionError(f"{self._name} did not stop:\n{self.said()}") from None
        assert code == 0, self.said()
        assert "Traceback" not in self.said(), self.said()


@contextmanager
def running(folder: Path, **options: object) -> Iterator[dict[tuple[str, str], Process]]:
    """Run every app on every host within the block.

    :param folder: for their logs.
    :param options: fields of :class:`ServerOptions`.
    """
    processes: dict[tuple[str, str], Process] = {}
    try:
        for host in HOSTS:
            for app in APPS:
                processes[host, app] = Process(host, app, folder / f"{host}-{app}.log", **options)
        yield processes
    finally:
        for process in processes.values():
            process.ask_to_stop()
        for process in processes.values():
            process.stop()


@asynccontextmanager
async def mortal(
    host: str, log: Path, **options: object
) -> AsyncIterator[tuple[Site, Callable[[], None]]]:
    """Run an Engine.IO app of one's own within the block; also returns how to end it there.

    :param log: for what it says.
    :param options: fields of :class:`ServerOptions`.
    """
    process = Process(host, "engineio", log, **options)
    try:
        async with AsyncExitStack() as stack:
            port = await trio.to_thread.run_sync(process.port)
            yield Site(port, "/engine.io/", stack), process.ask_to_stop
    finally:
        process.ask_to_stop()
        with trio.CancelScope(shield=True):
            await trio.to_thread.run_sync(process.stop)
