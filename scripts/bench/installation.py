"""The folder of the benchmark, and what it installs there: the peers and the load generator."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import platformdirs
import trio

HERE = Path(__file__).resolve().parent
PEERS = HERE / "peers"
NODE_PACKAGES = ("socket.io@4.8", "pg@8", "jsonwebtoken@9")
PYTHON_PACKAGES = (
    *("python-socketio>=5.12,<6", "uvicorn>=0.34", "uvloop", "httptools", "websockets"),
    *("asyncpg>=0.30", "pyjwt>=2.10", "resvg-py>=0.5"),
)
"""The last one draws the PNG."""
_WITHOUT_NODE = "or leave the peer out: --peers python,bare"

Say = Callable[[str], None]


class SetUpFailed(Exception):
    """Something is missing on this machine, or could not be installed; one sentence."""


@dataclass(frozen=True)
class Installation:
    """The folder, and the paths in it.

    :param folder: everything is below it, and it may be removed at any time.
    """

    folder: Path

    @property
    def node_modules(self) -> Path:
        """The packages of the peer on Node."""
        return self.folder / "node" / "node_modules"

    @property
    def python(self) -> Path:
        """The Python of the peer in Python."""
        return self.folder / "python" / "bin" / "python"

    @property
    def load_generator(self) -> Path:
        """The program that plays the clients."""
        return self.folder / "load"

    @property
    def database(self) -> Path:
        """The folder of the PostgreSQL server."""
        return self.folder / "postgres"

    @property
    def logs(self) -> Path:
        """Where each server's output goes."""
        return self.folder / "logs"

    def versions(self) -> dict[str, str]:
        """Return the versions of the peers that are installed."""
        found = {}
        if (manifest := self.node_modules / "socket.io" / "package.json").exists():
            found["Socket.IO for Node"] = str(json.loads(manifest.read_text())["version"])
        site = self.folder / "python" / "lib"
        for metadata in site.glob("python*/site-packages/python_socketio-*.dist-info"):
            found["python-socketio"] = metadata.name.split("-")[1].removesuffix(".dist")
        return found

    async def set_up(self, peers: Iterable[str], say: Say) -> None:
        """Install what is missing or out of date.

        Cancelled, it leaves parts that the next call installs again.

        :param peers: of which servers.
        :param say: called with a sentence for each step that takes time.
        :raises SetUpFailed: a program is missing, or one of them failed.
        """
        if sys.platform != "linux":
            raise SetUpFailed("The benchmark runs on Linux only: it reads /proc and uses epoll.")
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o755)  # as root, PostgreSQL runs as another account
        self.logs.mkdir(exist_ok=True)
        await self._compile(say)
        if "node" in peers:
            await self._install_node_packages(say)
        if "python" in peers:
            await self.install_python_packages(say)

    async def _install_node_packages(self, say: Say) -> None:
        npm = _program(
            "npm", "Install Node.js with npm, or leave the peer out: --peers python,bare"
        )
        _program("node", "Install Node.js, or leave the peer out: --peers python,bare")
        stamp = Stamp(self.folder / "node" / "installed", NODE_PACKAGES)
        if stamp.matches():
            return
        say("Installing Socket.IO for Node …")
        stamp.path.parent.mkdir(exist_ok=True)
        arguments = ["install", "--prefix", str(stamp.path.parent), "--no-audit", "--no-fund"]
        await _run([npm, *arguments, "--ignore-scripts", *NODE_PACKAGES])
        stamp.write()

    async def install_python_packages(self, say: Say) -> None:
        """Install the peer in Python, and what makes a PNG, if they are missing.

        :raises SetUpFailed: pip failed.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        stamp = Stamp(self.folder / "python" / "installed", PYTHON_PACKAGES)
        if stamp.matches() and self.python.exists():
            return
        say("Installing python-socketio …")
        await _run([sys.executable, "-m", "venv", "--clear", str(stamp.path.parent)])
        install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        await _run([str(self.python), *install, *PYTHON_PACKAGES])
        stamp.write()

    async def _compile(self, say: Say) -> None:
        sources = sorted((HERE / "load").glob("*.[ch]"))
        contents = [source.read_text() for source in sources]
        stamp = Stamp(self.folder / "load.compiled", contents)
        if stamp.matches() and self.load_generator.exists():
            return
        compiler = _program(
            os.environ.get("CC", "cc"),
            "The load generator is written in C: install a compiler (Debian: apt install gcc "
            "libc6-dev), or name one in CC",
        )
        say("Compiling the load generator …")
        units = [str(source) for source in sources if source.suffix == ".c"]
        await _run([compiler, "-O2", "-Wall", "-o", str(self.load_generator), *units])
        stamp.write()


@dataclass(frozen=True)
class Stamp:
    """A file that remembers what something was made from."""

    path: Path
    made_from: Sequence[str]

    def matches(self) -> bool:
        """Whether it was made from the same, completely."""
        return self.path.exists() and self.path.read_text() == self._digest()

    def write(self) -> None:
        """Remember it."""
        self.path.write_text(self._digest())

    def _digest(self) -> str:
        return hashlib.sha256("\0".join(self.made_from).encode()).hexdigest()


def default_folder() -> Path:
    """Return the folder that is used if none is named.

    The cache of the user. Root's home is closed to PostgreSQL's account, so root's is in the
    temporary folder.
    """
    if os.geteuid() == 0:
        return Path(tempfile.gettempdir(), "gbs-actor-bench")
    return platformdirs.user_cache_path("gbs-actor-bench")


def _program(name: str, advice: str) -> str:
    path = shutil.which(name)
    if path is None:
        raise SetUpFailed(f"{name} is not installed. {advice}.")
    return path


async def _run(command: Sequence[str]) -> None:
    result = await trio.run_process(
        command, check=False, capture_stdout=True, capture_stderr=True, stdin=b""
    )
    if result.returncode != 0:
        lines = (result.stderr or result.stdout).decode(errors="replace").strip().splitlines()
        raise SetUpFailed("\n".join([f"{' '.join(command[:4])} … failed:", *lines[-15:]]))
