"""Long-polling, request by request, to the millisecond on a clock that jumps."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import chain
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from gbs_actor.socketio import Message, OutboxLimits, Socket, SocketServer, encode_event
from tests.apps import echo_engineio
from tests.apps.echo_socketio import echo_server
from tests.socketio.polls import POLLING, WEBSOCKET, Polls, Site, binary, site

UNKNOWN_SESSION = {"code": 1, "message": "Session ID unknown"}
BAD_REQUEST = {"code": 3, "message": "Bad request"}


def recording(server: SocketServer) -> list[tuple[str, float]]:
    """Return the list to which the reasons and times of all disconnects are added."""
    gone: list[tuple[str, float]] = []
    server.namespace("/").on_disconnect(
        lambda socket, reason: gone.append((reason, trio.current_time()))
    )
    return gone


async def only_socket(server: SocketServer) -> Socket:
    await wait_all_tasks_blocked()
    (socket,) = server.namespace("/").sockets
    return socket


async def joined(clients: Site) -> Polls:
    """Return a client that has joined, and has fetched everything."""
    polls = await clients.joined()
    while polls.waiting:
        polls.waiting.popleft()
    return polls


@asynccontextmanager
async def echoing(**options: Any) -> AsyncIterator[tuple[Polls, list[tuple[str, float]]]]:
    """Serve one client that has joined; yield it, and how and when sockets have ended."""
    server = echo_server(**options)
    gone = recording(server)
    async with site(server) as clients:
        yield await joined(clients), gone


@asynccontextmanager
async def quiet(**options: Any) -> AsyncIterator[tuple[Polls, Socket]]:
    """Serve one client that has joined, and gets no events by itself; yield it, and its socket."""
    server = SocketServer(**options)
    server.namespace("/")
    async with site(server) as clients:
        yield await joined(clients), await only_socket(server)


# The handshake


async def test_the_open_packet_has_exactly_its_five_fields(clock: MockClock) -> None:
    server = echo_server(ping_interval=0.3, ping_timeout=0.2, max_payload=5_000)
    async with site(server) as clients:
        opened = (await clients.polls()).opened
        assert len(opened.pop("sid")) >= 20
        assert opened == {
            "upgrades": ["websocket"],
            "pingInterval": 300,
            "pingTimeout": 200,
            "maxPayload": 5_000,
        }


async def test_answers_are_text_that_nobody_may_keep(clock: MockClock) -> None:
    async with site(echo_server()) as clients:
        answer = await clients.request("GET", POLLING)
        assert answer.headers["content-type"] == "text/plain; charset=UTF-8"
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["content-length"] == str(len(answer.body))


@pytest.mark.parametrize(
    ("method", "query", "code", "message"),
    [
        ("GET", "", 0, "Transport unknown"),
        ("GET", "EIO=4", 0, "Transport unknown"),
        ("GET", "EIO=4&transport=abc", 0, "Transport unknown"),
        ("GET", "EIO=4&transport=Polling", 0, "Transport unknown"),
        ("POST", POLLING, 2, "Bad handshake method"),
        ("PUT", POLLING, 2, "Bad handshake method"),
        ("DELETE", POLLING, 2, "Bad handshake method"),
        ("HEAD", POLLING, 2, "Bad handshake method"),
        ("OPTIONS", POLLING, 2, "Bad handshake method"),
        ("GET", WEBSOCKET, 3, "Bad request"),
        ("GET", "&".join(f"a{i}=1" for i in range(200)), 3, "Bad request"),
        ("GET", "transport=polling", 5, "Unsupported protocol version"),
        ("GET", "EIO=3&transport=polling", 5, "Unsupported protocol version"),
        ("GET", "EIO=abc&transport=polling", 5, "Unsupported protocol version"),
        ("GET", f"{POLLING}&sid=abc", 1, "Session ID unknown"),
        ("POST", f"{POLLING}&sid=abc", 1, "Session ID unknown"),
        ("GET", f"{POLLING}&sid=", 1, "Session ID unknown"),
    ],
)
async def test_a_wrong_request_is_refused_with_its_code(
    clock: MockClock, method: str, query: str, code: int, message: str
) -> None:
    server = echo_server()
    async with site(server) as clients:
        answer = await clients.request(method, query)
        assert answer.status == 400
        assert answer.json() == {"code": code, "message": message}
        assert answer.headers["content-type"] == "application/json"
        assert server.statistics().refused == 1
        assert server.statistics().connections == 0


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (("transport=polling", "transport=abc"), 0),
        (("&transport=polling", ""), 0),
        (("transport=polling", "transport=websocket"), 3),
        (("EIO=4", "EIO=3"), 5),
        (("EIO=4&", ""), 5),
    ],
)
async def test_a_wrong_request_of_a_session_does_it_no_harm(
    clock: MockClock, change: tuple[str, str], code: int
) -> None:
    async with site(echo_server()) as clients:
        polls = await joined(clients)
        answer = await clients.request("GET", polls.query.replace(*change))
        assert (answer.status, answer.json()["code"]) == (400, code)
        await polls.send('420["message-with-ack"]')
        assert await polls.receive() == "430[]"


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"])
async def test_a_session_is_polled_by_no_other_method(clock: MockClock, method: str) -> None:
    async with site(echo_server()) as clients:
        polls = await joined(clients)
        answer = await clients.request(method, polls.query)
        assert (answer.status, answer.json()) == (400, BAD_REQUEST)
        await polls.send('420["message-with-ack"]')
        assert await polls.receive() == "430[]"


async def test_a_session_on_a_websocket_is_not_polled(clock: MockClock) -> None:
    async with site(echo_server()) as clients:
        peer = await clients.dial(WEBSOCKET)
        sid = json.loads((await peer.receive_text())[1:])["sid"]
        for method in ("GET", "POST"):
            answer = await clients.request(method, f"{POLLING}&sid={sid}", "41")
            assert (answer.status, answer.json()) == (400, BAD_REQUEST)
        await peer.connect()


async def test_a_foreign_page_with_the_users_cookie_is_refused(clock: MockClock) -> None:
    server = echo_server(allowed_origins=["https://page.test"], cookie_names=["accessToken"])
    host = ("Host", "server.test")
    cookie = ("Cookie", "accessToken=t")
    async with site(server) as clients:
        for foreign in ("https://evil.test", "https://server.test"):
            answer = await clients.request(
                "GET", POLLING, headers=[host, cookie, ("Origin", foreign)]
            )
            assert (answer.status, answer.json()) == (403, {"code": 4, "message": "Forbidden"})
        for headers in (
            [host, cookie, ("Origin", "https://page.test")],
            [host, cookie, ("Origin", "http://server.test")],
            [host, ("Origin", "https://evil.test")],
            [host, cookie],
        ):
            await clients.polls(headers=headers)


async def test_a_full_server_asks_to_come_back(clock: MockClock) -> None:
    server = echo_server(max_connections=2)
    async with site(server) as clients:
        first = await clients.polls()
        await clients.polls()
        answer = await clients.request("GET", POLLING)
        assert answer.status == 503
        assert answer.headers["retry-after"] == "1"
        peer = await clients.dial(WEBSOCKET)
        assert getattr(await peer.receive(), "status", None) == 503
        await first.send("1")
        await wait_all_tasks_blocked()
        await clients.polls()


async def test_an_address_gets_no_more_than_its_share(clock: MockClock) -> None:
    server = echo_server(max_connections_per_address=1)
    async with site(server) as clients:
        await clients.polls()
        answer = await clients.request("GET", POLLING)
        assert answer.status == 503
        assert answer.json()["message"] == "Too many connections from this address"


async def test_handlers_see_the_request_and_the_auth(clock: MockClock) -> None:
    server = SocketServer()
    seen: list[Any] = []
    server.namespace("/").on_connect(lambda socket, auth: seen.append(socket.handshake))
    async with site(server) as clients:
        polls = await clients.polls(
            f"{POLLING}&room=a%20b", [("Authorization", "Bearer t"), ("Cookie", "a=b")]
        )
        await polls.connect(auth='{"token":"x"}')
    (handshake,) = seen
    assert handshake.headers["authorization"] == "Bearer t"
    assert handshake.cookies == {"a": "b"}
    assert handshake.query["room"] == "a b"
    assert handshake.auth == {"token": "x"}
    assert handshake.remote_address == "192.0.2.1"


# What goes both ways


@pytest.mark.parametrize(
    "payload",
    ["4hello", "4test1\x1e4test2\x1e4test3", "4hello\x1ebAQIDBA==", "4", "b", "4한글 🙂"],
)
async def test_a_payload_comes_back_as_it_was_sent(clock: MockClock, payload: str) -> None:
    async with site(echo_engineio.echo_server()) as clients:
        polls = await clients.polls()
        assert (await polls.post(payload)).body == b"ok"
        assert (await polls.get()).text == payload


async def test_a_get_waits_until_there_is_something_to_fetch(clock: MockClock) -> None:
    async with quiet() as (polls, socket):
        waiting = polls.ask()
        await trio.sleep(7)
        socket.emit("news", 1)
        assert (await waiting.answered()).text == '42["news",1]'
        assert trio.current_time() == 7.0


async def test_what_is_sent_in_one_go_is_fetched_in_one_go(clock: MockClock) -> None:
    async with quiet() as (polls, socket):
        waiting = polls.ask()
        await wait_all_tasks_blocked()
        for number in range(3):
            socket.emit("news", number)
        assert (await waiting.answered()).packets == [f'42["news",{n}]' for n in range(3)]


async def test_binary_values_follow_their_event_in_the_same_payload(clock: MockClock) -> None:
    async with site(echo_server()) as clients:
        polls = await joined(clients)
        placeholders = '{"_placeholder":true,"num":0},{"deep":[{"_placeholder":true,"num":1}]}'
        await polls.send(f'452-["message",{placeholders}]', binary(b"abc"), binary(b"\x00\xff"))
        assert (await polls.get()).packets == [
            f'452-["message-back",{placeholders}]',
            binary(b"abc"),
            binary(b"\x00\xff"),
        ]


async def test_attachments_may_come_one_request_each(clock: MockClock) -> None:
    async with site(echo_server()) as clients:
        polls = await joined(clients)
        await polls.send('451-7["message-with-ack",{"_placeholder":true,"num":0}]')
        await polls.send(binary(b"abc"))
        assert (await polls.get()).packets == [
            '461-7[{"_placeholder":true,"num":0}]',
            binary(b"abc"),
        ]


@pytest.mark.parametrize(
    ("max_payload", "lengths", "fetched"),
    [
        (100, [41] * 5, [[41, 41], [41, 41], [41]]),  # three and their separators are 125 bytes
        (2 * 41 + 1, [41] * 2, [[41, 41]]),
        (2 * 41, [41] * 2, [[41], [41]]),
        (100, [20, 1_000, 20], [[20], [1_000], [20]]),
    ],
    ids=["as many as fit", "exactly", "one byte too many", "a larger one alone"],
)
async def test_packets_are_joined_up_to_max_payload(
    clock: MockClock, max_payload: int, lengths: list[int], fetched: list[list[int]]
) -> None:
    async with quiet(max_payload=max_payload) as (polls, socket):
        for length in lengths:
            socket.emit("n", "x" * (length - 10))
        for expected in fetched:
            answer = await polls.get()
            assert [len(packet) for packet in answer.packets] == expected
            assert len(answer.body) == sum(expected) + len(expected) - 1


async def test_attachments_that_do_not_fit_are_fetched_one_after_the_other(
    clock: MockClock,
) -> None:
    async with quiet(max_payload=100) as (polls, socket):
        parts = [b"a" * 60, b"b" * 60, b"c" * 300, b"d"]
        socket.emit("files", *parts)
        socket.emit("after")
        packets: list[str] = []
        while len(packets) < 6:
            packets += (await polls.get()).packets
        assert packets[0].startswith('454-["files"')
        assert packets[1:5] == [binary(part) for part in parts]
        assert packets[5] == '42["after"]'


async def test_events_of_one_payload_are_handled_in_their_order(clock: MockClock) -> None:
    async with site(echo_server()) as clients:
        polls = await joined(clients)
        await polls.send(*(f'42{n}["message-with-ack",{n}]' for n in range(200)))
        assert [await polls.receive() for _ in range(200)] == [f"43{n}[{n}]" for n in range(200)]


# Requests that must not be


async def test_a_second_get_ends_the_session(clock: MockClock) -> None:
    async with echoing() as (polls, gone):
        first = polls.ask()
        await wait_all_tasks_blocked()
        second = await polls.get()
        assert (second.status, second.json()) == (400, BAD_REQUEST)
        answer = await first.answered()
        assert (answer.status, answer.text) == (200, "1")
        assert await polls.gone()
        assert gone == [("transport error", 0.0)]


async def test_a_second_post_ends_the_session(clock: MockClock) -> None:
    async with echoing() as (polls, gone):
        waiting = polls.ask()
        first = polls.tell()
        first.body(b'42["mess', more=True)
        await wait_all_tasks_blocked()
        second = await polls.post('42["message"]')
        assert (second.status, second.json()) == (400, BAD_REQUEST)
        assert (await waiting.answered()).text == "1"
        first.body(b'age"]')
        late = await first.answered()
        assert late.status == 400, "it was not handled any more"
        assert await polls.gone()
        assert gone == [("transport error", 0.0)]


async def test_a_get_that_the_client_cancels_ends_the_session(clock: MockClock) -> None:
    async with echoing() as (polls, gone):
        waiting = polls.ask()
        await trio.sleep(3)
        waiting.leave()
        await waiting.ended.wait()
        assert waiting.answer is None
        assert await polls.gone()
        assert gone == [("transport close", 3.0)]


async def test_a_post_that_breaks_off_ends_the_session(clock: MockClock) -> None:
    async with echoing() as (polls, gone):
        waiting = polls.ask()
        post = polls.tell()
        post.body(b'42["mess', more=True)
        await wait_all_tasks_blocked()
        post.leave()
        await post.ended.wait()
        assert post.answer is None
        assert (await waiting.answered()).text == "1"
        assert await polls.gone()
        assert gone == [("transport error", 0.0)]


async def test_a_body_has_its_time(clock: MockClock) -> None:
    async with echoing(request_timeout=10) as (polls, gone):
        post = polls.tell()
        post.body(b'42["mess', more=True)
        await trio.sleep(9)
        post.body(b'age"', more=True)
        answer = await post.answered()
        assert answer.status == 408
        assert trio.current_time() == 10.0
        assert await polls.gone()
        assert gone == [("transport error", 10.0)]


@pytest.mark.parametrize(
    "body",
    [b"abc", b"", b"7", b"4abc", b"42{}", b"bAQ", b"4\xff", b"2", b"5", b"0{}", b"\x1e", b"2probe"],
)
async def test_a_body_that_cannot_be_read_ends_the_session(clock: MockClock, body: bytes) -> None:
    async with echoing() as (polls, gone):
        waiting = polls.ask()
        await wait_all_tasks_blocked()
        answer = await polls.site.request("POST", polls.query, body)
        assert (answer.status, answer.json()) == (400, BAD_REQUEST)
        assert (await waiting.answered()).text == "1"
        assert await polls.gone()
        assert gone == [("parse error", 0.0)]


async def test_after_a_body_that_cannot_be_read_the_next_get_is_refused(clock: MockClock) -> None:
    async with site(echo_server()) as clients:
        polls = await joined(clients)
        assert (await polls.post('420["message-with-ack"]', "abc")).status == 400
        assert await polls.gone()


async def test_a_body_of_exactly_max_payload_is_taken(clock: MockClock) -> None:
    async with site(echo_engineio.echo_server(max_payload=100)) as clients:
        polls = await clients.polls()
        await polls.send("4" + "x" * 99)
        assert await polls.receive() == "4" + "x" * 99


async def test_a_larger_body_is_refused(clock: MockClock) -> None:
    async with site(echo_engineio.echo_server(max_payload=100)) as clients:
        polls = await clients.polls()
        answer = await polls.post("4" + "x" * 100)
        assert answer.status == 413
        await polls.send("4next")
        assert await polls.receive() == "4next"


# Heartbeat


async def test_pings_come_at_every_interval_from_the_handshake(clock: MockClock) -> None:
    async with site(echo_server(ping_interval=25, ping_timeout=60)) as clients:
        polls = await joined(clients)
        times = []
        for _ in range(4):
            assert await polls.receive() == "2"
            times.append(trio.current_time())
            await trio.sleep(7)
            await polls.send("3")
        assert times == [25.0, 50.0, 75.0, 100.0]


async def test_without_a_poll_a_session_is_gone_after_interval_and_timeout(
    clock: MockClock,
) -> None:
    async with echoing(ping_interval=25, ping_timeout=60) as (polls, gone):
        await trio.sleep_until(85)
        await wait_all_tasks_blocked()
        assert gone == [("ping timeout", 85.0)]
        assert await polls.gone()


async def test_the_time_for_a_pong_runs_from_when_the_ping_was_due(clock: MockClock) -> None:
    async with echoing(ping_interval=25, ping_timeout=60) as (polls, gone):
        await trio.sleep_until(84)
        assert await polls.receive() == "2"
        waiting = polls.ask()
        assert (await waiting.answered()).text == "1"
        assert gone == [("ping timeout", 85.0)]


async def test_a_ping_that_was_fetched_late_may_still_be_answered(clock: MockClock) -> None:
    async with site(echo_server(ping_interval=25, ping_timeout=60)) as clients:
        polls = await joined(clients)
        await trio.sleep_until(84)
        assert await polls.receive() == "2"
        await polls.send("3")
        assert await polls.receive() == "2"  # the next one is overdue by now
        assert trio.current_time() == 84.0
        await polls.send("3")
        assert await polls.receive() == "2"
        assert trio.current_time() == 109.0


async def test_polls_alone_do_not_stand_for_a_pong(clock: MockClock) -> None:
    async with echoing(ping_interval=25, ping_timeout=60) as (polls, gone):
        while not gone:
            await trio.sleep(5)
            await polls.post('42["message"]')
            await polls.get()
        assert gone == [("ping timeout", 85.0)]


# The end


async def test_a_close_packet_is_answered_and_ends_the_waiting_get_with_a_noop(
    clock: MockClock,
) -> None:
    async with echoing() as (polls, gone):
        waiting = polls.ask()
        await wait_all_tasks_blocked()
        answer = await polls.post("1")
        assert (answer.status, answer.text) == (200, "ok")
        noop = await waiting.answered()
        assert (noop.status, noop.text) == (200, "6")
        assert await polls.gone()
        assert (await polls.post("42[]")).json() == UNKNOWN_SESSION
        assert gone == [("transport close", 0.0)]


async def test_a_close_packet_without_a_waiting_get_ends_the_session(clock: MockClock) -> None:
    async with site(echo_server()) as clients:
        polls = await joined(clients)
        await polls.send('42["message"]', "1", '42["message"]')
        assert await polls.gone()


async def test_what_comes_behind_a_close_packet_is_not_looked_at(clock: MockClock) -> None:
    server = echo_server()
    connected: list[Socket] = []
    server.namespace("/late").on_connect(lambda socket, auth: connected.append(socket))
    async with site(server) as clients:
        polls = await joined(clients)
        await polls.send("1", "40/late,", "abc")
    assert connected == []


async def test_a_server_that_closes_answers_the_waiting_get(clock: MockClock) -> None:
    async with quiet() as (polls, socket):
        waiting = polls.ask()
        await wait_all_tasks_blocked()
        socket.emit("last words")
        socket.close_transport(1012)
        assert (await waiting.answered()).packets == ['42["last words"]', "1"]
        assert await polls.gone()


async def test_a_server_that_closes_lets_the_last_words_be_fetched(clock: MockClock) -> None:
    async with quiet(max_payload=100) as (polls, socket):
        socket.emit("last words", "x" * 100)
        socket.close_transport(1012)
        await wait_all_tasks_blocked()
        assert (await polls.get()).text.startswith('42["last words"')
        assert (await polls.get()).text == "1"
        assert await polls.gone()


async def test_last_words_are_kept_as_long_as_a_close_may_take(clock: MockClock) -> None:
    server = SocketServer(close_timeout=5)
    server.namespace("/")
    async with site(server) as clients:
        polls, socket = await joined(clients), await only_socket(server)
        socket.close_transport(1012)
        await trio.sleep(5)
        assert await polls.gone()
        assert server.statistics().connections == 0


async def test_nothing_is_taken_from_a_client_after_the_server_has_closed(
    clock: MockClock,
) -> None:
    server = SocketServer()
    server.namespace("/")
    joined_late: list[Socket] = []
    server.namespace("/late").on_connect(lambda socket, auth: joined_late.append(socket))
    async with site(server) as clients:
        polls, socket = await joined(clients), await only_socket(server)
        socket.close_transport(1012)
        answer = await polls.post("40/late,")
        assert (answer.status, answer.json()) == (400, UNKNOWN_SESSION)
        assert joined_late == []
        assert (await polls.get()).text == "1"


async def test_a_dropped_session_ends_the_waiting_get(clock: MockClock) -> None:
    async with quiet() as (polls, socket):
        waiting = polls.ask()
        await wait_all_tasks_blocked()
        socket.abort()
        assert (await waiting.answered()).text == "1"
        assert await polls.gone()


async def test_a_shutdown_answers_the_waiting_get_and_refuses_the_next(clock: MockClock) -> None:
    server = echo_server()
    gone = recording(server)
    async with site(server) as clients:
        polls = await joined(clients)
        waiting = polls.ask()
        await wait_all_tasks_blocked()
        await server.shutdown()
        assert (await waiting.answered()).text == "1"
        assert trio.current_time() == 0.0
        assert await polls.gone()
        assert (await clients.request("GET", POLLING)).status == 503
        assert gone == [("server shutting down", 0.0)]


async def test_a_shutdown_does_not_wait_for_ever_for_polls(clock: MockClock) -> None:
    server = echo_server(close_timeout=5)
    async with site(server) as clients:
        await joined(clients)
        await server.shutdown()
        assert trio.current_time() == 5.0


# What waits for a poll


async def test_of_states_that_wait_only_the_last_is_fetched(clock: MockClock) -> None:
    async with quiet() as (polls, socket):
        for number in range(1_000):
            socket.deliver(encode_event("/", "state", "a", number, key="a"))
            socket.deliver(encode_event("/", "state", "b", number, key="b"))
        socket.emit("done")
        assert socket.statistics().conflated == 2 * 999
        assert (await polls.get()).packets == [
            '42["state","a",999]',
            '42["state","b",999]',
            '42["done"]',
        ]


async def test_a_client_that_does_not_fetch_is_closed(clock: MockClock) -> None:
    server = SocketServer(outbox=OutboxLimits(outbox_messages=100))
    gone = recording(server)
    async with site(server) as clients:
        polls, socket = await joined(clients), await only_socket(server)
        for number in range(100):
            socket.emit("news", number)
        assert gone == []
        socket.emit("news", 100)
        await wait_all_tasks_blocked()
        assert gone == [("transport close", 0.0)]
        assert await polls.gone()


async def test_a_response_has_at_most_16_packets_and_the_next_has_the_rest(
    clock: MockClock,
) -> None:
    async with quiet() as (polls, socket):
        socket.deliver(Message.bundle([encode_event("/", "row", n, key=n) for n in range(40)]))
        socket.emit("done")
        responses = [(await polls.get()).packets for _ in range(3)]
        assert [len(packets) for packets in responses] == [16, 16, 9]
        rows = [f'42["row",{n}]' for n in range(40)]
        assert [*chain.from_iterable(responses)] == [*rows, '42["done"]']
        assert trio.current_time() == 0


async def test_packets_behind_the_16th_are_still_replaced_by_newer_ones(clock: MockClock) -> None:
    async with quiet() as (polls, socket):
        for number in range(20):
            socket.deliver(encode_event("/", "state", number, key=number))
        assert len((await polls.get()).packets) == 16
        socket.deliver(encode_event("/", "state", 18, "newer", key=18))
        assert (await polls.get()).packets == [
            '42["state",16]',
            '42["state",17]',
            '42["state",19]',
            '42["state",18,"newer"]',
        ]


async def test_the_attachments_of_an_event_count_as_packets_and_stay_in_order(
    clock: MockClock,
) -> None:
    async with quiet(max_poll_packets=3) as (polls, socket):
        socket.emit("first")
        socket.emit("files", b"1", b"2", b"3", b"4")
        socket.emit("last")
        responses = [(await polls.get()).packets for _ in range(3)]
        assert [len(packets) for packets in responses] == [3, 3, 1]
        head, *rest = [*chain.from_iterable(responses)][1:]
        assert head.startswith('454-["files",')
        assert rest == [*map(binary, (b"1", b"2", b"3", b"4")), '42["last"]']


async def test_a_close_comes_behind_all_that_is_queued(clock: MockClock) -> None:
    async with quiet() as (polls, socket):
        for number in range(20):
            socket.emit("news", number)
        socket.close_transport(1012)
        assert len((await polls.get()).packets) == 16
        assert (await polls.get()).packets == [*(f'42["news",{n}]' for n in range(16, 20)), "1"]


async def test_a_client_is_not_read_while_its_answers_wait(clock: MockClock) -> None:
    server = echo_server(outbox=OutboxLimits(pause_messages=10))
    async with site(server) as clients:
        polls = await joined(clients)
        post = polls.tell()
        post.body(b"\x1e".join(b'42%d["message-with-ack",%d]' % (n, n) for n in range(30)))
        await trio.sleep(3)
        assert not post.ended.is_set()
        answers: list[str] = []
        while len(answers) < 30:
            answers += (await polls.get()).packets
        assert answers == [f"43{n}[{n}]" for n in range(30)]
        assert (await post.answered()).body == b"ok"


async def test_a_post_is_answered_that_leaves_more_than_may_wait(clock: MockClock) -> None:
    async with site(echo_server(outbox=OutboxLimits(pause_messages=10))) as clients:
        polls = await joined(clients)
        await polls.send(*(f'42{n}["message-with-ack",{n}]' for n in range(11)))
        late = polls.tell()
        late.body(b'42["message"]')
        await wait_all_tasks_blocked()
        assert not late.ended.is_set(), "the next one has to wait"
        assert (await polls.get()).packets == [f"43{n}[{n}]" for n in range(11)]
        assert (await late.answered()).body == b"ok"


async def test_a_client_that_only_asks_and_never_fetches_is_gone_in_time(
    clock: MockClock,
) -> None:
    async with echoing(
        outbox=OutboxLimits(pause_messages=10), ping_interval=25, ping_timeout=60
    ) as (polls, gone):
        post = polls.tell()
        post.body(b"\x1e".join(b'42["message"]' for _ in range(30)))
        answer = await post.answered()
        assert answer.status == 400
        assert gone == [("ping timeout", 85.0)]


async def test_a_volatile_event_reaches_a_get_that_waits(clock: MockClock) -> None:
    async with quiet() as (polls, socket):
        waiting = polls.ask()
        await wait_all_tasks_blocked()
        socket.emit_volatile("mouse", 1)
        assert (await waiting.answered()).text == '42["mouse",1]'


async def test_a_volatile_event_is_dropped_where_no_get_waits(clock: MockClock) -> None:
    async with quiet() as (polls, socket):
        socket.emit_volatile("mouse", 1)
        socket.emit("news")
        socket.emit_volatile("mouse", 2)
        assert (await polls.get()).packets == ['42["news"]']


async def test_a_volatile_event_is_dropped_behind_one_that_is_about_to_go_out(
    clock: MockClock,
) -> None:
    async with quiet() as (polls, socket):
        waiting = polls.ask()
        await wait_all_tasks_blocked()
        socket.emit("news")
        socket.emit_volatile("mouse")
        assert (await waiting.answered()).packets == ['42["news"]']


# Namespaces and calls


async def test_a_session_that_joins_nothing_in_time_is_closed(clock: MockClock) -> None:
    async with site(echo_server(connect_timeout=45, ping_interval=1_000)) as clients:
        polls = await clients.polls()
        assert (await polls.get()).text == "1"
        assert trio.current_time() == 45.0
        assert await polls.gone()


async def test_a_session_may_stay_when_it_has_left_its_last_namespace(clock: MockClock) -> None:
    async with site(echo_server(connect_timeout=45, ping_interval=1_000)) as clients:
        polls = await joined(clients)
        await polls.send("41")
        await trio.sleep(100)
        await polls.connect("/custom")


async def test_a_client_leaves_one_of_its_namespaces(clock: MockClock) -> None:
    async with echoing() as (polls, gone):
        await polls.connect("/custom")
        assert await polls.receive() == '42/custom,["auth",{}]'
        await polls.send("41", '42["message","late"]', '42/custom,["message","here"]')
        assert (await polls.get()).packets == ['42/custom,["message-back","here"]']
        assert [reason for reason, _ in gone] == ["client namespace disconnect"]


async def test_the_server_takes_a_client_out_of_one_namespace(clock: MockClock) -> None:
    server = echo_server()
    async with site(server) as clients:
        polls = await joined(clients)
        await polls.connect("/custom")
        assert await polls.receive() == '42/custom,["auth",{}]'
        (await only_socket(server)).disconnect()
        await polls.send('42/custom,["message","here"]')
        assert (await polls.get()).packets == ["41", '42/custom,["message-back","here"]']


async def test_the_server_ends_the_whole_connection(clock: MockClock) -> None:
    server = SocketServer()
    gone = recording(server)
    async with site(server) as clients:
        polls, socket = await joined(clients), await only_socket(server)
        socket.disconnect(close=True)
        assert (await polls.get()).packets == ["41", "1"]
        assert await polls.gone()
        assert gone == [("server namespace disconnect", 0.0)]


async def test_a_call_gets_the_acknowledgement_of_a_client(clock: MockClock) -> None:
    async with quiet() as (polls, socket):
        results: list[Any] = []

        async def call() -> None:
            results.append(await socket.call("ask", b"?", timeout=10))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(call)
            packets = (await polls.get()).packets
            assert packets == ['451-0["ask",{"_placeholder":true,"num":0}]', binary(b"?")]
            await polls.send('461-0[{"_placeholder":true,"num":0}]', binary(b"!"))
        assert results == [b"!"]


async def test_a_call_does_not_wait_longer_than_it_says(clock: MockClock) -> None:
    async with quiet() as (polls, socket):
        with pytest.raises(trio.TooSlowError):
            await socket.call("ask", timeout=10)
        assert trio.current_time() == 10.0
        assert await polls.receive() == '420["ask"]'
        await polls.send('430["too late"]')
        await polls.send("42999[]".replace("42", "43"))
        socket.emit("still here")
        assert await polls.receive() == '42["still here"]'


@pytest.mark.parametrize(
    ("event", "attachments"),
    [
        ('453-["message"]', 0),
        ('452-["message",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]', 2),
    ],
)
async def test_attachments_are_limited_in_number_and_size(
    clock: MockClock, event: str, attachments: int
) -> None:
    async with echoing(max_attachments=2, max_attachment_bytes=100) as (polls, gone):
        answer = await polls.post(event, *[binary(b"x" * 51)] * attachments)
        assert answer.status == 400
        assert await polls.gone()
        assert gone == [("parse error", 0.0)]


async def test_polling_sessions_are_counted(clock: MockClock) -> None:
    server = echo_server()
    async with site(server) as clients:
        await joined(clients)
        polls = await joined(clients)
        statistics = server.statistics()
        assert (statistics.connections, statistics.polling, statistics.handshakes) == (2, 2, 2)
        await polls.send("1")
        await wait_all_tasks_blocked()
        assert server.statistics().polling == 1
        assert server.statistics().closes == {"transport close": 1}
