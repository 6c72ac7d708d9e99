"""The folder of the embedded database: its files, owner, permissions and lock."""

from __future__ import annotations

import fcntl
import hashlib
import os
import secrets
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from gbs_actor.store.embedded.os_account import Account
from gbs_actor.store.protocol import StoreError

SOCKET_NAME = ".s.PGSQL.5432"
_SOCKET_PATH_LIMIT = 107
"""Bytes of a Unix socket's path (unix(7): 108 with the final zero)."""


class DirectoryInUse(StoreError):
    """Another server already runs the embedded database of this folder."""


class UnsuitableFolder(StoreError):
    """The folder cannot hold the embedded database."""


@dataclass(frozen=True, slots=True)
class DataFolder:
    """Paths of one embedded database; everything in :attr:`base` belongs to it.

    The user who runs the server owns ``base``. The account that PostgreSQL runs as, which may
    be another, owns only :attr:`data` and :attr:`sockets`.
    """

    base: Path

    @property
    def data(self) -> Path:
        """PostgreSQL's data directory."""
        return self.base / "pgdata"

    @property
    def lock(self) -> Path:
        """The file that a running server holds locked."""
        return self.base / "lock"

    @property
    def access_rules(self) -> Path:
        """The ``pg_hba.conf``: kept apart from what PostgreSQL itself may write."""
        return self.base / "pg_hba.conf"

    @property
    def account_map(self) -> Path:
        """The ``pg_ident.conf``: which account of the system may log in."""
        return self.base / "pg_ident.conf"

    @property
    def sockets(self) -> Path:
        """The folder of the Unix socket, elsewhere if ``base`` is too long a path."""
        own = self.base / "run"
        fits = len(os.fsencode(own / SOCKET_NAME)) <= _SOCKET_PATH_LIMIT
        if fits and not set(str(own)) & set(',"'):  # PostgreSQL's setting is a list
            return own
        digest = hashlib.sha256(os.fsencode(self.base)).hexdigest()[:16]
        return Path(tempfile.gettempdir(), f"gbs-actor-{os.geteuid()}-{digest}")

    def create(self) -> None:
        """Make the folder, and missing ones above it.

        Existing folders keep their permissions.

        :raises UnsuitableFolder: another user owns it, or others may write to it.
        """
        readable = 0o755 if os.geteuid() == 0 else 0o700
        missing = [path for path in (self.base, *self.base.parents) if not path.exists()]
        for path in reversed(missing):
            # Independent of the umask, as PostgreSQL's account must be able to pass. Not by a
            # chmod afterwards: a process killed in between would leave it closed.
            umask = os.umask(0o022)
            try:
                path.mkdir(readable)
            except FileExistsError:
                continue  # made by another server that starts just now
            except OSError as error:
                raise UnsuitableFolder(
                    f"{self.base} cannot be created ({error.strerror}); name another folder"
                ) from None
            finally:
                os.umask(umask)
        self.check_permissions()

    def check_permissions(self) -> None:
        """Refuse a folder that is not ours alone.

        :raises UnsuitableFolder: another user owns it, or others may write to it.
        """
        status = self.base.stat()
        if status.st_uid != os.geteuid():
            raise UnsuitableFolder(f"{self.base} belongs to another user; name a folder of its own")
        if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise UnsuitableFolder(f"others may write to {self.base}; name a folder of its own")

    @contextmanager
    def held(self) -> Iterator[None]:
        """Lock the folder against other servers within the block.

        The kernel releases the lock when this process ends.

        :raises DirectoryInUse: another server has locked it.
        """
        descriptor = os.open(
            self.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600
        )
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise DirectoryInUse(
                    f"another server already runs the database in {self.base}; "
                    "stop it, or name another folder"
                ) from None
            yield
        finally:
            os.close(descriptor)

    def prepare(self, account: Account) -> None:
        """Make the folder of the socket and the access rules.

        :raises UnsuitableFolder: ``account`` cannot reach it.
        """
        if not account.can_reach(self.base):
            raise UnsuitableFolder(
                f"the user {account.name!r}, as whom PostgreSQL runs, cannot reach {self.base}; "
                "name a folder below one that all users may search, such as /var/lib"
            )
        self._make_socket_folder(account)
        us = Account.with_uid(os.geteuid())
        self._write(self.access_rules, f"local all {ROLE} peer map=gbs\n")
        self._write(self.account_map, f'gbs "{us.name}" {ROLE}\n')

    def remove_unfinished(self) -> None:
        """Remove the files of interrupted starts. Only while the folder is locked."""
        for pattern in ("pgdata.new-*", "binaries-*.new-*"):
            for path in self.base.glob(pattern):
                shutil.rmtree(path, ignore_errors=True)

    @contextmanager
    def unfinished_data(self, account: Account) -> Iterator[Path]:
        """Yield a folder that becomes the data directory if the block succeeds.

        It is renamed in one step: a process killed before leaves no incomplete database.
        """
        staging = self.base / f"pgdata.new-{secrets.token_hex(4)}"
        staging.mkdir(mode=0o700)
        os.chown(staging, account.uid, account.gid)
        try:
            yield staging
            staging.rename(self.data)
        except BaseException:
            shutil.rmtree(staging, ignore_errors=True)
            raise
        _sync_folder(self.base)

    def remove_stale_locks(self) -> None:
        """Remove PostgreSQL's own lock files.

        They hold a process id, and PostgreSQL takes any living process for its owner.
        Only while the folder is locked and no server of it is running.
        """
        for path in (self.data / "postmaster.pid", self.sockets / f"{SOCKET_NAME}.lock"):
            path.unlink(missing_ok=True)

    def _make_socket_folder(self, account: Account) -> None:
        path = self.sockets
        try:
            path.mkdir(mode=0o700)
        except FileExistsError:
            status = path.lstat()
            ours = status.st_uid in {os.geteuid(), account.uid} and stat.S_ISDIR(status.st_mode)
            if not ours or status.st_mode & 0o077:
                raise UnsuitableFolder(f"{path} is not a private folder of the database") from None
            if status.st_uid == account.uid:
                return
        # New, or left by a process that was killed at this point.
        os.chown(path, account.uid, account.gid, follow_symlinks=False)

    def _write(self, path: Path, text: str) -> None:
        staging = path.with_name(f"{path.name}.new")
        staging.write_text(text)
        staging.chmod(0o644)  # no secret in it, and PostgreSQL's account has to read it
        staging.rename(path)


ROLE = "gbs_actor"
"""The role that owns the embedded database; only our own account may log in as it."""


def _sync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
