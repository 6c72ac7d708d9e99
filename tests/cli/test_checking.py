"""``check`` says what a server lacks, line by line, and changes nothing."""

from __future__ import annotations

import json
import resource
import shutil
import socket
import threading
import time
from collections import namedtuple
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from gbs_actor.demo.secret import demo_secret
from gbs_actor.server.checks import database, files, host
from gbs_actor.store.postgres.migrate import shipped_migrations
from tests.auth.keypairs import ec_key, pem
from tests.certificates import Authority
from tests.cli.conftest import Command
from tests.cli.pty_process import on_terminal
from tests.e2e.server_process import SECRET, ServerProcess, running_server
from tests.store.fixtures import PostgresCluster

Usage = namedtuple("Usage", ["total", "used", "free"])


class Report:
    """What a check has printed."""

    def __init__(self, command: Command, **environment: str) -> None:
        given = {"GBS_PORT": "0", "GBS_JWT_SECRET": SECRET, **environment}
        done = command("check", "--json", **given)
        assert "Traceback" not in done.output
        assert SECRET not in done.output
        self.code = done.exit_code
        self.findings: list[dict[str, str]] = json.loads(done.stdout)

    def of(self, name: str) -> str:
        """Return status, text and advice of a check's findings, one a line."""
        return "\n".join(
            f"{each['status']}: {each['text']}; {each['advice']}"
            for each in self.findings
            if each["check"] == name
        )

    def bad(self) -> set[str]:
        """Return which checks have found something."""
        return {each["check"] for each in self.findings if each["status"] != "ok"}


def test_a_server_that_lacks_nothing(command: Command, database_url: str) -> None:
    report = Report(command, GBS_DATABASE_URL=database_url)
    assert (report.code, report.bad()) == (0, set()), report.findings
    assert [each["check"] for each in report.findings] == [
        *("settings", "keys", "certificate", "port", "descriptors"),
        *("database", "schema", "server", "clock", "disk"),
    ]
    assert "tokens are verified by HS256 (1 key)" in report.of("keys")
    assert f"{len(shipped_migrations())} migrations are applied" in report.of("schema")
    assert "GiB are free for" in report.of("disk"), "the database is on this machine"


def test_the_lines_for_people_say_the_same(command: Command, database_url: str) -> None:
    given = {"GBS_PORT": "0", "GBS_JWT_SECRET": "short", "GBS_DATABASE_URL": database_url}
    wrong = command("check", **given)
    assert wrong.exit_code == 1
    assert wrong.stdout.startswith(
        "error    settings     GBS_JWT_SECRET: must have at least 32 bytes, and has 5"
    )
    fine = command("check", **{**given, "GBS_JWT_SECRET": SECRET, "GBS_PROT": "1"})
    assert fine.exit_code == 0, "a warning does not fail"
    assert (
        "warning  settings     the variable GBS_PROT sets nothing; correct or remove it\n"
        in fine.stdout
    )
    assert "\x1b" not in fine.output


async def test_a_terminal_has_colours(tmp_path: Path) -> None:
    with on_terminal("check", data=tmp_path / "data", GBS_JWT_SECRET="short") as terminal:
        written = await terminal.until("32 bytes")
    assert "\x1b[1;31merror" in written


def test_every_wrong_setting_is_a_line(command: Command) -> None:
    report = Report(command, GBS_PORT="x", GBS_HISTORY_DAYS="0")
    assert report.code == 1
    assert [each["check"] for each in report.findings] == ["settings", "settings"]


def test_a_file_with_secrets_is_for_nobody_else(command: Command, tmp_path: Path) -> None:
    file = tmp_path / "gbs.toml"
    file.write_text(f'[auth]\njwt_secret = "{SECRET}"\n')
    file.chmod(0o644)
    report = Report(command, GBS_CONFIG=str(file), GBS_JWT_SECRET="")
    assert report.code == 0
    assert f"all users can read jwt_secret in {file}" in report.of("settings")
    file.chmod(0o640)
    assert "warning" not in Report(command, GBS_CONFIG=str(file), GBS_JWT_SECRET="").of("settings")


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"GBS_JWT_SECRET": ""}, "error: There is nothing to verify tokens with"),
        ({"GBS_JWT_SECRET": "changeme" * 4}, "error: GBS_JWT_SECRET: can be guessed"),
        ({"GBS_JWKS_FILE": "none.json"}, "error: jwks_file none.json: No such file"),
        ({"GBS_JWT_ALGORITHMS": "RS256"}, "error: No token could be verified"),
        (
            {"GBS_JWT_SECRET": "", "GBS_JWT_PUBLIC_KEY_FILE": "key.pem"},
            "ok: tokens are verified by ES256 (1 key)",
        ),
        (
            {"GBS_JWT_SECRET": "", "GBS_JWT_PUBLIC_KEY_FILE": "key.pem"},
            "warning: no session is recovered after a restart",
        ),
        (
            {"GBS_JWT_PUBLIC_KEY_FILE": "open.pem"},
            "warning: all users can write to open.pem",
        ),
    ],
)
def test_keys(command: Command, tmp_path: Path, environment: dict[str, str], words: str) -> None:
    for name, mode in (("key.pem", 0o644), ("open.pem", 0o666)):
        (tmp_path / name).write_bytes(pem(ec_key()))
        (tmp_path / name).chmod(mode)
    report = Report(command, **environment)
    assert words in report.of("keys")
    assert report.code == int("error" in words)


def test_the_demos_secret_is_no_fault(command: Command, tmp_path: Path) -> None:
    demo_secret(tmp_path / "data")
    report = Report(command, GBS_JWT_SECRET="")
    assert (report.code, report.bad()) == (0, {"keys"})
    assert "the demo's secret only" in report.of("keys")


class Later(datetime):
    """In two days."""

    @classmethod
    def now(cls, tz: Any = None) -> Any:
        return datetime.now(tz) + timedelta(days=2)


class Earlier(datetime):
    """Two days ago."""

    @classmethod
    def now(cls, tz: Any = None) -> Any:
        return datetime.now(tz) - timedelta(days=2)


def test_a_certificate_and_its_times(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    issued = Authority().issue(tmp_path)
    issued.key.chmod(0o600)
    tls = {"GBS_TLS_CERTIFICATE": str(issued.certificate), "GBS_TLS_KEY": str(issued.key)}
    soon = Report(command, **tls)
    assert soon.code == 0
    assert "warning: it expires on 20" in soon.of("certificate")
    assert "systemctl reload" in soon.of("certificate")
    issued.key.chmod(0o644)
    assert "all users can read its private key" in Report(command, **tls).of("certificate")
    issued.key.chmod(0o600)
    monkeypatch.setattr(files, "EXPIRES_SOON", timedelta(0))
    assert Report(command, **tls).of("certificate").startswith("ok: it is valid until 20")
    monkeypatch.setattr(files, "datetime", Later)
    expired = Report(command, **tls)
    assert expired.code == 1
    assert "error: it has expired on 20" in expired.of("certificate")
    monkeypatch.setattr(files, "datetime", Earlier)
    assert "error: it is not valid before 20" in Report(command, **tls).of("certificate")
    issued.certificate.write_text("half a fi")
    assert "holds no certificate" in Report(command, **tls).of("certificate")


def test_without_tls_in_a_network_tokens_are_in_clear(command: Command) -> None:
    open_to_all = Report(command, GBS_HOST="0.0.0.0")
    assert open_to_all.code == 0
    assert "tokens pass through the network in clear" in open_to_all.of("certificate")
    behind = Report(command, GBS_HOST="0.0.0.0", GBS_TRUSTED_PROXIES="10.0.0.1")
    assert "certificate" not in behind.bad()


@contextmanager
def other_program(response: bytes) -> Iterator[int]:
    """Listen, and answer whatever is sent; the value is the port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    connection.recv(4096)
                    connection.sendall(response)

        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


def test_the_port_of_the_admin_address_is_checked_too(command: Command) -> None:
    with other_program(b"") as port:
        report = Report(command, GBS_ADMIN_LISTEN=f"127.0.0.1:{port}")
        assert f"error: 127.0.0.1:{port} cannot be used for /admin" in report.of("port")
        assert report.code == 1
    report = Report(command, GBS_ADMIN_LISTEN=f"127.0.0.1:{port}")
    assert f"ok: 127.0.0.1:{port} is free, for /admin" in report.of("port")


@pytest.mark.parametrize(
    "response",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]",
        b"HTTP/1.1 404 Not Found\r\nContent-Length: 5\r\n\r\nnever",
    ],
)
def test_a_port_that_another_program_has(command: Command, response: bytes) -> None:
    with other_program(response) as port:
        report = Report(command, GBS_PORT=str(port))
    assert report.code == 1
    assert f"127.0.0.1:{port} is in use by another program" in report.of("port")
    assert "GBS_PORT" in report.of("port")


def test_a_server_that_is_not_ready_says_why(command: Command) -> None:
    body = b'{"code":"STORE_UNAVAILABLE","message":"The database does not answer."}'
    head = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: %d\r\n\r\n" % len(body)
    with other_program(head + body) as port:
        report = Report(command, GBS_PORT=str(port))
    assert report.code == 0
    assert "is not ready: The database does not answer." in report.of("port")


def test_a_free_port_and_one_of_another_machine(command: Command) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert f"127.0.0.1:{port} is free" in Report(command, GBS_PORT=str(port)).of("port")
    elsewhere = Report(command, GBS_HOST="192.0.2.1", GBS_PORT=str(port))
    assert elsewhere.code == 1
    assert "set GBS_HOST to an address of this machine" in elsewhere.of("port")


@pytest.mark.parametrize(
    ("limit", "words"),
    [
        (100, "error: 11,204 are needed"),
        (
            5_204,
            "warning: 11,204 are needed for max_connections and http_connections; the limit is",
        ),
        (5_204, "enough for 5,000 connections; raise it"),
        (11_204, "ok: 11,204 are needed"),
        (resource.RLIM_INFINITY, "ok: 11,204 are needed; the hard limit here is unlimited"),
    ],
)
def test_descriptors(
    command: Command, monkeypatch: pytest.MonkeyPatch, limit: int, words: str
) -> None:
    fake = SimpleNamespace(
        getrlimit=lambda _: (100, limit),
        RLIMIT_NOFILE=resource.RLIMIT_NOFILE,
        RLIM_INFINITY=resource.RLIM_INFINITY,
    )
    monkeypatch.setattr(host, "resource", fake)
    assert words in Report(command).of("descriptors")


@pytest.mark.parametrize(
    ("free", "status"), [(2**20, "error"), (500 * 2**20, "warning"), (2 * 2**30, "ok")]
)
def test_disk(command: Command, monkeypatch: pytest.MonkeyPatch, free: int, status: str) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(0, 0, free))
    report = Report(command)
    assert report.of("disk").startswith(f"{status}: {free / 2**30:.1f} GiB are free for ")
    assert report.code == int(status == "error")


def test_an_embedded_database_is_neither_started_nor_created(
    command: Command, tmp_path: Path
) -> None:
    report = Report(command)
    assert (report.code, report.bad()) == (0, set())
    assert "is created with the server" in report.of("database")
    assert not (tmp_path / "data").exists()


def test_a_folder_that_others_may_write_to_is_none_for_a_database(
    command: Command, tmp_path: Path
) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data").chmod(0o777)
    report = Report(command)
    assert report.code == 1
    assert "others may write to" in report.of("database")


def test_a_database_that_is_away_is_a_line_without_its_password(
    command: Command, tmp_path: Path
) -> None:
    url = f"postgresql://me:geheim@/x?host={tmp_path}"
    report = Report(command, GBS_DATABASE_URL=url, GBS_DATABASE_CONNECT_TIMEOUT="0.5")
    assert report.code == 1
    assert "cannot be reached" in report.of("database")
    assert "start it" in report.of("database")
    assert "geheim" not in json.dumps(report.findings)


def test_a_database_that_does_not_exist_is_a_wrong_setting(
    command: Command, postgres_cluster: PostgresCluster
) -> None:
    report = Report(command, GBS_DATABASE_URL=postgres_cluster.dsn("nobody"))
    assert "correct GBS_DATABASE_URL" in report.of("database")


def test_a_database_that_loses_commits_is_an_error(
    command: Command, database_url: str, postgres_cluster: PostgresCluster
) -> None:
    name = database_url.partition("?")[0].rpartition("/")[2]
    postgres_cluster.run_sql(f"ALTER DATABASE {name} SET synchronous_commit = off")
    report = Report(command, GBS_DATABASE_URL=database_url)
    assert report.code == 1
    assert "synchronous_commit = off" in report.of("database")


def test_a_schema_that_lacks_migrations_stays_as_it_is(
    command: Command, empty_database_url: str
) -> None:
    for _ in range(2):
        report = Report(command, GBS_DATABASE_URL=empty_database_url)
        assert report.code == 1
        count = len(shipped_migrations())
        assert f"{count} of {count} migrations are not applied" in report.of("schema")
        assert "gbs-actor migrate" in report.of("schema")


@pytest.fixture
def reader(postgres_cluster: PostgresCluster, database_url: str) -> Iterator[str]:
    """A role that may only read, by what is asked for on top."""
    name = database_url.partition("?")[0].rpartition("/")[2]
    role = f"reader_{name}"
    postgres_cluster.run_sql(f"CREATE ROLE {role}")
    postgres_cluster.run_sql(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}", name)
    yield role
    postgres_cluster.run_sql(f"DROP OWNED BY {role}", name)
    postgres_cluster.run_sql(f"DROP ROLE {role}")


def test_rights_that_are_missing_are_named(
    command: Command, postgres_cluster: PostgresCluster, database_url: str, reader: str
) -> None:
    name = database_url.partition("?")[0].rpartition("/")[2]
    url = f"{database_url}&role={reader}"
    report = Report(command, GBS_DATABASE_URL=url)
    assert report.code == 1
    assert "lineup_change: DELETE, INSERT, UPDATE" in report.of("schema")
    assert "grade" not in report.of("schema"), "is only read"
    assert "GRANT" in report.of("schema")
    everything = f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {reader}"
    postgres_cluster.run_sql(everything, name)
    report = Report(command, GBS_DATABASE_URL=url)
    assert report.code == 0, report.findings
    postgres_cluster.run_sql(f"REVOKE ALL ON schema_migration FROM {reader}", name)
    assert "permission denied" in Report(command, GBS_DATABASE_URL=url).of("database")


def test_a_check_writes_nothing(
    command: Command, postgres_cluster: PostgresCluster, database_url: str
) -> None:
    name = database_url.partition("?")[0].rpartition("/")[2]
    long_ago = "UPDATE write_check SET written_at = '2000-01-01'"
    postgres_cluster.run_sql(long_ago, name)
    assert "writing is possible" in Report(command, GBS_DATABASE_URL=database_url).of("schema")
    postgres_cluster.run_sql(
        "DO $$ BEGIN ASSERT (SELECT written_at = '2000-01-01' FROM write_check); END $$", name
    )
    full = """
        CREATE OR REPLACE FUNCTION lineup_write_check() RETURNS void LANGUAGE plpgsql AS
        $$ BEGIN RAISE disk_full USING MESSAGE = 'no space left'; END $$
    """
    postgres_cluster.run_sql(full, name)
    report = Report(command, GBS_DATABASE_URL=database_url)
    assert report.code == 1
    assert "refuses to write: no space left" in report.of("schema")


@pytest.mark.parametrize(
    ("ahead", "words"),
    [
        (0, "ok: it agrees with the database's within"),
        (10, "warning: it is 10 s ahead of the database's"),
        (-10, "warning: it is 10 s behind the database's"),
        (3_600, "error: it is 3,600 s ahead of the database's, and tokens are valid too early"),
    ],
)
def test_clock(
    command: Command,
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
    ahead: float,
    words: str,
) -> None:
    monkeypatch.setattr(database, "time", SimpleNamespace(time=lambda: time.time() + ahead))
    report = Report(command, GBS_DATABASE_URL=database_url)
    assert words in report.of("clock")
    assert report.code == int("error" in words)


@pytest.fixture(scope="module")
def server() -> Iterator[ServerProcess]:
    with running_server() as process:
        yield process


def test_a_server_that_runs_is_recognised_with_its_database(
    command: Command, server: ServerProcess
) -> None:
    data = {"GBS_DATA_DIR": str(server.data_dir)}
    report = Report(command, GBS_PORT=str(server.port), **data)
    assert (report.code, report.bad()) == (0, set()), report.findings
    assert f"a server runs on 127.0.0.1:{server.port}, and is ready" in report.of("port")
    assert "one on this machine since 20" in report.of("server")
    assert f"GiB are free for {server.data_dir}" in report.of("disk")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        free = listener.getsockname()[1]
    second = Report(command, GBS_PORT=str(free), **data)
    assert second.code == 0
    assert "warning" in second.of("server")
    assert "a second one does not start" in second.of("server")


def test_a_server_on_another_database_is_noticed(
    command: Command, server: ServerProcess, database_url: str
) -> None:
    report = Report(command, GBS_PORT=str(server.port), GBS_DATABASE_URL=database_url)
    assert "uses another database" in report.of("server")


def test_the_bus_of_several_servers_is_tried(command: Command, database_url: str) -> None:
    several = {"GBS_DATABASE_URL": database_url, "GBS_NODE": "a"}
    with running_server(environment={**several, "GBS_NODE": "b"}):
        report = Report(command, **several)
    assert report.of("bus").startswith("ok: postgres: a message takes ")
    assert report.of("server").startswith("ok: 1 server uses this database; they share it")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        free = listener.getsockname()[1]
    unreachable = Report(command, **several, GBS_BUS_URL=f"valkey://:secret@127.0.0.1:{free}")
    assert unreachable.code == 0
    assert unreachable.of("bus").startswith("warning: valkey: ")
    assert "secret" not in unreachable.of("bus")
