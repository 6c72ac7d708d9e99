"""From long-polling to a WebSocket, on a clock that jumps.

Over both ways a WebSocket may come: on a stream of its own, and through an ASGI server.
"""

from __future__ import annotations

import json
from typing import Any, Literal

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from gbs_actor.socketio import OutboxLimits, Socket, SocketServer
from tests.apps import echo_engineio
from tests.apps.echo_socketio import echo_server
from tests.socketio.peer import Close, Peer, Refused
from tests.socketio.polls import (
    POLLING,
    SEPARATOR,
    WEBSOCKET,
    AsgiSocket,
    Polls,
    Site,
    binary,
    site,
)

Kind = Literal["socket", "stream", "asgi"]
WebSocket = Peer | AsgiSocket


@pytest.fixture(params=["socket", "stream", "asgi"])
def kind(request: pytest.FixtureRequest) -> Kind:
    """How the WebSocket comes."""
    return request.param  # type: ignore[no-any-return]


async def dial(clients: Site, kind: Kind, polls: Polls) -> WebSocket:
    """Return a WebSocket for an upgrade of a session; nothing was said over it yet."""
    return await ask(clients, kind, f"{WEBSOCKET}&sid={polls.sid}")


async def ask(clients: Site, kind: Kind, query: str) -> WebSocket:
    if kind == "asgi":
        return await clients.websocket(query)
    return await clients.dial(query, socket=kind == "socket")


async def probed(clients: Site, kind: Kind, polls: Polls) -> WebSocket:
    """Return a WebSocket whose probe was answered."""
    websocket = await dial(clients, kind, polls)
    await websocket.send("2probe")
    assert await websocket.receive() == "3probe"
    return websocket


async def upgraded(clients: Site, kind: Kind, polls: Polls) -> WebSocket:
    """Return the WebSocket that a session lives on now."""
    websocket = await probed(clients, kind, polls)
    await websocket.send("5")
    return websocket


async def leave(websocket: WebSocket) -> None:
    """End the connection without a closing handshake."""
    if isinstance(websocket, Peer):
        await websocket.stream.aclose()
    else:
        await websocket.leave()
    await wait_all_tasks_blocked()


async def quiet(clients: Site, server: SocketServer) -> tuple[Polls, Socket]:
    """Return a client of a server without an ``auth`` event, and its socket."""
    polls = await clients.joined()
    await wait_all_tasks_blocked()
    (socket,) = server.namespace("/").sockets
    return polls, socket


def silent_server(**options: Any) -> SocketServer:
    server = SocketServer(**options)
    server.namespace("/")
    return server


async def still_polls(polls: Polls, socket: Socket) -> bool:
    """Return whether a session goes on by polling, in both directions."""
    waiting = polls.ask()
    await wait_all_tasks_blocked()
    assert not waiting.ended.is_set(), "a GET does not wait"
    socket.emit("still here")
    if (await waiting.answered()).packets != ['42["still here"]']:
        return False
    return (await polls.post('42["ignored"]')).body == b"ok"


# What has to happen


async def test_a_session_moves_to_the_websocket(clock: MockClock, kind: Kind) -> None:
    server = echo_engineio.echo_server()
    async with site(server) as clients:
        polls = await clients.polls()
        websocket = await upgraded(clients, kind, polls)
        await websocket.send("4hello")
        assert await websocket.receive() == "4hello"
        await websocket.send(b"\x01\x02\x03\x04")
        assert await websocket.receive() == b"\x01\x02\x03\x04"
        statistics = server.statistics()
        assert (statistics.connections, statistics.polling, statistics.upgrades) == (1, 0, 1)
        assert statistics.handshakes == 1


async def test_its_sockets_do_not_notice(clock: MockClock, kind: Kind) -> None:
    server = silent_server()
    gone: list[str] = []
    server.namespace("/").on_disconnect(lambda socket, reason: gone.append(reason))
    async with site(server) as clients:
        polls, socket = await quiet(clients, server)
        websocket = await upgraded(clients, kind, polls)
        await wait_all_tasks_blocked()
        socket.emit("hello")
        assert await websocket.receive() == '42["hello"]'
        assert server.namespace("/").sockets == (socket,)
        assert gone == []
        await leave(websocket)
        assert gone == ["transport close"]
        assert server.statistics().connections == 0


async def test_a_waiting_get_is_answered_at_the_probe(clock: MockClock, kind: Kind) -> None:
    async with site(echo_engineio.echo_server()) as clients:
        polls = await clients.polls()
        waiting = polls.ask()
        await wait_all_tasks_blocked()
        websocket = await probed(clients, kind, polls)
        assert (await waiting.answered()).text == "6"
        assert trio.current_time() == 0.0
        await leave(websocket)


async def test_a_waiting_get_is_not_answered_before_the_probe(clock: MockClock, kind: Kind) -> None:
    async with site(echo_engineio.echo_server()) as clients:
        polls = await clients.polls()
        waiting = polls.ask()
        websocket = await dial(clients, kind, polls)
        await trio.sleep(5)
        assert not waiting.ended.is_set()
        await websocket.send("2probe")
        assert (await waiting.answered()).text == "6"


async def test_what_is_about_to_go_out_answers_the_waiting_get_at_the_probe(
    clock: MockClock,
) -> None:
    server = silent_server()
    async with site(server) as clients:
        polls, socket = await quiet(clients, server)
        waiting = polls.ask()
        websocket = await clients.websocket(f"{WEBSOCKET}&sid={polls.sid}")
        await wait_all_tasks_blocked()
        await websocket.send("2probe")
        socket.emit("news")
        first = (await waiting.answered()).packets
        rest = [] if first == ['42["news"]'] else (await polls.get()).packets
        assert [*first, *rest] in (['42["news"]'], ["6", '42["news"]'])


async def test_every_get_during_the_upgrade_is_answered_at_once(
    clock: MockClock, kind: Kind
) -> None:
    server = silent_server()
    async with site(server) as clients:
        polls, socket = await quiet(clients, server)
        websocket = await probed(clients, kind, polls)
        assert [(await polls.get()).text for _ in range(3)] == ["6", "6", "6"]
        socket.emit("news", 1)
        assert (await polls.get()).text == '42["news",1]'
        assert (await polls.get()).text == "6"
        assert trio.current_time() == 0.0
        await leave(websocket)


async def test_posts_are_taken_during_the_upgrade(clock: MockClock, kind: Kind) -> None:
    async with site(echo_engineio.echo_server()) as clients:
        polls = await clients.polls()
        websocket = await probed(clients, kind, polls)
        await polls.send("4one", "4two")
        await websocket.send("5")
        assert [await websocket.receive(), await websocket.receive()] == ["4one", "4two"]


async def test_what_waits_goes_over_the_websocket(clock: MockClock, kind: Kind) -> None:
    server = silent_server()
    async with site(server) as clients:
        polls, socket = await quiet(clients, server)
        websocket = await probed(clients, kind, polls)
        socket.emit("first", b"\x00")
        socket.emit("second")
        await websocket.send("5")
        assert await websocket.receive() == '451-["first",{"_placeholder":true,"num":0}]'
        assert await websocket.receive() == b"\x00"
        assert await websocket.receive() == '42["second"]'


async def test_attachments_that_a_get_has_left_go_over_the_websocket(
    clock: MockClock, kind: Kind
) -> None:
    server = silent_server(max_payload=100)
    async with site(server) as clients:
        polls, socket = await quiet(clients, server)
        websocket = await probed(clients, kind, polls)
        socket.emit("files", b"a" * 60, b"b" * 60, "한글")
        socket.emit("after")
        taken = (await polls.get()).packets
        assert taken == [
            '452-["files",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1},"한글"]'
        ]
        assert (await polls.get()).packets == [binary(b"a" * 60)]
        await websocket.send("5")
        assert await websocket.receive() == b"b" * 60
        assert await websocket.receive() == '42["after"]'


async def test_attachments_may_come_before_and_after(clock: MockClock, kind: Kind) -> None:
    async with site(echo_server()) as clients:
        polls = await clients.joined()
        assert await polls.receive() == '42["auth",{}]'
        websocket = await probed(clients, kind, polls)
        placeholders = '{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}'
        await polls.send(f'452-0["message-with-ack",{placeholders}]', binary(b"a"))
        await websocket.send("5")
        await websocket.send(b"b")
        assert await websocket.receive() == f"462-0[{placeholders}]"
        assert [await websocket.receive(), await websocket.receive()] == [b"a", b"b"]


async def test_messages_may_come_right_behind_the_upgrade(clock: MockClock) -> None:
    async with site(echo_engineio.echo_server()) as clients:
        polls = await clients.polls()
        websocket = await clients.dial(f"{WEBSOCKET}&sid={polls.sid}")
        await websocket.send_many("2probe", "5", "4a", "4b", "4c")
        received = [await websocket.receive() for _ in range(4)]
        assert received == ["3probe", "4a", "4b", "4c"]


async def test_an_event_knows_when_it_was_read_by_whatever_transport(clock: MockClock) -> None:
    server = silent_server()
    read_at: list[float] = []
    server.namespace("/").on_any(lambda _, event: read_at.append(event.received_at))
    async with site(server) as clients:
        polls, _ = await quiet(clients, server)
        times = [trio.current_time()]
        await polls.post('42["by polling"]')
        await trio.sleep(10)
        times.append(trio.current_time())
        websocket = await clients.dial(f"{WEBSOCKET}&sid={polls.sid}")
        await websocket.send_many("2probe", "5", '42["right behind the upgrade"]')
        assert await websocket.receive() == "3probe"
        await wait_all_tasks_blocked()
        await trio.sleep(5)
        times.append(trio.current_time())
        await websocket.send('42["by itself"]')
        await wait_all_tasks_blocked()
        assert read_at == times


async def test_the_heartbeat_goes_on_over_the_websocket(clock: MockClock, kind: Kind) -> None:
    server = echo_engineio.echo_server(ping_interval=25, ping_timeout=60)
    async with site(server) as clients:
        polls = await clients.polls()
        await trio.sleep(20)
        websocket = await upgraded(clients, kind, polls)
        assert await websocket.receive() == "2"
        assert trio.current_time() == 25.0
        await websocket.send("3")
        assert await websocket.receive() == "2"
        assert trio.current_time() == 50.0
        assert isinstance(await websocket.receive_close(), Close)
        assert trio.current_time() == 110.0
        assert server.statistics().closes == {"ping timeout": 1}


async def test_a_ping_that_waits_goes_over_the_websocket(clock: MockClock, kind: Kind) -> None:
    server = echo_engineio.echo_server(ping_interval=25, ping_timeout=60)
    async with site(server) as clients:
        polls = await clients.polls()
        await trio.sleep(80)
        websocket = await upgraded(clients, kind, polls)
        assert await websocket.receive() == "2"
        assert isinstance(await websocket.receive_close(), Close)
        assert trio.current_time() == 85.0


# What ends an upgrade, and nothing else


@pytest.mark.parametrize(
    "packets",
    [
        ("5",), ("4hello",), ("2",), ("3",), ("1",), ("6",), ("",), ("2prob",), ("2probe ",),
        ("2probe", "4hello"), ("2probe", "2probe"), ("2probe", "1"), ("2probe", "5x"),
        (b"2probe",), ("2probe", b"5"),
    ],
)  # fmt: skip
async def test_what_does_not_belong_into_a_probe_closes_the_websocket_only(
    clock: MockClock, kind: Kind, packets: tuple[str | bytes, ...]
) -> None:
    server = silent_server()
    async with site(server) as clients:
        polls, socket = await quiet(clients, server)
        websocket = await dial(clients, kind, polls)
        for packet in packets:
            await websocket.send(packet)
        assert (await websocket.receive_close()).code == 1002
        assert await still_polls(polls, socket)


async def test_a_probe_has_ten_seconds(clock: MockClock, kind: Kind) -> None:
    server = silent_server()
    async with site(server) as clients:
        polls, socket = await quiet(clients, server)
        websocket = await probed(clients, kind, polls)
        assert (await websocket.receive_close()).code == 1008
        assert trio.current_time() == 10.0
        assert await still_polls(polls, socket)


async def test_a_websocket_that_asks_nothing_has_ten_seconds(clock: MockClock, kind: Kind) -> None:
    server = silent_server()
    async with site(server) as clients:
        polls, socket = await quiet(clients, server)
        websocket = await dial(clients, kind, polls)
        assert (await websocket.receive_close()).code == 1008
        assert trio.current_time() == 10.0
        assert await still_polls(polls, socket)


async def test_a_probe_that_breaks_off_leaves_the_session_polling(
    clock: MockClock, kind: Kind
) -> None:
    server = silent_server()
    async with site(server) as clients:
        polls, socket = await quiet(clients, server)
        websocket = await probed(clients, kind, polls)
        await leave(websocket)
        assert await still_polls(polls, socket)


async def test_after_a_failed_probe_another_one_may_succeed(clock: MockClock, kind: Kind) -> None:
    async with site(echo_engineio.echo_server()) as clients:
        polls = await clients.polls()
        await leave(await probed(clients, kind, polls))
        websocket = await upgraded(clients, kind, polls)
        await websocket.send("4hello")
        assert await websocket.receive() == "4hello"


async def test_an_upgrade_in_time_is_not_ended_by_the_time_of_the_probe(
    clock: MockClock, kind: Kind
) -> None:
    async with site(echo_engineio.echo_server()) as clients:
        polls = await clients.polls()
        websocket = await upgraded(clients, kind, polls)
        await trio.sleep(20)
        await websocket.send("4hello")
        assert await websocket.receive() == "4hello"


async def test_a_second_websocket_during_a_probe_is_closed(clock: MockClock, kind: Kind) -> None:
    async with site(echo_engineio.echo_server()) as clients:
        polls = await clients.polls()
        first = await probed(clients, kind, polls)
        second = await dial(clients, kind, polls)
        assert (await second.receive_close()).code == 1008
        assert (await polls.get()).text == "6", "the first one goes on"
        await first.send("5")
        await first.send("4hello")
        assert await first.receive() == "4hello"


async def test_a_second_websocket_that_asks_at_once_does_no_harm(clock: MockClock) -> None:
    server = silent_server()
    async with site(server) as clients:
        polls, socket = await quiet(clients, server)
        first = await clients.dial(f"{WEBSOCKET}&sid={polls.sid}")
        second = clients.listener.dial()
        await second.send_all(
            f"GET /socket.io/?{WEBSOCKET}&sid={polls.sid} HTTP/1.1\r\n"
            "Host: server.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
            "\x81".encode("latin-1")
            + b"\x86\x00\x00\x00\x002probe"
        )
        await wait_all_tasks_blocked()
        await leave(first)
        assert await still_polls(polls, socket)


async def test_after_the_upgrade_polls_are_refused_without_harm(
    clock: MockClock, kind: Kind
) -> None:
    async with site(echo_engineio.echo_server()) as clients:
        polls = await clients.polls()
        websocket = await upgraded(clients, kind, polls)
        await wait_all_tasks_blocked()
        for answer in (await polls.get(), await polls.post("4lost"), await polls.post("1")):
            assert (answer.status, answer.json()["code"]) == (400, 3)
        await websocket.send("4hello")
        assert await websocket.receive() == "4hello"


async def test_after_the_upgrade_another_websocket_is_closed_without_harm(
    clock: MockClock, kind: Kind
) -> None:
    async with site(echo_engineio.echo_server()) as clients:
        polls = await clients.polls()
        websocket = await upgraded(clients, kind, polls)
        other = await dial(clients, kind, polls)
        assert (await other.receive_close()).code == 1008
        await websocket.send("4hello")
        assert await websocket.receive() == "4hello"


async def test_a_session_on_a_websocket_cannot_be_upgraded(clock: MockClock, kind: Kind) -> None:
    async with site(echo_engineio.echo_server()) as clients:
        first = await clients.dial(WEBSOCKET)
        sid = json.loads((await first.receive_text())[1:])["sid"]
        other = await dial(clients, kind, Polls(clients, {"sid": sid}))
        assert (await other.receive_close()).code == 1008
        await first.send("4hello")
        assert await first.receive() == "4hello"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (("transport=websocket", "transport=polling"), 3),
        (("transport=websocket", "transport=abc"), 0),
        (("EIO=4", "EIO=3"), 5),
        (("sid=", "sid=x"), 1),
    ],
)
async def test_a_wrong_request_for_an_upgrade_is_refused_without_harm(
    clock: MockClock, kind: Kind, change: tuple[str, str], code: int
) -> None:
    server = silent_server()
    async with site(server) as clients:
        polls, socket = await quiet(clients, server)
        query = f"{WEBSOCKET}&sid={polls.sid}".replace(*change)
        refusal = await (await ask(clients, kind, query)).receive()
        assert isinstance(refusal, Refused)
        assert (refusal.status, refusal.json()["code"]) == (400, code)
        assert await still_polls(polls, socket)


# Sessions that end meanwhile


async def test_a_session_that_ends_takes_its_probe_with_it(clock: MockClock, kind: Kind) -> None:
    server = silent_server()
    async with site(server) as clients:
        polls, socket = await quiet(clients, server)
        websocket = await probed(clients, kind, polls)
        socket.close_transport(1012)
        assert isinstance(await websocket.receive_close(), Close)
        assert trio.current_time() == 0.0
        assert (await polls.get()).text == "1"


async def test_a_session_that_has_ended_is_not_upgraded(clock: MockClock, kind: Kind) -> None:
    server = silent_server()
    async with site(server) as clients:
        polls, socket = await quiet(clients, server)
        socket.close_transport(1012)
        websocket = await dial(clients, kind, polls)
        refusal = await websocket.receive()
        assert isinstance(refusal, Refused)
        assert refusal.json()["code"] == 1


async def test_a_session_that_ends_by_its_own_upgrade_does_not_move(
    clock: MockClock, kind: Kind
) -> None:
    """Its WebSocket takes the only place of strangers, which was the session's."""
    server = silent_server(max_unauthenticated=1, unauthenticated_grace=1.0)
    async with site(server) as clients:
        polls = await clients.polls()
        await trio.sleep(2)
        websocket = await dial(clients, kind, polls)
        assert await websocket.receive() == Close(1008, "this session cannot be upgraded")
        await leave(websocket)
        assert server.unauthenticated.statistics().counted == 0


async def test_a_shutdown_closes_what_has_upgraded(clock: MockClock, kind: Kind) -> None:
    server = echo_engineio.echo_server()
    async with site(server) as clients:
        polls = await clients.polls()
        websocket = await upgraded(clients, kind, polls)
        await wait_all_tasks_blocked()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(server.shutdown)
            assert (await websocket.receive_close()).code == 1001
            if isinstance(websocket, Peer):
                await websocket.finish_close()
        assert trio.current_time() == 0.0
        assert server.statistics().closes == {"server shutting down": 1}


async def test_a_shutdown_closes_a_probe_and_its_session(clock: MockClock, kind: Kind) -> None:
    server = echo_engineio.echo_server()
    async with site(server) as clients:
        polls = await clients.polls()
        websocket = await probed(clients, kind, polls)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(server.shutdown)
            assert (await websocket.receive_close()).code == 1001
            if isinstance(websocket, Peer):
                await websocket.finish_close()
            assert (await polls.get()).text == "1"
        assert trio.current_time() == 0.0


async def test_a_closing_handshake_is_finished_after_an_upgrade(clock: MockClock) -> None:
    server = silent_server(close_timeout=5)
    async with site(server) as clients:
        polls, socket = await quiet(clients, server)
        websocket = await clients.dial(f"{WEBSOCKET}&sid={polls.sid}")
        await websocket.send("2probe")
        assert await websocket.receive() == "3probe"
        await websocket.send("5")
        await wait_all_tasks_blocked()
        socket.emit("last words")
        socket.close_transport(1012)
        assert await websocket.receive() == '42["last words"]'
        assert await websocket.receive() == Close(1012)
        assert await websocket.receive() == Close(1006)
        assert trio.current_time() == 5.0, "the server waits for the client's close frame"


async def test_a_session_leaves_its_place_after_an_upgrade(clock: MockClock, kind: Kind) -> None:
    async with site(echo_engineio.echo_server(max_connections=1)) as clients:
        polls = await clients.polls()
        websocket = await upgraded(clients, kind, polls)
        assert (await clients.request("GET", POLLING)).status == 503
        await leave(websocket)
        await clients.polls()


# Back-pressure


async def test_a_post_that_must_wait_goes_on_behind_the_upgrade(
    clock: MockClock, kind: Kind
) -> None:
    server = echo_server(outbox=OutboxLimits(pause_messages=4))
    async with site(server) as clients:
        polls = await clients.joined()
        assert await polls.receive() == '42["auth",{}]'
        post = polls.tell()
        post.body(b"\x1e".join(b'42%d["message-with-ack",%d]' % (n, n) for n in range(20)))
        await wait_all_tasks_blocked()
        assert not post.ended.is_set()
        websocket = await upgraded(clients, kind, polls)
        got = [await websocket.receive() for _ in range(20)]
        assert got == [f"43{n}[{n}]" for n in range(20)]
        assert (await post.answered()).body == b"ok"


async def test_what_a_poll_leaves_goes_over_the_websocket(clock: MockClock, kind: Kind) -> None:
    server = SocketServer(max_poll_packets=2)
    server.namespace("/")
    async with site(server) as clients:
        polls = await clients.joined()
        await wait_all_tasks_blocked()
        (socket,) = server.namespace("/").sockets
        websocket = await probed(clients, kind, polls)
        socket.emit("files", b"1", b"2")
        socket.emit("last")
        assert len((await polls.get()).packets) == 2
        await websocket.send("5")
        assert [await websocket.receive() for _ in range(2)] == [b"2", '42["last"]']


async def test_a_post_and_the_websocket_may_wait_for_the_same_handler(
    clock: MockClock, kind: Kind
) -> None:
    server = SocketServer(max_waiting_events=2)

    @server.namespace("/").on("slow")
    async def slow(socket: Socket, number: int) -> int:
        await trio.sleep(1)
        return number

    async with site(server) as clients:
        polls = await clients.joined()
        websocket = await probed(clients, kind, polls)
        post = polls.tell()
        post.body(b"\x1e".join(b'42%d["slow",%d]' % (n, n) for n in range(8)))
        await wait_all_tasks_blocked()
        assert not post.ended.is_set()
        await websocket.send("5")
        for number in range(8, 12):
            await websocket.send(f'42{number}["slow",{number}]')
        answers = {await websocket.receive() for _ in range(12)}
        assert answers == {f"43{n}[{n}]" for n in range(12)}
        assert (await post.answered()).body == b"ok"
        assert trio.current_time() == 12.0


@pytest.mark.parametrize("ending", ["breaks off", "takes too long"])
async def test_a_post_from_before_the_upgrade_ends_nothing_when_it_fails(
    clock: MockClock, kind: Kind, ending: str
) -> None:
    async with site(echo_server(request_timeout=30)) as clients:
        polls = await clients.joined()
        unfinished = polls.tell()
        unfinished.body(b"42", more=True)
        websocket = await upgraded(clients, kind, polls)
        await wait_all_tasks_blocked()
        if ending == "breaks off":
            unfinished.leave()
        await trio.sleep(31)
        await websocket.send('42["message"]')
        while (received := await websocket.receive()) != '42["message-back"]':
            assert received in {"2", '42["auth",{}]'}, received
            if received == "2":
                await websocket.send("3")


async def test_the_id_of_a_living_session_is_not_logged(
    clock: MockClock, kind: Kind, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    async with site(echo_server()) as clients:
        polls = await clients.polls()
        websocket = await dial(clients, kind, polls)
        await websocket.send("nonsense")
        await websocket.receive_close()
    assert "not what belongs into an upgrade" in caplog.text
    assert polls.sid not in caplog.text


@pytest.mark.parametrize("when", ["the host gives the connection up", "the host does not send"])
async def test_a_host_that_fails_an_upgraded_session_ends_no_other(
    clock: MockClock, when: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with site(echo_server(ping_interval=2, ping_timeout=500)) as clients:
        other = await clients.joined()
        polls = await clients.joined()
        websocket = await upgraded(clients, "asgi", polls)
        assert isinstance(websocket, AsgiSocket)
        await wait_all_tasks_blocked()
        websocket.broken = True
        if when == "the host gives the connection up":
            websocket.scope.cancel()
        await trio.sleep(3)  # a ping was due
        assert await polls.gone()
        assert (await other.post('42["message"]')).body == b"ok"
    assert "a session failed" not in caplog.text, "it is a broken connection, no bug"


async def test_a_post_with_more_events_than_may_wait_is_answered_during_an_upgrade(
    clock: MockClock, kind: Kind
) -> None:
    """The client stops polling then, and moves only after the answer to its POST."""
    server = silent_server(outbox=OutboxLimits(pause_messages=8), max_waiting_events=8)
    server.namespace("/").on("call")(lambda socket: None)
    async with site(server) as clients:
        polls, _ = await quiet(clients, server)
        posting = polls.tell()
        posting.body(SEPARATOR.join(f'42{n}["call"]' for n in range(40)).encode())
        await wait_all_tasks_blocked()
        assert not posting.ended.is_set(), "nothing had to wait"
        websocket = await probed(clients, kind, polls)
        assert (await posting.answered()).text == "ok"
        await websocket.send("5")
        assert [await websocket.receive() for _ in range(40)] == [f"43{n}[]" for n in range(40)]
