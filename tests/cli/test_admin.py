"""The commands below ``admin``, against a running server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from typer.testing import Result

from tests.cli.conftest import Command
from tests.e2e.server_process import RETREAT, SECRET, ServerProcess, running_server, token

TOKEN = "3lWv0yGmJx8Qk2RzTn5BdHs7CfAeUp9L"
REASON = ("--reason", "a test")


@pytest.fixture(scope="module")
def server() -> Iterator[ServerProcess]:
    with running_server(environment={"GBS_ADMIN_TOKEN": TOKEN}) as running:
        yield running


@pytest.fixture
def run(command: Command, server: ServerProcess) -> Command:
    """Run a command below ``admin`` with the operator token, and the room open."""
    lineups = f"/api/v1/retreat/{RETREAT}/line-up/user-lineups"
    server.get(lineups, token())

    def admin(*arguments: str) -> Result:
        result = command("admin", "--url", server.url, *arguments, GBS_ADMIN_TOKEN=TOKEN)
        assert result.exit_code == 0, result.output
        return result

    return admin


def decoded(result: Result) -> Any:
    return json.loads(result.stdout)


@pytest.mark.parametrize("action", ["restart", "recover", "stop", "drain"])
def test_a_room_is_acted_on(run: Command, action: str) -> None:
    tried = decoded(run("room", action, RETREAT, *REASON, "--dry-run", "-o", "json"))
    assert tried["dryRun"] is True
    assert tried["changed"] is (action != "recover")
    words = run("room", action, RETREAT, *REASON, "--dry-run").stdout
    assert words.startswith("Would do" if action != "recover" else "Nothing to do")
    assert f"{RETREAT}: running, 0 subscribers" in words
    done = run("room", action, RETREAT, *REASON)
    assert tried["message"] in done.stdout


def test_clients_are_kicked(run: Command) -> None:
    for whom in (("session", "kick", "no such"), ("user", "kick", "7")):
        result = decoded(run(*whom, *REASON, "-o", "json"))
        assert (result["changed"], result["sessions"]) == (False, 0)


def test_rooms_and_levels_are_listed(run: Command) -> None:
    assert RETREAT in run("rooms").stdout
    assert "1 of 1 rooms" in run("rooms", "--search", "winter").stdout
    run("log-level", "gbs_actor.rooms", "debug", "--minutes", "1", *REASON)
    levels = run("log-levels").stdout
    assert "DEBUG    gbs_actor.rooms, until" in levels
    assert "INFO     all others" in levels


def test_the_only_server_is_listed(run: Command) -> None:
    words = run("nodes").stdout
    assert words.startswith("* (no name)")
    assert "ready" in words
    assert "asked now" in words


def test_another_server_is_asked_by_its_name(command: Command, server: ServerProcess) -> None:
    asked = ("admin", "--url", server.url, "--node", "b")
    for what in (("rooms",), ("drain", *REASON)):
        result = command(*asked, *what, GBS_ADMIN_TOKEN=TOKEN)
        assert result.exit_code != 0
        assert "There is no server b" in result.output


def test_the_loop_is_profiled(run: Command) -> None:
    words = run("profile", "--seconds", "1", *REASON).stdout
    assert "steps/s" in words
    assert " ms  " in words


def test_the_audit_has_what_the_commands_did(run: Command) -> None:
    run("user", "kick", "12345", *REASON)
    records: list[dict[str, Any]] = []
    while not records:
        records = decoded(run("audit", "--target", "12345", "-o", "json"))["records"]
    assert records[0]["operatorName"] == "operator token"
    assert records[0]["address"] == "127.0.0.1"
    words = run("audit", "--action", "user.").stdout
    assert "operator token at 127.0.0.1, user.kick 12345 unchanged: a test" in words


def test_a_command_without_a_reason_or_a_right_to_act_fails(
    command: Command, server: ServerProcess
) -> None:
    path = ("admin", "--url", server.url, "room", "stop", RETREAT)
    assert command(*path, GBS_ADMIN_TOKEN=TOKEN).exit_code == 2
    refused = command(*path, *REASON, GBS_ADMIN_TOKEN=token())
    assert refused.exit_code == 1
    assert "Forbidden" in refused.stderr
    no_server = command("admin", "--url", "http://127.0.0.1:1", "rooms", GBS_JWT_SECRET=SECRET)
    assert no_server.exit_code == 1
    assert "Traceback" not in no_server.output


def test_the_server_is_drained(run: Command) -> None:
    with running_server(environment={"GBS_ADMIN_TOKEN": TOKEN}) as other:
        assert "stops" in run("--url", other.url, "drain", *REASON).stdout
        assert other.process.wait(20) == 0


def test_traces_are_started_and_stopped(run: Command) -> None:
    started = decoded(run("trace", "user", "7", "--minutes", "60", *REASON, "-o", "json"))
    assert [trace["userId"] for trace in started["traces"]] == [7]
    stopped = decoded(run("trace", "stop", "--user", "7", *REASON, "-o", "json"))
    assert (stopped["changed"], stopped["traces"]) == (True, [])


@pytest.mark.parametrize("path", [("room", "drain", ".."), ("session", "kick", ".")])
def test_no_name_becomes_a_step_to_another_operation(
    command: Command, path: tuple[str, ...]
) -> None:
    result = command("admin", "--url", "http://127.0.0.1:1", *path, *REASON, GBS_ADMIN_TOKEN=TOKEN)
    assert result.exit_code == 2, "rooms/../drain would be /admin/drain, which stops the server"
