"""How sockets, connections and servers end."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from gbs_actor.socketio import FrontDoor, Socket, SocketServer, encode_event
from gbs_actor.socketio.conversation import Conversation
from tests.socketio.peer import Close, MemoryListener, Peer, no_fallback, serving

pytestmark = pytest.mark.usefixtures("drivers")


def reasons_of(server: SocketServer) -> list[str]:
    """Return the list to which the reasons of all disconnects are added."""
    reasons: list[str] = []
    server.namespace("/").on_disconnect(lambda socket, reason: reasons.append(reason))
    return reasons


async def only_socket(server: SocketServer) -> Socket:
    await wait_all_tasks_blocked()
    (socket,) = server.namespace("/").sockets
    return socket


async def test_the_server_takes_a_client_out_of_a_namespace(clock: MockClock) -> None:
    server = SocketServer()
    reasons = reasons_of(server)
    async with serving(server) as service:
        peer = await service.joined()
        socket = await only_socket(server)
        socket.disconnect()
        socket.disconnect()
        assert await peer.receive_text() == "41"
        assert reasons == ["server namespace disconnect"]
        assert server.namespace("/").sockets == ()
        await peer.connect("/")


async def test_the_server_may_end_the_whole_connection_with_it(clock: MockClock) -> None:
    server = SocketServer()
    reasons = reasons_of(server)
    async with serving(server) as service:
        peer = await service.joined()
        (await only_socket(server)).disconnect(close=True)
        assert await peer.receive_text() == "41"
        assert await peer.receive() == Close(1000)
        assert reasons == ["server namespace disconnect"]


async def test_events_that_wait_for_a_client_that_is_taken_out_are_not_handled(
    clock: MockClock,
) -> None:
    server = SocketServer()
    handled: list[str] = []
    space = server.namespace("/")

    @space.on("kick me")
    async def kick(socket: Socket) -> None:
        await trio.sleep(1)
        socket.disconnect()

    @space.on("work")
    def work(socket: Socket) -> None:
        handled.append("work")

    async with serving(server) as service:
        peer = await service.joined()
        await peer.send_many('42["kick me"]', '42["work"]')
        assert await peer.receive_text() == "41"
        await wait_all_tasks_blocked()
    assert handled == []


async def test_a_client_may_be_let_in_and_out_by_the_same_handler(clock: MockClock) -> None:
    server = SocketServer()
    reasons = reasons_of(server)

    @server.namespace("/").on_connect
    def connect(socket: Socket, auth: Any) -> None:
        socket.emit("sorry")
        socket.disconnect()

    async with serving(server) as service:
        peer = await service.joined()
        assert await peer.receive_event() == ["sorry"]
        assert await peer.receive_text() == "41"
        await wait_all_tasks_blocked()
        assert reasons == ["server namespace disconnect"]


@pytest.mark.parametrize("code", [1012, 1013])
async def test_closing_the_transport_sends_what_waits_and_then_the_code(
    clock: MockClock, code: int
) -> None:
    server = SocketServer()
    reasons = reasons_of(server)
    async with serving(server) as service:
        peer = await service.joined()
        socket = await only_socket(server)
        socket.emit("last words")
        socket.close_transport(code, "come back")
        socket.emit("never sent")
        assert await peer.receive_event() == ["last words"]
        assert await peer.receive() == Close(code, "come back")
        await wait_all_tasks_blocked()
        assert reasons == ["transport close"]


async def test_a_client_that_ignores_the_close_is_cut_off(clock: MockClock) -> None:
    server = SocketServer(close_timeout=5.0)
    server.namespace("/")
    async with serving(server) as service:
        peer = await service.joined()
        (await only_socket(server)).close_transport(1012)
        assert await peer.receive() == Close(1012)
        assert await peer.receive() == Close(1006)
        assert trio.current_time() == 5.0


async def test_aborting_ends_the_stream_at_once(clock: MockClock) -> None:
    server = SocketServer()
    reasons = reasons_of(server)
    async with serving(server) as service:
        peer = await service.joined()
        (await only_socket(server)).abort()
        assert await peer.receive() == Close(1006)
        await wait_all_tasks_blocked()
        assert reasons == ["transport close"]
        assert trio.current_time() == 0.0


async def test_after_the_end_a_socket_takes_everything_and_does_nothing(clock: MockClock) -> None:
    server = SocketServer()
    server.namespace("/")
    async with serving(server) as service:
        peer = await service.joined()
        socket = await only_socket(server)
        await peer.close()
        socket.emit("a")
        socket.deliver(encode_event("/", "b"))
        socket.disconnect(close=True)
        socket.close_transport(1012)
        socket.abort()
        assert socket.closed
        assert socket.statistics().queued == 0


async def test_every_namespace_of_a_connection_hears_of_its_end(clock: MockClock) -> None:
    server = SocketServer()
    gone: list[str] = []
    for name in ("/a", "/b"):
        server.namespace(name).on_disconnect(
            lambda socket, reason: gone.append(socket.namespace.name)
        )
    async with serving(server) as service:
        peer = await service.joined("/a")
        await peer.connect("/b")
        await peer.close()
        await wait_all_tasks_blocked()
    assert sorted(gone) == ["/a", "/b"]


async def test_a_client_that_goes_while_it_is_let_in_has_never_been_there(
    clock: MockClock,
) -> None:
    server = SocketServer()
    reasons = reasons_of(server)
    ended: list[str] = []

    @server.namespace("/").on_connect
    async def connect(socket: Socket, auth: Any) -> None:
        try:
            await trio.sleep(10)
        except trio.Cancelled:
            ended.append("cancelled")
            raise

    async with serving(server) as service:
        peer = service.dial()
        await peer.open()
        await peer.send("40")
        await wait_all_tasks_blocked()
        await peer.close()
        await wait_all_tasks_blocked()
    assert ended == ["cancelled"]
    assert reasons == []


async def test_a_slow_goodbye_is_finished_even_when_the_server_is_cancelled(
    clock: MockClock,
) -> None:
    server = SocketServer(disconnect_timeout=5.0)
    done: list[str] = []

    @server.namespace("/").on_disconnect
    async def gone(socket: Socket, reason: str) -> None:
        await trio.sleep(3)
        done.append(reason)

    with trio.CancelScope() as scope:
        async with serving(server) as service:
            await service.joined()
            scope.cancel()
            await trio.lowlevel.checkpoint()
    assert len(done) == 1


async def test_a_goodbye_without_end_is_cut_off(clock: MockClock) -> None:
    server = SocketServer(disconnect_timeout=5.0)

    @server.namespace("/").on_disconnect
    async def gone(socket: Socket, reason: str) -> None:
        await trio.sleep_forever()

    async with serving(server) as service:
        peer = await service.joined()
        await peer.close()
        await trio.sleep(6)
        assert service.server.statistics().connections == 0


async def test_all_goodbyes_of_a_connection_share_one_time_limit(clock: MockClock) -> None:
    server = SocketServer(disconnect_timeout=5.0)
    begun: list[str] = []

    async def gone(socket: Socket, reason: str) -> None:
        begun.append(socket.namespace.name)
        await trio.sleep_forever()

    for name in ("/a", "/b", "/c"):
        server.namespace(name).on_disconnect(gone)
    async with serving(server) as service:
        peer = await service.joined("/a")
        await peer.connect("/b")
        await peer.connect("/c")
        await peer.close()
        await trio.sleep(5.5)
        assert server.statistics().connections == 0
    assert sorted(begun) == ["/a", "/b", "/c"]


async def test_a_failing_goodbye_is_logged(
    clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    server = SocketServer()

    @server.namespace("/").on_disconnect
    async def gone(socket: Socket, reason: str) -> None:
        raise KeyError("a fault of the application")

    async with serving(server) as service:
        peer = await service.joined()
        await peer.close()
        await wait_all_tasks_blocked()
        assert service.door.statistics().failures == 0
    assert "a fault of the application" in caplog.text


async def test_shutting_down_closes_transports_and_sends_no_disconnect_packets(
    clock: MockClock,
) -> None:
    server = SocketServer()
    reasons = reasons_of(server)
    async with serving(server) as service, trio.open_nursery() as nursery:
        peers = [await service.joined() for _ in range(3)]
        nursery.start_soon(server.shutdown, 1001)
        for peer in peers:
            assert await peer.receive() == Close(1001, "server shutting down")
            await peer.finish_close()
    assert reasons == ["server shutting down"] * 3
    assert trio.current_time() == 0.0


async def note_close(peer: Peer, closed: list[float]) -> None:
    """Add the time at which the server closes."""
    assert await peer.receive() == Close(1001, "server shutting down")
    closed.append(trio.current_time())
    await peer.finish_close()


async def test_shutting_down_may_be_spread_over_some_time(clock: MockClock) -> None:
    server = SocketServer()
    server.namespace("/")
    closed: list[float] = []

    async with serving(server) as service, trio.open_nursery() as nursery:
        for _ in range(70):
            nursery.start_soon(note_close, await service.joined(), closed)
        await server.shutdown(1001, spread=0.02)
    assert closed == pytest.approx(35 * [0.0] + 35 * [0.01])


async def test_a_spread_shutdown_of_few_closes_them_at_once(clock: MockClock) -> None:
    server = SocketServer()
    server.namespace("/")
    async with serving(server) as service:
        peers = [await service.joined() for _ in range(3)]
        async with trio.open_nursery() as nursery:
            nursery.start_soon(partial(server.shutdown, spread=60.0))
            for peer in peers:
                await peer.receive_close()
                await peer.finish_close()
    assert trio.current_time() == 0.0


async def test_a_spread_shutdown_that_is_cancelled_closes_the_rest_at_once(
    clock: MockClock,
) -> None:
    server = SocketServer()
    server.namespace("/")
    closed: list[float] = []

    async with serving(server) as service, trio.open_nursery() as nursery:
        for _ in range(70):
            nursery.start_soon(note_close, await service.joined(), closed)
        with trio.move_on_after(0.005):
            await server.shutdown(1001, spread=60.0)
    assert closed == pytest.approx(20 * [0.0] + 50 * [0.005])


async def test_what_is_sent_after_reading_has_stopped_is_not_handled(clock: MockClock) -> None:
    server = SocketServer()
    handled: list[int] = []

    @server.namespace("/").on("edit")
    async def edit(socket: Socket, number: int) -> str:
        handled.append(number)
        await trio.sleep(1)
        return "done"

    async with serving(server) as service, trio.open_nursery() as nursery:
        peer = await service.joined()
        await peer.send('421["edit",1]')
        await wait_all_tasks_blocked()
        server.stop_reading()
        await peer.send('422["edit",2]')
        assert await peer.receive_text() == '431["done"]'
        nursery.start_soon(server.shutdown)
        assert await peer.receive() == Close(1001, "server shutting down")
        await peer.finish_close()
    assert handled == [1]


async def test_shutting_down_takes_a_bounded_time_whatever_the_clients_do(
    clock: MockClock,
) -> None:
    server = SocketServer(close_timeout=5.0)
    server.namespace("/")
    async with serving(server) as service:
        for _ in range(3):
            await service.dial(lockstep=True).join()
        await server.shutdown()
        assert trio.current_time() == 5.0
        assert server.statistics().connections == 0


@pytest.mark.parametrize("how", ["shutdown", "cancelled door"])
async def test_a_connection_that_fails_to_end_does_not_keep_others_open(
    clock: MockClock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, how: str
) -> None:
    end = Conversation.ended

    def fail(conversation: Conversation, reason: str) -> None:
        end(conversation, reason)
        raise RuntimeError("a bug")

    codes = {"shutdown": 1001, "cancelled door": 1006}
    server = SocketServer()
    server.namespace("/")
    listener = MemoryListener()
    async with server.serving(), trio.open_nursery() as nursery:
        door = FrontDoor({server.path: server.serve_websocket}, no_fallback)
        await nursery.start(door.serve, [listener])
        peers = [Peer(listener.dial()) for _ in range(3)]
        for peer in peers:
            await peer.join()
        monkeypatch.setattr(Conversation, "ended", fail)
        if how == "shutdown":
            await server.shutdown()
        nursery.cancel_scope.cancel()
    ends = [await peer.receive() for peer in peers]
    assert [end.code for end in ends if isinstance(end, Close)] == 3 * [codes[how]]
    assert server.statistics().connections == 0
    assert caplog.text.count("failed to end") == 3


async def test_leaving_the_serving_block_shuts_down(clock: MockClock) -> None:
    server = SocketServer()
    reasons = reasons_of(server)
    async with serving(server) as service:
        await service.joined()
    assert reasons == ["server shutting down"]


async def test_a_server_is_served_once_at_a_time_and_may_be_served_again(
    clock: MockClock,
) -> None:
    server = SocketServer()
    server.namespace("/")
    async with server.serving():
        with pytest.raises(RuntimeError):
            async with server.serving():
                pass
    async with serving(server) as service:
        await service.joined()


async def test_statistics_count_what_happened(clock: MockClock) -> None:
    server = SocketServer()
    server.namespace("/")
    async with serving(server) as service:
        peer = await service.joined()
        during = server.statistics()
        assert (during.connections, during.sockets, during.handshakes) == (1, {"/": 1}, 1)
        await peer.close()
        await peer.stream.aclose()
        await wait_all_tasks_blocked()
        after = server.statistics()
    assert (after.connections, after.sockets, after.handshakes) == (0, {"/": 0}, 1)
    assert after.closes == {"transport close": 1}
    assert after.received_messages == 1
    assert after.received_bytes > 0
    assert after.sent_messages >= 2
    assert after.sent_bytes >= during.sent_bytes > 0


async def test_two_shutdowns_at_once_both_end_with_the_last_connection(clock: MockClock) -> None:
    server = SocketServer()
    server.namespace("/")
    async with serving(server) as service:
        peer = await service.joined()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(server.shutdown)
            nursery.start_soon(server.shutdown)
            await peer.receive_close()
            await peer.finish_close()
        assert trio.current_time() == 0.0


async def test_a_cancelled_server_tells_its_sockets_that_it_shuts_down(clock: MockClock) -> None:
    server = SocketServer()
    reasons = reasons_of(server)
    listener = MemoryListener()
    async with server.serving(), trio.open_nursery() as nursery:
        door = FrontDoor({"/socket.io/": server.serve_websocket}, no_fallback)
        await nursery.start(door.serve, [listener])
        await Peer(listener.dial()).join()
        nursery.cancel_scope.cancel()
    assert reasons == ["server shutting down"]


@pytest.mark.parametrize("code", [0, 999, 1005, 1006, 1015, 2000, 5000])
async def test_a_code_that_must_not_be_sent_is_refused_and_changes_nothing(
    clock: MockClock, code: int
) -> None:
    server = SocketServer()
    server.namespace("/")
    async with serving(server) as service:
        await service.joined()
        socket = await only_socket(server)
        with pytest.raises(ValueError, match=str(code)):
            socket.close_transport(code)
        assert not socket.closed


async def test_whoever_was_let_in_by_a_handler_is_told_of_the_end_even_if_it_came_first(
    clock: MockClock,
) -> None:
    server = SocketServer()
    reasons = reasons_of(server)

    @server.namespace("/").on_connect
    def connect(socket: Socket, auth: Any) -> None:
        socket.close_transport(1012)

    async with serving(server) as service:
        peer = service.dial()
        await peer.open()
        await peer.send("40")
        assert await peer.receive() == Close(1012)
    assert reasons == ["transport close"]


async def test_kicking_a_socket_whose_client_has_come_back_spares_the_new_one(
    clock: MockClock,
) -> None:
    server = SocketServer()
    space = server.namespace("/")
    sockets: list[Socket] = []
    may_end = trio.Event()

    @space.on_connect
    def connect(socket: Socket, auth: Any) -> None:
        sockets.append(socket)

    @space.on("slow")
    async def slow(socket: Socket) -> None:
        await may_end.wait()

    async with serving(server) as service:
        peer = await service.joined()
        await peer.send_many('42["slow"]', "41", "40")
        await wait_all_tasks_blocked()
        sockets[0].disconnect()
        may_end.set()
        assert (await peer.receive_text()).startswith('40{"sid":')
        assert not sockets[1].closed
