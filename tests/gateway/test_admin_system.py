"""What /admin/system says of the whole server."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from pydantic import SecretStr

from gbs_actor import __version__
from gbs_actor.auth import Role
from gbs_actor.gateway.http.admin import shared
from gbs_actor.settings import AuthSettings, Settings, StoreSettings, declarations
from tests.gateway.serving import World, settings_with, world


async def system(here: World) -> Any:
    response = await here.get("/admin/system", here.bearer(role=Role.ADMIN_MINISTER))
    assert response.status == 200
    return response.json()


async def test_it_has_what_each_part_reports() -> None:
    async with world() as here:
        await here.rows()
        here.services.loop_lag.add(0.002, trio.current_time())  # the bound of a bucket
        shown = await system(here)
    assert shown["version"] == __version__
    assert shown["uptime"] >= 0
    assert shown["process"]["openDescriptors"] > 0
    assert shown["tasks"]["room"] >= 1
    assert shown["audit"] == {"queued": 0, "stored": 0, "lost": 0}
    assert shown["loopLag"]["count"] == 1
    assert 0.0016 < shown["loopLag"]["p50"] < shown["loopLag"]["longest"] == 0.002
    assert shown["store"]["kind"] == "memory"
    assert shown["store"]["leaseHeld"] is True
    assert shown["sockets"]["connections"] == shown["plain"]["connections"] == 0
    assert shown["frontDoor"]["connections"] == 1
    assert shown["roles"]["lookups"] >= 1
    assert shown["clients"]["expiryWatch"]["name"] == "token expiry"


async def test_it_says_how_near_each_limit_is() -> None:
    async with world(settings_with(max_connections=50, pool_size=9)) as here:
        limits = {each["name"]: each for each in (await system(here))["limits"]}
    assert limits["max_connections"] == {"name": "max_connections", "used": 0, "limit": 50}
    assert limits["pool_size"]["limit"] == 9
    assert 0 < limits["descriptors"]["used"] < limits["descriptors"]["limit"]


async def test_settings_are_shown_without_their_secrets() -> None:
    settings = Settings(
        auth=AuthSettings(jwt_secret=SecretStr("geheim" * 6)),
        store=StoreSettings(database_url=SecretStr("postgresql://me:geheim@db/x?password=geheim")),
    )
    async with world(settings) as here:
        shown = (await system(here))["settings"]
    assert [each["name"] for each in shown] == [name for _, name, _ in declarations()]
    values = {each["name"]: each["value"] for each in shown}
    assert "geheim" not in str(shown)
    assert values["jwt_secret"] == "***"
    assert values["admin_token"] == ""
    assert values["database_url"] == '"postgresql://me:***@db/x"'
    assert values["port"] == "8080"


async def test_what_was_just_made_is_shown_again(monkeypatch: pytest.MonkeyPatch) -> None:
    async with world() as here:
        first = await system(here)
        assert await system(here) == first
        monkeypatch.setattr(shared, "FRESH", 0.0)
        assert (await system(here))["uptime"] > first["uptime"]
