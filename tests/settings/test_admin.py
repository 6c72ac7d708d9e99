"""The settings of /admin: a token that cannot be guessed, and an address."""

from __future__ import annotations

import pytest

from gbs_actor.settings import Settings, SettingsError

TOKEN = "3lWv0yGmJx8Qk2RzTn5BdHs7CfAeUp9L"


def load(**environment: str) -> Settings:
    return Settings.load(environment=environment)


@pytest.mark.parametrize("token", [TOKEN, f"{TOKEN}-._~+/==", TOKEN * 4])
def test_a_token_that_fits_into_a_header_is_accepted(token: str) -> None:
    admin = load(GBS_ADMIN_TOKEN=token).admin
    assert admin.admin_token is not None
    assert admin.admin_token.get_secret_value() == token


@pytest.mark.parametrize(
    ("token", "problem"),
    [
        (TOKEN[:31], "at least 32 bytes, and has 31"),
        (f"{TOKEN} x", "only letters, digits"),
        (f"{TOKEN}=x", "only letters, digits"),
        ("수양회" * 12, "only letters, digits"),
    ],
)
def test_another_one_is_refused_without_being_shown(token: str, problem: str) -> None:
    with pytest.raises(SettingsError) as refused:
        load(GBS_ADMIN_TOKEN=token)
    assert str(refused.value).startswith("GBS_ADMIN_TOKEN: must have")
    assert problem in str(refused.value)
    assert token not in str(refused.value)


@pytest.mark.parametrize(
    ("listen", "address"),
    [
        ("127.0.0.1:9090", ("127.0.0.1", 9090)),
        ("[::1]:9090", ("::1", 9090)),
        ("0.0.0.0:0", ("0.0.0.0", 0)),
        ("admin.internal:80", ("admin.internal", 80)),
    ],
)
def test_an_address_is_host_and_port(listen: str, address: tuple[str, int]) -> None:
    assert load(GBS_ADMIN_LISTEN=listen).admin.address == address


@pytest.mark.parametrize(
    "listen", ["9090", ":9090", "127.0.0.1", "127.0.0.1:", "::1:9090", "h:65536", "http://h:1"]
)
def test_what_is_no_address_is_refused(listen: str) -> None:
    with pytest.raises(SettingsError, match="must be host:port, such as"):
        load(GBS_ADMIN_LISTEN=listen)


def test_without_it_there_is_none() -> None:
    assert load().admin.address is None
