"""HTTP/2 through both ways in which Hypercorn runs us, over real sockets.

The clock jumps when nothing has happened on any socket for a while of real time.
"""

from __future__ import annotations

import pytest
import trio
from h2.errors import ErrorCodes
from trio.testing import MockClock
from wsproto.connection import Connection, ConnectionType
from wsproto.events import CloseConnection, Ping, TextMessage

from gbs_actor.server.hypercorn.http2.protocol import CALLS, LINGER, MAX_DROPPED, MAX_HELD
from gbs_actor.server.hypercorn.http2.toll import BURST, RATE
from tests.server.http2_app import WRITE, Serve, own, stock
from tests.server.http2_client import FRAME, Http2Client, http2

PING, SETTINGS, WINDOW, PRIORITY, GOAWAY = 0x6, 0x4, 0x8, 0x2, 0x7


@pytest.fixture
def clock() -> MockClock:
    return MockClock(autojump_threshold=0.03)


@pytest.fixture(params=[own, stock])
def serve(request: pytest.FixtureRequest) -> Serve:
    served: Serve = request.param
    return served


def frame(kind: int, number: int, payload: bytes = b"", flags: int = 0) -> bytes:
    """Return one frame (RFC 9113 §4.1)."""
    head = len(payload).to_bytes(3, "big") + bytes([kind, flags]) + number.to_bytes(4, "big")
    return head + payload


async def is_alive(client: Http2Client) -> bool:
    """Whether another request is answered on this connection."""
    return (await client.request("GET", "/quick")).body == b"0" and not client.goaways


# Answers before their request has arrived


async def test_what_comes_behind_an_early_answer_harms_nobody(
    clock: MockClock, serve: Serve
) -> None:
    async with serve() as site, http2(await site.dial()) as client:
        early = await client.ask("POST", "/early", end=False)
        answer = await client.answer(early)
        assert (answer.status, answer.body) == (401, b"who are you?")
        await client.send(early, b"x" * 10, end=True)
        assert await is_alive(client)
        assert answer.reset is None


async def test_a_long_rest_is_taken_to_its_end(clock: MockClock, serve: Serve) -> None:
    async with serve() as site, http2(await site.dial()) as client:
        early = await client.ask("POST", "/early", end=False)
        await client.answer(early)
        assert await client.send(early, bytes(1_000_000), end=True) == 1_000_000
        assert await is_alive(client)
        assert client.answers[early].reset is None


async def test_a_rest_that_does_not_come_is_not_waited_for(clock: MockClock, serve: Serve) -> None:
    async with serve() as site, http2(await site.dial()) as client:
        early = await client.ask("POST", "/early", end=False)
        answered = trio.current_time()
        await client.until(lambda: client.answers[early].reset is not None)
        assert client.answers[early].reset == ErrorCodes.NO_ERROR
        assert trio.current_time() - answered == pytest.approx(LINGER, abs=0.5)
        assert client.answers[early].ended
        assert await is_alive(client)


async def test_an_endless_rest_is_not_taken(clock: MockClock, serve: Serve) -> None:
    async with serve() as site, http2(await site.dial()) as client:
        early = await client.ask("POST", "/early", end=False)
        sent = await client.send(early, bytes(3 * MAX_DROPPED))
        assert client.answers[early].reset == ErrorCodes.NO_ERROR
        assert MAX_DROPPED <= sent < 2 * MAX_DROPPED
        for _ in range(20):
            await client.send_raw(frame(0, early, bytes(FRAME)))
        assert await is_alive(client)


async def test_a_connection_serves_any_number_of_requests(clock: MockClock, serve: Serve) -> None:
    async with serve() as site, http2(await site.dial()) as client:
        for _ in range(21):
            asked = [await client.ask("GET", "/quick") for _ in range(50)]
            for number in asked:
                assert (await client.answer(number)).status == 200
        assert not client.goaways


# Streams that end alone


@pytest.mark.parametrize(
    "fields",
    [
        [(":method", "GET"), (":scheme", "http"), (":authority", "x"), (":path", b"/\xed\x95\x9c")],
        [(":method", "CONNECT"), (":authority", "x")],
        [
            *[(":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "http")],
            *[(":authority", "x"), (":path", "/socket"), ("sec-websocket-version", "13")],
            ("sec-websocket-extensions", b"\xff"),
        ],
    ],
)
async def test_a_request_that_cannot_be_read_ends_its_own_stream(
    clock: MockClock, fields: list[tuple[str, str]]
) -> None:
    async with own() as site, http2(await site.dial()) as client:
        number = await client.ask_as(*fields)
        assert (await client.answer(number)).reset == ErrorCodes.PROTOCOL_ERROR
        assert await is_alive(client)


async def test_an_answer_that_fails_in_the_middle_does_not_look_complete(
    clock: MockClock,
) -> None:
    async with own() as site, http2(await site.dial()) as client:
        answer = await client.request("GET", "/half")
        assert (answer.ended, answer.reset) == (False, ErrorCodes.INTERNAL_ERROR)
        assert await is_alive(client)


async def test_priorities_are_ignored_however_many_streams_they_name(
    clock: MockClock, serve: Serve
) -> None:
    async with serve() as site, http2(await site.dial()) as client:
        for part in range(3):
            for number in range(500):
                low = 20_001 + 2 * (500 * part + number)
                await client.send_raw(frame(PRIORITY, low, b"\0\0\0\0\0"))
            await trio.sleep(500 / RATE)
        assert await is_alive(client)


# WebSockets


def closing() -> bytes:
    return Connection(ConnectionType.CLIENT).send(CloseConnection(1000))


async def test_a_websocket_that_the_client_closes_ends_its_stream(
    clock: MockClock, serve: Serve
) -> None:
    async with serve() as site, http2(await site.dial()) as client:
        for _ in range(3):
            number = await client.websocket("/socket")
            await client.send(number, closing(), end=True)
            answer = await client.answer(number)
            assert (answer.ended, answer.reset) == (True, None)
            assert answer.body.startswith(b"\x88\x02\x03\xe8")
        assert not client.http.open_outbound_streams


async def test_a_stream_that_ends_is_a_websocket_that_is_lost(
    clock: MockClock, serve: Serve
) -> None:
    async with serve() as site, http2(await site.dial()) as client:
        number = await client.websocket("/socket")
        client.http.end_stream(number)
        await client.flush()
        assert (await client.answer(number)).ended
        await trio.testing.wait_all_tasks_blocked()
        assert ("/socket", "websocket.disconnect") in site.app.told


async def test_what_comes_behind_a_websockets_close_harms_nobody(
    clock: MockClock, serve: Serve
) -> None:
    async with serve() as site, http2(await site.dial()) as client:
        number = await client.websocket("/closing")
        peer = Connection(ConnectionType.CLIENT)
        await client.send(number, peer.send(TextMessage("close, please")))
        assert (await client.answer(number)).body.startswith(b"\x88\x02\x11\x31")
        await client.send(number, peer.send(Ping()))
        await client.send(number, peer.send(CloseConnection(4401)))
        await client.send(number, b"nonsense", end=True)
        assert await is_alive(client)


async def test_a_websocket_over_http2_that_the_client_leaves_open_is_reset(
    clock: MockClock,
) -> None:
    async with own() as site, http2(await site.dial()) as client:
        number = await client.websocket("/closing")
        await client.send(number, Connection(ConnectionType.CLIENT).send(TextMessage("close")))
        await client.until(lambda: client.answers[number].reset is not None)
        assert client.answers[number].reset == ErrorCodes.NO_ERROR
        await trio.testing.wait_all_tasks_blocked()
        assert ("/closing", "websocket.disconnect") in site.app.told


async def test_a_websocket_that_speaks_before_it_is_accepted_is_over(clock: MockClock) -> None:
    async with own() as site, http2(await site.dial()) as client:
        head = [(":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "http")]
        head += [(":path", "/undecided"), (":authority", "here"), ("sec-websocket-version", "13")]
        number = await client.ask_as(*head, end=False)
        await client.send(number, closing())
        assert (await client.answer(number)).status == 400
        await trio.testing.wait_all_tasks_blocked()
        assert ("/undecided", "websocket.disconnect") in site.app.told
        assert await is_alive(client)


async def test_no_extension_is_agreed_on(clock: MockClock, serve: Serve) -> None:
    offer = ("sec-websocket-extensions", "permessage-deflate; client_max_window_bits")
    async with serve() as site, http2(await site.dial()) as client:
        number = await client.websocket("/socket", offer)
        assert client.answers[number].status == 200
        assert "sec-websocket-extensions" not in client.answers[number].headers


# Waiting


async def test_an_app_that_takes_nothing_keeps_only_its_own_client_waiting(
    clock: MockClock, serve: Serve
) -> None:
    async with serve() as site, http2(await site.dial()) as client:
        deaf = await client.ask("POST", "/deaf", end=False)
        await client.send(deaf, bytes(60_000), size=1_000)
        assert await is_alive(client)


async def test_what_an_app_does_not_take_holds_up_no_other_request(
    clock: MockClock, serve: Serve
) -> None:
    async with serve() as site, http2(await site.dial()) as client:
        for _ in range(3):
            deaf = await client.ask("POST", "/deaf", end=False)
            await client.send(deaf, bytes(65_535), size=1_000)
        quick = await client.ask("POST", "/quick", end=False)
        await client.send(quick, bytes(200_000), end=True)
        assert (await client.answer(quick)).body == b"200000"


async def test_a_request_that_does_not_arrive_ends_no_other(clock: MockClock) -> None:
    async with own() as site, http2(await site.dial()) as client:
        await client.ask("POST", "/deaf", end=False)
        await trio.sleep(100)
        assert await is_alive(client)


async def test_a_stream_that_takes_nothing_ends_alone(clock: MockClock) -> None:
    async with own() as site, http2(await site.dial(), taking=False) as client:
        client.http.increment_flow_control_window(10_000_000)
        closed, begun = await client.ask("GET", "/large"), trio.current_time()
        while (asked := trio.current_time() - begun) < WRITE - 5:
            assert await is_alive(client)
            await trio.sleep(5)
        other = await client.ask("GET", "/large")
        client.http.increment_flow_control_window(2_000_000, other)
        assert (await client.answer(closed)).reset == ErrorCodes.INTERNAL_ERROR
        assert WRITE - 1 < trio.current_time() - begun < WRITE + 1, asked
        assert len((await client.answer(other)).body) == 1_000_000
        assert not client.goaways


async def test_what_an_app_has_not_taken_is_not_asked_for(clock: MockClock) -> None:
    async with own() as site, http2(await site.dial()) as client:
        deaf = await client.ask("POST", "/deaf", end=False)
        await client.send(deaf, bytes(65_535), size=1_000)
        await trio.testing.wait_all_tasks_blocked()
        assert client.http.local_flow_control_window(deaf) < 20_000
        site.app.let_take.set()
        await client.send(deaf, bytes(1_000_000), end=True)
        assert (await client.answer(deaf)).body == b"1065535"


async def test_reading_goes_on_while_a_window_is_closed(clock: MockClock, serve: Serve) -> None:
    async with serve() as site, http2(await site.dial(), taking=False) as client:
        number = await client.websocket("/chatty")
        await client.until(lambda: len(client.answers[number].body) == 65_535)
        ping = Connection(ConnectionType.CLIENT).send(Ping())
        await client.send(number, ping)
        quick = await client.ask("POST", "/quick", end=False)
        await client.send(quick, b"x" * 10, end=True)
        client.http.increment_flow_control_window(100)
        client.http.increment_flow_control_window(1_000_000, number)
        await client.flush()
        await client.until(lambda: len(client.answers[number].body) > 65_535)
        assert not client.closed


async def test_answers_to_pings_that_nobody_takes_are_bounded(clock: MockClock) -> None:
    async with own() as site, http2(await site.dial(), taking=False) as client:
        number = await client.websocket("/chatty")
        await client.until(lambda: len(client.answers[number].body) == 65_535)
        pings = Connection(ConnectionType.CLIENT).send(Ping(b"x" * 125)) * 100
        await client.send(number, pings * 10)
        assert (await client.answer(number)).reset == ErrorCodes.ENHANCE_YOUR_CALM
        assert not client.closed


@pytest.mark.parametrize(("path", "waiting"), [("/fresh", MAX_HELD // 1_000_000), ("/large", 90)])
async def test_large_answers_that_nobody_takes_are_bounded_unless_they_are_the_same(
    clock: MockClock, serve: Serve, path: str, waiting: int
) -> None:
    async with serve() as site, http2(await site.dial(), taking=False) as client:
        asked = [await client.ask("GET", path) for _ in range(90)]
        answers = [client.answers[number] for number in asked]
        await client.until(lambda: all(each.status for each in answers))
        await trio.testing.wait_all_tasks_blocked()
        resets = [each.reset for each in answers if each.reset is not None]
        # What has gone out already leaves room for perhaps one more.
        assert len(answers) - len(resets) in (waiting, waiting + 1)
        assert set(resets) <= {ErrorCodes.ENHANCE_YOUR_CALM}
        assert not client.closed


async def test_who_waits_for_a_window_is_let_go_when_the_connection_ends(
    clock: MockClock, serve: Serve
) -> None:
    async with serve() as site:
        async with http2(await site.dial(), taking=False) as client:
            large = await client.ask("GET", "/large")
            await client.until(lambda: client.answers[large].status == 200)
            await client.websocket("/chatty")
            gone = trio.current_time()
        with trio.fail_after(WRITE / 2):
            while len(site.app.ended) < 2:
                await site.app.news.park()
        assert max(site.app.ended.values()) - gone < 1


# Floods


FLOODS = {
    "pings": frame(PING, 0, bytes(8)) * 1_500,
    "settings": frame(SETTINGS, 0, b"\0\x04\0\0\xff\xff") * 200,
    "window updates": frame(WINDOW, 0, b"\0\0\0\x01") * 1_500,
    "empty data": frame(0x0, 1) * 1_500,
    "unknown frames": frame(0x77, 0) * 1_500,
}


@pytest.mark.parametrize("flood", FLOODS)
async def test_a_flood_ends_its_connection(clock: MockClock, serve: Serve, flood: str) -> None:
    async with serve() as site, http2(await site.dial()) as client, http2(await site.dial()) as one:
        await client.ask("POST", "/deaf", end=False)
        await client.send_raw(FLOODS[flood])
        await client.until(lambda: client.closed)
        assert client.goaways[-1:] == [ErrorCodes.ENHANCE_YOUR_CALM]
        assert await is_alive(one)


async def test_who_opens_windows_often_for_what_is_large_is_no_flood(
    clock: MockClock, serve: Serve
) -> None:
    async with serve() as site, http2(await site.dial(), eager=True) as client:
        for _ in range(20):
            answers = [await client.ask("GET", "/large") for _ in range(5)]
            for number in answers:
                assert len((await client.answer(number)).body) == 1_000_000


async def test_who_opens_a_window_byte_by_byte_ends_the_connection(
    clock: MockClock, serve: Serve
) -> None:
    async with serve() as site, http2(await site.dial(), taking=False) as client:
        number = await client.ask("GET", "/large")
        await client.until(lambda: len(client.answers[number].body) == 65_535)
        opened = 0

        def taken() -> bool:
            return len(client.answers[number].body) >= 65_535 + opened

        while not client.closed and opened < 3_000:
            client.http.increment_flow_control_window(1)
            client.http.increment_flow_control_window(1, number)
            await client.flush()
            opened += 1
            await client.until(taken)
        assert client.goaways[-1:] == [ErrorCodes.ENHANCE_YOUR_CALM]


async def test_requests_that_are_taken_back_at_once_end_their_connection(
    clock: MockClock, serve: Serve
) -> None:
    async with serve() as site, http2(await site.dial()) as client, http2(await site.dial()) as one:
        asked = 0
        while not client.goaways and asked < 400:
            await client.reset(await client.ask("POST", "/quick", end=False))
            asked += 1
        await client.until(lambda: client.closed)
        assert client.goaways[-1:] == [ErrorCodes.ENHANCE_YOUR_CALM]
        assert await is_alive(one)


async def test_a_client_may_take_back_all_that_it_has_asked_for(
    clock: MockClock, serve: Serve
) -> None:
    async with serve() as site, http2(await site.dial()) as client:
        for _ in range(3):
            numbers = [await client.ask("POST", "/quick", end=False) for _ in range(100)]
            for number in numbers:
                await client.reset(number)
            assert await is_alive(client)
            await trio.sleep(3)


async def test_apps_that_go_on_after_a_reset_are_bounded(clock: MockClock) -> None:
    async with own() as site, http2(await site.dial()) as client:
        for _ in range(CALLS):
            numbers = [await client.ask("GET", "/stubborn") for _ in range(100)]
            for number in numbers:
                await client.reset(number)
            await trio.sleep(BURST / RATE)
        refused = await client.ask("GET", "/quick")
        assert (await client.answer(refused)).reset == ErrorCodes.REFUSED_STREAM
        assert not client.goaways


async def test_a_request_of_very_many_fields_costs_more(clock: MockClock) -> None:
    async with own() as site, http2(await site.dial()) as client:
        many = [("a", "b")] * 400
        asked = 0
        while not client.goaways and asked < 30:
            await client.reset(await client.ask("POST", "/quick", *many, end=False))
            asked += 1
        await client.until(lambda: client.closed)
        assert client.goaways == [ErrorCodes.ENHANCE_YOUR_CALM]


# The end


async def test_at_the_end_a_connection_is_told_so_once(clock: MockClock, serve: Serve) -> None:
    async with serve() as site, http2(await site.dial()) as client:
        deaf = await client.ask("POST", "/deaf", end=False)
        assert await is_alive(client)
        await site.stop()
        await trio.sleep(0.1)
        refused = await client.answer(await client.ask("GET", "/quick"))
        assert refused.reset == ErrorCodes.REFUSED_STREAM
        site.app.let_take.set()
        await client.send(deaf, b"x" * 20, end=True)
        answer = await client.answer(deaf)
        assert (answer.body, answer.ended) == (b"20", True)
        await client.until(lambda: client.closed)
        assert client.goaways == [ErrorCodes.NO_ERROR]


async def test_who_says_goodbye_still_gets_what_was_asked_for(
    clock: MockClock, serve: Serve
) -> None:
    async with serve() as site, http2(await site.dial()) as client:
        deaf = await client.ask("GET", "/deaf")
        await client.send_raw(frame(GOAWAY, 0, bytes(8)))
        quick = await client.request("GET", "/quick")
        assert quick.body == b"0"
        assert not client.closed
        site.app.let_take.set()
        assert (await client.answer(deaf)).body == b"0"
        await client.until(lambda: client.closed)
        assert client.goaways == [ErrorCodes.NO_ERROR]


async def test_who_says_goodbye_over_an_error_is_gone_at_once(
    clock: MockClock, serve: Serve
) -> None:
    async with serve() as site, http2(await site.dial()) as client:
        await client.ask("GET", "/deaf")
        await client.send_raw(frame(GOAWAY, 0, bytes(7) + b"\1"))
        await client.until(lambda: client.closed)


async def test_at_the_end_what_waits_for_a_window_still_goes_out(
    clock: MockClock, serve: Serve
) -> None:
    async with serve() as site, http2(await site.dial(), taking=False) as client:
        number = await client.websocket("/chatty")
        await client.until(lambda: len(client.answers[number].body) == 65_535)
        await client.send(number, closing(), end=True)
        await trio.testing.wait_all_tasks_blocked()
        await site.stop()
        await trio.sleep(0.1)
        client.http.increment_flow_control_window(1_000_000)
        client.http.increment_flow_control_window(1_000_000, number)
        await client.flush()
        answer = await client.answer(number)
        assert (len(answer.body) > 200_000, answer.ended) == (True, True)
        await client.until(lambda: client.closed)
        assert client.goaways == [ErrorCodes.NO_ERROR]
