"""Each command does what its help says, and says in one sentence what it cannot do."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from functools import partial
from pathlib import Path

import pytest
import trio
from pydantic import SecretStr

from gbs_actor.auth import Role, Verifier
from gbs_actor.demo.secret import demo_secret
from gbs_actor.lineup.commands import AssignNumber
from gbs_actor.settings import AuthSettings, Settings, example
from gbs_actor.store.postgres.connection import connect
from gbs_actor.store.postgres.store import PostgresStore
from tests.auth.keypairs import ec_key, private_pem
from tests.cli.conftest import Command
from tests.store.fixtures import PostgresCluster
from tests.store.other_clients import ask, soon
from tests.store.test_adoption import EXISTING
from tests.store.worlds import Desk

SECRET = "a secret of more than thirty-two bytes"
COMMANDS = (
    "serve",
    "tail",
    "token",
    "check-token",
    "settings",
    "check",
    "migrate",
    "demo-data",
    "new-epoch",
    "reload",
    "prune",
    "verify",
)


def verifier(secret: str = SECRET, **settings: str) -> Verifier:
    return Verifier(AuthSettings(jwt_secret=SecretStr(secret), **settings))  # type: ignore[arg-type]  # only strings here


def test_help_names_every_command(command: Command) -> None:
    result = command("--help")
    assert result.exit_code == 0
    assert all(name in result.output for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(command: Command, name: str) -> None:
    result = command(name, "--help")
    assert result.exit_code == 0
    assert "--config" in result.output


def test_help_imports_nothing_that_only_commands_need() -> None:
    heavy = {"trio", "pydantic", "structlog", "gbs_actor.settings", "gbs_actor.socketio"}
    code = f"import sys, gbs_actor.cli.app; print(*{heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_serve_shows_the_defaults_of_the_settings(command: Command) -> None:
    shown = command("serve", "--help").stdout
    assert f"[default: ({Settings().server.host})]" in shown
    assert f"[default: ({Settings().server.port})]" in shown


def test_the_version_is_printed(command: Command) -> None:
    assert command("--version").output.startswith("gbs-actor 0.")


def test_a_token_is_for_the_user_it_was_made_for(command: Command) -> None:
    result = command(
        *("token", "--user-id", "7", "--name", "김하늘", "--role", "LEADER_STAFF"),
        *("--email", "a@example.org", "--admin-user-id", "70"),
        *("--retreats", "2024-winter", "--retreats", "2024-summer"),
        GBS_JWT_SECRET=SECRET,
    )
    user = verifier().verify(result.stdout.strip())
    assert (user.user_id, user.admin_user_id, user.name) == (7, 70, "김하늘")
    assert (user.role, user.email) == (Role.LEADER_STAFF, "a@example.org")
    assert user.retreats == frozenset({"2024-winter", "2024-summer"})


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("30m", 1800), ("8h", 28_800), ("7d", 604_800)]
)
def test_a_token_lasts_as_long_as_asked_for(command: Command, text: str, seconds: int) -> None:
    result = command("token", "--user-id", "7", "--expires", text, GBS_JWT_SECRET=SECRET)
    judge = verifier()
    expires_at = judge.verify(result.stdout.strip()).expires_at
    assert expires_at is not None
    assert expires_at - judge.now() == pytest.approx(seconds, abs=10)


@pytest.mark.parametrize("text", ["", "8", "h", "0h", "-1h", "1.5h", "8 h", "1h30m", "1y"])
def test_a_time_written_otherwise_is_wrong_usage(command: Command, text: str) -> None:
    result = command("token", "--user-id", "7", "--expires", text, GBS_JWT_SECRET=SECRET)
    assert result.exit_code == 2


def test_a_token_has_the_issuer_and_audience_that_are_set(command: Command) -> None:
    result = command(
        *("token", "--user-id", "7"),
        GBS_JWT_SECRET=SECRET,
        GBS_JWT_ISSUER="https://a",
        GBS_JWT_AUDIENCE="gbs",
    )
    strict = verifier(jwt_issuer="https://a", jwt_audience="gbs")
    assert strict.verify(result.stdout.strip()).user_id == 7


def test_a_token_can_be_made_for_the_demo_on_this_data(command: Command, tmp_path: Path) -> None:
    secret = demo_secret(tmp_path / "data")
    result = command("token", "--user-id", "7")
    assert verifier(secret).verify(result.stdout.strip()).user_id == 7


@pytest.mark.parametrize(
    ("environment", "sentence"),
    [
        ({}, "There is no secret to sign with"),
        ({"GBS_JWKS_FILE": "keys.json"}, "Tokens are signed elsewhere"),
        ({"GBS_JWT_SECRET": "short"}, "GBS_JWT_SECRET: must have at least 32 bytes"),
        ({"GBS_CONFIG": "nowhere.toml"}, "The settings file nowhere.toml does not exist."),
    ],
)
def test_a_token_that_cannot_be_made_is_one_sentence(
    command: Command, environment: dict[str, str], sentence: str
) -> None:
    result = command("token", "--user-id", "7", **environment)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.startswith(f"Error: {sentence}")
    assert "Traceback" not in result.stderr


def test_outside_the_demo_the_server_does_not_start_without_a_key(command: Command) -> None:
    result = command("serve")
    assert result.exit_code == 2
    assert "set GBS_JWT_SECRET" in result.stderr
    assert "--demo" in result.stderr


@pytest.mark.parametrize(
    ("environment", "sentence"),
    [
        ({"GBS_JWT_SECRET": "changeme" * 4}, "GBS_JWT_SECRET: can be guessed"),
        (
            {"GBS_JWT_SECRET": SECRET, "GBS_RECOVERY_SECRET": "x" * 32},
            "GBS_RECOVERY_SECRET: can be guessed",
        ),
        (
            {"GBS_JWT_SECRET": SECRET, "GBS_ADMIN_TOKEN": "letmein-" * 5},
            "GBS_ADMIN_TOKEN: can be guessed",
        ),
        ({"GBS_ADMIN_LISTEN": "9090"}, "GBS_ADMIN_LISTEN: must be host:port"),
        (
            {"GBS_JWT_SECRET": "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAB"},
            "GBS_JWT_SECRET: must be random text, not a key",
        ),
        ({"GBS_JWT_PUBLIC_KEY_FILE": "private.pem"}, "jwt_public_key_file private.pem holds no"),
        ({"GBS_JWT_PUBLIC_KEY_FILE": "secret.txt"}, "jwt_public_key_file secret.txt holds no"),
        ({"GBS_JWT_PUBLIC_KEY_FILE": "none.pem"}, "jwt_public_key_file none.pem: No such file"),
        ({"GBS_JWKS_FILE": "private.pem"}, "jwks_file private.pem holds no usable keys"),
        (
            {"GBS_JWT_SECRET": SECRET, "GBS_JWT_ALGORITHMS": "RS256"},
            "No token could be verified",
        ),
    ],
)
def test_keys_that_cannot_be_used_are_one_sentence(
    command: Command,
    tmp_path: Path,
    database_url: str,
    environment: dict[str, str],
    sentence: str,
) -> None:
    (tmp_path / "private.pem").write_bytes(private_pem(ec_key()))
    (tmp_path / "secret.txt").write_text(SECRET)
    result = command("serve", GBS_DATABASE_URL=database_url, **environment)
    assert result.exit_code == 2
    (line,) = [line for line in result.stderr.splitlines() if line.startswith("Error: ")]
    assert line.startswith(f"Error: {sentence}")
    assert SECRET not in result.output
    assert "Traceback" not in result.output


def test_an_option_goes_before_a_variable_and_is_named_when_wrong(command: Command) -> None:
    result = command("serve", "--host", "", GBS_HOST="127.0.0.1")
    assert result.exit_code == 2
    assert result.stderr.startswith("Error: --host: ")


def test_settings_are_shown_as_toml_with_their_source(command: Command) -> None:
    result = command("settings", GBS_PORT="99", GBS_DATABASE_URL="postgresql://me:geheim@db/x")
    assert tomllib.loads(result.stdout)["server"]["port"] == 99
    lines = {line.split(" = ")[0]: line for line in result.stdout.splitlines()}
    assert lines["port"].endswith("# GBS_PORT")
    assert lines["host"].endswith("# default")
    assert "geheim" not in result.output


def test_settings_name_the_file_they_come_from(command: Command, tmp_path: Path) -> None:
    file = tmp_path / "my.toml"
    file.write_text("[rooms]\nidle_timeout = 5\n")
    result = command("settings", "--config", str(file))
    line = next(line for line in result.stdout.splitlines() if line.startswith("idle_timeout"))
    assert line.endswith("# file")


def test_the_example_file_can_be_printed(command: Command) -> None:
    assert command("settings", "--example").stdout == example()


def test_a_variable_that_sets_nothing_gets_a_warning(command: Command) -> None:
    result = command("settings", GBS_COMIT_TIMEOUT="1")
    assert result.exit_code == 0
    assert "GBS_COMIT_TIMEOUT" in result.stderr
    assert tomllib.loads(result.stdout)["rooms"]["commit_timeout"] == 5.0


def test_tail_without_a_secret_asks_for_a_token(command: Command) -> None:
    result = command("tail", "2024-winter")
    assert result.exit_code == 2
    assert "--token or GBS_TOKEN" in result.stderr


def test_tail_names_what_is_wrong_with_a_url(command: Command) -> None:
    result = command("tail", "2024-winter", "--url", "ftp://nowhere", "--token", "x")
    assert result.exit_code == 2
    assert "Traceback" not in result.output
    assert "ftp://nowhere" in result.stderr


def test_migrating_prints_what_was_applied_and_then_that_nothing_is_left(
    command: Command, empty_database_url: str
) -> None:
    first = command("migrate", GBS_DATABASE_URL=empty_database_url)
    assert first.exit_code == 0, first.output
    assert "Applied 0001_" in first.stdout
    second = command("migrate", GBS_DATABASE_URL=empty_database_url)
    assert second.stdout == "The schema was up to date.\n"


def test_other_programs_tables_are_adopted_once_somebody_agrees(
    command: Command, empty_database_url: str, postgres_cluster: PostgresCluster
) -> None:
    name = empty_database_url.partition("?")[0].rpartition("/")[2]
    postgres_cluster.run_sql(EXISTING, name)
    refused = command("migrate", GBS_DATABASE_URL=empty_database_url)
    assert refused.exit_code == 1
    assert "gbs-actor migrate --adopt" in refused.stderr
    assert "gbs-actor migrate --adopt" in command(
        "check", GBS_DATABASE_URL=empty_database_url
    ).stdout.replace("\n", " ")
    plan = command("migrate", "--adopt", GBS_DATABASE_URL=empty_database_url)
    assert plan.exit_code == 0, plan.output
    assert "-- column retreat.epoch: tells clients" in plan.stdout
    assert "\nALTER TABLE retreat ADD COLUMN epoch uuid DEFAULT" in plan.stdout
    assert plan.stdout.endswith("-- Nothing was changed. To add this: --adopt --yes\n")
    done = command("migrate", "--adopt", "--yes", GBS_DATABASE_URL=empty_database_url)
    assert done.exit_code == 0, done.output
    assert done.stdout.endswith("-- This was added.\n")
    again = command("migrate", "--adopt", "--yes", GBS_DATABASE_URL=empty_database_url)
    assert again.stdout == "-- Nothing to add.\n"
    verified = command("verify", GBS_DATABASE_URL=empty_database_url)
    assert verified.exit_code == 0, verified.output


def test_the_plan_of_an_adoption_is_a_script_that_can_be_run_by_hand(
    command: Command, empty_database_url: str, postgres_cluster: PostgresCluster
) -> None:
    name = empty_database_url.partition("?")[0].rpartition("/")[2]
    postgres_cluster.run_sql(EXISTING, name)
    plan = command("migrate", "--adopt", GBS_DATABASE_URL=empty_database_url)
    postgres_cluster.run_sql(plan.stdout, name)
    again = command("migrate", "--adopt", GBS_DATABASE_URL=empty_database_url)
    assert again.stdout == "-- Nothing to add.\n"


def test_what_is_in_the_way_of_an_adoption_is_listed(
    command: Command, empty_database_url: str
) -> None:
    result = command("migrate", "--adopt", "--yes", GBS_DATABASE_URL=empty_database_url)
    assert result.exit_code == 1
    assert "- there is no table retreat: without it nobody is registered" in result.stderr


@pytest.mark.parametrize("arguments", [("--yes",), ("--role", "gbs"), ("--adopt",)])
def test_options_that_make_no_sense_alone_are_wrong_usage(
    command: Command, arguments: tuple[str, ...]
) -> None:
    assert command("migrate", *arguments).exit_code == 2


def test_demo_data_registers_people_once(command: Command, database_url: str) -> None:
    arguments = ("demo-data", "--retreat", "test", "--people", "12")
    first = command(*arguments, GBS_DATABASE_URL=database_url)
    assert first.stdout == "Retreat test now has 12 people.\n", first.output
    second = command(*arguments, GBS_DATABASE_URL=database_url)
    assert (second.exit_code, second.stdout) == (1, "")
    assert "Error: There is a retreat test already.\n" in second.stderr


def test_a_new_epoch_is_given_to_all_or_to_one_or_to_nobody(
    command: Command, database_url: str
) -> None:
    for slug in ("a", "b"):
        command("demo-data", "--retreat", slug, "--people", "12", GBS_DATABASE_URL=database_url)
    to_all = command("new-epoch", GBS_DATABASE_URL=database_url)
    assert to_all.stdout == "2 retreats have a new epoch.\n", to_all.output
    to_one = command("new-epoch", "a", GBS_DATABASE_URL=database_url)
    assert to_one.stdout == "1 retreat has a new epoch.\n"
    to_nobody = command("new-epoch", "c", GBS_DATABASE_URL=database_url)
    assert (to_nobody.exit_code, to_nobody.stdout) == (1, "")
    assert "There is no retreat c." in to_nobody.stderr


def test_a_retreat_is_reloaded_while_a_server_runs(command: Command, database_url: str) -> None:
    async def reload_while_running() -> tuple[int, int]:
        async with PostgresStore.open(database_url) as store:
            await Desk.of(store)
            run = partial(command, "reload", "winter", GBS_DATABASE_URL=database_url)
            result = await trio.to_thread.run_sync(run)
            assert result.stdout == "Retreat winter is loaded again.\n", result.output
            version = await store.version("winter")
            assert version is not None
            return version.revision, version.removal_revision

    assert trio.run(reload_while_running) == (1, 1)
    nowhere = command("reload", "nowhere", GBS_DATABASE_URL=database_url)
    assert (nowhere.exit_code, nowhere.stdout) == (1, "")
    assert "There is no retreat nowhere." in nowhere.stderr
    assert command("reload", "winter").exit_code == 2


async def _edit(url: str, slug: str, changes: int) -> None:
    """Move somebody about, as staff would."""
    async with PostgresStore.open(url) as store:
        desk = await Desk.of(store, slug)
        person = next(row.id for row in desk.board.rows() if not row.is_leader)
        await desk.do(*(AssignNumber(person, number) for number in range(1, changes + 1)))


def test_old_log_entries_are_pruned_and_the_young_ones_kept(
    command: Command, database_url: str
) -> None:
    trio.run(_edit, database_url, "winter", 3)
    kept = command("prune", "--days", "36500", GBS_DATABASE_URL=database_url)
    assert kept.stdout == "0 log entries older than 36500 days removed.\n", kept.output
    trio.run(_set_age, database_url, 1, 89)
    trio.run(_set_age, database_url, 2, 89)
    default = command("prune", GBS_DATABASE_URL=database_url)
    assert default.stdout == "0 log entries older than 90 days removed.\n", default.output
    pruned = command("prune", GBS_DATABASE_URL=database_url, GBS_HISTORY_DAYS="88")
    assert pruned.stdout == "2 log entries older than 88 days removed.\n", pruned.output


def test_a_pruning_keeps_a_day_at_least(command: Command) -> None:
    assert command("prune", "--days", "0").exit_code == 2


async def _ask(url: str, sql: str, *arguments: object) -> None:
    connection = await connect(url, deadline=soon())
    await ask(connection, sql, *arguments)
    await connection.close(deadline=soon())


async def _set_age(url: str, revision: int, days: int) -> None:
    later = "UPDATE lineup_change SET at = now() WHERE revision > $1"
    await _ask(url, later, revision)
    age = "UPDATE lineup_change SET at = now() - make_interval(days => $2) WHERE revision = $1"
    await _ask(url, age, revision, days)


def test_a_clean_database_is_verified_with_its_counts(command: Command, database_url: str) -> None:
    trio.run(_edit, database_url, "winter", 3)
    command("demo-data", "--retreat", "test", "--people", "12", GBS_DATABASE_URL=database_url)
    both = command("verify", GBS_DATABASE_URL=database_url)
    assert both.exit_code == 0, both.output
    assert both.stdout == (
        "test: 12 people, 0 log entries: OK\nwinter: 6 people, 3 log entries: OK\n"
    )
    one = command("verify", "winter", GBS_DATABASE_URL=database_url)
    assert one.stdout == "winter: 6 people, 3 log entries: OK\n"


def test_what_differs_from_the_log_is_listed_and_fails(command: Command, database_url: str) -> None:
    trio.run(_edit, database_url, "winter", 3)
    # Restored, for instance: no trigger has seen it.
    trio.run(
        _ask,
        database_url,
        "WITH own AS (SELECT set_config('gbs.own', 'on', false))"
        " UPDATE user_retreat_registration SET gbs_id = NULL FROM own WHERE id = 2",
    )
    result = command("verify", GBS_DATABASE_URL=database_url)
    assert result.exit_code == 1
    assert result.stdout == (
        "winter: registration 2, gbsNumber: log 3, row none\n"
        "winter: 6 people, 3 log entries: 1 difference\n"
    )


def test_a_pruned_log_is_verified_as_far_as_it_goes(command: Command, database_url: str) -> None:
    trio.run(_edit, database_url, "winter", 3)
    trio.run(_set_age, database_url, 1, 400)
    command("prune", GBS_DATABASE_URL=database_url)
    result = command("verify", GBS_DATABASE_URL=database_url)
    assert "winter: 6 people, 2 log entries since revision 1: " in result.stdout, result.output


def test_verifying_a_retreat_that_is_not_there_fails(command: Command, database_url: str) -> None:
    result = command("verify", "nowhere", GBS_DATABASE_URL=database_url)
    assert (result.exit_code, result.stdout) == (1, "")
    assert "There is no retreat nowhere." in result.stderr


def test_a_database_that_is_away_is_one_sentence_without_its_password(
    command: Command, tmp_path: Path
) -> None:
    url = f"postgresql://me:geheim@/x?host={tmp_path}"
    result = command("migrate", GBS_DATABASE_URL=url, GBS_DATABASE_CONNECT_TIMEOUT="0.2")
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: ")
    assert "geheim" not in result.output
    assert "Traceback" not in result.output


def test_the_settings_that_commands_see_are_those_of_the_library(command: Command) -> None:
    shown = tomllib.loads(command("settings").stdout)
    assert shown["rooms"]["batch_size"] == Settings().rooms.batch_size
