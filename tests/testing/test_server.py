from __future__ import annotations

import asyncio
import socket
import threading
from typing import NoReturn

import pytest
import trio
from trio.testing import MockClock

from gbs_actor.client import connect
from gbs_actor.demo import demo_retreat
from gbs_actor.testing import (
    Fault,
    LineupServer,
    Peer,
    PeerClosed,
    PeerRefused,
    Role,
    Settings,
    SimStore,
    lineup_server,
)
from gbs_actor.testing.peers import PeerProtocol

PROTOCOLS: tuple[PeerProtocol, ...] = ("socketio", "polling", "upgraded", "plain")
LINEUPS = "/api/v1/retreat/winter/line-up/user-lineups"


async def assign(peer: Peer, lineup: int, number: int) -> None:
    reply = await peer.call("update-gbs-number", {"lineupId": lineup, "gbsNumber": number})
    assert reply.ok, reply


async def somebody(server: LineupServer) -> int:
    """Return the id of the last of the list, who is no leader and in no group."""
    row = (await (await server.peer(user=9)).join("winter")).data[-1]
    assert row["gbsNumber"] is None
    return int(row["id"])


@pytest.mark.parametrize("author", PROTOCOLS)
@pytest.mark.parametrize("reader", PROTOCOLS)
async def test_an_edit_by_one_protocol_reaches_the_other(
    autojump_clock: MockClock, author: PeerProtocol, reader: PeerProtocol
) -> None:
    async with lineup_server() as server:
        lineup = await somebody(server)
        mina = await server.peer(author, user=1, join="winter")
        joon = await server.peer(reader, user=2, join="winter")
        reply = await mina.call("update-gbs-number", {"lineupId": lineup, "gbsNumber": 3})
        assert reply.ok
        assert (reply.revision, reply.data["gbsNumber"]) == (1, 3)
        row = await joon.event("lineup-updated", where=lambda row: row["id"] == lineup)
        assert (row["gbsNumber"], row["revision"]) == (3, 1)


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_the_batch_form_is_for_who_asks_for_it(
    autojump_clock: MockClock, protocol: PeerProtocol
) -> None:
    async with lineup_server() as server:
        lineup = await somebody(server)
        peer = await server.peer(protocol, join="winter", batch=True)
        await assign(peer, lineup, 3)
        update = await peer.event("lineups-updated")
        assert [row["id"] for row in update["rows"]] == [lineup]
        await peer.no_event("lineup-updated")


async def test_a_request_over_http_is_seen_on_the_sockets(autojump_clock: MockClock) -> None:
    async with lineup_server() as server:
        lineup = await somebody(server)
        peer = await server.peer(join="winter")
        response = await server.http("PUT", f"{LINEUPS}/{lineup}", {"gbsNumber": 4}, user=2)
        assert (response.status, response.json()["revision"]) == (200, 1)
        row = await peer.event("lineup-updated", where=lambda row: row["id"] == lineup)
        assert row["gbsNumber"] == 4
        assert (await server.http("GET", LINEUPS, user=None)).status == 401
        assert (await server.http("GET", "/healthz", user=None)).ok


async def test_the_projects_own_client_comes_back_after_a_kill(autojump_clock: MockClock) -> None:
    async with lineup_server() as server:
        lineup = await somebody(server)
        async with server.client(user=2) as client:
            await client.join("winter")
            peer = await server.peer(join="winter")
            await assign(peer, lineup, 3)
            await client.until(lambda client: client.revision == 1)
            row = client.row(lineup)
            assert row is not None
            assert row.gbs_number == 3
            await server.restart(kill=True)
            row = await client.assign(lineup, 5)
            assert row.gbs_number == 5
            assert client.statistics().connections == 2


async def test_no_socket_is_made_and_no_thread_is_started(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_args: object, **_kwargs: object) -> NoReturn:
        raise AssertionError("a test opens no socket and starts no thread")

    monkeypatch.setattr(socket.socket, "__init__", refuse)
    monkeypatch.setattr(threading.Thread, "start", refuse)
    async with lineup_server() as server:
        lineup = await somebody(server)
        for protocol in PROTOCOLS:
            peer = await server.peer(protocol, join="winter")
            await assign(peer, lineup, 3)
        async with server.client() as client:
            await client.join("winter")
        await server.restart(kill=True)
        await server.restart()


@pytest.mark.parametrize("kill", [False, True])
async def test_a_restarted_server_has_what_was_acknowledged(
    autojump_clock: MockClock, kill: bool
) -> None:
    async with lineup_server() as server:
        lineup = await somebody(server)
        peer = await server.peer(join="winter")
        await assign(peer, lineup, 7)
        await server.restart(kill=kill)
        assert peer.closed.is_set()
        assert peer.close_code == (None if kill else 1001)
        await peer.reconnect()
        reply = await peer.join("winter")
        assert reply.revision == 1
        assert [row["gbsNumber"] for row in reply.data if row["id"] == lineup] == [7]


async def test_a_kill_sends_no_reply_and_leaves_a_commit_to_chance(
    autojump_clock: MockClock,
) -> None:
    outcomes = set()
    for seed in range(12):
        async with lineup_server(seed=seed) as server:
            lineup = await somebody(server)
            peer = await server.peer(join="winter")
            server.store.fail(Fault.SLOW)
            answers: list[object] = []
            argument = {"lineupId": lineup, "gbsNumber": 7}
            await peer.ask("update-gbs-number", argument, on_reply=answers.append)
            await server.settle()
            await server.restart(kill=True)
            assert answers == [None]
            with pytest.raises(PeerClosed, match="broken"):
                await peer.emit("leave-retreat", "winter")
            await trio.sleep(10)
            await peer.reconnect()
            outcomes.add((await peer.join("winter")).revision)
    assert outcomes == {0, 1}


async def test_a_graceful_restart_answers_first(autojump_clock: MockClock) -> None:
    async with lineup_server() as server:
        lineup = await somebody(server)
        peer = await server.peer(join="winter")
        server.store.fail(Fault.SLOW)
        answers: list[object] = []
        argument = {"lineupId": lineup, "gbsNumber": 7}
        await peer.ask("update-gbs-number", argument, on_reply=answers.append)
        await server.restart()
        assert str(answers[0]).startswith("{'status': 'OK'")


async def test_while_it_is_stopped_nothing_listens(autojump_clock: MockClock) -> None:
    async with lineup_server() as server:
        await server.stop()
        with pytest.raises(ConnectionRefusedError):
            await server.open_stream()
        for protocol in PROTOCOLS:
            with pytest.raises(ConnectionRefusedError):
                await server.peer(protocol, join="winter")
        await server.stop()
        await server.start()
        with pytest.raises(RuntimeError, match="is running"):
            await server.start()
        await server.peer()


async def test_a_token_expires_when_the_wall_is_advanced(autojump_clock: MockClock) -> None:
    async with lineup_server() as server:
        peer = await server.peer(join="winter", token=server.token(expires_in=600))
        server.wall.advance(550)
        await peer.no_event("error", within=45)
        assert (await peer.event("error", within=40))["code"] == "TOKEN_EXPIRED"
        assert (await peer.authenticate(server.token())).ok
        await peer.no_event("error", within=90)
        assert not peer.closed.is_set()


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_who_has_an_expired_token_is_refused(
    autojump_clock: MockClock, protocol: PeerProtocol
) -> None:
    async with lineup_server() as server:
        token = server.token(expires_in=60)
        server.wall.advance(600)
        with pytest.raises(PeerRefused) as refused:
            await server.peer(protocol, join="winter", token=token)
        assert refused.value.code == (4401 if protocol == "plain" else "TOKEN_EXPIRED")


async def test_roles_and_retreats_of_a_token_count(autojump_clock: MockClock) -> None:
    async with lineup_server(retreats=("winter", "summer")) as server:
        reader = await server.peer(role=Role.DORMITORY_STAFF, join="winter")
        reply = await reader.call("update-gbs-number", {"lineupId": 2, "gbsNumber": 3})
        assert reply.code == "FORBIDDEN"
        limited = await server.peer(token=server.token(retreats=["winter"]), join="winter")
        with pytest.raises(AssertionError, match="FORBIDDEN"):
            await limited.join("summer")


async def test_settings_may_be_whole_or_only_what_differs(autojump_clock: MockClock) -> None:
    for settings in (
        {"rooms": {"idle_timeout": 30}},
        Settings.model_validate({"rooms": {"idle_timeout": 30}}),
    ):
        async with lineup_server(settings=settings) as server:
            peer = await server.peer(join="winter")
            assert len(server.room("winter").subscribers) == 1
            await peer.close()
            await trio.sleep(31)
            with pytest.raises(LookupError, match="no room of 'winter' is open"):
                server.room("winter")


async def test_a_store_is_used_as_it_is(autojump_clock: MockClock) -> None:
    store = SimStore()
    await store.import_retreat(demo_retreat("winter", people=5))
    async with lineup_server(store=store, retreats=("winter", "spring")) as server:
        peer = await server.peer()
        assert len((await peer.join("winter")).data) == 5
        assert len((await peer.join("spring")).data) == 20


async def test_misuse_is_explained(autojump_clock: MockClock) -> None:
    async with lineup_server() as server:
        with pytest.raises(ValueError, match="no protocol 'mqtt'; there are 'socketio'"):
            await server.peer("mqtt")  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="give its slug"):
            await server.peer("plain")
        with pytest.raises(AssertionError, match="RETREAT_NOT_FOUND"):
            await server.peer(join="autumn")
        with pytest.raises(ValueError, match="no retreat 'autumn' here; there are winter"):
            server.crash_room("autumn")
    with pytest.raises(ConnectionRefusedError, match="no server is running"):
        await server.peer()
    with pytest.raises(ValueError, match="lineup_server opens none"):
        async with lineup_server(
            settings={"server": {"tls_certificate": "a.pem", "tls_key": "b.pem"}}
        ):
            pass


class Mistake(Exception):
    pass


def test_another_event_loop_is_refused() -> None:
    async def main() -> None:
        async with lineup_server():
            pass

    with pytest.raises(RuntimeError, match="this needs Trio"):
        asyncio.run(main())


async def test_code_that_connects_by_itself_reaches_the_server(autojump_clock: MockClock) -> None:
    async with lineup_server() as server:
        url, stream = "http://127.0.0.1:8080", server.connect_stream
        async with connect(url, server.token(), connect_stream=stream) as client:
            assert len(await client.join("winter")) == 20


async def test_an_exception_of_the_block_is_raised_as_itself(autojump_clock: MockClock) -> None:
    with pytest.raises(Mistake):  # noqa: PT012
        async with lineup_server() as server:
            await server.peer(join="winter")
            raise Mistake


async def test_so_is_one_of_a_callback_which_ends_the_block(autojump_clock: MockClock) -> None:
    def fail(_message: object) -> None:
        raise Mistake

    with pytest.raises(Mistake):  # noqa: PT012
        async with lineup_server() as server:
            await server.peer(on_message=fail)
            await trio.sleep_forever()


async def test_a_cancelled_block_ends_at_once_without_a_trace(autojump_clock: MockClock) -> None:
    with trio.move_on_after(1) as scope:
        async with lineup_server() as server:
            peer = await server.peer(join="winter")
            await trio.sleep_forever()
    assert scope.cancelled_caught
    assert peer.closed.is_set()
    assert trio.current_time() == 1


def test_it_also_runs_on_a_clock_that_stands_still() -> None:
    async def main() -> None:
        async with lineup_server() as server:
            peer = await server.peer(join="winter")
            await assign(peer, await somebody(server), 3)

    trio.run(main, clock=MockClock())


def test_and_on_the_real_clock() -> None:
    async def main() -> None:
        async with lineup_server() as server:
            peer = await server.peer(join="winter")
            await assign(peer, await somebody(server), 3)
            await peer.event("lineup-updated")

    trio.run(main)


async def test_anybody_may_sign_in_where_that_is_asked_for() -> None:
    for demo_sign_in, status in ((False, 404), (True, 200)):
        async with lineup_server(demo_sign_in=demo_sign_in) as server:
            reply = await server.http("POST", "/demo/session", {"person": 1}, user=None)
            assert reply.status == status


async def test_with_an_address_of_its_own_admin_is_not_here() -> None:
    async with lineup_server(settings={"admin": {"admin_listen": "127.0.0.1:9000"}}) as server:
        assert (await server.http("GET", "/admin/", user=None)).status == 404
