"""TLS in the front door: what it costs whom, and what is found below it."""

from __future__ import annotations

import json
import ssl
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from gbs_actor.socketio import (
    FrontDoor,
    HttpStream,
    Request,
    TlsListener,
    TlsStream,
    is_secure,
    peer_address,
    peer_address_with_port,
)
from tests.apps.echo_socketio import echo_server
from tests.certificates import Authority
from tests.socketio.net.test_front_door import UPGRADE, Rooms, opened, read_all
from tests.socketio.peer import Close, Duplex, MemoryListener, Peer

GET = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture(scope="module")
def context(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    issued = authority.issue(tmp_path_factory.mktemp("tls"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(issued.certificate, issued.key)
    context.set_alpn_protocols(["http/1.1"])
    return context


class SecureListener:
    """Memory streams under TLS."""

    def __init__(self, authority: Authority, context: ssl.SSLContext) -> None:
        self._inner = MemoryListener()
        self._authority = authority
        self.dial_below = self._inner.dial
        self.listener = TlsListener(self._inner, lambda: context)

    def dial(self, *protocols: str) -> trio.SSLStream[Any]:
        return trio.SSLStream(
            self.dial_below(),
            self._authority.client_context(protocols),
            server_hostname="localhost",
            https_compatible=True,
        )


@pytest.fixture
def secure(authority: Authority, context: ssl.SSLContext) -> SecureListener:
    return SecureListener(authority, context)


async def test_a_request_comes_to_the_fallback_decrypted(
    clock: MockClock, secure: SecureListener
) -> None:
    rooms = Rooms()
    async with opened(FrontDoor({}, rooms.fallback), [secure.listener]):
        client = secure.dial()
        await client.send_all(GET)
        assert await client.receive_some() == b"HTTP/1.1 200 OK\r\n\r\n"
        assert await read_all(client) == b""
    assert rooms.fallbacks == [GET]


@pytest.mark.parametrize(
    ("offered", "agreed"), [(("h2", "http/1.1"), "http/1.1"), ((), None), (("smtp",), None)]
)
async def test_the_fallback_gets_an_encrypted_stream_whatever_was_agreed_on(
    clock: MockClock, secure: SecureListener, offered: tuple[str, ...], agreed: str | None
) -> None:
    seen: list[bool] = []

    async def fallback(stream: HttpStream) -> None:
        seen.append(stream.secure)

    async with opened(FrontDoor({}, fallback), [secure.listener]):
        client = secure.dial(*offered)
        await client.send_all(GET)
        assert client.selected_alpn_protocol() == agreed
        await read_all(client)
    assert seen == [True]


async def test_an_upgrade_goes_to_the_same_handler_as_without(
    clock: MockClock, secure: SecureListener
) -> None:
    seen: list[tuple[type, bool, str]] = []

    async def handle(stream: Duplex, request: Request, leftover: bytes) -> None:
        seen.append((type(stream), is_secure(stream), request.path))

    door = FrontDoor({"/socket.io/": handle}, Rooms().fallback)
    async with opened(door, [secure.listener]):
        client = secure.dial()
        await client.send_all(UPGRADE)
        await read_all(client)
    assert seen == [(TlsStream, True, "/socket.io/")]


async def test_a_conversation_over_tls_has_a_good_end(
    clock: MockClock, secure: SecureListener
) -> None:
    server = echo_server()
    door = FrontDoor({"/socket.io/": server.serve_websocket}, Rooms().fallback)
    async with server.serving(), opened(door, [secure.listener]):
        # The peer's end of a stream is the TCP connection's, so its half of it is no question.
        peer = Peer(secure.dial())  # type: ignore[arg-type]
        await peer.join()
        await peer.receive_event()
        await peer.send('420["message-with-ack","' + "x" * 300_000 + '"]')
        assert len(await peer.receive_text()) == 300_000 + len('430[""]')
        (socket,) = server.namespace("/").sockets
        assert socket.handshake.secure
        assert await peer.close() == Close(1000)
        await peer.stream.aclose()
        await wait_all_tasks_blocked()
        assert door.statistics().connections == 0
        assert door.statistics().failures == 0


async def test_a_silent_client_keeps_nobody_else_waiting_and_is_given_up(
    clock: MockClock, secure: SecureListener
) -> None:
    door = FrontDoor({}, Rooms().fallback, head_timeout=10.0)
    async with opened(door, [secure.listener]):
        silent = secure.dial_below()
        await wait_all_tasks_blocked()
        other = secure.dial()
        await other.send_all(GET)
        assert await other.receive_some() == b"HTTP/1.1 200 OK\r\n\r\n"
        assert trio.current_time() == 0
        assert await read_all(silent) == b""
        assert trio.current_time() == 10
        await wait_all_tasks_blocked()
        statistics = door.statistics()
    assert (statistics.failed_handshakes, statistics.connections) == (1, 0)


async def test_after_the_handshake_a_head_has_its_own_time(
    clock: MockClock, secure: SecureListener
) -> None:
    door = FrontDoor({}, Rooms().fallback, head_timeout=10.0)
    async with opened(door, [secure.listener]):
        client = secure.dial()
        await trio.sleep(9)
        await client.do_handshake()
        await client.send_all(GET[:-2])
        answer = await client.receive_some()
        assert trio.current_time() == 19
        assert answer.startswith(b"HTTP/1.1 408 ")


@pytest.mark.parametrize(
    "data", [b"", b"\x16", b"\x16\x03\x01\x02\x00\x01" + b"\xff" * 600, bytes(range(256)), b"SSH-2"]
)
async def test_what_is_no_tls_ends_its_own_connection(
    clock: MockClock, secure: SecureListener, data: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    door = FrontDoor({}, Rooms().fallback)
    async with opened(door, [secure.listener]):
        client = secure.dial_below()
        if data:
            await client.send_all(data)
        await client.send_eof()
        assert await read_all(client) == b""
        await wait_all_tasks_blocked()
        statistics = door.statistics()
    assert (statistics.failed_handshakes, statistics.failures) == (1, 0)
    assert caplog.records == []


async def test_a_request_without_tls_is_told_where_it_is(
    clock: MockClock, secure: SecureListener
) -> None:
    async with opened(FrontDoor({}, Rooms().fallback), [secure.listener]):
        client = secure.dial_below()
        await client.send_all(GET)
        await client.send_eof()
        head, _, body = (await read_all(client)).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ")
    assert "https://" in json.loads(body)["message"]


async def test_connections_beyond_the_limit_are_told_so_over_tls(
    clock: MockClock, secure: SecureListener
) -> None:
    door = FrontDoor({}, Rooms().fallback, connections=1)
    async with opened(door, [secure.listener]):
        first = secure.dial()
        await first.do_handshake()
        second = secure.dial()
        await second.send_all(GET)
        assert (await second.receive_some()).startswith(b"HTTP/1.1 503 ")


async def test_each_connection_gets_the_certificate_of_its_time(
    clock: MockClock, authority: Authority, tmp_path: Path
) -> None:
    issued = [authority.issue(tmp_path, name) for name in ("old", "new")]
    contexts = [ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER) for _ in issued]
    for each, context in zip(issued, contexts, strict=True):
        context.load_cert_chain(each.certificate, each.key)
    inner = MemoryListener()
    current = [contexts[0]]
    serials = []
    door = FrontDoor({}, Rooms().fallback)
    async with opened(door, [TlsListener(inner, lambda: current[0])]):
        for context in contexts:
            current[0] = context
            client = trio.SSLStream(
                inner.dial(), authority.client_context(), server_hostname="localhost"
            )
            await client.do_handshake()
            serials.append(int(client.getpeercert()["serialNumber"], 16))
    assert serials == [each.serial for each in issued]


# Who is at the other end


async def test_a_stream_without_a_socket_has_no_address(
    clock: MockClock, context: ssl.SSLContext
) -> None:
    near, _ = trio.testing.memory_stream_pair()
    for stream in (near, TlsStream(near, context)):
        assert peer_address(stream) is None
        assert peer_address_with_port(stream) is None


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_the_peers_address_is_found_with_and_without_tls(
    context: ssl.SSLContext, host: str
) -> None:
    try:
        (listener,) = await trio.open_tcp_listeners(0, host=host)
    except OSError:
        pytest.skip(f"{host} is no address of this machine")
    async with listener:
        client = await trio.open_tcp_stream(host, listener.socket.getsockname()[1])
        below = await listener.accept()
        port = client.socket.getsockname()[1]
        secured = TlsStream(below, context)
        for stream in (below, secured):
            assert peer_address(stream) == host
            with_port = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
            assert peer_address_with_port(stream) == with_port
        assert (is_secure(below), is_secure(secured)) == (False, True)
        await client.aclose()
        await secured.aclose()
        assert peer_address(secured) is None


async def test_a_peer_of_a_unix_socket_has_no_address(tmp_path: Path) -> None:
    socket = trio.socket.socket(trio.socket.AF_UNIX)
    await socket.bind(str(tmp_path / "socket"))
    socket.listen()
    async with trio.SocketListener(socket) as listener:
        client = await trio.open_unix_socket(str(tmp_path / "socket"))
        accepted = await listener.accept()
        assert peer_address(accepted) is None
        await client.aclose()
        await accepted.aclose()


async def test_closing_now_ends_whoever_reads_behind_a_shield(
    authority: Authority, context: ssl.SSLContext
) -> None:
    waiting = trio.Event()
    ended: list[BaseException] = []

    async def stubborn(stream: HttpStream) -> None:
        await stream.receive_some()
        with trio.CancelScope(shield=True):
            waiting.set()
            try:
                await stream.receive_some()
            except trio.ClosedResourceError as error:
                ended.append(error)

    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    door = FrontDoor({}, stubborn)
    async with opened(door, [TlsListener(listeners[0], lambda: context)]):
        client = await trio.open_ssl_over_tcp_stream(
            *listeners[0].socket.getsockname()[:2],
            ssl_context=authority.client_context(),
            https_compatible=True,
        )
        await client.send_all(GET)
        await waiting.wait()
        await door.drain(0.1)
        await read_all(client)
    assert len(ended) == 1
