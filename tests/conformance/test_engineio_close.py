"""Engine.IO v4: how a client ends its session."""

from __future__ import annotations

from tests.conformance.clients import Site, WebSocketClient
from tests.socketio.polls import POLLING

SESSION_UNKNOWN = {"code": 1, "message": "Session ID unknown"}


async def test_a_close_packet_ends_the_waiting_get_with_a_noop(site: Site) -> None:
    polls = await site.polls()
    await polls.gets.send("GET", polls.target)
    await site.settle()
    answer = await polls.posts.request("POST", polls.target, "1")
    assert (answer.status, answer.text) == (200, "ok")
    answer = await polls.answer()
    assert (answer.status, answer.text) == (200, "6")
    for method in ("GET", "POST"):
        answer = await site.ask(method, f"{POLLING}&sid={polls.sid}", "4hello")
        assert (answer.status, answer.json()) == (400, SESSION_UNKNOWN)


async def test_a_close_packet_ends_a_session_that_nobody_polls(site: Site) -> None:
    polls = await site.polls()
    await polls.send("1")
    answer = await polls.get()
    assert (answer.status, answer.json()) == (400, SESSION_UNKNOWN)


async def test_what_comes_before_a_close_packet_is_handled(engine: Site) -> None:
    polls = await engine.polls()
    await polls.send("4hello", "1", "abc")
    answer = await polls.get()
    assert (answer.status, answer.json()) == (400, SESSION_UNKNOWN)


async def test_a_close_packet_closes_the_websocket(site: Site) -> None:
    for transport in ("websocket", "upgraded"):
        client = await site.open(transport)
        assert isinstance(client, WebSocketClient)
        await client.send("1")
        assert (await client.closed()).code in {1000, 1005}


async def test_a_session_ends_with_its_websocket(site: Site) -> None:
    for transport in ("websocket", "upgraded"):
        client = await site.open(transport)
        assert isinstance(client, WebSocketClient)
        await client.peer.close()
        await client.peer.stream.aclose()
        await site.settle()
        answer = await site.ask("GET", f"{POLLING}&sid={client.sid}")
        assert (answer.status, answer.json()) == (400, SESSION_UNKNOWN)


async def test_a_session_ends_with_the_stream_of_its_websocket(site: Site) -> None:
    for transport in ("websocket", "upgraded"):
        client = await site.open(transport)
        assert isinstance(client, WebSocketClient)
        await client.peer.stream.aclose()
        await site.settle()
        answer = await site.ask("GET", f"{POLLING}&sid={client.sid}")
        assert (answer.status, answer.json()) == (400, SESSION_UNKNOWN)
