"""What SIGHUP changes in a running server, and what it only names."""

from __future__ import annotations

import json
import logging
import signal
import time
import urllib.error
from pathlib import Path
from typing import Any

import pytest
import trio
from pydantic import SecretStr

from gbs_actor.observability import configure_logging
from gbs_actor.server.reloading import AT_RUN_TIME, Reloading
from gbs_actor.settings import Settings, SettingsError
from tests.e2e.server_process import OPERATOR, RETREAT, ServerProcess, running_server, token

LIST = f"/api/v1/retreat/{RETREAT}/line-up/user-lineups"
SECRET = "a secret of more than thirty-two bytes"


@pytest.fixture(autouse=True)
def _logging_as_it_was(logging_as_it_was: None) -> None:
    """A reload sets up logging for a whole process."""


def settings(**groups: dict[str, Any]) -> Settings:
    return Settings.model_validate({"logging": {"log_format": "json"}, **groups})


async def reload(started: Settings, *loads: Settings | Exception) -> list[Settings]:
    """Start with settings, and reload as often as there are others; return what is passed on."""
    started.build(configure_logging)
    results = list(loads)

    def load() -> Settings:
        result = results.pop(0)
        if isinstance(result, Exception):
            raise result
        return result

    wish, wishes = trio.open_memory_channel[None](len(loads))
    for _ in loads:
        wish.send_nowait(None)
    wish.close()
    passed_on: list[Settings] = []
    reloading = Reloading(started, None, load=load, change_settings=passed_on.append)
    await reloading.run(wishes)
    assert results == []
    return passed_on


def logged(capsys: pytest.CaptureFixture[str]) -> list[str]:
    """Return level and text of each entry that reads on about settings."""
    entries = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    lines = [f"{entry['level']}: {entry['event']}" for entry in entries]
    return [line for line in lines if "certificate" not in line]


async def test_what_takes_effect_is_passed_on_once_and_nothing_else() -> None:
    later = settings(server={"port": 9000}, limits={"user_rate": 9.0})
    (changed,) = await reload(settings(), settings(), later, later)
    assert changed.limits == later.limits
    assert changed.server == settings().server


async def test_level_and_format_of_the_log_change_at_once(
    capsys: pytest.CaptureFixture[str],
) -> None:
    later = settings(logging={"log_level": "DEBUG", "log_format": "json"})
    await reload(Settings(), later)
    assert logging.getLogger().level == logging.DEBUG
    assert logged(capsys) == [
        'info: log_level is "DEBUG" from now on; it was "INFO"',
        'info: log_format is "json" from now on; it was "console"',
    ]


async def test_what_needs_a_restart_is_named_without_its_secrets(
    capsys: pytest.CaptureFixture[str],
) -> None:
    later = settings(server={"port": 9000}, auth={"jwt_secret": SecretStr(SECRET)})
    await reload(settings(), later)
    lines = logged(capsys)
    assert lines == [
        "warning: port needs a restart to become 9000; it stays 8080",
        'warning: jwt_secret needs a restart to become "**********"; it stays not set',
    ]


async def test_it_is_named_again_until_it_is_as_it_was(capsys: pytest.CaptureFixture[str]) -> None:
    other = settings(server={"port": 9000})
    await reload(settings(), other, other, settings())
    assert logged(capsys) == [
        *(2 * ["warning: port needs a restart to become 9000; it stays 8080"]),
        "info: the settings were read again; none has changed",
    ]


async def test_refused_settings_change_nothing_and_the_next_ones_count(
    capsys: pytest.CaptureFixture[str],
) -> None:
    refused = SettingsError("GBS_PORT: must be less than 65536.")
    await reload(settings(), refused, settings(logging={"log_level": "WARNING"}))
    assert logging.getLogger().level == logging.WARNING
    assert logged(capsys) == [
        "error: the settings in use stay, as the new ones are refused: "
        "GBS_PORT: must be less than 65536."
    ]


async def test_a_change_is_logged_once(capsys: pytest.CaptureFixture[str]) -> None:
    later = settings(limits={"user_rate": 9.0})
    await reload(settings(), settings(), later, later)
    assert logged(capsys)[1:] == [
        "info: user_rate is 9.0 from now on; it was 500.0",
        "info: the settings were read again; none has changed",
    ]


def test_what_takes_effect_are_groups_of_settings() -> None:
    assert set(AT_RUN_TIME) <= set(Settings.model_fields)


def until(server: ServerProcess, words: str) -> None:
    """Wait until a server has logged something."""
    deadline = time.monotonic() + 30
    while words not in server.log():
        assert time.monotonic() < deadline, server.log()[-4000:]
        time.sleep(0.02)


def test_a_running_server_reads_its_file_again(tmp_path: Path) -> None:
    file = tmp_path / "gbs.toml"
    file.write_text('[logging]\nlog_level = "INFO"\n')
    with running_server(environment={"GBS_CONFIG": str(file)}) as server:
        file.write_text('[logging]\nlog_level = "DEBUG"\n[rooms]\nbatch_size = 7\n')
        server.process.send_signal(signal.SIGHUP)
        until(server, "batch_size needs a restart to become 7")
        until(server, "no TLS")
        file.write_text("[limits]\nuser_rate = 0.001\nuser_burst = 1\n")
        server.process.send_signal(signal.SIGHUP)
        until(server, "user_burst is 1 from now on; it was 5000")
        server.get(LIST, token())
        with pytest.raises(urllib.error.HTTPError, match="429"):
            server.get(LIST, token())
        assert _shown(server, "user_burst", "batch_size") == [("1", "file"), ("256", "default")]
        file.write_text("[logging\n")
        server.process.send_signal(signal.SIGHUP)
        until(server, "is no valid TOML")
        assert server.get("/readyz") == {"status": "ready"}


def _shown(server: ServerProcess, *names: str) -> list[tuple[str, str]]:
    """Return value and source of some settings, as operators see them."""
    system = server.get("/admin/system", token(**OPERATOR))  # type: ignore[arg-type]
    settings = {each["name"]: each for each in system["settings"]}
    return [(settings[name]["value"], settings[name]["source"]) for name in names]
