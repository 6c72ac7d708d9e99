"""Long-polling over HTTP/2, where a GET waits and POSTs pass it on the same connection."""

from __future__ import annotations

from tests.conformance.clients import Site, opened
from tests.conformance.http2_peer import Http2Peer
from tests.socketio.polls import POLLING


async def polled(site: Site) -> tuple[Http2Peer, str]:
    """Return a connection, and the target of the session that was opened over it."""
    peer = Http2Peer(await site.stream())
    answer = await peer.request("GET", f"{site.path}?{POLLING}")
    assert answer.status == 200
    return peer, f"{site.path}?{POLLING}&sid={opened(answer.text)['sid']}"


async def test_messages_go_both_ways_over_one_connection(engine: Site) -> None:
    peer, target = await polled(engine)
    for number in range(10):
        waiting = await peer.send("GET", target)
        answer = await peer.request("POST", target, b"4%d\x1ebAQIDBA==" % number)
        assert (answer.status, answer.body) == (200, b"ok")
        assert (await peer.answer(waiting)).text == f"4{number}\x1ebAQIDBA=="


async def test_a_large_message_goes_both_ways(engine: Site) -> None:
    peer, target = await polled(engine)
    waiting = await peer.send("GET", target)
    message = b"4" + b"x" * 50_000
    assert (await peer.request("POST", target, message)).body == b"ok"
    assert (await peer.answer(waiting)).body == message


async def test_a_request_that_is_taken_back_ends_the_session(engine: Site) -> None:
    peer, target = await polled(engine)
    waiting = await peer.send("GET", target)
    await engine.settle()
    await peer.cancel(waiting)
    await engine.settle()
    answer = await peer.request("GET", target)
    assert (answer.status, answer.json()["code"]) == (400, 1)


async def test_a_second_get_ends_the_session(engine: Site) -> None:
    peer, target = await polled(engine)
    waiting = await peer.send("GET", target)
    second = await peer.request("GET", target)
    assert (second.status, second.json()["code"]) == (400, 3)
    assert (await peer.answer(waiting)).text == "1"


async def test_refusals_are_those_of_http_1(engine: Site) -> None:
    peer, _ = await polled(engine)
    answer = await peer.request("GET", f"{engine.path}?transport=polling")
    assert (answer.status, answer.json()["code"]) == (400, 5)
    answer = await peer.request("POST", f"{engine.path}?{POLLING}", b"4hello")
    assert (answer.status, answer.json()["code"]) == (400, 2)


async def test_many_sessions_share_a_connection(engine: Site) -> None:
    peer, first = await polled(engine)
    targets = [first]
    for _ in range(9):
        answer = await peer.request("GET", f"{engine.path}?{POLLING}")
        targets.append(f"{engine.path}?{POLLING}&sid={opened(answer.text)['sid']}")
    waiting = [await peer.send("GET", target) for target in targets]
    for number, target in enumerate(targets):
        assert (await peer.request("POST", target, b"4%d" % number)).body == b"ok"
    answers = [(await peer.answer(number)).text for number in waiting]
    assert answers == [f"4{n}" for n in range(10)]
