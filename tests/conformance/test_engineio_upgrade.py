"""Engine.IO v4, "Upgrade": from long-polling to a WebSocket."""

from __future__ import annotations

import pytest
import trio

from tests.conformance.clients import (
    PollingClient,
    Site,
    WebSocketClient,
    received_in_time,
)
from tests.conformance.processes import UPGRADE_TIMEOUT
from tests.socketio.peer import Close, Peer, Refused
from tests.socketio.polls import WEBSOCKET, binary

BAD_REQUEST = {"code": 3, "message": "Bad request"}
LATE = 1.5
"""Seconds by which a busy machine may be late."""


async def still_polls(site: Site, polls: PollingClient) -> None:
    """See a session go on by polling; a GET waits again."""
    await site.settle()
    await polls.gets.send("GET", polls.target)
    await polls.send("4still here")
    assert [*(await polls.answer()).packets] == ["4still here"]


async def closed(peer: Peer, patience: float = 5.0) -> Close:
    """Return how a WebSocket is closed."""
    with trio.fail_after(patience):
        return await peer.receive_close()


async def test_a_session_moves_to_a_websocket(site: Site) -> None:
    polls = await site.polls()
    peer = await site.dial(f"{WEBSOCKET}&sid={polls.sid}")
    await peer.send("2probe")
    assert await received_in_time(peer) == "3probe"
    await peer.send("5")
    client = WebSocketClient(polls.opened, peer)
    assert await client.receive_any() == "2"


async def test_a_waiting_get_is_answered_at_the_probe(site: Site) -> None:
    texts: list[str] = []
    while "6" not in texts:
        polls = await site.polls()
        await polls.gets.send("GET", polls.target)
        await site.settle()
        await site.probe(polls)
        answer = await polls.gets.answer()
        assert answer.status == 200
        texts.append(answer.text)
        # On a busy machine a ping may answer it before the probe has come.
        assert len(texts) < 5, texts


async def test_every_get_between_probe_and_upgrade_is_answered_at_once(engine: Site) -> None:
    expected = ["6", "6", "6", "4hello", "6"]
    texts: list[str] = []
    for _ in range(5):
        texts.clear()
        polls = await engine.polls()
        peer = await engine.probe(polls)
        with trio.move_on_after(0.25):  # before a ping would answer it
            for text in expected:
                if text == "4hello":
                    await polls.send(text)
                texts.append((await polls.get()).text)
        if len(texts) == len(expected) and "2" not in texts:
            break  # on a busy machine a ping may come in between
    assert texts == expected
    await peer.send("5")


async def test_what_waits_goes_over_the_websocket(engine: Site) -> None:
    polls = await engine.polls()
    peer = await engine.probe(polls)
    await polls.send("4one", b"\x01\x02", "4two")
    await peer.send("5")
    client = WebSocketClient(polls.opened, peer)
    assert await client.receive_many(3) == ["4one", b"\x01\x02", "4two"]


async def test_messages_around_the_upgrade_keep_their_order(engine: Site) -> None:
    polls = await engine.polls()
    peer = await engine.probe(polls)
    await polls.send(*(f"4{n}" for n in range(50)))
    taken = (await polls.get()).packets
    await polls.send(*(f"4{n}" for n in range(50, 100)))
    await peer.send("5")
    for number in range(100, 150):
        await peer.send(f"4{number}")
    client = WebSocketClient(polls.opened, peer)
    rest = await client.receive_many(150 - len(taken))
    assert [*taken, *rest] == [f"4{n}" for n in range(150)]


async def test_after_the_upgrade_polls_are_refused_without_harm(engine: Site) -> None:
    polls = await engine.polls()
    peer = await engine.probe(polls)
    await peer.send("5")
    await engine.settle()
    for answer in (await polls.get(), await polls.post("4lost"), await polls.post("1")):
        assert (answer.status, answer.json()) == (400, BAD_REQUEST)
    client = WebSocketClient(polls.opened, peer)
    await client.send("4hello")
    assert await client.receive() == "4hello"


async def test_after_the_upgrade_another_websocket_is_closed_without_harm(engine: Site) -> None:
    client = await engine.open("upgraded")
    other = await engine.dial(f"{WEBSOCKET}&sid={client.sid}")
    await closed(other)
    await client.send("4hello")
    assert await client.receive() == "4hello"


async def test_a_session_on_a_websocket_is_not_upgraded(engine: Site) -> None:
    client = await engine.open("websocket")
    other = await engine.dial(f"{WEBSOCKET}&sid={client.sid}")
    await closed(other)
    await client.send("4hello")
    assert await client.receive() == "4hello"


async def test_a_second_websocket_during_a_probe_is_closed(engine: Site) -> None:
    polls = await engine.polls()
    peer = await engine.probe(polls)
    other = await engine.dial(f"{WEBSOCKET}&sid={polls.sid}")
    await closed(other)
    await peer.send("5")
    client = WebSocketClient(polls.opened, peer)
    await client.send("4hello")
    assert await client.receive() == "4hello"


@pytest.mark.parametrize(
    "packets",
    [("5",), ("4hello",), ("2",), ("1",), ("2prob",), (b"2probe",), ("2probe", "4hello"),
     ("2probe", "2probe"), ("2probe", b"5")],
)  # fmt: skip
async def test_what_does_not_belong_into_a_probe_closes_the_websocket_only(
    engine: Site, packets: tuple[str | bytes, ...]
) -> None:
    polls = await engine.polls()
    peer = await engine.dial(f"{WEBSOCKET}&sid={polls.sid}")
    for packet in packets:
        await peer.send(packet)
    await closed(peer)
    await still_polls(engine, polls)


async def test_a_probe_that_breaks_off_leaves_the_session_polling(engine: Site) -> None:
    polls = await engine.polls()
    peer = await engine.probe(polls)
    await peer.stream.aclose()
    await still_polls(engine, polls)


async def test_a_probe_that_takes_too_long_leaves_the_session_polling(engine: Site) -> None:
    polls = await engine.polls()
    began = trio.current_time()
    peer = await engine.probe(polls)
    ends = trio.Event()

    async def wait() -> None:
        await closed(peer)
        ends.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait)
        while not ends.is_set():  # or there would be no session to go on with
            for packet in (await polls.get_any()).packets:
                if packet == "2":
                    await polls.send("3")
            await trio.sleep(0.01)
    assert UPGRADE_TIMEOUT - 0.02 <= trio.current_time() - began <= UPGRADE_TIMEOUT + LATE
    await polls.send("4hello")
    assert await polls.receive() == "4hello"


async def test_after_a_failed_probe_another_one_succeeds(engine: Site) -> None:
    polls = await engine.polls()
    await (await engine.probe(polls)).stream.aclose()
    await engine.settle()
    peer = await engine.probe(polls)
    await peer.send("5")
    client = WebSocketClient(polls.opened, peer)
    await client.send("4hello")
    assert await client.receive() == "4hello"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (("transport=websocket", "transport=polling"), 3),
        (("transport=websocket", "transport=abc"), 0),
        (("EIO=4", "EIO=3"), 5),
    ],
)
async def test_a_wrong_request_for_an_upgrade_is_refused_without_harm(
    engine: Site, change: tuple[str, str], code: int
) -> None:
    polls = await engine.polls()
    peer = await engine.dial(f"{WEBSOCKET}&sid={polls.sid}".replace(*change))
    refused = await received_in_time(peer)
    assert isinstance(refused, Refused)
    assert (refused.status, refused.json()["code"]) == (400, code)
    await still_polls(engine, polls)


async def test_the_upgrade_may_come_on_a_connection_that_was_polled_before(engine: Site) -> None:
    polls = await engine.polls()
    peer = Peer(polls.gets.stream)
    await peer.upgrade(f"{engine.path}?{WEBSOCKET}&sid={polls.sid}")
    await peer.send("2probe")
    assert await received_in_time(peer) == "3probe"
    await polls.send("4hello", binary(b"abc"))
    await peer.send("5")
    client = WebSocketClient(polls.opened, peer)
    assert await client.receive_many(2) == ["4hello", b"abc"]


async def test_a_post_under_way_at_the_upgrade_is_handled(engine: Site) -> None:
    polls = await engine.polls()
    peer = await engine.probe(polls)
    await polls.posts.begin("POST", polls.target, [("Content-Length", "6")])
    await polls.posts.part(b"4he")
    await engine.settle()
    await peer.send("5")
    await polls.posts.rest(b"llo")
    assert (await polls.posts.answer()).body == b"ok"
    assert await WebSocketClient(polls.opened, peer).receive() == "4hello"
