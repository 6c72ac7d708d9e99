"""``/admin/nodes``, and operators who see and act on all servers of a store from one of them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio

from gbs_actor.auth import Role
from gbs_actor.testing import LineupServer, SimStore, lineup_server, seeded_environment
from tests.gateway.serving import RETREATS, SECRET, world

pytestmark = pytest.mark.usefixtures("autojump_clock")


@asynccontextmanager
async def servers() -> AsyncIterator[list[LineupServer]]:
    """Run two servers on one store, and wait until each has reported itself."""
    environment = seeded_environment(1)
    store = SimStore(environment=environment, shared=True)

    def of(name: str) -> dict[str, dict[str, object]]:
        return {"auth": {"jwt_secret": SECRET}, "store": {"node": name}}

    async with (
        lineup_server(
            retreats=RETREATS, store=store, environment=environment, settings=of("a")
        ) as first,
        lineup_server(
            retreats=(), store=store.elsewhere(), environment=environment, settings=of("b")
        ) as second,
    ):
        await trio.sleep(1)
        yield [first, second]


async def nodes_of(server: LineupServer) -> dict[str | None, Any]:
    response = await server.http("GET", "/admin/nodes", role=Role.ADMIN_MINISTER)
    assert response.status == 200
    return {each["node"]: each for each in response.json()["nodes"]}


async def test_a_server_without_a_name_is_the_only_one_and_writes_nothing() -> None:
    async with world() as here:
        await trio.sleep(3)
        response = await here.get("/admin/nodes", here.bearer(role=Role.ADMIN_MINISTER))
        (only,) = response.json()["nodes"]
        assert (only["node"], only["here"], only["state"]) == (None, True, "ready")
        assert await here.store.nodes.reports() == []


async def test_each_server_shows_both() -> None:
    async with servers() as (first, second):
        await second.peer(join="2024-winter")
        await trio.sleep(2)
        seen = await nodes_of(first)
        assert list(seen) == ["a", "b"]
        assert [each["here"] for each in seen.values()] == [True, False]
        assert (seen["b"]["status"]["rooms"], seen["b"]["status"]["connections"]) == (1, 1)
        assert seen["b"]["reported"] < 2
        assert (await nodes_of(second))["b"]["here"]


async def test_one_that_reports_no_more_is_gone_and_one_that_stops_is_not_there() -> None:
    async with servers() as (first, second):
        second.kill()
        await trio.sleep(8)
        assert (await nodes_of(first))["b"]["state"] == "ready"
        await trio.sleep(4)
        assert (await nodes_of(first))["b"]["state"] == "gone"
    async with servers() as (first, second):
        await second.stop()
        assert list(await nodes_of(first)) == ["a"]


async def test_a_report_of_another_version_is_a_node_all_the_same() -> None:
    async with servers() as (first, _):
        store = first.store
        (report,) = [each for each in await store.nodes.reports() if each.name == "b"]
        await store.nodes.report("c", report.run_id, b'{"version": 3}', b"")
        node = (await nodes_of(first))["c"]
        assert (node["state"], node["status"]) == ("not ready", None)


async def test_without_the_store_the_report_goes_on_later() -> None:
    async with servers() as (first, second):
        first.store.begin_outage()
        await trio.sleep(30)
        first.store.end_outage()
        await trio.sleep(10)
        assert (await nodes_of(second))["a"]["state"] == "ready"


async def test_who_sees_only_some_retreats_does_not_see_the_servers() -> None:
    async with servers() as (first, _):
        token = first.token(role=Role.ADMIN_MINISTER, retreats=["2024-winter"])
        response = await first.http(
            "GET", "/admin/nodes", headers={"Authorization": f"Bearer {token}"}
        )
        assert response.status == 403
