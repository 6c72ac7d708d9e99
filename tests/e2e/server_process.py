"""The real server as a process of its own, on a free port and its own data."""

from __future__ import annotations

import atexit
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import jwt

import gbs_actor
from tests.store.fixtures import copy_folder, memory

ROOT = Path(gbs_actor.__file__).parents[1]
SECRET = "mXv0Zq7dRk3wTn9bYc5hLs1fJg8pUe2aKo6i"
RETREAT = "2024-winter"
HYPERCORN = ("-m", "hypercorn", "-k", "trio", "--graceful-timeout", "1", "-b")
START_TIMEOUT = 60.0
"""Seconds a start may take; the first one creates a database."""


def token(
    user_id: int = 7, name: str | None = "김간사", role: str = "LINEUP_STAFF", **claims: object
) -> str:
    """Sign a token as the page's own server would: PyJWT, nothing of ours."""
    payload = {
        "userId": user_id,
        "email": f"user{user_id}@example.org",
        "role": role,
        "name": name,
        "exp": int(time.time()) + 3600,
        **claims,
    }
    return jwt.encode(
        {key: value for key, value in payload.items() if value is not None}, SECRET, "HS256"
    )


OPERATOR = {"role": "ADMIN_MINISTER", "user_id": 90, "name": "운영자"}


class DidNotStart(Exception):
    """The server ended, or said nothing, instead of serving."""

    def __init__(self, message: str, log: str, exit_code: int | None) -> None:
        super().__init__(f"{message}\n{log}")
        self.log = log
        self.exit_code = exit_code


@dataclass
class ServerProcess:
    """A running ``gbs-actor serve``, or what stands for it under stock Hypercorn."""

    process: subprocess.Popen[bytes]
    data_dir: Path
    log_path: Path
    host: str = ""
    port: int = 0
    """Where clients find it, past a proxy perhaps."""
    own_port: int = 0
    """Where it listens itself."""
    scheme: str = "http"
    started_in: float = 0.0
    """Seconds from the start of the process until it served."""
    environment: Mapping[str, str] = field(default_factory=dict)
    hosted: bool = False
    """Whether it is Hypercorn that listens."""
    options: Sequence[str] = ()
    """Further ones of Hypercorn's."""
    descriptors: int | None = None
    """The command that runs it, prlimit for instance."""

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.host}:{self.port}"

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def pgdata(self) -> Path:
        """Where the embedded PostgreSQL stands."""
        return self.data_dir / "pgdata"

    @property
    def dsn(self) -> str:
        """The address of its PostgreSQL: that of the environment, or else the embedded one."""
        if (given := self.environment.get("GBS_DATABASE_URL")) is not None:
            return given
        return f"postgresql://gbs_actor@/postgres?host={self.data_dir / 'run'}"

    def log(self) -> str:
        return self.log_path.read_text(errors="replace")

    def alive(self) -> bool:
        return self.process.poll() is None

    def kill(self) -> None:
        """End it as a power cut of its own would, and wait until it is gone."""
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children")
        workers = [int(pid) for pid in children.read_text().split()] if self.hosted else []
        self.process.kill()
        for pid in workers:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()
        while any(Path(f"/proc/{pid}/exe").exists() for pid in workers):
            time.sleep(0.01)

    def kill_and_start_again(self) -> None:
        """Let it die as above, and start it anew on the same port and data."""
        self.kill()
        self.start_again()

    def start_again(self) -> None:
        """Start it anew, once it is gone, on the same port and data."""
        again = start_server(
            self.data_dir,
            log_path=self.log_path,
            environment=self.environment,
            port=self.own_port,
            hosted=self.hosted,
            options=self.options,
            descriptors=self.descriptors,
        )
        self.process, self.started_in = again.process, again.started_in

    def stop(self, patience: float = 20.0) -> int:
        """End it in good order; return its exit code."""
        if self.alive():
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(patience)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(
                f"did not stop within {patience} s\n{self.log()[-4000:]}"
            ) from None

    def memory(self) -> int:
        """Return its resident memory, in bytes."""
        for line in Path("/proc", str(self.pid), "status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        raise LookupError("no VmRSS")

    def get(self, path: str, bearer: str | None = None) -> Any:
        """Read JSON over HTTP; raises ``urllib.error.HTTPError`` for an error status."""
        request = urllib.request.Request(self.url + path)
        if bearer is not None:
            request.add_header("Authorization", f"Bearer {bearer}")
        with urllib.request.urlopen(request, timeout=10) as response:
            return json.load(response)

    def room(self, slug: str = RETREAT) -> dict[str, Any]:
        """What the operators see of a room."""
        statistics: dict[str, Any] = self.get(
            f"/admin/rooms/{slug}",
            token(**OPERATOR),  # type: ignore[arg-type]
        )
        return statistics


def start_server(
    data_dir: Path,
    *,
    log_path: Path,
    environment: Mapping[str, str] | None = None,
    port: int = 0,
    hosted: bool = False,
    options: Sequence[str] = (),
    descriptors: int | None = None,
    timeout: float = START_TIMEOUT,
) -> ServerProcess:
    """Start a server and wait until it serves.

    :param hosted: under stock Hypercorn; the data has to be there.
    :param options: of Hypercorn's, further ones.
    :param descriptors: files that it may open, soft and hard limit; ``None``: as many as here.
    :raises DidNotStart: it ended before, or took longer than ``timeout`` seconds.
    """
    extra = dict(environment or {})
    serve = [sys.executable, "-m", "gbs_actor.cli", "serve", "--demo", "--port", str(port)]
    if hosted:
        serve = [sys.executable, *HYPERCORN, f"127.0.0.1:{port}", *options, "gbs_actor.asgi:app"]
    if descriptors is not None:
        serve = ["sh", "-c", 'ulimit -n "$0" && exec "$@"', str(descriptors), *serve]
    began = time.monotonic()
    offset = log_path.stat().st_size if log_path.exists() else 0
    with log_path.open("ab") as log:
        process = subprocess.Popen(
            serve,
            env=clean_environment(data_dir, extra),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=log,
            cwd=data_dir.parent,
            start_new_session=True,
        )
    server = ServerProcess(
        process,
        data_dir,
        log_path,
        environment=extra,
        hosted=hosted,
        options=options,
        descriptors=descriptors,
    )
    while True:
        with log_path.open("rb") as log:
            log.seek(offset)
            said = log.read().decode(errors="replace")
        if (address := _address(said)) is not None:
            server.scheme, server.host, server.port = address
            server.own_port = server.port
            server.started_in = time.monotonic() - began
            return server
        if not server.alive():
            raise DidNotStart("the server ended", said, process.returncode)
        if time.monotonic() - began > timeout:
            server.kill()
            raise DidNotStart(f"the server did not serve within {timeout} s", said, None)
        time.sleep(0.02)


def clean_environment(data_dir: Path, extra: Mapping[str, str]) -> dict[str, str]:
    """Return the variables of a server's process, with none of the tests' own settings."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith("GBS_")}
    return {
        **clean,
        # The package under test, whether it is installed or not.
        "PYTHONPATH": os.pathsep.join([str(ROOT), clean.get("PYTHONPATH", "")]),
        "GBS_DATA_DIR": str(data_dir),
        "GBS_JWT_SECRET": SECRET,
        "GBS_LOG_FORMAT": "json",
        **extra,
    }


def _address(said: str) -> tuple[str, str, int] | None:
    for line in said.splitlines():
        if not line.startswith("{"):
            continue
        try:
            entry = json.loads(line)
        except ValueError:
            continue  # half a line so far
        event = str(entry.get("event"))
        if event == "Serving" or event.startswith("Running on "):
            url = urlsplit(entry["urls"][0] if event == "Serving" else event.split()[2])
            assert url.hostname is not None
            assert url.port is not None
            return url.scheme, url.hostname, url.port
    return None


@contextmanager
def data_folder(*, on_disk: bool = True) -> Iterator[Path]:
    """A place for a server's data that an account of PostgreSQL's own can reach.

    Not pytest's ``tmp_path``: as root, PostgreSQL runs as another user, who may not enter it.

    :param on_disk: otherwise in memory, where there is room.
    """
    place = Path(tempfile.mkdtemp(prefix="gbs-", dir=None if on_disk else memory()))
    place.chmod(0o711)
    try:
        yield place / "data"
    finally:
        shutil.rmtree(place, ignore_errors=True)


@cache
def demo_data() -> Path:
    """Return the data of a demo server that has been stopped, to be copied: made once."""
    stack = ExitStack()
    data_dir = stack.enter_context(data_folder(on_disk=False))
    atexit.register(stack.close)
    server = start_server(data_dir, log_path=data_dir.with_name("log"))
    assert server.stop() == 0, server.log()
    return data_dir


def add_retreat(data_dir: Path, slug: str, *, people: int = 80) -> None:
    """Add a made-up retreat to the data of a server that does not run."""
    command = ["demo-data", "--retreat", slug, "--people", str(people)]
    subprocess.run(
        [sys.executable, "-m", "gbs_actor.cli", *command],
        env=clean_environment(data_dir, {}),
        cwd=data_dir.parent,
        check=True,
        capture_output=True,
        timeout=START_TIMEOUT,
    )


@contextmanager
def running_server(
    *,
    environment: Mapping[str, str] | None = None,
    on_disk: bool = False,
    hosted: bool = False,
    options: Sequence[str] = (),
    descriptors: int | None = None,
    retreats: Sequence[str] = (),
    people: int = 80,
) -> Iterator[ServerProcess]:
    """A server on the demo's data for the time of a block; stopped in good order behind it.

    :param on_disk: where commits have to take their time; otherwise in memory.
    :param retreats: slugs of further retreats.
    :param people: of each of these.
    """
    with data_folder(on_disk=on_disk) as data_dir:
        copy_folder(demo_data(), data_dir)
        for slug in retreats:
            add_retreat(data_dir, slug, people=people)
        server = start_server(
            data_dir,
            log_path=data_dir.with_name("log"),
            environment=environment,
            hosted=hosted,
            options=options,
            descriptors=descriptors,
        )
        try:
            yield server
        except BaseException:
            sys.stderr.write(server.log()[-8000:])
            server.kill()
            raise
        assert server.stop() == 0, server.log()[-4000:]
