"""Engine.IO v4: messages over long-polling and WebSocket, and requests that must not be."""

from __future__ import annotations

import struct

import pytest
import trio

from tests.conformance.clients import Packet, Site, Transport, WebSocketClient, received_in_time
from tests.conformance.http_peer import PATIENCE
from tests.socketio.polls import POLLING

BAD_REQUEST = {"code": 3, "message": "Bad request"}
SESSION_UNKNOWN = {"code": 1, "message": "Session ID unknown"}


def masked(opcode: int, data: bytes, *, fin: bool = True) -> bytes:
    """Return a client's frame with a mask of zeros (RFC 6455 §5.2)."""
    return struct.pack("!BBQ4x", (0x80 if fin else 0) | opcode, 0x80 | 127, len(data)) + data


# Both transports


@pytest.mark.parametrize(
    "packet",
    ["4hello", "4", "4한글 🙂\n\t\x00", "42[]", "4b", b"\x01\x02\x03\x04", b"", bytes(256)],
)
async def test_a_message_comes_back_as_it_was_sent(
    engine: Site, transport: Transport, packet: Packet
) -> None:
    client = await engine.open(transport)
    await client.send(packet)
    assert await client.receive() == packet


async def test_over_a_websocket_binary_may_come_as_base64(engine: Site) -> None:
    """Clients with ``forceBase64`` send it so, as engine.io-parser writes it in text."""
    client = await engine.open("websocket")
    await client.send("bAQIDBA==")
    assert await client.receive() == b"\x01\x02\x03\x04"
    await client.send("b")
    assert await client.receive() == b""


@pytest.mark.parametrize("packet", ["bAQID=BA", "b한글", "b?", "bA"])
async def test_over_a_websocket_what_is_no_base64_closes(engine: Site, packet: str) -> None:
    client = await engine.open("websocket")
    await client.refused(packet)


async def test_several_messages_come_back_in_their_order(
    engine: Site, transport: Transport
) -> None:
    client = await engine.open(transport)
    packets: list[Packet] = ["4test1", "4test2", b"\x00\xff", "4test3", b"\x1e"]
    await client.send(*packets)
    assert await client.receive_many(5) == packets


async def test_many_messages_are_neither_lost_nor_doubled(
    engine: Site, transport: Transport
) -> None:
    client = await engine.open(transport)
    packets: list[Packet] = [f"4{n}" for n in range(200)]
    await client.send(*packets)
    assert await client.receive_many(200) == packets


@pytest.mark.parametrize("packet", ["4" + "x" * 999_999, b"x" * 700_000])
async def test_a_message_may_be_as_large_as_max_payload(
    engine: Site, transport: Transport, packet: Packet
) -> None:
    client = await engine.open(transport)
    await client.send(packet)
    assert await client.receive() == packet


async def test_sessions_do_not_hear_each_other(engine: Site, transport: Transport) -> None:
    one, other = await engine.open(transport), await engine.open(transport)
    await one.send("4one")
    await other.send("4other")
    assert await one.receive() == "4one"
    assert await other.receive() == "4other"


@pytest.mark.parametrize("packet", ["abc", "", "7", "5", "6", "2", "0{}", "2probe"])
async def test_a_packet_that_is_none_ends_the_session(
    site: Site, transport: Transport, packet: str
) -> None:
    client = await site.open(transport)
    await client.refused(packet)


async def test_a_session_that_ends_takes_no_other_with_it(
    engine: Site, transport: Transport
) -> None:
    good, bad = await engine.open(transport), await engine.open(transport)
    await bad.refused("abc")
    await good.send("4hello")
    assert await good.receive() == "4hello"


# Long-polling


async def test_a_payload_of_one_text_packet(engine: Site) -> None:
    polls = await engine.polls()
    answer = await polls.posts.request("POST", polls.target, "4hello")
    assert (answer.status, answer.text) == (200, "ok")
    answer = await polls.get()
    assert (answer.status, answer.text) == (200, "4hello")


async def test_a_payload_of_several_text_packets(engine: Site) -> None:
    polls = await engine.polls()
    await polls.posts.request("POST", polls.target, "4test1\x1e4test2\x1e4test3")
    assert (await polls.get()).text == "4test1\x1e4test2\x1e4test3"


async def test_a_payload_of_text_and_binary_packets(engine: Site) -> None:
    polls = await engine.polls()
    await polls.posts.request("POST", polls.target, "4hello\x1ebAQIDBA==")
    assert (await polls.get()).text == "4hello\x1ebAQIDBA=="


async def test_a_get_waits_until_there_is_something(engine: Site) -> None:
    polls = await engine.polls()
    await polls.gets.send("GET", polls.target)
    with trio.move_on_after(0.1):
        await polls.gets.answer()
        raise AssertionError("it did not wait")
    await polls.send("4hello")
    assert (await polls.answer()).text == "4hello"


async def test_packets_are_joined_up_to_max_payload(engine: Site) -> None:
    polls = await engine.polls()
    for letter in "abc":
        await polls.send("4" + letter * 400_000)
    sizes = [[len(packet) for packet in (await polls.get()).packets] for _ in range(2)]
    assert sizes == [[400_001, 400_001], [400_001]]


async def test_a_packet_larger_than_max_payload_goes_alone(engine: Site) -> None:
    polls = await engine.polls()
    large = b"x" * 740_000  # 986,669 bytes as base64, as it is sent
    await polls.send(large)
    await polls.send("4after")
    await polls.send("4this")
    packets = (await polls.get()).packets
    assert len(packets[0]) == 986_669
    packets += [] if len(packets) == 3 else (await polls.get()).packets
    assert packets[1:] == ["4after", "4this"]


async def test_a_body_in_chunks_is_taken(engine: Site) -> None:
    polls = await engine.polls()
    await polls.posts.begin("POST", polls.target, [("Transfer-Encoding", "chunked")])
    for part in (b"4hel", b"lo\x1e", b"4you"):
        await polls.posts.part(part)
    await polls.posts.rest()
    assert (await polls.posts.answer()).body == b"ok"
    assert await polls.receive_many(2) == ["4hello", "4you"]


async def test_all_requests_may_share_a_connection(engine: Site) -> None:
    peer = await engine.http()
    opened = await peer.request("GET", f"{engine.path}?{POLLING}")
    sid = opened.text.split('"sid":"')[1].split('"')[0]
    target = f"{engine.path}?{POLLING}&sid={sid}"
    for number in range(3):
        assert (await peer.request("POST", target, f"4{number}")).text == "ok"
        assert (await peer.request("GET", target)).text == f"4{number}"
        assert peer.reusable


@pytest.mark.parametrize("size", [1_000_001, 5_000_000])
async def test_a_body_larger_than_max_payload_is_refused(engine: Site, size: int) -> None:
    polls = await engine.polls()
    answer = await polls.posts.request("POST", polls.target, "4" * size)
    assert answer.status == 413
    polls.posts = await engine.http()
    await polls.send("4hello")
    assert await polls.receive() == "4hello"


async def test_a_body_that_says_it_is_larger_is_refused(engine: Site) -> None:
    polls = await engine.polls()
    await polls.posts.begin("POST", polls.target, [("Content-Length", "1000001")])
    await polls.posts.part(b"4" * 1_000_000)
    await polls.posts.rest(b"4")
    assert (await polls.posts.answer()).status == 413


@pytest.mark.parametrize(
    "body", [b"abc", b"", b"\x1e4a", b"4a\x1e", b"bAQ", b"b!!!!", b"4\xff", b"4a\x1e\x1e4b"]
)
async def test_a_body_that_cannot_be_read_ends_the_session(engine: Site, body: bytes) -> None:
    polls = await engine.polls()
    answer = await polls.posts.request("POST", polls.target, body)
    assert (answer.status, answer.json()) == (400, BAD_REQUEST)
    answer = await polls.get()
    assert (answer.status, answer.json()) == (400, SESSION_UNKNOWN)


async def test_a_get_that_waits_is_told_of_a_body_that_cannot_be_read(engine: Site) -> None:
    polls = await engine.polls()
    await polls.gets.send("GET", polls.target)
    await engine.settle()
    assert (await polls.post("abc")).status == 400
    assert (await polls.answer()).text == "1"


async def test_a_second_get_ends_the_session(site: Site) -> None:
    polls = await site.polls()
    await polls.gets.send("GET", polls.target)
    await site.settle()
    second = await site.ask("GET", f"{POLLING}&sid={polls.sid}&t=burst")
    assert (second.status, second.json()) == (400, BAD_REQUEST)
    first = await polls.answer()
    assert (first.status, first.text) == (200, "1")
    assert await polls.ended() == []


async def test_a_second_post_ends_the_session(site: Site) -> None:
    polls = await site.polls()
    await polls.gets.send("GET", polls.target)
    await polls.posts.begin("POST", polls.target, [("Content-Length", "6")])
    await polls.posts.part(b"4he")
    await site.settle()
    second = await site.ask("POST", f"{POLLING}&sid={polls.sid}", "4hello")
    assert (second.status, second.json()) == (400, BAD_REQUEST)
    first = await polls.answer()
    assert (first.status, first.text) == (200, "1")
    await polls.posts.rest(b"llo")
    assert (await polls.posts.answer()).status == 400
    assert await polls.ended() == []


async def test_a_get_that_the_client_cancels_ends_the_session(site: Site) -> None:
    polls = await site.polls()
    await polls.gets.send("GET", polls.target)
    await site.settle()
    await polls.gets.aclose()
    polls.gets = await site.http()
    await site.settle()
    answer = await polls.get()
    assert (answer.status, answer.json()) == (400, SESSION_UNKNOWN)


async def test_a_post_that_breaks_off_ends_the_session(site: Site) -> None:
    polls = await site.polls()
    await polls.gets.send("GET", polls.target)
    await polls.posts.begin("POST", polls.target, [("Content-Length", "100")])
    await polls.posts.part(b"4hello")
    await polls.posts.aclose()
    assert (await polls.answer()).text == "1"
    assert await polls.ended() == []


# WebSocket


@pytest.fixture(params=["websocket", "upgraded"])
async def over_websocket(request: pytest.FixtureRequest, engine: Site) -> WebSocketClient:
    client = await engine.open(request.param)
    assert isinstance(client, WebSocketClient)
    return client


async def test_a_message_may_come_in_fragments(over_websocket: WebSocketClient) -> None:
    await over_websocket.peer.send_fragments("4he", "l", "", "lo")
    assert await over_websocket.receive() == "4hello"


async def test_a_ping_of_the_websocket_is_answered_by_its_pong(
    over_websocket: WebSocketClient,
) -> None:
    await over_websocket.peer.ping(b"abc")
    await over_websocket.send("4hello")
    assert await over_websocket.receive() == "4hello"
    assert over_websocket.peer.pongs == [b"abc"]


@pytest.mark.parametrize("code", [1000, 1001, 4000])
async def test_a_close_frame_is_echoed(over_websocket: WebSocketClient, code: int) -> None:
    with trio.fail_after(PATIENCE):
        closed = await over_websocket.peer.close(code)
    assert closed.code == code


@pytest.mark.parametrize("packet", ["4" + "x" * 1_000_000, b"x" * 1_000_001])
async def test_a_message_larger_than_max_payload_closes(
    over_websocket: WebSocketClient, packet: Packet
) -> None:
    await over_websocket.send(packet)
    assert (await over_websocket.closed()).code == 1009


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (masked(1, b"4\xff"), 1007),
        (masked(3, b""), 1002),
        (masked(0, b"no beginning"), 1002),
        (masked(1, b"4", fin=False) + masked(1, b"4"), 1002),
        (masked(9, b"x" * 126), 1002),
        (b"\xf1\x80\x00\x00\x00\x00", 1002),
    ],
)
async def test_a_frame_that_is_none_closes(
    over_websocket: WebSocketClient, raw: bytes, code: int
) -> None:
    await over_websocket.peer.stream.send_all(raw)
    assert (await over_websocket.closed()).code in {code, 1006}


async def test_a_websocket_comes_on_a_connection_that_was_used_before(engine: Site) -> None:
    peer = await engine.http()
    opened = await peer.request("GET", f"{engine.path}?{POLLING}")
    assert opened.status == 200
    websocket = await engine.upgrade(peer)
    assert str(await received_in_time(websocket)).startswith("0")
    await websocket.send("4hello")
    assert await received_in_time(websocket) == "4hello"
