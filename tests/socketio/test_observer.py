"""What observers and tracers see of a server: each thing once, in order, and at no one's cost."""

from __future__ import annotations

import logging
import sys
from collections import Counter
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from gbs_actor.socketio import (
    ConnectError,
    Event,
    FrontDoor,
    MemoryRecovery,
    Message,
    Observer,
    OutboxLimits,
    Request,
    RequestRefused,
    Session,
    Socket,
    SocketServer,
    Tracer,
    encode_event,
)
from gbs_actor.socketio.channel.liveness import LAG
from tests.apps.echo_socketio import echo_server
from tests.socketio.net.socket_listener import SocketListener
from tests.socketio.peer import Refused, no_fallback, serving
from tests.socketio.polls import POLLING, WEBSOCKET, site


class Recorder(Observer):
    """Records all that it sees, in order."""

    def __init__(self) -> None:
        self.seen: list[tuple[Any, ...]] = []

    @property
    def names(self) -> list[str]:
        return [name for name, *_ in self.seen]

    def request_refused(
        self, request: Request, address: str | None, refusal: RequestRefused
    ) -> None:
        self.seen.append(("request_refused", request.query, address, refusal.status))

    def session_opened(self, session: Session) -> None:
        self.seen.append(("session_opened", session.transport.name))

    def session_upgraded(self, session: Session) -> None:
        self.seen.append(("session_upgraded", session.transport.name))

    def session_ended(self, session: Session, reason: str) -> None:
        self.seen.append(("session_ended", session.transport.name, reason, session.close_text))

    def connect_refused(self, session: Session, namespace: str, error: Exception) -> None:
        assert session.reason is None
        self.seen.append(("connect_refused", namespace, str(error)))

    def connected(self, socket: Socket) -> None:
        assert socket in server_sockets(socket)
        self.seen.append(("connected", socket.id, socket.transport))

    def fell_behind(self, socket: Socket) -> None:
        self.seen.append(("fell_behind", socket.id, trio.current_time()))

    def caught_up(self, socket: Socket) -> None:
        self.seen.append(("caught_up", socket.id, trio.current_time()))

    def disconnected(self, socket: Socket, reason: str) -> None:
        assert socket not in server_sockets(socket)
        self.seen.append(("disconnected", socket.id, reason))

    def event_received(self, socket: Socket, event: Event) -> None:
        self.seen.append(("event_received", socket.id, event.name, event.ack_id, event.first))

    def event_sent(self, socket: Socket, name: str, args: tuple[Any, ...]) -> None:
        self.seen.append(("event_sent", socket.id, name, args))

    def event_broadcast(self, namespace: str, name: str, args: tuple[Any, ...]) -> None:
        self.seen.append(("event_broadcast", namespace, name, args))


def server_sockets(socket: Socket) -> tuple[Socket, ...]:
    namespace: Any = socket.namespace
    sockets: tuple[Socket, ...] = namespace.sockets
    return sockets


def observed(server: SocketServer) -> Recorder:
    recorder = Recorder()
    server.observe(recorder)
    return recorder


def silent_server(**options: Any) -> SocketServer:
    server = SocketServer(**options)
    server.namespace("/")
    return server


# Sessions and sockets


@pytest.mark.usefixtures("drivers")
async def test_a_client_on_a_websocket_is_seen_from_its_handshake_to_its_end(
    clock: MockClock,
) -> None:
    server = echo_server()
    recorder = observed(server)
    async with serving(server) as service:
        peer = service.dial()
        sid = await peer.join("/", '{"token":"x"}')
        await peer.send('427["message-with-ack",{"a":1},2]')
        await peer.receive_text()
        await peer.receive_text()
        await peer.send('42["message","x"]')
        await peer.receive_text()
        await peer.close()
        await wait_all_tasks_blocked()
        assert recorder.seen == [
            ("session_opened", "websocket"),
            ("event_sent", sid, "auth", ({"token": "x"},)),  # by on_connect
            ("connected", sid, "websocket"),
            ("event_received", sid, "message-with-ack", 7, b'{"a":1}'),
            ("event_received", sid, "message", None, b'"x"'),
            ("event_sent", sid, "message-back", ("x",)),
            ("disconnected", sid, "transport close"),
            ("session_ended", "websocket", "transport close", ""),
        ]


async def test_a_polling_client_is_seen_from_its_handshake_to_its_end(clock: MockClock) -> None:
    server = silent_server()
    recorder = observed(server)
    async with site(server) as clients:
        polls = await clients.polls()
        sid = await polls.connect()
        await polls.send('423["hello",1]', '42["hello",2]')
        await polls.send("1")
        await wait_all_tasks_blocked()
        assert recorder.seen == [
            ("session_opened", "polling"),
            ("connected", sid, "polling"),
            ("event_received", sid, "hello", 3, b"1"),
            ("event_received", sid, "hello", None, b"2"),
            ("disconnected", sid, "transport close"),
            ("session_ended", "polling", "transport close", ""),
        ]


@pytest.mark.parametrize("kind", ["socket", "stream", "asgi"])
async def test_an_upgrade_is_seen_once_and_the_transport_is_another_one_from_then_on(
    clock: MockClock, kind: str
) -> None:
    server = silent_server()
    recorder = observed(server)
    async with site(server) as clients:
        polls = await clients.polls()
        sid = await polls.connect()
        socket = server.namespace("/").find_socket(sid)
        assert socket is not None
        assert socket.transport == "polling"
        query = f"{WEBSOCKET}&sid={polls.sid}"
        websocket: Any = (
            await clients.websocket(query)
            if kind == "asgi"
            else await clients.dial(query, socket=kind == "socket")
        )
        await websocket.send("2probe")
        assert await websocket.receive() == "3probe"
        assert socket.transport == "polling"
        await websocket.send("5")
        await websocket.send('42["hello"]')
        await wait_all_tasks_blocked()
        assert socket.transport == "websocket"
        socket.close_transport(1012, "restart")
        await wait_all_tasks_blocked()
        assert recorder.seen == [
            ("session_opened", "polling"),
            ("connected", sid, "polling"),
            ("session_upgraded", "websocket"),
            ("event_received", sid, "hello", None, None),
            ("disconnected", sid, "transport close"),
            ("session_ended", "websocket", "transport close", "restart"),
        ]


async def test_a_probe_that_fails_is_no_upgrade(clock: MockClock) -> None:
    server = silent_server()
    recorder = observed(server)
    async with site(server) as clients:
        polls = await clients.joined()
        websocket = await clients.dial(f"{WEBSOCKET}&sid={polls.sid}")
        await websocket.send("2probe")
        await websocket.receive()
        await websocket.close()
        await wait_all_tasks_blocked()
        assert recorder.names == ["session_opened", "connected"]


@pytest.mark.usefixtures("drivers")
async def test_each_socket_of_a_session_ends_by_its_own_reason(clock: MockClock) -> None:
    server = SocketServer()
    spaces = [server.namespace(name) for name in ("/", "/a", "/b")]
    recorder = observed(server)
    async with serving(server) as service:
        peer = service.dial()
        await peer.open()
        root, a, b = [await peer.connect(name) for name in ("/", "/a", "/b")]
        del recorder.seen[:]
        await peer.send("41/a,")
        await wait_all_tasks_blocked()
        (socket,) = spaces[2].sockets
        socket.disconnect()
        assert await peer.receive_text() == "41/b,"
        await peer.stream.aclose()
        await wait_all_tasks_blocked()
        assert recorder.seen == [
            ("disconnected", a, "client namespace disconnect"),
            ("disconnected", b, "server namespace disconnect"),
            ("disconnected", root, "transport close"),
            ("session_ended", "websocket", "transport close", ""),
        ]


@pytest.mark.usefixtures("drivers")
async def test_why_the_server_has_closed_is_told_in_more_words(clock: MockClock) -> None:
    server = silent_server(ping_interval=1.0, ping_timeout=1.0, connect_timeout=30.0)
    recorder = observed(server)
    async with serving(server) as service:
        await service.joined()
        await trio.sleep(5)
        violating = await service.joined()
        await violating.send("nonsense")
        await wait_all_tasks_blocked()
        await service.server.shutdown()
        assert [seen for seen in recorder.seen if seen[0] == "session_ended"] == [
            ("session_ended", "websocket", "ping timeout", "ping timeout"),
            ("session_ended", "websocket", "parse error", "unknown Engine.IO packet type"),
        ]


async def test_a_session_that_joins_nothing_is_seen_without_a_socket(clock: MockClock) -> None:
    server = silent_server(connect_timeout=1.0)
    recorder = observed(server)
    async with serving(server) as service:
        peer = service.dial()
        await peer.open()
        await peer.receive_close()
        assert recorder.seen == [
            ("session_opened", "websocket"),
            ("session_ended", "websocket", "transport close", "no namespace joined in time"),
        ]


async def test_a_resumed_session_is_another_connection_of_the_same_socket_id(
    clock: MockClock,
) -> None:
    server = silent_server()
    server.namespace("/").recovery = MemoryRecovery()
    recorder = observed(server)
    async with serving(server) as service:
        peer = service.dial()
        await peer.open()
        await peer.send("40")
        text = await peer.receive_text()
        sid, pid = text.split('"')[3], text.split('"')[7]
        await peer.stream.aclose()
        await wait_all_tasks_blocked()
        again = await service.joined("/", f'{{"pid":"{pid}","offset":"0"}}')
        await again.stream.aclose()
        await wait_all_tasks_blocked()
        assert [seen for seen in recorder.seen if "session" not in seen[0]] == [
            ("connected", sid, "websocket"),
            ("disconnected", sid, "transport close"),
        ] * 2


# Refused


@pytest.mark.usefixtures("drivers")
async def test_a_refused_connect_is_seen_with_its_error(clock: MockClock) -> None:
    server = silent_server()

    @server.namespace("/").on_connect
    async def refuse(socket: Socket, auth: Any) -> None:
        await trio.sleep(1)
        raise ConnectError("not today", {"code": 7})

    recorder = observed(server)
    async with serving(server) as service:
        peer = service.dial()
        await peer.open()
        await peer.send("40")
        assert await peer.receive_text() == '44{"message":"not today","data":{"code":7}}'
        await peer.send("40/unknown,")
        assert await peer.receive_text() == '44/unknown,{"message":"Invalid namespace"}'
        assert recorder.seen == [
            ("session_opened", "websocket"),
            ("connect_refused", "/", "not today"),
            ("connect_refused", "/unknown", "Invalid namespace"),
        ]


async def test_an_on_connect_that_fails_is_seen_before_the_end_of_its_session(
    clock: MockClock,
) -> None:
    server = silent_server()

    @server.namespace("/").on_connect
    def fail(socket: Socket, auth: Any) -> None:
        raise ZeroDivisionError("oh")

    recorder = observed(server)
    async with serving(server) as service:
        peer = service.dial()
        await peer.open()
        await peer.send("40")
        await peer.receive_close()
        assert recorder.seen[1:] == [
            ("connect_refused", "/", "oh"),
            ("session_ended", "websocket", "transport error", "internal error"),
        ]


async def test_a_client_that_has_left_meanwhile_is_neither_refused_nor_connected(
    clock: MockClock,
) -> None:
    server = silent_server()

    @server.namespace("/").on_connect
    async def refuse(socket: Socket, auth: Any) -> None:
        with trio.CancelScope(shield=True):
            await trio.sleep(1)
        raise ConnectError("too late")

    recorder = observed(server)
    async with serving(server) as service:
        peer = service.dial()
        await peer.open()
        await peer.send("40")
        await wait_all_tasks_blocked()
        await peer.stream.aclose()
        await trio.sleep(2)
        assert recorder.names == ["session_opened", "session_ended"]


async def test_refused_requests_are_seen_whatever_carries_them(clock: MockClock) -> None:
    server = silent_server(trusted_proxies=("192.0.2.1",))
    recorder = observed(server)
    async with site(server) as clients:
        proxied = [("X-Forwarded-For", "198.51.100.7")]
        wrong = [*proxied, ("X-Forwarded-Proto", "gopher")]
        await clients.request("GET", "EIO=3&transport=polling", headers=proxied)
        await clients.request("GET", f"{POLLING}&sid=unknown", headers=wrong)
        await clients.websocket("EIO=4&transport=pigeon", proxied)
        peer = await clients.dial(f"{WEBSOCKET}&sid=unknown")
        assert isinstance(await peer.receive(), Refused)
        assert recorder.seen == [
            ("request_refused", "EIO=3&transport=polling", "198.51.100.7", 400),
            ("request_refused", f"{POLLING}&sid=unknown", "192.0.2.1", 400),  # cannot be resolved
            ("request_refused", "EIO=4&transport=pigeon", "198.51.100.7", 400),
            ("request_refused", f"{WEBSOCKET}&sid=unknown", None, 400),  # a memory stream
        ]


def upgrade_to(query: str) -> bytes:
    lines = (
        f"GET /socket.io/?{query} HTTP/1.1",
        "Host: server.test",
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    )
    return "\r\n".join((*lines, "", "")).encode()


async def test_a_refused_upgrade_on_a_plain_socket_is_seen(clock: MockClock) -> None:
    server = silent_server()
    recorder = observed(server)
    listener = SocketListener()
    door = FrontDoor(
        {server.path: server.serve_websocket},
        no_fallback,
        sockets={server.path: server.take_websocket},
    )
    async with server.serving(), trio.open_nursery() as nursery:
        await nursery.start(door.serve, [listener])
        async with listener.dial(upgrade_to("EIO=2&transport=websocket"), "192.0.2.9") as stream:
            assert (await stream.receive_some(100)).startswith(b"HTTP/1.1 400")
        assert recorder.seen == [("request_refused", "EIO=2&transport=websocket", "192.0.2.9", 400)]
        nursery.cancel_scope.cancel()


# Events


async def test_a_broadcast_is_one_event_however_many_sockets_there_are(clock: MockClock) -> None:
    server = silent_server()
    space = server.namespace("/")
    recorder = observed(server)
    async with serving(server) as service:
        peers = [await service.joined() for _ in range(3)]
        del recorder.seen[:]
        space.emit("news", {"a": 1}, 2)
        for peer in peers:
            assert await peer.receive_event() == ["news", {"a": 1}, 2]
        assert recorder.seen == [("event_broadcast", "/", "news", ({"a": 1}, 2))]


async def test_events_to_one_socket_are_seen_by_whichever_method(clock: MockClock) -> None:
    server = silent_server()
    space = server.namespace("/")
    recorder = observed(server)
    async with serving(server) as service:
        peer = service.dial()
        sid = await peer.join()
        (socket,) = space.sockets
        del recorder.seen[:]
        socket.emit("one", 1)
        await wait_all_tasks_blocked()
        socket.emit_volatile("two", 2)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lambda: socket.call("three", 3, timeout=5))
            await wait_all_tasks_blocked()
            await peer.send("430[]")
        socket.deliver(encode_event("/", "shared"))
        assert recorder.seen[:3] == [
            ("event_sent", sid, "one", (1,)),
            ("event_sent", sid, "two", (2,)),
            ("event_sent", sid, "three", (3,)),
        ]
        assert len(recorder.seen) == 3  # neither the ack nor the shared message
        await peer.stream.aclose()
        await wait_all_tasks_blocked()
        del recorder.seen[:]
        socket.emit("after the end")
        assert not recorder.seen


async def test_an_observer_that_is_added_later_sees_what_happens_from_then_on(
    clock: MockClock,
) -> None:
    server = silent_server()
    first = observed(server)
    async with serving(server) as service:
        await service.joined()
        second = observed(server)
        peer = await service.joined()
        await peer.send('42["hello"]')
        await wait_all_tasks_blocked()
        assert first.names == ["session_opened", "connected"] * 2 + ["event_received"]
        assert second.seen == first.seen[2:]


# Clients that do not keep up


async def test_a_client_falls_behind_when_its_outbox_is_congested(clock: MockClock) -> None:
    server = silent_server(outbox=OutboxLimits(pause_messages=4))
    recorder = observed(server)
    async with serving(server) as service:
        peer = service.dial(lockstep=True)
        sid = await peer.join()
        (socket,) = server.namespace("/").sockets
        for number in range(20):
            socket.deliver(encode_event("/", "news", number))
        assert recorder.seen[2:] == [("fell_behind", sid, 0.0)]
        for number in range(20):
            assert await peer.receive_event() == ["news", number]
        await wait_all_tasks_blocked()
        assert recorder.seen[3:] == [("caught_up", sid, 0.0)]


async def test_a_client_has_fallen_behind_if_a_ping_finds_something_queued_for_long(
    clock: MockClock,
) -> None:
    server = silent_server(ping_interval=25, ping_timeout=60)
    recorder = observed(server)
    async with serving(server) as service:
        peer = service.dial(lockstep=True)
        sid = await peer.join()
        (socket,) = server.namespace("/").sockets
        await trio.sleep(25 - LAG - 1)
        for number in range(3):
            socket.deliver(encode_event("/", "news", number, key="news"))
        await trio.sleep(LAG + 2)
        assert recorder.seen[2:] == [("fell_behind", sid, 25.0)]
        while await peer.receive_text() != "2":
            pass
        await peer.send("3")
        await wait_all_tasks_blocked()
        assert recorder.seen[3:] == [("caught_up", sid, 26.0)]


async def test_a_client_that_reads_a_little_late_has_not_fallen_behind(clock: MockClock) -> None:
    server = silent_server(ping_interval=25, ping_timeout=60)
    recorder = observed(server)
    async with serving(server) as service:
        peer = service.dial(lockstep=True)
        await peer.join()
        (socket,) = server.namespace("/").sockets
        await trio.sleep(25 - LAG + 1)
        socket.emit("news")
        await trio.sleep(LAG)
        assert recorder.names[2:] == ["event_sent"]


async def test_a_client_that_ends_while_it_is_behind_has_not_caught_up(clock: MockClock) -> None:
    server = silent_server(outbox=OutboxLimits(pause_messages=4))
    recorder = observed(server)
    async with serving(server) as service:
        peer = service.dial(lockstep=True)
        await peer.join()
        (socket,) = server.namespace("/").sockets
        for number in range(20):
            socket.deliver(encode_event("/", "news", number))
        socket.abort()
        await wait_all_tasks_blocked()
        assert recorder.names[2:] == ["fell_behind", "disconnected", "session_ended"]


# An observer that fails


class Failing(Recorder):
    """Records all that it sees, and raises each time."""

    def __getattribute__(self, name: str) -> Any:
        found = super().__getattribute__(name)
        if name not in vars(Recorder) or name in {"__init__", "names"}:
            return found

        def fail(*args: Any) -> None:
            found(*args)
            raise ValueError(name)

        return fail


class FailingTracer(Tracer):
    def event_received(self, socket: Socket, event: Event) -> None:
        raise ValueError

    def event_sent(self, socket: Socket, name: str, json: str) -> None:
        raise ValueError

    def ack_sent(self, socket: Socket, ack_id: int, json: str) -> None:
        raise ValueError


@pytest.mark.usefixtures("drivers")
async def test_an_observer_that_raises_harms_neither_clients_nor_other_observers(
    clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    server = echo_server()
    failing = Failing()
    server.observe(failing)
    recorder = observed(server)
    async with serving(server) as service:
        await (refused := service.dial()).upgrade("/socket.io/?EIO=3&transport=websocket")
        assert isinstance(await refused.receive(), Refused)
        peer = await service.joined("/", '{"token":"x"}')
        assert await peer.receive_event() == ["auth", {"token": "x"}]
        (socket,) = server.namespace("/").sockets
        socket.trace(FailingTracer())
        await peer.send("40/unknown,")
        assert (await peer.receive_text()).startswith("44/unknown,")
        for number in range(3):
            await peer.send(f'42{number}["message-with-ack",{number}]')
            assert await peer.receive_text() == f"43{number}[{number}]"
            await peer.send(f'42["message",{number}]')
            assert await peer.receive_event() == ["message-back", number]
            server.namespace("/").emit("news", number)
            assert await peer.receive_event() == ["news", number]
        await peer.close()
        await wait_all_tasks_blocked()
    assert recorder.seen == failing.seen
    assert set(recorder.names) == {name for name in vars(Observer) if not name.startswith("_")} - {
        "session_upgraded",
        "fell_behind",
        "caught_up",
    }
    assert recorder.names.count("event_received") == 6


async def test_one_failure_a_minute_is_logged_and_the_others_are_counted(
    clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(Observer):
        def event_received(self, socket: Socket, event: Event) -> None:
            raise ValueError(event.name)

    server = silent_server()
    server.observe(Broken())
    async with serving(server) as service:
        peer = await service.joined()
        with caplog.at_level(logging.ERROR):
            for name in "abc":
                await peer.send(f'42["{name}"]')
            await wait_all_tasks_blocked()
            (record,) = caplog.records
            assert record.getMessage().endswith("Broken.event_received failed; unlogged before: 0")
            assert record.exc_info is not None
            assert str(record.exc_info[1]) == "a"
            await trio.sleep(61)
            await peer.send('42["d"]')
            await wait_all_tasks_blocked()
            assert caplog.records[1].getMessage().endswith("unlogged before: 2")


# Tracers


class Trace(Tracer):
    def __init__(self) -> None:
        self.seen: list[tuple[Any, ...]] = []

    def event_received(self, socket: Socket, event: Event) -> None:
        self.seen.append(("in", event.name, event.ack_id, event.arguments()))

    def event_sent(self, socket: Socket, name: str, json: str) -> None:
        self.seen.append(("out", name, json))

    def ack_sent(self, socket: Socket, ack_id: int, json: str) -> None:
        self.seen.append(("ack", ack_id, json))


@pytest.mark.usefixtures("drivers")
async def test_a_tracer_sees_all_events_of_its_socket_and_none_of_others(
    clock: MockClock,
) -> None:
    server = echo_server()
    space = server.namespace("/")
    trace = Trace()
    async with serving(server) as service:
        peer = await service.joined()
        await peer.receive_event()
        (socket,) = space.sockets
        socket.trace(trace)
        other = await service.joined()
        await peer.send('427["message-with-ack",{"a":1}]')
        await peer.receive_text()
        await peer.send('42["message","x"]')
        await peer.receive_text()
        await other.send('421["message-with-ack"]')
        space.emit("news", 1)
        await peer.receive_text()
        shared = [encode_event("/", f"row{number}", number) for number in range(3)]
        for each in space.sockets:
            each.deliver(Message.bundle(shared[:2]))
            each.deliver(shared[2])
        socket.emit("bytes", b"x")
        await wait_all_tasks_blocked()
        assert trace.seen == [
            ("in", "message-with-ack", 7, [{"a": 1}]),
            ("ack", 7, '[{"a":1}]'),
            ("in", "message", None, ["x"]),
            ("out", "message-back", '["message-back","x"]'),
            ("out", "news", '["news",1]'),
            ("out", "row0", '["row0",0]'),
            ("out", "row1", '["row1",1]'),
            ("out", "row2", '["row2",2]'),
            ("out", "bytes", '["bytes",{"_placeholder":true,"num":0}]'),
        ]


@pytest.mark.usefixtures("drivers")
async def test_a_tracer_sees_raw_acknowledgements_too(clock: MockClock) -> None:
    server = silent_server()
    space = server.namespace("/")
    space.on_any(lambda socket, event: event.reply_raw(b'{"ok":true}'))
    trace = Trace()
    async with serving(server) as service:
        peer = await service.joined()
        space.sockets[0].trace(trace)
        await peer.send('420["save"]')
        assert await peer.receive_text() == '430[{"ok":true}]'
        assert trace.seen == [("in", "save", 0, []), ("ack", 0, '[{"ok":true}]')]


async def test_a_trace_ends_when_it_is_told_to_and_with_its_socket(clock: MockClock) -> None:
    server = silent_server()
    space = server.namespace("/")
    trace, later = Trace(), Trace()
    async with serving(server) as service:
        peer = await service.joined()
        (socket,) = space.sockets
        socket.trace(trace)
        socket.emit("one")
        socket.trace(later)
        socket.emit("two")
        socket.trace(None)
        socket.emit("three")
        await peer.send('42["in"]')
        await wait_all_tasks_blocked()
        assert trace.seen == [("out", "one", '["one"]')]
        assert later.seen == [("out", "two", '["two"]')]
        await peer.stream.aclose()
        await wait_all_tasks_blocked()
        socket.trace(trace)
        socket.emit("four")
        assert len(trace.seen) == 1


async def test_a_tracer_that_is_set_when_a_client_connects_sees_the_first_event(
    clock: MockClock,
) -> None:
    class Tracing(Observer):
        def connected(self, socket: Socket) -> None:
            socket.trace(trace)

    trace = Trace()
    server = echo_server()
    server.observe(Tracing())
    recorder = observed(server)
    async with serving(server) as service:
        peer = await service.joined()
        assert await peer.receive_event() == ["auth", {}]
        await peer.send('42["message",1]')
        assert await peer.receive_event() == ["message-back", 1]
        assert trace.seen == [
            ("out", "auth", '["auth",{}]'),
            ("in", "message", None, [1]),
            ("out", "message-back", '["message-back",1]'),
        ]
        assert "event_received" in recorder.names  # beside those that see all sockets


# Lookups


async def test_sockets_are_found_by_their_ids_while_they_are_connected(clock: MockClock) -> None:
    server = SocketServer()
    space, other = server.namespace("/"), server.namespace("/other")
    assert server.namespaces == (space, other)
    async with serving(server) as service:
        peer = service.dial()
        sid = await peer.join()
        found = space.find_socket(sid)
        assert found is not None
        assert (found.id, found.transport) == (sid, "websocket")
        assert other.find_socket(sid) is None
        assert space.find_socket(sid[:-1]) is None
        await peer.stream.aclose()
        await wait_all_tasks_blocked()
        assert space.find_socket(sid) is None
        assert found.transport == "websocket"


# Costs


def calls(run: Callable[[], object]) -> Counter[str]:
    """Return the Python functions that ``run`` calls, and how often."""
    run()  # whatever is made at the first time
    counted: Counter[str] = Counter()

    def profile(frame: FrameType, event: str, arg: object) -> None:
        if event == "call":
            counted[frame.f_code.co_qualname] += 1

    sys.setprofile(profile)
    try:
        run()
    finally:
        sys.setprofile(None)
    return counted


class SeesOnlyEnds(Observer):
    def disconnected(self, socket: Socket, reason: str) -> None:
        """Sees no events."""


class SeesEvents(SeesOnlyEnds):
    def event_received(self, socket: Socket, event: Event) -> None:
        """See each event."""

    def event_broadcast(self, namespace: str, name: str, args: tuple[Any, ...]) -> None:
        """See each event."""


async def hot_path(observer: Observer | None) -> tuple[Counter[str], Counter[str]]:
    """Return what an event of a client calls, and an event to three clients."""
    server = silent_server()
    space = server.namespace("/")
    space.on_any(lambda socket, event: event.reply_raw(b"1"))
    if observer is not None:
        server.observe(observer)
    async with serving(server) as service:
        for _ in range(3):
            await service.joined()
        first = space.sockets[0]
        received = calls(lambda: first.session.receive_text('427["save",1]'))
        return received, calls(lambda: space.emit("news", 1))


async def test_where_nobody_looks_at_events_they_call_what_they_always_call(
    clock: MockClock,
) -> None:
    received, sent = await hot_path(None)
    assert await hot_path(SeesOnlyEnds()) == (received, sent)
    assert sent["Socket.deliver"] == 3
    assert not any("Hook" in name or "Contained" in name for name in (*received, *sent))


async def test_an_observer_of_events_costs_its_call_alone(clock: MockClock) -> None:
    (received, sent), looked = await hot_path(None), await hot_path(SeesEvents())
    extra = Counter({"Hook.__call__": 1, "Contained.__call__": 1})
    assert looked[0] - received == extra + Counter({"SeesEvents.event_received": 1})
    assert looked[1] - sent == extra + Counter({"SeesEvents.event_broadcast": 1})
