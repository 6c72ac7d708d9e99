from __future__ import annotations

import httpx
from pydantic import SecretStr

from gbs_actor.server.hosted import HostedServer
from gbs_actor.settings import Settings
from tests.server.running import settings

PAGE = "https://page.example"


def with_database(dsn: str) -> Settings:
    basic = settings()
    store = basic.store.model_copy(update={"database_url": SecretStr(dsn)})
    http = basic.http.model_copy(update={"allowed_origins": (PAGE,)})
    return basic.model_copy(update={"store": store, "http": http})


async def test_a_page_can_read_that_the_server_has_ended(database_url: str) -> None:
    hosted = HostedServer(lambda: with_database(database_url))
    transport = httpx.ASGITransport(hosted)
    async with httpx.AsyncClient(transport=transport, base_url="http://server.test") as http:
        assert (await http.get("/readyz")).status_code == 503
        async with hosted.running():
            assert (await http.get("/readyz")).status_code == 200
        answer = await http.get("/readyz", headers={"Origin": PAGE})
        other = await http.get("/readyz", headers={"Origin": "https://evil.example"})
    for each in (answer, other):
        assert (each.status_code, each.json()["code"]) == (503, "STORE_UNAVAILABLE")
        assert each.headers["Retry-After"] == "2"
    assert answer.headers["Access-Control-Allow-Origin"] == PAGE
    assert "Access-Control-Allow-Origin" not in other.headers
