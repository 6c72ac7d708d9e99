"""What HTTP/1.1 leaves to clients, and polls and WebSockets have to bear."""

from __future__ import annotations

import trio

from tests.conformance.clients import Site, opened
from tests.conformance.http_peer import PATIENCE
from tests.socketio.polls import POLLING, WEBSOCKET


async def all_of(stream: trio.SocketStream) -> bytes:
    """Return what comes until the server ends the connection."""
    received = b""
    with trio.fail_after(PATIENCE):
        async for data in stream:
            received += data
    return received


async def test_a_client_may_ask_before_it_sends_the_body(engine: Site) -> None:
    polls = await engine.polls()
    head = [("Content-Length", "6"), ("Expect", "100-continue")]
    await polls.posts.begin("POST", polls.target, head)
    with trio.fail_after(PATIENCE):
        assert b" 100 " in await polls.posts.stream.receive_some()
    await polls.posts.rest(b"4hello")
    assert (await polls.posts.answer()).body == b"ok"
    assert await polls.receive() == "4hello"


async def test_an_old_client_gets_its_answers(engine: Site) -> None:
    stream = await engine.stream()
    await stream.send_all(f"GET {engine.path}?{POLLING} HTTP/1.0\r\n\r\n".encode())
    head, _, body = (await all_of(stream)).partition(b"\r\n\r\n")
    assert b" 200 " in head
    assert opened(body.decode())["upgrades"] == ["websocket"]


async def test_requests_may_be_sent_before_answers_have_come(engine: Site) -> None:
    polls = await engine.polls()
    post = f"POST {polls.target} HTTP/1.1\r\nHost: server.test\r\nContent-Length: 6\r\n\r\n4hello"
    stream = await engine.stream()
    await stream.send_all(f"{post}{post}GET {polls.target} HTTP/1.0\r\n\r\n".encode())
    answers = await all_of(stream)
    assert answers.count(b"\r\n\r\nok") == 2
    assert answers.endswith(b"4hello\x1e4hello")


async def test_a_websocket_may_be_asked_for_as_firefox_does(engine: Site) -> None:
    stream = await engine.stream()
    head = (
        f"GET {engine.path}?{WEBSOCKET} HTTP/1.1\r\nhost: server.test\r\n"
        "sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        "connection: keep-alive, Upgrade\r\nupgrade: websocket\r\n\r\n"
    )
    await stream.send_all(head.encode())
    received = b""
    with trio.fail_after(PATIENCE):
        while b"maxPayload" not in received:
            received += await stream.receive_some()
    assert b" 101 " in received
    assert b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in received, "RFC 6455 §1.3"


async def test_what_is_elsewhere_is_not_found(engine: Site) -> None:
    peer = await engine.http()
    for target in ("/", "/engine.io", "/elsewhere/?EIO=4&transport=polling"):
        answer = await peer.request("GET", target)
        assert answer.status == 404
