"""The settings of the line-up page."""

from __future__ import annotations

import pytest

from gbs_actor.settings import Settings, SettingsError


def load(**environment: str) -> Settings:
    return Settings.load(environment=environment)


@pytest.mark.parametrize(
    "address", ["https://page.example.org/login?from=gbs", "http://localhost:3000", "/login"]
)
def test_people_can_be_sent_to_another_page_to_sign_in(address: str) -> None:
    assert load(GBS_SIGN_IN_URL=address).page.sign_in_url == address


@pytest.mark.parametrize(
    "address",
    [
        *("javascript:alert(1)", "data:text/html,x", "//page.example.org", "/\\page.example.org"),
        *("login", "https://", "page.example.org/login"),
    ],
)
def test_what_is_no_address_of_a_page_is_refused(address: str) -> None:
    with pytest.raises(SettingsError, match=r"GBS_SIGN_IN_URL.*must be like https://"):
        load(GBS_SIGN_IN_URL=address)


@pytest.mark.parametrize("size", ["0", "-1", "four"])
def test_a_group_has_at_least_one_person(size: str) -> None:
    with pytest.raises(SettingsError, match="GBS_LARGEST_GROUP"):
        load(GBS_LARGEST_GROUP=size)
