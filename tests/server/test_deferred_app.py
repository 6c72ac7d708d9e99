from __future__ import annotations

import pytest
import trio
from httpx import ASGITransport, AsyncClient
from quart_trio import QuartTrio

from gbs_actor.gateway.http import Services, create_app
from gbs_actor.server import composition as composition_module
from gbs_actor.server.composition import Composition
from tests.server.running import running, settings, small_store


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[QuartTrio]:
    apps: list[QuartTrio] = []

    def counted(services: Services) -> QuartTrio:
        apps.append(create_app(services))
        return apps[-1]

    monkeypatch.setattr(composition_module, "create_app", counted)
    return apps


async def test_a_served_server_has_its_http_application_before_the_first_request(
    made: list[QuartTrio],
) -> None:
    async with running() as server:
        assert len(made) == 1
        await server.ask(b"GET /readyz HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
        assert len(made) == 1


async def test_a_composition_alone_makes_it_at_the_first_request(made: list[QuartTrio]) -> None:
    composition = Composition(await small_store(), settings())
    assert not made
    async with composition.running():
        transport = ASGITransport(composition.app)
        async with AsyncClient(transport=transport, base_url="http://h") as client:
            for _ in range(2):
                with trio.fail_after(10):
                    assert (await client.get("/readyz")).status_code == 200
    assert len(made) == 1
