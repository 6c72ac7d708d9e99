"""The settings of the bus: which URLs are accepted, and what a wrong one is told."""

from __future__ import annotations

import pytest

from gbs_actor.settings import Settings, SettingsError


def load(url: str) -> Settings:
    return Settings.load(environment={"GBS_BUS_URL": url})


@pytest.mark.parametrize(
    "url",
    [
        "valkey://localhost",
        "redis://host:6379/0",
        "rediss://me:a%3Fb%23@host",
        "valkeys://:password@[::1]:7000/",
        "unix:///run/valkey/valkey.sock",
        "unix://me:password@/run/valkey.sock",
    ],
)
def test_urls_that_are_accepted(url: str) -> None:
    bus_url = load(url).bus.bus_url
    assert bus_url is not None
    assert bus_url.get_secret_value() == url


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("localhost:6379", "must begin with valkey://"),
        ("postgresql://me:geheim@host/db", "without it, PostgreSQL notifies"),
        ("http://geheim@host", "must begin with valkey://"),
        ("redis://", "must name a host"),
        ("redis://:geheim@:6379", "must name a host"),
        ("redis://:geheim@host:port", "a port between 1 and 65535"),
        ("redis://:geheim@host:0", "a port between 1 and 65535"),
        ("redis://:geheim@host:70000", "a port between 1 and 65535"),
        ("redis://:geheim@host/name", "nothing behind the port"),
        ("redis://:ge?heim@host", "must have no ? and no #"),
        ("redis://host?password=geheim", "must have no ? and no #"),
        ("redis://:geheim@[::1", "is no URL"),
        ("redis://:ge\u2100heim@host", "is no URL"),
        ("unix://run/valkey.sock", "must be like unix:///run"),
        ("unix://", "must be like unix:///run"),
    ],
)
def test_a_wrong_one_is_refused_in_one_sentence_without_its_password(
    url: str, problem: str
) -> None:
    with pytest.raises(SettingsError) as refused:
        load(url)
    sentence = str(refused.value)
    assert sentence.startswith("GBS_BUS_URL: ")
    assert problem in sentence
    assert "\n" not in sentence
    assert "heim" not in sentence


def test_the_url_of_the_database_is_not_quoted_either() -> None:
    with pytest.raises(SettingsError) as refused:
        Settings.load(environment={"GBS_DATABASE_URL": "postgresql://me:ge\u2100heim@host/db"})
    assert str(refused.value) == "GBS_DATABASE_URL: is no URL."


def test_by_default_there_is_none() -> None:
    assert Settings().bus.bus_url is None
    assert Settings().bus.bus_interval == 0.02


def test_only_its_password_is_masked() -> None:
    (shown,) = (
        setting.value
        for setting in load("redis://me:geheim@host:5").effective()
        if setting.name == "bus_url"
    )
    assert shown == '"redis://me:***@host:5"'
