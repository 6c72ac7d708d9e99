"""SIGTERM under load, with what the clients see of it."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from functools import partial
from statistics import median

import pytest
import trio

from gbs_actor.client import Backoff, Client
from gbs_actor.socketio import CloseCode
from tests.e2e.drivers import Drivers
from tests.e2e.in_room import until_settled
from tests.e2e.server_process import ServerProcess, running_server
from tests.faults.database import contents
from tests.faults.editing import STALLED, editing
from tests.faults.pages import LONGEST_DELAY, StockPage, plain_pages, stock_pages

STOPS = 5
STOPS_BEFORE_PAGES = 2
EDITS_BETWEEN = 100
JOINING = 10.0
"""Seconds that a handshake and a join may take on a busy machine, where all come at once."""

logger = logging.getLogger(__name__)


async def test_a_server_stopped_under_load_keeps_every_acknowledged_edit() -> None:
    with running_server(on_disk=True) as server:
        async with editing(server, count=8) as editors:
            for _ in range(STOPS):
                await editors.more(EDITS_BETWEEN)
                connections = [client.statistics().connections for client in editors.clients]
                await _stop_and_start_again(server)
                with trio.fail_after(STALLED):
                    for client, before in zip(editors.clients, connections, strict=True):
                        await _come_back(client, before)


@pytest.mark.node
async def test_clients_of_a_server_stopped_under_load_see_one_disconnect_and_come_back(
    node_drivers: Drivers,
) -> None:
    kinds = ["websocket"] * 30 + ["upgrade"] * 12 + ["polling"] * 8
    drivers = [node_drivers[kind] for kind in kinds]
    with running_server(on_disk=True) as server:
        async with editing(server, count=4, backoff=Backoff()) as editors:
            people = [row.id for row in editors.clients[0].rows if not row.is_leader]
            async with (
                stock_pages(server, drivers, people) as pages,
                plain_pages(server, 6) as plain,
            ):
                await until_settled(drivers, [page.client for page in pages])
                for stops in range(1, STOPS_BEFORE_PAGES + 1):
                    await editors.more(EDITS_BETWEEN)
                    marks = [(page, len(page.client.happened)) for page in pages]
                    connections = [(it, it.statistics().connections) for it in editors.clients]
                    await _stop_and_start_again(server)
                    stock, own, opened_again = await _seconds_until_back(
                        [partial(page.come_back, mark) for page, mark in marks],
                        [partial(_come_back, *it) for it in connections],
                        [partial(page.until_joined, stops + 1) for page in plain],
                    )
                    assert max(stock + opened_again) < LONGEST_DELAY + JOINING
                    assert max(own) < Backoff().maximum + JOINING
                    for page, mark in marks:
                        _check_one_disconnect(page, mark)
            going_away = (CloseCode.GOING_AWAY, "server shutting down")
            for opened in plain:
                assert opened.closings == [going_away] * STOPS_BEFORE_PAGES
            logged = {entry.command_id for entry in (await contents(server)).log}
            for page in pages:
                assert page.acknowledged
                assert logged.issuperset(page.acknowledged)


async def _stop_and_start_again(server: ServerProcess) -> None:
    began = trio.current_time()
    assert await trio.to_thread.run_sync(server.stop) == 0
    stopped_in = trio.current_time() - began
    await trio.to_thread.run_sync(server.start_again)
    logger.info("stopped in %.2f s, started in %.2f s", stopped_in, server.started_in)


async def _come_back(client: Client, connections: int) -> float:
    """Wait until a client is in its room by a new connection; return the time."""
    await client.until(
        lambda client: client.connected and client.statistics().connections == connections + 1
    )
    return trio.current_time()


async def _seconds_until_back(
    *kinds: list[Callable[[], Awaitable[float]]],
) -> list[list[float]]:
    """Return how long the clients of some kinds take from now on.

    :param kinds: for each client, what returns when it is back.
    """
    began = trio.current_time()
    seconds: list[list[float]] = [[] for _ in kinds]

    async def measure(come_back: Callable[[], Awaitable[float]], of_kind: list[float]) -> None:
        of_kind.append(await come_back() - began)

    with trio.fail_after(STALLED):
        async with trio.open_nursery() as nursery:
            for clients, of_kind in zip(kinds, seconds, strict=True):
                for come_back in clients:
                    nursery.start_soon(measure, come_back, of_kind)
    for of_kind in seconds:
        logger.info(
            "%d are back within %.2f s, half of them within %.2f s",
            len(of_kind),
            max(of_kind),
            median(of_kind),
        )
    return seconds


def _check_one_disconnect(page: StockPage, since: int) -> None:
    """Check that a page has seen nothing of its server's end but the end of its connection."""
    (disconnect,) = page.saw(since, "disconnect")
    # Without keep-alive, a poll after the server's last answer finds no listener.
    polls = page.driver.last_transport == "polling"
    assert disconnect.value in {"transport close", *(["transport error"] if polls else [])}
    assert len(page.saw(since, "connect")) == 1
    assert not page.saw(since, "error")
    # Attempts that find no server; after any other one the client would stay away.
    assert all(it.value["data"] is None for it in page.saw(since, "connect_error"))
