"""What stock clients refuse to be sent at once: they drop the connection, and nobody tells why."""

from __future__ import annotations

from functools import partial

import pytest

from tests.e2e.drivers import TRANSPORTS, Driver, Drivers
from tests.e2e.in_room import assignment, empty_group, in_room
from tests.e2e.screen import Row, join_end, updates
from tests.e2e.server_process import ServerProcess, token
from tests.e2e.stock_client import StockClient

GROUP = 20
"""People in a group: an edit in it changes so many rows at once."""
CALLS = 100
TOKEN = {"token": token()}


@pytest.fixture(
    params=[
        pytest.param("node_drivers", marks=pytest.mark.node, id="socket.io-client"),
        pytest.param(
            "chromium_drivers", marks=[pytest.mark.node, pytest.mark.browser], id="chromium"
        ),
        pytest.param("python_drivers", id="python-socketio"),
    ]
)
def kind(request: pytest.FixtureRequest) -> Drivers:
    drivers: Drivers = request.getfixturevalue(request.param)
    return drivers


@pytest.fixture(params=TRANSPORTS)
def each(request: pytest.FixtureRequest, kind: Drivers) -> Driver:
    """A driver; a test with it runs with every stock client over every transport."""
    return kind[request.param]


def _has_whole_group(client: StockClient, group: set[int]) -> bool:
    rows = updates(client, since=join_end(client))
    return group == {row["id"] for row in rows if row["totalCount"] == GROUP}


def _lost(client: StockClient) -> bool:
    return "disconnect" in {it.name for it in client.happened}


async def test_an_edit_of_a_large_group_reaches_its_author_and_others(
    each: Driver, server: ServerProcess, people: list[Row]
) -> None:
    number = empty_group()
    async with in_room([each, each], server.url, auth=TOKEN) as (author, other):
        for person in people[:GROUP]:
            answer = await author.ask(*assignment(person, number))
            assert answer["status"] == "OK", answer
        group = {person["id"] for person in people[:GROUP]}
        for client in (author, other):
            await client.until(partial(_has_whole_group, client, group))
            assert not _lost(client)


async def test_a_hundred_answers_at_once_all_arrive(each: Driver, server: ServerProcess) -> None:
    async with in_room([each], server.url, auth=TOKEN) as (client,):
        commands = [await client.begin("leave-retreat", "another") for _ in range(CALLS)]
        answers = [await client.acknowledged(command) for command in commands]
        assert [answer["status"] for answer in answers] == ["OK"] * CALLS
        assert not _lost(client)
