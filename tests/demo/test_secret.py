"""The demo makes its secret once; nobody else starts without a key."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest
from pydantic import SecretStr

from gbs_actor.auth import Role, Verifier, mint
from gbs_actor.demo.secret import SECRET_FILE, demo_secret, with_keys
from gbs_actor.settings import AuthSettings, Settings, SettingsError, StoreSettings
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


def test_a_token_signed_with_the_demos_secret_is_accepted_by_the_demo(tmp_path: Path) -> None:
    settings = with_keys(in_folder(tmp_path), demo=True)
    token = mint(demo_secret(tmp_path), user_id=7, role=Role.LINEUP_STAFF)
    assert Verifier(settings.auth).verify(token).user_id == 7


def test_a_secret_that_is_set_is_used_in_the_demo_too(tmp_path: Path) -> None:
    auth = AuthSettings(jwt_secret=SecretStr("x" * 32))
    settings = in_folder(tmp_path / "data").model_copy(update={"auth": auth})
    assert with_keys(settings, demo=True) is settings
    assert not (tmp_path / "data").exists()
