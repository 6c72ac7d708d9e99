"""The demo makes its secret once; nobody else starts without a key."""

from __future__ import annotations

import os
import threading
from contextlib import nullcontext
from pathlib import Path
from uuid import UUID

import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs

from gbs_actor.auth import Role, Verifier, mint
from gbs_actor.demo.secret import SECRET_FILE, demo_secret, with_keys
from gbs_actor.settings import (
    AuthSettings,
    ServerSettings,
    Settings,
    SettingsError,
    StoreSettings,
)
from gbs_actor.store.protocol import StoreError


def in_folder(path: Path) -> Settings:
    return Settings(store=StoreSettings(data_dir=path))


def test_the_secret_survives_a_restart(tmp_path: Path) -> None:
    assert demo_secret(tmp_path / "data") == demo_secret(tmp_path / "data")


def test_two_folders_have_two_secrets(tmp_path: Path) -> None:
    assert demo_secret(tmp_path / "a") != demo_secret(tmp_path / "b")


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_only_its_owner_can_read_it_whatever_the_umask(tmp_path: Path, umask: int) -> None:
    former = os.umask(umask)
    try:
        demo_secret(tmp_path / "data")
    finally:
        os.umask(former)
    assert (tmp_path / "data" / SECRET_FILE).stat().st_mode & 0o777 == 0o600


def test_first_calls_at_the_same_time_agree(tmp_path: Path) -> None:
    start, secrets = threading.Barrier(8), []

    def call() -> None:
        start.wait()
        secrets.append(demo_secret(tmp_path / "data"))

    threads = [threading.Thread(target=call) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(secrets) == 8
    assert len(set(secrets)) == 1
    assert [path.name for path in (tmp_path / "data").iterdir()] == [SECRET_FILE]


def test_a_secret_that_others_can_read_is_not_used(tmp_path: Path) -> None:
    demo_secret(tmp_path)
    (tmp_path / SECRET_FILE).chmod(0o644)
    with pytest.raises(SettingsError, match="can be read by others"):
        demo_secret(tmp_path)


def test_a_damaged_secret_is_not_used(tmp_path: Path) -> None:
    (tmp_path / SECRET_FILE).write_text("short")
    (tmp_path / SECRET_FILE).chmod(0o600)
    with pytest.raises(SettingsError, match="damaged"):
        demo_secret(tmp_path)


def test_a_folder_that_cannot_be_made_is_reported_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises((SettingsError, StoreError), match="file"):
        demo_secret(tmp_path / "file" / "data")


def test_outside_the_demo_no_key_is_an_error_that_names_what_to_set(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="set GBS_JWT_SECRET"):
        with_keys(in_folder(tmp_path / "data"), demo=False)
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("demo", [False, True])
def test_a_secret_that_can_be_guessed_is_refused_outside_the_demo_only(
    tmp_path: Path, demo: bool
) -> None:
    auth = AuthSettings(jwt_secret=SecretStr("changeme" * 4))
    settings = in_folder(tmp_path).model_copy(update={"auth": auth})
    with nullcontext() if demo else pytest.raises(SettingsError, match="openssl rand"):
        with_keys(settings, demo=demo)


@pytest.mark.parametrize(
    ("host", "secret", "warnings"),
    [
        ("127.0.0.1", None, []),
        ("localhost", None, []),
        ("::1", None, []),
        ("0.0.0.0", None, ["open to other machines"]),
        ("::", None, ["open to other machines"]),
        ("gbs.example.org", None, ["open to other machines"]),
        ("127.0.0.1", "x" * 32, ["your own jwt_secret"]),
        ("192.168.0.7", "x" * 32, ["open to other machines", "your own jwt_secret"]),
    ],
)
def test_the_demo_warns_in_one_line_of_what_does_not_belong_into_a_demo(
    tmp_path: Path, host: str, secret: str | None, warnings: list[str]
) -> None:
    settings = Settings(
        server=ServerSettings(host=host),
        auth=AuthSettings(jwt_secret=None if secret is None else SecretStr(secret)),
        store=StoreSettings(data_dir=tmp_path),
    )
    with capture_logs() as logs:
        with_keys(settings, demo=True)
    logged = [entry["event"] for entry in logs if entry["log_level"] == "warning"]
    assert len(logged) == len(warnings)
    assert all(wanted in line for wanted, line in zip(warnings, logged, strict=True))


def test_the_demo_warns_that_it_lets_everybody_into_a_database_of_ones_own(tmp_path: Path) -> None:
    own = StoreSettings(data_dir=tmp_path, database_url=SecretStr("postgresql://db.example/gbs"))
    with capture_logs() as logs:
        with_keys(Settings(store=own), demo=True)
        with_keys(Settings(store=own, auth=AuthSettings(jwt_secret=SecretStr("x" * 32))), demo=True)
    logged = [entry["event"] for entry in logs if entry["log_level"] == "warning"]
    assert ["database" in line for line in logged] == [True, False]


def test_a_token_signed_with_the_demos_secret_is_accepted_by_the_demo(tmp_path: Path) -> None:
    settings = with_keys(in_folder(tmp_path), demo=True)
    token = mint(demo_secret(tmp_path), user_id=7, role=Role.LINEUP_STAFF)
    assert Verifier(settings.auth).verify(token).user_id == 7


def test_a_secret_that_is_set_is_used_in_the_demo_too(tmp_path: Path) -> None:
    auth = AuthSettings(jwt_secret=SecretStr("x" * 32))
    settings = in_folder(tmp_path / "data").model_copy(update={"auth": auth})
    assert with_keys(settings, demo=True) is settings
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("demo", [False, True])
def test_one_of_several_servers_needs_a_secret_that_all_have(tmp_path: Path, demo: bool) -> None:
    key = tmp_path / "key.pem"
    store = StoreSettings(
        node="a", data_dir=tmp_path, database_url=SecretStr("postgresql://db.example/gbs")
    )
    settings = Settings(store=store, auth=AuthSettings(jwt_public_key_file=key))
    with pytest.raises(SettingsError, match="GBS_RECOVERY_SECRET or GBS_JWT_SECRET"):
        with_keys(settings, demo=demo)
    secret = SecretStr(UUID(int=0x5F3A9C1E7B2D4860A1B7C9E3D5F80246).hex)
    recovery = settings.recovery.model_copy(update={"recovery_secret": secret})
    assert with_keys(settings.model_copy(update={"recovery": recovery}), demo=demo)
    assert not (tmp_path / SECRET_FILE).exists()


def test_one_of_several_servers_needs_a_database_that_all_have(tmp_path: Path) -> None:
    settings = Settings(
        store=StoreSettings(node="a", data_dir=tmp_path),
        auth=AuthSettings(jwt_secret=SecretStr("x" * 32)),
    )
    with pytest.raises(SettingsError, match="GBS_DATABASE_URL"):
        with_keys(settings, demo=True)
