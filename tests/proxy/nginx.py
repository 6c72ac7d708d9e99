"""A real nginx as a child of the test run, with the shipped configuration.

Only what belongs to a machine is put in its place: ports, paths, the number of workers.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import string
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import trio

from tests.certificates import IssuedCertificate
from tests.e2e.server_process import ROOT
from tests.store.fixtures import public_temporary_folder

CONFIG = ROOT / "config" / "nginx.conf"
NODES_CONFIG = ROOT / "config" / "nginx-nodes.conf"
"""For several servers."""
ORIGIN_LINE = '        #"https://page.example.org"  $http_origin;\n'
"""Where origins are listed whose pages may read what nginx itself answers."""
NGINX = shutil.which("nginx") or shutil.which("/usr/sbin/nginx")
"""The program; ``None`` where it is not installed."""

PATIENCE = 30.0
"""Seconds after which nginx should have started, reloaded or stopped."""

HOST = "127.0.0.1"


class DidNotStart(Exception):
    """nginx ended, or does not listen; the text is its log."""


@dataclass
class NginxProcess:
    """nginx in the foreground.

    All methods block, for some tenths of a second mostly; beside a server in the same event
    loop call them by ``trio.to_thread.run_sync``.
    """

    folder: Path
    upstreams: Mapping[str, str]
    """Where the servers listen, in place of where the configuration has them."""
    certificate: IssuedCertificate | None = None
    allowed_origins: Collection[str] = ()
    shipped: Path = CONFIG
    port: int = 0
    tls_port: int = 0
    _process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def url(self) -> str:
        """Where clients find it."""
        if self.certificate is None:
            return f"http://{HOST}:{self.port}"
        return f"https://{HOST}:{self.tls_port}"

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def log(self) -> str:
        """What nginx has said so far."""
        files = (self.folder / "stderr.log", self.folder / "error.log")
        return "".join(each.read_text(errors="replace") for each in files if each.exists())

    def requests(self) -> list[str]:
        """The access log."""
        return (self.folder / "access.log").read_text().splitlines()

    def workers(self) -> set[int]:
        """The ids of its workers, those that are on their way out included."""
        assert self._process is not None
        pid = self._process.pid
        return set(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))

    def start(self) -> None:
        """Start it where it was before, or the first time wherever there is room."""
        first = not self.port
        for attempt in range(5):
            if first:
                self.port, self.tls_port = free_port(), free_port()
            config = self.folder / "nginx.conf"
            config.write_text(self.config())
            assert NGINX is not None
            with (self.folder / "stderr.log").open("ab") as stderr:
                self._process = subprocess.Popen(
                    [NGINX, "-c", str(config), "-g", "daemon off;"],
                    stdin=subprocess.DEVNULL,
                    stdout=stderr,
                    stderr=stderr,
                    start_new_session=True,
                )
            try:
                _until(self._serves)
            except DidNotStart:
                if first and attempt < 4 and "Address already in use" in self.log():
                    continue  # somebody else was faster
                raise
            return

    def reload(self) -> None:
        """Read the configuration anew; back when only new workers accept connections.

        The old ones end with their last connection, after ``worker_shutdown_timeout`` at
        the latest.
        """
        old = self.workers()
        self._signal(signal.SIGHUP)

        def done() -> bool:
            if not self.alive:
                raise DidNotStart(self.log())
            log = self.log()
            return all(f" {pid}#{pid}: gracefully shutting down" in log for pid in old)

        _until(done)

    def wait_until_workers_are_gone(self, workers: set[int]) -> None:
        """Wait for the end of workers from before a reload."""
        _until(lambda: not workers & self.workers())

    def stop(self, *, graceful: bool = True) -> None:
        """End it as ``systemctl stop`` does, requests under way first; or at once."""
        if self._process is None:
            return
        if self.alive and graceful:
            self._signal(signal.SIGQUIT)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(5)
        if self.alive:
            self._signal(signal.SIGTERM)
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)  # the group that it was started as
            self._process.wait()
            raise AssertionError(f"nginx did not stop\n{self.log()}") from None

    def restart(self, *, graceful: bool = True) -> None:
        """Stop it and start it on the same ports, as ``systemctl restart`` does."""
        self.stop(graceful=graceful)
        self.start()

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def _serves(self) -> bool:
        if not self.alive:
            raise DidNotStart(self.log())
        ports = [self.port] if self.certificate is None else [self.port, self.tls_port]
        return all(_accepts(port) for port in ports)

    def config(self) -> str:
        """Return the shipped configuration for these ports and this folder."""
        origins = "".join(f'        "{each}"  $http_origin;\n' for each in self.allowed_origins)
        text = with_nodes(self.shipped.read_text(), len(self.upstreams))
        text = placed(text, {ORIGIN_LINE: origins})
        if self.certificate is not None:
            text = with_tls(text)
        return placed(text, self._replacements())

    def _replacements(self) -> Mapping[str, str]:
        folder = self.folder
        temporary = "".join(
            f"    {kind}_temp_path {folder / kind};\n"
            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        replacements = {
            "worker_processes auto;": "worker_processes 2;",
            "/run/nginx.pid": str(folder / "nginx.pid"),
            "/var/log/nginx/error.log warn": f"{folder / 'error.log'} notice",
            "/var/log/nginx/access.log": str(folder / "access.log"),
            **self.upstreams,
            "listen 80 backlog=1024;": f"listen {HOST}:{self.port};",
            "        listen [::]:80 backlog=1024;\n": "",
            "http {\n": f"http {{\n{temporary}",
        }
        if self.certificate is not None:
            replacements |= {
                "listen 443 ssl http2 backlog=1024;": f"listen {HOST}:{self.tls_port} ssl http2;",
                "        listen [::]:443 ssl http2 backlog=1024;\n": "",
                "/etc/letsencrypt/live/gbs.example.org/fullchain.pem": str(
                    self.certificate.certificate
                ),
                "/etc/letsencrypt/live/gbs.example.org/privkey.pem": str(self.certificate.key),
            }
        return replacements


def with_tls(config: str) -> str:
    """Return the configuration with the lines in use that are commented out.

    A directive follows its # at once, and words of explanation do not.
    """
    return re.sub(r"(?m)^( +)#(?=\S)", r"\1", config)


def with_nodes(config: str, number: int) -> str:
    """Return the configuration for several servers with so many, as its reader would add them.

    The third one, c, has its lines and its upstreams behind those of b, and so on.
    """
    for former, name in pairwise(string.ascii_lowercase[1:number]):
        at = ord(name) - ord("a")
        old, new = f"{HOST}:{8080 + at}", f"{HOST}:{8081 + at}"
        pattern = (
            rf"(?m)^        server {re.escape(old)} fail_timeout=.*\n"
            rf"|^    upstream gbs_requests_{former} {{\n(?:.*\n)*?    }}\n"
            rf"|^    upstream gbs_upgrades_{former} {{\n(?:.*\n)*?    }}\n"
            rf"|^        \"~\^{former}\\\..*\n"
        )

        def added(found: re.Match[str]) -> str:
            line = re.sub(rf"(gbs_\w+_){former}\b", rf"\g<1>{name}", found[0].replace(old, new))  # noqa: B023
            return found[0] + line.replace(f"~^{former}", f"~^{name}")  # noqa: B023

        config = re.sub(pattern, added, config)
    return config


def placed(config: str, replacements: Mapping[str, str]) -> str:
    """Return the configuration with every text replaced, each of which must be in it."""
    for old, new in replacements.items():
        assert old in config, f"the configuration has no {old!r} any more"
        config = config.replace(old, new)
    return config


@contextmanager
def running_nginx(
    *upstream_ports: int,
    certificate: IssuedCertificate | None = None,
    allowed_origins: Collection[str] = (),
) -> Iterator[NginxProcess]:
    """Run nginx in front of servers on this machine, for the time of the block.

    :param upstream_ports: where the server listens, or those named a, b, c…; they may come and go.
    :param certificate: for the TLS part; without it that stays commented out.
    :param allowed_origins: of pages that may read what it answers itself.
    """
    several = len(upstream_ports) > 1
    shipped = [f"{HOST}:{8081 + index}" for index in range(len(upstream_ports))]
    upstreams = dict(
        zip(
            shipped if several else [f"{HOST}:8080"],
            [f"{HOST}:{port}" for port in upstream_ports],
            strict=True,
        )
    )
    config = NODES_CONFIG if several else CONFIG
    with public_temporary_folder() as folder:
        nginx = NginxProcess(folder, upstreams, certificate, allowed_origins, config)
        nginx.start()
        try:
            yield nginx
        finally:
            nginx.stop(graceful=False)


@asynccontextmanager
async def proxy(
    *upstream_ports: int,
    certificate: IssuedCertificate | None = None,
    allowed_origins: Collection[str] = (),
) -> AsyncIterator[NginxProcess]:
    """Run nginx as :func:`running_nginx`, beside a server in the test's own event loop."""
    manager = running_nginx(
        *upstream_ports, certificate=certificate, allowed_origins=allowed_origins
    )
    nginx = await trio.to_thread.run_sync(manager.__enter__)
    try:
        yield nginx
    finally:
        with trio.CancelScope(shield=True):
            await trio.to_thread.run_sync(manager.__exit__, None, None, None)


@contextmanager
def refusing_port() -> Iterator[int]:
    """A port of this machine on which nobody listens for the time of the block."""
    with socket.socket() as held:
        held.bind((HOST, 0))
        yield held.getsockname()[1]


def free_port() -> int:
    """Return a port of this machine that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def _accepts(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) == 0


def _until(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not done():
        assert time.monotonic() < deadline, "nginx takes too long"
        time.sleep(0.01)
