"""The soak's client shows the board that everybody else has, over whatever it came."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
import trio
import trio.testing

from scripts.attack.clients import Lost
from scripts.bench.soak_client import NAMESPACE, SoakClient
from tests.e2e.server_process import RETREAT, ServerProcess, running_server, token


@pytest.fixture(scope="module")
def server() -> Iterator[ServerProcess]:
    """The whole server, with the demo's data."""
    with running_server() as running:
        yield running


def client(server: ServerProcess, number: int, bearer: str | None = None) -> SoakClient:
    return SoakClient(server.port, number, bearer or token(user_id=number + 1))


async def move_someone(author: SoakClient, number: int) -> int:
    """Move somebody to another group; return the revision."""
    person = next(row for row in author.board.values() if not row["isLeader"])
    reply = await author.call("update-gbs-number", {"lineupId": person["id"], "gbsNumber": number})
    revision: int = reply["revision"]
    return revision


async def reached(viewer: SoakClient, revision: int) -> None:
    with trio.fail_after(30):
        while viewer.since < revision:
            await trio.testing.wait_all_tasks_blocked(0.01)


async def until_equal(one: SoakClient, other: SoakClient) -> None:
    """Wait until both show the same: the totals of groups may come behind the row."""
    with trio.fail_after(30):
        while one.board != other.board:
            await trio.testing.wait_all_tasks_blocked(0.01)


@pytest.mark.parametrize("upgrading", [False, True], ids=["polling", "upgraded"])
async def test_boards_are_equal_over_every_transport(
    server: ServerProcess, upgrading: bool
) -> None:
    author, viewer, newcomer = (client(server, number) for number in range(3))
    async with author.connected(polling=False), viewer.connected(polling=True):
        await author.join(RETREAT)
        await viewer.join(RETREAT)
        revision = await move_someone(author, 901)
        if upgrading:
            await viewer.upgrade()
            revision = await move_someone(author, 902)
        revision = max(revision, await move_someone(viewer, 903))
        await reached(author, revision)
        await reached(viewer, revision)
        async with newcomer.connected(polling=False):
            await newcomer.join(RETREAT)
            for each in (author, viewer):
                await until_equal(each, newcomer)
            assert len(author.board) == 80


async def test_who_comes_back_merges_what_it_missed(server: ServerProcess) -> None:
    author, returning = client(server, 3), client(server, 4)
    async with author.connected(polling=False):
        async with returning.connected(polling=False):
            await author.join(RETREAT)
            await returning.join(RETREAT)
        revision = await move_someone(author, 904)
        await reached(author, revision)
        assert returning.since < revision
        async with returning.connected(polling=True):
            await returning.join(RETREAT)
            await until_equal(author, returning)


async def test_a_refusal_is_a_loss_with_its_reason(server: ServerProcess) -> None:
    with pytest.raises(Lost, match="Invalid token"):
        async with client(server, 5, "no.token.at.all").connected(polling=False):
            pass
    with pytest.raises(Lost, match="RETREAT_NOT_FOUND"):
        async with (lost := client(server, 6)).connected(polling=False):
            await lost.join("nowhere")


def test_what_comes_from_the_former_room_does_not_count_for_the_next_one() -> None:
    client = SoakClient(port=0, number=0, token="", slug="next")
    client._joins.add(0)
    client._acks[0] = trio.Event()
    late = ["lineup-updated", {"id": 1, "revision": 500}]
    client._take(f"42{NAMESPACE},{json.dumps(late, separators=(',', ':'))}")
    rows = [{"id": 2, "revision": 20}]
    reply = {"status": "OK", "full": True, "data": rows, "revision": 21, "epoch": "e"}
    client._take(f"43{NAMESPACE},0{json.dumps([reply])}")
    assert client.board == {2: rows[0]}
    assert client.since == 21


async def test_a_ping_does_not_hold_up_an_upgrade() -> None:
    with running_server(environment={"GBS_PING_INTERVAL": "0.01"}) as server:
        for number in range(10):
            viewer = client(server, number)
            async with viewer.connected(polling=True):
                await viewer.join(RETREAT)
                await viewer.upgrade()
                await viewer.join(RETREAT)
