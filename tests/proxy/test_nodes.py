"""Two servers on one PostgreSQL, behind nginx with the shipped configuration for that."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
import trio

from gbs_actor.client import connect
from tests.e2e.drivers import Drivers
from tests.e2e.in_room import (
    COMES_BACK,
    assignment,
    empty_group,
    in_room,
    listed,
    until_settled,
    until_shown,
)
from tests.e2e.relay import Relay, relay_to
from tests.e2e.screen import Row, updates
from tests.e2e.server_process import RETREAT, ServerProcess, token
from tests.e2e.stock_client import Happened, StockClient
from tests.e2e.test_two_nodes import node as start_node
from tests.e2e.test_two_nodes import until
from tests.faults.database import contents, until_noted
from tests.proxy.nginx import CONFIG, HOST, NODES_CONFIG, proxy
from tests.proxy.test_nginx_faults import everybody_at_work
from tests.store.fixtures import PostgresCluster

LINE_UP = f"/api/v1/retreat/{RETREAT}/line-up"
HANDSHAKE = "/socket.io/?EIO=4&transport=polling"


Nodes = tuple[ServerProcess, ServerProcess]


@pytest.fixture(scope="module")
def started(postgres_cluster: PostgresCluster) -> Iterator[Nodes]:
    """Servers named a and b."""
    trusting = {"GBS_TRUSTED_PROXIES": HOST}
    with ExitStack() as stack:
        database_url = stack.enter_context(postgres_cluster.fresh_database())
        yield (
            start_node(stack, database_url, "a", **trusting),
            start_node(stack, database_url, "b", **trusting),
        )


@pytest.fixture
def nodes(started: Nodes) -> Nodes:
    """The servers, both of which run."""
    for node in started:
        if not node.alive():
            node.start_again()
    return started


# Socket.IO


def subscribers(node: ServerProcess) -> int:
    return len(node.room()["subscribers"])


async def stop(node: ServerProcess) -> None:
    assert await trio.to_thread.run_sync(node.stop) == 0


async def kill(node: ServerProcess) -> None:
    await trio.to_thread.run_sync(node.kill)


@pytest.mark.node
@pytest.mark.parametrize("end", [kill, stop])
async def test_whose_server_ends_comes_back_to_the_other_and_has_missed_nothing(
    nodes: Nodes, node_drivers: Drivers, end: Callable[..., Any]
) -> None:
    a, b = nodes
    drivers = [*node_drivers.values()] * 2
    auth = {"recovery": True}
    async with (
        proxy(a.port, b.port) as nginx,
        in_room(drivers, nginx.url, auth=auth, options=COMES_BACK) as clients,
    ):
        await until_settled(drivers, clients)
        assert subscribers(a) + subscribers(b) == len(clients)
        assert subscribers(a) > 0 < subscribers(b)
        people = [row for row in (await listed(a)).values() if not row["isLeader"]]
        ids = await _noted(a, clients)
        # All are on the other one behind the first end, so that the second one is for all.
        for ending, staying in ((a, b), (b, a)):
            moving = subscribers(ending)
            marks = [len(client.happened) for client in clients]
            await end(ending)
            missed = set()
            async with connect(staying.url, token(20)) as editor:
                await editor.join(RETREAT)
                for person in people[:3]:
                    missed.add((await editor.assign(person["id"], empty_group())).id)
                await until(lambda: subscribers(staying) == len(clients) + 1)  # noqa: B023
            # The room has a subscriber a moment before its client has heard so.
            await until(lambda: sum(map(bool, _connects(clients, marks))) == moving)  # noqa: B023
            for connects in _connects(clients, marks):
                assert all(it.value["recovered"] for it in connects)
            assert await _noted(staying, clients) == ids
            rows = await listed(staying)
            for client, mark in zip(clients, marks, strict=True):
                await until_shown(client, rows)
                assert missed <= {row["id"] for row in updates(client, since=mark)}
            await until_settled(drivers, clients)
            # Nobody joined again, and yet all are in the room.
            answer = await clients[0].ask(*assignment(people[4], empty_group()))
            assert answer["status"] == "OK"
            for client in clients:
                await client.event("lineup-updated", answer["data"].__eq__)
            if ending is a:
                await trio.to_thread.run_sync(ending.start_again)


def _connects(clients: list[StockClient], marks: list[int]) -> list[list[Happened]]:
    """Return the connects of each client behind its mark."""
    return [
        [it for it in client.happened[mark:] if it.name == "connect"]
        for client, mark in zip(clients, marks, strict=True)
    ]


async def _noted(server: ServerProcess, clients: list[StockClient]) -> list[str | None]:
    """Return the ids of the sockets, once the database has where they are."""
    ids = [(await client.facts()).id for client in clients]
    for sid in ids:
        assert sid is not None
        await until_noted(server, sid)
    return ids


async def test_a_session_is_found_on_its_server_and_a_dead_one_costs_a_session_only(
    nodes: Nodes,
) -> None:
    async with (
        proxy(*(node.port for node in nodes)) as nginx,
        httpx.AsyncClient(base_url=nginx.url) as http,
    ):

        async def opened() -> str:
            answer = await http.get(HANDSHAKE)
            assert answer.status_code == 200, answer.text
            found = re.search(r'"sid":"([^"]+)"', answer.text)
            assert found is not None
            return found[1]

        async def post(sid: str) -> int:
            answer = await http.post(f"{HANDSHAKE}&sid={sid}", content="40/gbs-lineup,")
            return answer.status_code

        sids: dict[str, str] = {}
        while len(sids) < 2:
            sid = await opened()
            sids[sid.partition(".")[0]] = sid
        assert sids.keys() == {"a", "b"}
        for _ in range(2):
            assert [await post(sid) for sid in sids.values()] == [200, 200]
        assert await post("a.unknown") == await post("c.unknown") == await post("x") == 400
        await kill(nodes[0])
        for _ in range(4):
            assert (await http.get("/healthz?sid=a.x")).status_code == 200
        assert await post(sids["a"]) == 504
        assert (await http.get(f"{HANDSHAKE}&sid={sids['a']}")).status_code == 503
        assert await post(sids["b"]) == 200
        for _ in range(4):
            assert (await opened()).startswith("b.")


@pytest.mark.node
async def test_edits_go_on_while_servers_come_and_go(
    database_url: str, node_drivers: Drivers
) -> None:
    with ExitStack() as stack:
        trusting = {"GBS_TRUSTED_PROXIES": HOST}
        nodes = [start_node(stack, database_url, name, **trusting) for name in ("a", "b")]
        async with (
            proxy(*(node.port for node in nodes)) as nginx,
            everybody_at_work(nodes[0], nginx, node_drivers) as work,
        ):
            for node, end in zip(nodes, (kill, stop), strict=True):
                await work.settled(node_drivers)
                await end(node)
                await work.more(3)
                await trio.to_thread.run_sync(node.start_again)


async def test_requests_of_a_session_share_a_connection(nodes: Nodes) -> None:
    async with (
        relay_to(nodes[0]) as relay,
        proxy(relay.port, nodes[1].port) as nginx,
        httpx.AsyncClient(base_url=nginx.url) as http,
    ):
        sid = ""
        while not sid.startswith("a."):
            found = re.search(r'"sid":"([^"]+)"', (await http.get(HANDSHAKE)).text)
            assert found is not None
            sid = found[1]
        before = relay.accepted
        for _ in range(20):
            answer = await http.post(f"{HANDSHAKE}&sid={sid}", content="40/gbs-lineup,")
            assert answer.status_code == 200
        assert relay.accepted <= before + 1


# Writes over HTTP


@asynccontextmanager
async def unanswering(
    nodes: Nodes,
) -> AsyncIterator[tuple[httpx.AsyncClient, list[Relay]]]:
    """nginx whose connections to the servers pass requests on, and hold the answers back."""
    async with AsyncExitStack() as stack:
        relays = [await stack.enter_async_context(relay_to(node)) for node in nodes]
        nginx = await stack.enter_async_context(proxy(*(relay.port for relay in relays)))
        http = await stack.enter_async_context(
            httpx.AsyncClient(
                base_url=nginx.url,
                headers={"Authorization": f"Bearer {token(9)}"},
                timeout=30,
            )
        )
        for relay in relays:
            relay.hold_answers()
        yield http, relays


async def answer_of_the_other(
    nodes: Nodes,
    method: str,
    path: str,
    body: dict[str, Any] | None,
    headers: dict[str, str] | None = None,
) -> httpx.Response:
    """Write through nginx; kill the server between its commit and its answer."""
    before = (await contents(nodes[0])).revision
    answers: list[httpx.Response] = []
    async with unanswering(nodes) as (http, relays), trio.open_nursery() as nursery:

        async def write() -> None:
            answers.append(await http.request(method, LINE_UP + path, json=body, headers=headers))

        async def committed() -> bool:
            return (await contents(nodes[0])).revision > before

        nursery.start_soon(write)
        await until(committed)
        (first,) = (number for number, relay in enumerate(relays) if relay.passed)
        relays[1 - first].release_answers()
        await kill(nodes[first])
        relays[first].close()
    return answers[0]


async def movable(node: ServerProcess) -> Row:
    rows = (await listed(node)).values()
    return next(row for row in rows if not row["isLeader"] and row["lineupMemoId"] is None)


async def test_a_write_that_nginx_repeats_is_done_once(
    nodes: Nodes,
) -> None:
    person, number = await movable(nodes[0]), empty_group()
    before = (await contents(nodes[0])).revision
    path = f"/user-lineups/{person['id']}"
    answer = await answer_of_the_other(nodes, "PUT", path, {"gbsNumber": number})
    assert answer.status_code == 200, answer.text
    assert answer.json()["revision"] == before + 1
    assert answer.json()["userRetreatGbsLineup"]["gbsNumber"] == number
    stored = await contents(nodes[0])
    assert stored.revision == before + 1
    assert stored.numbers[person["id"]] == number


async def test_a_deletion_that_nginx_repeats_succeeds(
    nodes: Nodes,
) -> None:
    person = await movable(nodes[0])
    async with connect(nodes[0].url, token(20)) as editor:
        await editor.join(RETREAT)
        row = await editor.create_memo(person["id"], "곧 지운다")
    before = (await contents(nodes[0])).revision
    path = f"/{row.lineup_memo_id}/lineup-memo"
    answer = await answer_of_the_other(nodes, "DELETE", path, None)
    assert answer.status_code == 200, answer.text
    assert answer.json()["userRetreatGbsLineup"]["lineupMemo"] == ""
    assert (await contents(nodes[0])).revision == before + 1


async def test_a_post_is_not_repeated_and_its_client_can_repeat_it(
    nodes: Nodes,
) -> None:
    person, key = await movable(nodes[0]), {"Idempotency-Key": str(UUID(int=77))}
    before = (await contents(nodes[0])).revision
    body = {"userRetreatRegistrationId": person["id"], "gbsNumber": empty_group()}
    write = ("POST", "/assign-gbs", body, key)
    answer = await answer_of_the_other(nodes, *write)
    assert (answer.status_code, answer.json()["code"]) == (504, "OUTCOME_UNKNOWN")
    (alive,) = (node for node in nodes if node.alive())
    async with (
        proxy(*(node.port for node in nodes)) as nginx,
        httpx.AsyncClient(base_url=nginx.url) as http,
    ):
        bearer = {"Authorization": f"Bearer {token(9)}"}
        again = await http.post(LINE_UP + write[1], json=body, headers=bearer | key)
    assert (again.status_code, again.json()["revision"]) == (200, before + 1)
    assert (await contents(alive)).revision == before + 1


async def test_clients_do_not_number_their_requests(
    nodes: Nodes,
) -> None:
    person, number = await movable(nodes[0]), empty_group()
    before = (await contents(nodes[0])).revision
    headers = {"Authorization": f"Bearer {token(9)}", "X-Request-ID": "0" * 32}
    async with (
        proxy(*(node.port for node in nodes)) as nginx,
        httpx.AsyncClient(base_url=nginx.url, headers=headers) as http,
    ):
        path = f"{LINE_UP}/user-lineups/{person['id']}"
        answers = [await http.put(path, json={"gbsNumber": number}) for _ in range(2)]
    assert [answer.json()["revision"] for answer in answers] == [before + 1, before + 2]


# Sheets


async def test_a_sheet_that_was_read_is_found_again(nodes: Nodes) -> None:
    headers = {"Authorization": f"Bearer {token(9)}"}
    async with (
        proxy(*(node.port for node in nodes)) as nginx,
        httpx.AsyncClient(base_url=nginx.url + LINE_UP, headers=headers, timeout=30) as http,
    ):
        sheet = (await http.get("/export.xlsx")).content
        for _ in range(4):
            read = await http.post("/imports", content=sheet)
            assert read.status_code == 200, read.text
            again = await http.get(f"/imports/{read.json()['importId']}/warnings.xlsx")
            assert again.status_code == 200, again.text


# The file itself


def directives(config: Path) -> list[str]:
    """Return what both files have in common: all but the ways to servers."""
    text = re.sub(r"(?m)^ *#.*\n", "", config.read_text())
    text = re.sub(r"(?ms)^    upstream \w+ \{.*?^    \}\n", "", text)
    text = re.sub(r"(?ms)^    map [^{]+ \$gbs_session \{.*?^    \}\n", "", text)
    text = re.sub(r"\(\?<gbs_slug>(.*?)\)", r"\1", text)
    text = re.sub(r"gbs_imports|\$gbs_session", "$gbs_upstream", text)
    return [line for line in text.splitlines() if "proxy_next_upstream" not in line]


def test_the_files_for_one_server_and_for_several_agree_in_all_else() -> None:
    assert directives(NODES_CONFIG) == directives(CONFIG)
