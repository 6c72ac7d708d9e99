"""The account of the operating system that PostgreSQL runs as.

PostgreSQL refuses to run as root. If the server runs as root, PostgreSQL gets an account of
its own; otherwise it runs as the same user.
"""

from __future__ import annotations

import grp
import os
import pwd
import shutil
import stat
from dataclasses import dataclass
from pathlib import Path

import structlog
import trio

from gbs_actor.store.protocol import StoreError

OWN_ACCOUNT = "gbs-actor"
"""Created as a system account at the first start as root."""
FALLBACKS = ("postgres", "nobody")
"""Used, in this order, if no account can be created."""

_log = structlog.get_logger(__name__)


class NoAccount(StoreError):
    """There is no account of the operating system that PostgreSQL could run as."""


@dataclass(frozen=True, slots=True)
class Account:
    """A user of the operating system, with a name and the groups it is in."""

    name: str
    uid: int
    gid: int
    groups: frozenset[int] = frozenset()

    @classmethod
    def named(cls, name: str) -> Account | None:
        """Return the account with this name, or ``None`` if there is none."""
        try:
            return cls._of(pwd.getpwnam(name))
        except KeyError:
            return None

    @classmethod
    def with_uid(cls, uid: int) -> Account:
        """Return the account with this number.

        :raises NoAccount: it has no name, without which PostgreSQL cannot run.
        """
        try:
            return cls._of(pwd.getpwuid(uid))
        except KeyError:
            raise NoAccount(
                f"the user {uid} has no name in /etc/passwd, and PostgreSQL does not run without; "
                "add one, or name a PostgreSQL server in GBS_DATABASE_URL"
            ) from None

    @classmethod
    def _of(cls, entry: pwd.struct_passwd) -> Account:
        groups = {group.gr_gid for group in grp.getgrall() if entry.pw_name in group.gr_mem}
        return cls(entry.pw_name, entry.pw_uid, entry.pw_gid, frozenset(groups | {entry.pw_gid}))

    @property
    def is_ours(self) -> bool:
        """Whether this process runs as this account."""
        return self.uid == os.geteuid()

    def may(self, path: Path, wanted: int) -> bool:
        """Return whether this account may do ``wanted`` (``os.R_OK`` …) with a path.

        For another account the mode bits decide; for our own the kernel does, which includes
        ACLs and groups of this process alone (from systemd or Docker).
        """
        if self.is_ours:
            return os.access(path, wanted, effective_ids=True)
        status = path.stat()
        if self.uid == 0:
            return True
        mode = status.st_mode
        if status.st_uid == self.uid:
            mode >>= 6
        elif status.st_gid in self.groups:
            mode >>= 3
        return mode & wanted == wanted

    def can_reach(self, folder: Path) -> bool:
        """Return whether this account may search every folder of a path."""
        resolved = folder.resolve()
        return all(
            self.may(path, os.X_OK) and stat.S_ISDIR(path.stat().st_mode)
            for path in (*resolved.parents, resolved)
        )


async def postgres_account(data: Path) -> Account:
    """Return the account that PostgreSQL is to run as.

    :param data: PostgreSQL's data directory; if it exists, its owner stays the same.
    :raises NoAccount: there is none.
    """
    if os.geteuid() != 0:
        return Account.with_uid(os.geteuid())
    if (owner := _owner(data)) is not None:
        if owner == 0:
            raise NoAccount(f"{data} belongs to root, as whom PostgreSQL does not run")
        return Account.with_uid(owner)
    account = Account.named(OWN_ACCOUNT)
    if account is None:
        await _create_own_account()
        account = Account.named(OWN_ACCOUNT)
    for name in FALLBACKS:
        if account is None and (account := Account.named(name)) is not None:
            _log.warning("the database runs as an account shared with others", account=name)
    if account is None:
        raise NoAccount(
            f"PostgreSQL does not run as root, and there is no account {OWN_ACCOUNT!r} for it; "
            "create one, start the server as an ordinary user, or set GBS_DATABASE_URL"
        )
    return account


def _owner(path: Path) -> int | None:
    try:
        return path.stat().st_uid
    except FileNotFoundError:
        return None


async def _create_own_account() -> None:
    """Create the system account; the caller looks it up to see whether that worked."""
    useradd = shutil.which("useradd", path=f"/usr/sbin:/sbin:{os.environ.get('PATH', os.defpath)}")
    if useradd is None:
        return
    options = ["--system", "--user-group", "--no-create-home", "--home-dir", "/nonexistent"]
    result = await trio.run_process(
        [useradd, *options, "--shell", "/usr/sbin/nologin", OWN_ACCOUNT],
        check=False,
        capture_stdout=True,
        capture_stderr=True,
    )
    if result.returncode != 0:
        reason = result.stderr.decode(errors="replace").strip()
        _log.warning("no account could be created for the database", reason=reason)
