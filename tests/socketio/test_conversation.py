"""Whole Socket.IO conversations, on memory streams and a clock that jumps."""

from __future__ import annotations

import json
from contextvars import ContextVar
from dataclasses import replace
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from gbs_actor.socketio import (
    AlreadyAcknowledged,
    ConnectError,
    Event,
    InvalidArguments,
    Message,
    Socket,
    SocketClosed,
    SocketServer,
    encode_event,
    encode_raw_event,
)
from tests.apps.echo_socketio import echo_server
from tests.socketio.peer import Close, serving

pytestmark = pytest.mark.usefixtures("drivers")


async def test_a_client_joins_emits_and_is_answered(clock: MockClock) -> None:
    async with serving(echo_server()) as service:
        peer = await service.joined("/", '{"token":"x"}')
        assert await peer.receive_event() == ["auth", {"token": "x"}]
        await peer.send('42["message",1,"2",{"3":[true]}]')
        assert await peer.receive_event() == ["message-back", 1, "2", {"3": [True]}]
        await peer.send('42456["message-with-ack",1,"2",{"3":[false]}]')
        assert await peer.receive_text() == '43456[1,"2",{"3":[false]}]'


async def test_namespaces_share_a_connection(clock: MockClock) -> None:
    async with serving(echo_server()) as service:
        peer = await service.joined("/")
        await peer.receive_event()
        await peer.connect("/custom")
        assert await peer.receive_text() == '42/custom,["auth",{}]'
        await peer.send('42/custom,["message","abc"]')
        assert await peer.receive_text() == '42/custom,["message-back","abc"]'
        assert service.server.statistics().sockets == {"/": 1, "/custom": 1}


async def test_a_socket_can_forget_its_auth_and_nothing_else_of_its_handshake(
    clock: MockClock,
) -> None:
    server = SocketServer()
    space = server.namespace("/")
    async with serving(server) as service:
        await service.joined("/", '{"token":"x"}')
        (socket,) = space.sockets
        before = socket.handshake
        assert before.auth == {"token": "x"}
        socket.forget_auth()
        assert socket.handshake == replace(before, auth=None)


async def test_the_data_of_a_socket_are_its_own(clock: MockClock) -> None:
    server = SocketServer()
    space = server.namespace("/")
    async with serving(server) as service:
        await service.joined()
        await service.joined()
        one, other = space.sockets
        one.data.name = "one"
        assert one.data.name == "one"
        assert not hasattr(other.data, "name")
        other.data = None
        assert other.data is None


async def test_the_ack_of_id_zero_is_sent(clock: MockClock) -> None:
    async with serving(echo_server()) as service:
        peer = await service.joined("/")
        await peer.receive_event()
        await peer.send('420["message-with-ack"]')
        assert await peer.receive_text() == "430[]"


async def test_an_event_without_an_id_is_not_acknowledged(clock: MockClock) -> None:
    async with serving(echo_server()) as service:
        peer = await service.joined("/")
        await peer.receive_event()
        await peer.send_many('42["message-with-ack",1]', '42["message",2]')
        assert await peer.receive_event() == ["message-back", 2]


async def test_binary_values_go_both_ways(clock: MockClock) -> None:
    async with serving(echo_server()) as service:
        peer = await service.joined("/")
        await peer.receive_event()
        await peer.send(
            '452-["message",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]'
        )
        await peer.send(b"abc")
        await peer.send(b"\x01\x02")
        text = await peer.receive_text()
        assert text.startswith("452-")
        assert json.loads(text[4:])[0] == "message-back"
        assert [await peer.receive(), await peer.receive()] == [b"abc", b"\x01\x02"]


async def test_an_unknown_namespace_is_refused_and_the_connection_lives(clock: MockClock) -> None:
    async with serving(echo_server()) as service:
        peer = service.dial()
        await peer.open()
        await peer.send("40/random,")
        assert await peer.receive_text() == '44/random,{"message":"Invalid namespace"}'
        await peer.connect("/custom")


@pytest.mark.parametrize("sync", [True, False])
@pytest.mark.parametrize("data", [None, {"code": "AUTH_REQUIRED"}])
async def test_a_refused_client_is_told_why(clock: MockClock, sync: bool, data: Any) -> None:
    server = SocketServer()
    gone: list[str] = []

    def refuse(socket: Socket, auth: Any) -> None:
        raise ConnectError("Authentication required", data)

    async def refuse_later(socket: Socket, auth: Any) -> None:
        await trio.sleep(1)
        raise ConnectError("Authentication required", data)

    space = server.namespace("/admin")
    space.on_connect(refuse if sync else refuse_later)
    space.on_disconnect(lambda socket, reason: gone.append(reason))
    async with serving(server) as service:
        peer = service.dial()
        await peer.open()
        await peer.send_many("40/admin,", '42/admin,["too early"]')
        expected: dict[str, Any] = {"message": "Authentication required"}
        if data is not None:
            expected["data"] = data
        text = await peer.receive_text()
        assert json.loads(text.removeprefix("44/admin,")) == expected
        await peer.send("40/admin,")
        assert (await peer.receive_text()).startswith("44/admin,")
        await peer.close()
    assert gone == []


async def test_a_failing_connect_handler_closes_the_transport_so_that_the_client_comes_back(
    clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    server = SocketServer()

    @server.namespace("/").on_connect
    def connect(socket: Socket, auth: Any) -> None:
        raise KeyError("a fault of the application")

    async with serving(server) as service:
        peer = service.dial()
        await peer.open()
        await peer.send("40")
        assert await peer.receive() == Close(1011, "internal error")
    assert "a fault of the application" in caplog.text


async def test_what_a_connect_handler_emits_comes_behind_the_connect(clock: MockClock) -> None:
    server = SocketServer()

    @server.namespace("/").on_connect
    async def connect(socket: Socket, auth: Any) -> None:
        socket.emit("first")
        await trio.sleep(1)
        socket.deliver(encode_event("/", "second"))

    async with serving(server) as service:
        peer = await service.joined()
        assert await peer.receive_event() == ["first"]
        assert await peer.receive_event() == ["second"]


async def test_events_sent_right_behind_the_connect_wait_for_it(clock: MockClock) -> None:
    server = SocketServer()
    order: list[str] = []
    space = server.namespace("/")

    @space.on_connect
    async def connect(socket: Socket, auth: Any) -> None:
        await trio.sleep(1)
        order.append("connected")

    @space.on("early")
    def early(socket: Socket) -> None:
        order.append("event")

    async with serving(server) as service:
        peer = service.dial()
        await peer.open()
        await peer.send_many("40", '420["early"]')
        assert (await peer.receive_text()).startswith("40")
        assert await peer.receive_text() == "430[]"
    assert order == ["connected", "event"]


async def test_slow_and_fast_handlers_of_a_connection_run_in_the_order_of_arrival(
    clock: MockClock,
) -> None:
    server = SocketServer()
    order: list[Any] = []
    space = server.namespace("/")

    @space.on("slow")
    async def slow(socket: Socket, number: int) -> int:
        await trio.sleep(1)
        order.append(number)
        return number

    @space.on("fast")
    def fast(socket: Socket, number: int) -> int:
        order.append(number)
        return number

    async with serving(server) as service:
        peer = await service.joined()
        names = ["fast", "slow", "fast", "fast", "slow", "slow", "fast"]
        await peer.send_many(*(f'42{i}["{name}",{i}]' for i, name in enumerate(names)))
        acks = [await peer.receive_text() for _ in names]
    assert order == list(range(7))
    assert acks == [f"43{i}[{i}]" for i in range(7)]


async def test_a_slow_handler_of_one_connection_holds_up_no_other(clock: MockClock) -> None:
    server = SocketServer()

    @server.namespace("/").on("wait")
    async def wait(socket: Socket, seconds: int) -> None:
        await trio.sleep(seconds)

    async with serving(server) as service:
        slow, fast = await service.joined(), await service.joined()
        await slow.send('420["wait",20]')
        await fast.send('420["wait",1]')
        assert await fast.receive_text() == "430[]"
        assert trio.current_time() < 2


async def test_the_dispatcher_serves_again_after_it_has_been_idle_for_long(
    clock: MockClock,
) -> None:
    server = SocketServer()

    @server.namespace("/").on("wait")
    async def wait(socket: Socket) -> None:
        await trio.sleep(1)

    async with serving(server) as service:
        peer = await service.joined()
        for number, pause in enumerate([0, 1, 4, 6]):
            await trio.sleep(pause)
            await peer.send(f'42{number}["wait"]')
            assert await peer.receive_text() == f"43{number}[]"


async def test_a_connection_is_read_on_after_a_handler_has_disconnected_its_socket(
    clock: MockClock,
) -> None:
    server = SocketServer(max_waiting_events=1)
    seen: list[str] = []

    @server.namespace("/leaving").on("leave")
    def leave(socket: Socket) -> None:
        socket.disconnect()

    @server.namespace("/").on("say")
    def say(socket: Socket, text: str) -> None:
        seen.append(text)

    async with serving(server) as service:
        peer = await service.joined("/")
        await peer.connect("/leaving")
        await peer.send('42/leaving,["leave"]')
        await wait_all_tasks_blocked()
        await peer.send('42["say","x"]')
        await wait_all_tasks_blocked()
        assert seen == ["x"]


async def test_an_event_without_a_handler_goes_to_the_catch_all(clock: MockClock) -> None:
    server = SocketServer()
    space = server.namespace("/")

    @space.on("known")
    def known(socket: Socket) -> str:
        return "known"

    @space.on_any
    def anything(socket: Socket, event: Event) -> None:
        event.reply(event.name, event.arguments(), event.wants_ack)

    async with serving(server) as service:
        peer = await service.joined()
        await peer.send_many('420["known"]', '421["other",1]')
        assert await peer.receive_text() == '430["known"]'
        assert await peer.receive_text() == '431["other",[1],true]'


async def test_an_event_may_be_answered_later_from_another_task(clock: MockClock) -> None:
    server = SocketServer()
    send, receive = trio.open_memory_channel[Event](1)

    @server.namespace("/").on_any
    def anything(socket: Socket, event: Event) -> None:
        send.send_nowait(event)

    async with serving(server) as service:
        peer = await service.joined()
        await peer.send('427["work"]')
        event = await receive.receive()
        await trio.sleep(10)
        event.reply_raw(b'{"done":true}')
        assert await peer.receive_text() == '437[{"done":true}]'
        with pytest.raises(AlreadyAcknowledged):
            event.reply()


async def test_a_shared_answer_is_one_message_for_those_who_wait_alike(clock: MockClock) -> None:
    server = SocketServer()
    acks: dict[tuple[str, int], Message] = {}

    @server.namespace("/").on_any
    def anything(socket: Socket, event: Event) -> None:
        event.reply_shared(b'{"done":true}', acks)

    async with serving(server) as service:
        one, two = await service.joined(), await service.joined()
        for peer, ack_id in ((one, 0), (two, 0), (one, 7)):
            await peer.send(f'42{ack_id}["work"]')
            assert await peer.receive_text() == f'43{ack_id}[{{"done":true}}]'
        assert list(acks) == [("/", 0), ("/", 7)]
        for ack_id in range(100, 150):
            await one.send(f'42{ack_id}["work"]')
            assert await one.receive_text() == f'43{ack_id}[{{"done":true}}]'
        assert len(acks) == 4


async def test_answering_after_the_client_has_gone_does_nothing(clock: MockClock) -> None:
    server = SocketServer()
    events: list[Event] = []

    @server.namespace("/").on_any
    def anything(socket: Socket, event: Event) -> None:
        events.append(event)

    async with serving(server) as service:
        peer = await service.joined()
        await peer.send('427["work"]')
        await peer.close()
        events[0].reply("too late")
        with pytest.raises(AlreadyAcknowledged):
            events[0].reply("again")


@pytest.mark.parametrize("sync", [True, False])
async def test_a_failing_handler_is_logged_and_the_connection_lives(
    clock: MockClock, caplog: pytest.LogCaptureFixture, sync: bool
) -> None:
    server = echo_server()

    @server.namespace("/").on("fail")
    def fail(socket: Socket) -> None:
        raise KeyError("a fault of the application")

    @server.namespace("/").on("fail-later")
    async def fail_later(socket: Socket) -> None:
        await trio.sleep(1)
        raise KeyError("a fault of the application")

    async with serving(server) as service:
        peer = await service.joined()
        await peer.receive_event()
        name = "fail" if sync else "fail-later"
        await peer.send_many(f'420["{name}"]', '421["message-with-ack"]')
        assert await peer.receive_text() == "431[]"
    assert "a fault of the application" in caplog.text


async def test_an_application_may_answer_for_a_handler_that_failed(clock: MockClock) -> None:
    server = SocketServer()
    space = server.namespace("/")

    @space.on("one")
    def one(socket: Socket, value: int) -> None:
        raise AssertionError

    @space.on_error
    def failed(socket: Socket, event: Event, error: Exception) -> None:
        event.reply(type(error).__name__)

    async with serving(server) as service:
        peer = await service.joined()
        await peer.send_many('420["one",1]', '421["one"]', '422["one",' + "9" * 5000 + "]")
        assert await peer.receive_text() == '430["AssertionError"]'
        assert await peer.receive_text() == '431["TypeError"]'
        assert await peer.receive_text() == '432["InvalidArguments"]'


@pytest.mark.parametrize("argument", ["9" * 5000, "[" * 50_000 + "]" * 50_000, '"\\ud800"'])
async def test_an_argument_that_cannot_be_decoded_leaves_the_connection_alone(
    clock: MockClock, argument: str
) -> None:
    server = SocketServer()
    problems: list[str] = []

    @server.namespace("/").on_any
    def anything(socket: Socket, event: Event) -> None:
        try:
            event.arguments()
        except InvalidArguments as error:
            problems.append(str(error))
        event.reply()

    async with serving(server) as service:
        peer = await service.joined()
        await peer.send(f'420["odd",{argument}]')
        assert await peer.receive_text() == "430[]"
    assert len(problems) == 1


async def test_a_namespace_emits_to_all_of_its_sockets(clock: MockClock) -> None:
    server = echo_server()
    async with serving(server) as service:
        peers = [await service.joined("/custom") for _ in range(3)]
        for peer in peers:
            await peer.receive_text()
        server.namespace("/custom").emit("news", {"a": 1})
        for peer in peers:
            assert await peer.receive_text() == '42/custom,["news",{"a":1}]'


async def test_a_bundle_arrives_as_its_messages(clock: MockClock) -> None:
    server = SocketServer()
    async with serving(server) as service:
        space = server.namespace("/")
        peer = await service.joined()
        messages = [encode_raw_event("/", "row", b"%d" % i, key=i) for i in range(3)]
        (socket,) = space.sockets
        socket.deliver(Message.bundle([messages[0], Message.bundle(messages[1:])]))
        assert [await peer.receive_event() for _ in range(3)] == [["row", i] for i in range(3)]


def test_a_bundle_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        Message.bundle([])


async def one_socket(server: SocketServer) -> Socket:
    await wait_all_tasks_blocked()
    (socket,) = server.namespace("/").sockets
    return socket


async def test_the_server_may_ask_and_wait_for_the_answer(clock: MockClock) -> None:
    server = SocketServer()
    server.namespace("/")
    answers: list[Any] = []
    async with serving(server) as service, trio.open_nursery() as nursery:
        peer = await service.joined()
        socket = await one_socket(server)

        async def ask(name: str) -> None:
            answers.append(await socket.call(name, 1, timeout=5))

        for number, values in enumerate(["[]", '["one"]', "[1,2]"]):
            nursery.start_soon(ask, "question")
            assert await peer.receive_text() == f'42{number}["question",1]'
            await peer.send(f"43{number}{values}")
        await wait_all_tasks_blocked()
    assert answers == [None, "one", [1, 2]]


async def test_an_answer_that_does_not_come_in_time_is_given_up(clock: MockClock) -> None:
    server = SocketServer()
    server.namespace("/")
    async with serving(server) as service:
        peer = await service.joined()
        socket = await one_socket(server)
        with pytest.raises(trio.TooSlowError):
            await socket.call("question", timeout=5)
        await peer.receive()
        await peer.send('430["too late"]')
        await peer.send('43999["never asked"]')
        await wait_all_tasks_blocked()
        assert not socket.closed


async def test_a_call_ends_with_its_socket(clock: MockClock) -> None:
    server = SocketServer()
    server.namespace("/")
    async with serving(server) as service, trio.open_nursery() as nursery:
        peer = await service.joined()
        socket = await one_socket(server)

        async def ask() -> None:
            with pytest.raises(SocketClosed):
                await socket.call("question", timeout=1_000)
            with pytest.raises(SocketClosed):
                await socket.call("question", timeout=1_000)

        nursery.start_soon(ask)
        await peer.receive()
        await peer.close()
    assert trio.current_time() < 100


async def test_fragments_make_one_message(clock: MockClock) -> None:
    async with serving(echo_server()) as service:
        peer = await service.joined()
        await peer.receive_event()
        await peer.send_fragments('420["messa', "", "ge-with-a", 'ck","한글"]')
        assert await peer.receive_text() == '430["한글"]'


async def test_a_websocket_ping_is_answered(clock: MockClock) -> None:
    async with serving(echo_server()) as service:
        peer = await service.joined()
        await peer.receive_event()
        await peer.ping(b"payload")
        await peer.send('420["message-with-ack"]')
        assert await peer.receive_text() == "430[]"
        assert peer.pongs == [b"payload"]


_language: ContextVar[str] = ContextVar("language", default="none")


async def test_handlers_of_one_connection_share_a_context_and_those_of_another_have_their_own(
    clock: MockClock,
) -> None:
    server = SocketServer()
    space = server.namespace("/")

    @space.on("set")
    def set_language(socket: Socket, language: str) -> None:
        _language.set(language)

    @space.on("get")
    def get_language(socket: Socket) -> str:
        return _language.get()

    @space.on("get later")
    async def get_language_later(socket: Socket) -> str:
        await trio.sleep(1)
        return _language.get()

    async with serving(server) as service:
        one, other = await service.joined(), await service.joined()
        await one.send_many('42["set","ko"]', '420["get later"]')
        assert await one.receive_text() == '430["ko"]'
        await one.send('421["get"]')
        assert await one.receive_text() == '431["ko"]'
        await other.send_many('420["get later"]', '421["get"]')
        assert await other.receive_text() == '430["none"]'
        assert await other.receive_text() == '431["none"]'
