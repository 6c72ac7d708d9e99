"""Settings come from command line, environment, file and default, in this order."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from gbs_actor.roles import Role
from gbs_actor.settings import (
    RoomSettings,
    Settings,
    SettingsError,
    declarations,
    unknown_variables,
    variable,
)

NAMES = [name for _, name, _ in declarations()]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "settings.toml"


def load(path: Path | None = None, **environment: str) -> Settings:
    return Settings.load(path, environment=environment)


def error_text(path: Path | None = None, environment: dict[str, str] | None = None) -> str:
    with pytest.raises(SettingsError) as caught:
        Settings.load(path, environment=environment or {})
    return str(caught.value)


def source(settings: Settings, name: str) -> str:
    return next(setting.source for setting in settings.effective() if setting.name == name)


def test_every_name_is_unique_because_variables_have_no_group() -> None:
    assert len(set(NAMES)) == len(NAMES)


def test_every_setting_is_documented() -> None:
    assert [name for _, name, info in declarations() if not info.description] == []


def test_every_time_is_documented_in_seconds() -> None:
    times = [
        name
        for _, name, info in declarations()
        if isinstance(info.default, float) and name != "event_rate"
        if "second" not in (info.description or "").lower()
    ]
    assert times == []


def test_the_environment_goes_before_the_file(file: Path) -> None:
    file.write_text("[rooms]\ncommit_timeout = 2\nidle_timeout = 3\n")
    rooms = load(file, GBS_COMMIT_TIMEOUT="1.5").rooms
    assert (rooms.commit_timeout, rooms.idle_timeout) == (1.5, 3)


def test_the_command_line_goes_before_the_environment() -> None:
    settings = Settings.load(
        environment={"GBS_PORT": "81", "GBS_HOST": "::1"}, overrides={"server": {"port": 82}}
    )
    assert (settings.server.port, settings.server.host) == (82, "::1")


def test_the_file_goes_before_the_default_and_leaves_the_rest(file: Path) -> None:
    file.write_text("[server]\nport = 99\n")
    settings = load(file)
    assert (settings.server.port, settings.server.backlog) == (99, Settings().server.backlog)


def test_each_setting_names_its_source(file: Path) -> None:
    file.write_text("[rooms]\nidle_timeout = 3\ncommit_timeout = 2\n")
    settings = Settings.load(
        file, environment={"GBS_COMMIT_TIMEOUT": "1"}, overrides={"server": {"port": 5}}
    )
    names = ("port", "commit_timeout", "idle_timeout", "host")
    assert [source(settings, name) for name in names] == [
        "command line",
        "environment",
        "file",
        "default",
    ]


def test_a_file_is_named_by_a_variable(file: Path) -> None:
    file.write_text("[server]\nport = 99\n")
    assert load(GBS_CONFIG=str(file)).server.port == 99


def test_the_file_on_the_command_line_goes_before_the_variable(file: Path) -> None:
    file.write_text("[server]\nport = 99\n")
    assert load(file, GBS_CONFIG="/nowhere.toml").server.port == 99


def test_the_file_in_the_working_directory_is_read_if_it_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert load().server.port == 8080
    Path("config").mkdir()
    Path("config/gbs_actor.toml").write_text("[server]\nport = 99\n")
    assert load().server.port == 99


def test_settings_made_directly_look_at_no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GBS_PORT", "99")
    assert Settings().server.port == 8080
    assert Settings(rooms=RoomSettings(idle_timeout=1)).rooms.idle_timeout == 1


def test_by_default_the_process_environment_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GBS_PORT", "99")
    assert Settings.load().server.port == 99


@pytest.mark.parametrize(
    "text",
    [
        "LINEUP_STAFF,LEADER_STAFF",
        " LINEUP_STAFF , LEADER_STAFF,",
        '["LINEUP_STAFF", "LEADER_STAFF"]',
    ],
)
def test_lists_in_variables_are_separated_by_commas_or_json(text: str) -> None:
    roles = load(GBS_EDITOR_ROLES=text).auth.editor_roles
    assert roles == (Role.LINEUP_STAFF, Role.LEADER_STAFF)


def test_an_empty_variable_counts_as_not_set() -> None:
    settings = load(GBS_PORT="", GBS_JWT_SECRET="", GBS_DATABASE_URL="")
    assert settings.server.port == 8080
    assert not settings.auth.has_key
    assert settings.store.database_url is None


def test_nothing_can_be_changed_afterwards() -> None:
    settings = Settings()
    with pytest.raises(ValueError, match="frozen"):
        settings.server.port = 5


def test_as_root_data_is_under_var_lib(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert Settings().store.data_dir == Path("/var/lib/gbs-actor")


def test_as_an_ordinary_user_data_is_in_the_users_directory(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert Settings().store.data_dir == tmp_path / "gbs-actor"


def test_variables_that_set_nothing_are_found() -> None:
    environment = {"GBS_PORT": "1", "GBS_COMIT_TIMEOUT": "1", "GBS_TOKEN": "x", "HOME": "/"}
    assert unknown_variables(environment) == ["GBS_COMIT_TIMEOUT"]


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("port", "65536", "less than or equal to 65535"),
        ("port", "http", "valid integer"),
        ("port", "-1", "greater than or equal to 0"),
        ("commit_timeout", "0", "greater than 0"),
        ("commit_timeout", "-1", "greater than 0"),
        ("commit_timeout", "nan", "less than or equal"),
        ("commit_timeout", "inf", "less than or equal"),
        ("mailbox_size", "0", "greater than or equal to 1"),
        ("cookie_grace", "43201", "less than or equal to 43200"),
        ("jwt_algorithms", "HS256,none", "'HS256', 'RS256' or 'ES256'"),
        ("jwt_algorithms", ",", "at least 1 item"),
        ("editor_roles", "BOSS", "'LINEUP_STAFF'"),
        ("allowed_origins", "*", "https://page.example.org"),
        ("allowed_origins", "https://a.org/", "without a slash at the end"),
        ("allowed_origins", "https://u@a.org", "scheme, host and port only"),
        ("allowed_origins", "a.org", "https://page.example.org"),
        ("trusted_proxies", "127.0.0.1,10.0.0.1/8", "network such as 10.0.0.0/8"),
        ("trusted_proxies", "localhost", "IP address"),
        ("socketio_path", "socket.io", 'begin and end with "/"'),
        ("log_level", "LOUD", "'DEBUG'"),
        ("cookie_name", "a b", "pattern"),
        ("editor_roles", "[BOSS", "neither a JSON list"),
    ],
)
def test_a_wrong_variable_is_named_with_what_is_wrong(name: str, value: str, problem: str) -> None:
    text = error_text(environment={variable(name): value})
    assert text.startswith(variable(name))
    assert problem in text
    assert text.endswith(".")
    assert "\n" not in text


def test_a_wrong_key_in_the_file_is_named_with_file_and_group(file: Path) -> None:
    file.write_text("[rooms]\nbatch_size = 0\n")
    assert error_text(file).startswith(f"{file}, [rooms] batch_size: ")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (
            "[rooms]\ncomit_timeout = 1\n",
            "no setting comit_timeout in [rooms]; did you mean commit_timeout?",
        ),
        ("[romms]\nbatch_size = 1\n", "no setting [romms]; did you mean rooms?"),
        ("port = 1\n", "no setting [port]"),
        ("[rooms]\nport = 1\n", "no setting port in [rooms]"),
    ],
)
def test_an_unknown_setting_in_the_file_is_refused(file: Path, content: str, sentence: str) -> None:
    file.write_text(content)
    assert sentence in error_text(file)


def test_a_group_that_is_no_table_is_refused(file: Path) -> None:
    file.write_text("rooms = 5\n")
    assert "[rooms]" in error_text(file)


def test_a_group_that_is_no_table_is_refused_whatever_else_sets_the_group(file: Path) -> None:
    file.write_text("rooms = 5\n")
    assert "[rooms]" in error_text(file, {"GBS_IDLE_TIMEOUT": "1"})


def test_settings_that_contradict_each_other_are_refused(file: Path) -> None:
    file.write_text("[rooms]\ncrash_backoff_max = 0.01\n")
    assert "crash_backoff_max must not be below crash_backoff_initial" in error_text(file)


@pytest.mark.parametrize(
    "half", ['tls_key = "k"', 'tls_certificate = "c"', 'tls_key_password = "geheim"']
)
def test_half_of_what_tls_needs_is_refused(file: Path, half: str) -> None:
    file.write_text(f"[server]\n{half}\n")
    text = error_text(file)
    assert text.startswith(f"{file}: [server]: tls_")
    assert "geheim" not in text


def test_proxies_are_trusted_as_a_list_of_addresses_and_networks() -> None:
    proxies = load(GBS_TRUSTED_PROXIES="127.0.0.1, 10.0.0.0/8, ::1, unix").http.trusted_proxies
    assert proxies == ("127.0.0.1", "10.0.0.0/8", "::1", "unix")


def test_all_that_is_wrong_is_reported_at_once_a_sentence_a_line(file: Path) -> None:
    file.write_text("[server]\nport = -1\n[rooms]\nbatch_size = 0\n")
    assert len(error_text(file).splitlines()) == 2


@pytest.mark.parametrize("content", [b"[rooms", b"\xff", b"a = 1\na = 2\n"])
def test_a_file_that_is_no_toml_is_refused(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    assert "is no valid TOML" in error_text(file)


def test_a_file_that_is_named_must_be_there(file: Path) -> None:
    assert error_text(file) == f"The settings file {file} does not exist."


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    assert "cannot be read" in error_text(tmp_path)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("jwt_secret", "too-short-geheim"),
        ("jwt_secret", "-----BEGIN PUBLIC KEY-----\ngeheim and long enough\n-----END"),
        ("jwt_secret", "# geheim\n-----BEGIN PUBLIC KEY-----\ngeheim and long enough\n-----END"),
        ("jwt_secret", "----- BEGIN RSA PRIVATE KEY -----\ngeheim and long enough"),
        ("jwt_secret", "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABgeheim"),
        ("jwt_secret", "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAgeheim"),
        ("jwt_secret", "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEgeheim"),
        ("jwt_secret", '{"kty": "oct", "k": "geheim and long enough"}'),
        ("recovery_secret", "-----BEGIN PRIVATE KEY-----\ngeheim and long enough"),
        ("recovery_secret", "too-short-geheim"),
        ("database_url", "mysql://me:geheim@db/x"),
    ],
)
def test_a_wrong_secret_is_not_repeated_in_the_error(name: str, value: str) -> None:
    text = error_text(environment={variable(name): value})
    assert text.startswith(variable(name))
    assert "geheim" not in text


def test_secrets_are_masked_wherever_settings_are_shown() -> None:
    settings = load(
        GBS_JWT_SECRET="geheim" * 8,
        GBS_DATABASE_URL="postgresql://me:geheim@db:5/name?password=geheim",
        GBS_TLS_CERTIFICATE="c",
        GBS_TLS_KEY="k",
        GBS_TLS_KEY_PASSWORD="geheim",
    )
    shown: dict[str, Any] = {setting.name: setting.value for setting in settings.effective()}
    assert shown["database_url"] == '"postgresql://me:***@db:5/name"'
    assert "geheim" not in f"{shown}{settings!r}{settings}{settings.model_dump()}"
