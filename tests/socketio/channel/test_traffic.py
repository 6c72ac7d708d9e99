"""How fast a peer is read, to the millisecond on a clock that jumps."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from gbs_actor.socketio.channel.traffic import ReadRate
from tests.apps.echo_socketio import echo_server
from tests.socketio.peer import serving
from tests.socketio.polls import WEBSOCKET, site

pytestmark = pytest.mark.usefixtures("drivers")


async def test_what_comes_as_fast_as_it_may_is_read_at_once(clock: MockClock) -> None:
    read_rate = ReadRate(rate=10, burst=5)
    await read_rate.wait(5)
    for number in range(100):
        assert trio.current_time() == pytest.approx(number / 10)
        await trio.sleep(0.1)
        await read_rate.wait(1)


@pytest.mark.parametrize("together", [1, 7, 100])
async def test_in_the_long_run_no_more_is_read_than_the_rate_allows(
    clock: MockClock, together: int
) -> None:
    read_rate = ReadRate(rate=10, burst=5)
    for _ in range(700 // together):
        await read_rate.wait(together)
    read = 700 // together * together
    assert trio.current_time() == pytest.approx((read - 5) / 10)


async def test_a_silence_saves_up_no_more_than_the_burst(clock: MockClock) -> None:
    read_rate = ReadRate(rate=10, burst=5)
    await trio.sleep(1_000)
    await read_rate.wait(25)
    assert trio.current_time() == pytest.approx(1_002)


async def test_a_websocket_is_not_read_on_after_too_many_frames(clock: MockClock) -> None:
    async with serving(echo_server(packet_rate=10, packet_burst=5)) as service:
        peer = await service.joined()  # the first packet
        assert await peer.receive_event() == ["auth", {}]
        for _ in range(24):
            await peer.ping(b"")
        for _ in range(2):  # the first one may have been read with the pings
            await peer.send('42["message"]')
            assert await peer.receive_event() == ["message-back"]
        assert trio.current_time() == pytest.approx(2.0, abs=0.15)


async def test_parts_of_a_message_count(clock: MockClock) -> None:
    async with serving(echo_server(packet_rate=10, packet_burst=5)) as service:
        peer = await service.joined()
        assert await peer.receive_event() == ["auth", {}]
        await peer.send_fragments('42["message",', *[" "] * 22, '"x"]')
        assert await peer.receive_event() == ["message-back", "x"]
        await peer.send('42["message"]')
        assert await peer.receive_event() == ["message-back"]
        assert trio.current_time() == pytest.approx(2.0, abs=0.15)


async def test_the_packets_of_a_payload_count(clock: MockClock) -> None:
    async with site(echo_server(packet_rate=10, packet_burst=5)) as clients:
        polls = await clients.joined()
        assert (await polls.post(*['43["no call of ours"]'] * 24)).text == "ok"
        assert trio.current_time() == pytest.approx(2.0, abs=0.15)


async def test_the_messages_of_an_asgi_websocket_count(clock: MockClock) -> None:
    async with site(echo_server(packet_rate=10, packet_burst=5)) as clients:
        socket = await clients.websocket(WEBSOCKET)
        await socket.receive()
        await socket.send("40")
        await socket.receive()
        await socket.receive()
        for _ in range(24):
            await socket.send('43["no call of ours"]')
        await socket.send('42["message"]')
        assert await socket.receive() == '42["message-back"]'
        assert trio.current_time() == pytest.approx(2.0, abs=0.15)
