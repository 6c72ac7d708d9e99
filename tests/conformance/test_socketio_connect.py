"""Socket.IO v5, "Connection to a namespace" and "Disconnection from a namespace"."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
import trio

from tests.conformance.clients import Client, Site, Transport
from tests.conformance.processes import CONNECT_TIMEOUT

LATE = 1.5
"""Seconds by which a busy machine may be late."""


# Joining


async def test_the_main_namespace_is_joined(socketio: Site, transport: Transport) -> None:
    client = await socketio.open(transport)
    await client.send("40")
    answer = str(await client.receive())
    assert answer.startswith("40")
    payload = json.loads(answer[2:])
    assert payload.keys() == {"sid"}
    assert isinstance(payload["sid"], str)
    assert await client.receive() == '42["auth",{}]'


async def test_the_main_namespace_is_joined_with_a_payload(
    socketio: Site, transport: Transport
) -> None:
    client = await socketio.open(transport)
    await client.send('40{"token":"123"}')
    assert str(await client.receive()).startswith('40{"sid":"')
    assert await client.receive() == '42["auth",{"token":"123"}]'


async def test_a_custom_namespace_is_joined(socketio: Site, transport: Transport) -> None:
    client = await socketio.open(transport)
    await client.send("40/custom,")
    assert str(await client.receive()).startswith('40/custom,{"sid":"')
    assert await client.receive() == '42/custom,["auth",{}]'


async def test_a_custom_namespace_is_joined_with_a_payload(
    socketio: Site, transport: Transport
) -> None:
    client = await socketio.open(transport)
    await client.send('40/custom,{"token":"abc"}')
    assert str(await client.receive()).startswith('40/custom,{"sid":"')
    assert await client.receive() == '42/custom,["auth",{"token":"abc"}]'


async def test_a_comma_with_nothing_behind_it_may_be_missing(
    socketio: Site, transport: Transport
) -> None:
    client = await socketio.open(transport)
    await client.send("40/custom")
    assert str(await client.receive()).startswith('40/custom,{"sid":"')
    assert await client.receive() == '42/custom,["auth",{}]'


@pytest.mark.parametrize("packet", ["40/random", "40/random,", '40/random,{"token":"abc"}'])
async def test_an_unknown_namespace_is_refused(
    socketio: Site, transport: Transport, packet: str
) -> None:
    client = await socketio.open(transport)
    await client.send(packet)
    assert await client.receive() == '44/random,{"message":"Invalid namespace"}'
    await client.connect("/custom")


async def test_namespaces_are_told_apart_by_their_case(
    socketio: Site, transport: Transport
) -> None:
    client = await socketio.open(transport)
    await client.send("40/Custom,")
    assert await client.receive() == '44/Custom,{"message":"Invalid namespace"}'


async def test_several_namespaces_share_a_session(socketio: Site, transport: Transport) -> None:
    client = await socketio.open(transport)
    ids = {client.sid, await client.connect("/"), await client.connect("/custom")}
    assert len(ids) == 3
    await client.send('42/custom,["message",1]', '42["message",2]')
    assert await client.receive() == '42/custom,["message-back",1]'
    assert await client.receive() == '42["message-back",2]'


async def test_a_client_need_not_be_in_the_main_namespace(
    socketio: Site, transport: Transport
) -> None:
    client = await socketio.open(transport)
    await client.connect("/custom")
    await client.send('42/custom,["message","abc"]')
    assert await client.receive() == '42/custom,["message-back","abc"]'


@pytest.mark.parametrize("packet", ["40[]", '40"token"', "40null", "40{", '40{"a":1}x',
                                    "40/custom,[]", "40/custom,abc"])  # fmt: skip
async def test_a_payload_that_is_no_object_ends_the_session(
    socketio: Site, transport: Transport, packet: str
) -> None:
    client = await socketio.open(transport)
    await client.refused(packet)


async def test_something_else_than_a_connect_ends_the_session(
    socketio: Site, transport: Transport
) -> None:
    client = await socketio.open(transport)
    await client.refused("4abc")


@pytest.mark.parametrize("packet", ['42["message"]', '420["message-with-ack"]', "41", "430[]",
                                    '42/custom,["message"]', '450-["message"]'])  # fmt: skip
async def test_a_packet_before_the_connect_ends_the_session(
    socketio: Site, transport: Transport, packet: str
) -> None:
    client = await socketio.open(transport)
    await client.refused(packet)


async def test_a_second_connect_to_the_same_namespace_ends_the_session(
    socketio: Site, transport: Transport
) -> None:
    client = await socketio.join(transport)
    await client.refused("40")


async def test_a_session_that_joins_nothing_in_time_is_closed(socketio: Site) -> None:
    async def one(transport: Transport, packet: str) -> None:
        began = trio.current_time()
        client = await socketio.open(transport)
        if packet:
            await client.send(packet)
            assert str(await client.receive()).startswith("44")
        with suppress(AssertionError):  # answers pings until the end comes, as packet or as error
            assert await client.receive() == "1"
        passed = trio.current_time() - began
        assert CONNECT_TIMEOUT - 0.02 <= passed <= CONNECT_TIMEOUT + LATE

    async with trio.open_nursery() as nursery:
        for packet in ("", "40/random,"):
            nursery.start_soon(one, "polling", packet)
            nursery.start_soon(one, "websocket", packet)
            nursery.start_soon(one, "upgraded", packet)


# Leaving


async def quiet(client: Client) -> None:
    """See that nothing comes before the next ping."""
    assert await client.receive_any() == "2"
    await client.send("3")


async def test_leaving_the_main_namespace_is_not_answered_and_ends_nothing_else(
    socketio: Site, transport: Transport
) -> None:
    client = await socketio.join(transport)
    await client.send("41")
    await quiet(client)
    await client.connect("/custom")


async def test_a_custom_namespace_is_left_and_the_main_one_is_not(
    socketio: Site, transport: Transport
) -> None:
    client = await socketio.join(transport)
    await client.connect("/custom")
    await client.send("41/custom")
    await client.send('42["message","message to main namespace"]')
    assert await client.receive() == '42["message-back","message to main namespace"]'


@pytest.mark.parametrize("packet", ["41/custom", "41/custom,"])
async def test_what_comes_late_for_a_namespace_that_was_left_is_ignored(
    socketio: Site, transport: Transport, packet: str
) -> None:
    client = await socketio.join(transport)
    await client.connect("/custom")
    await client.send(
        packet,
        '42/custom,["message","late"]',
        '42/custom,0["message-with-ack"]',
        "43/custom,0[]",
        '451-/custom,["message",{"_placeholder":true,"num":0}]',
        b"late",
        packet,
        '42["message","here"]',
    )
    assert await client.receive() == '42["message-back","here"]'


async def test_a_namespace_may_be_joined_again(socketio: Site, transport: Transport) -> None:
    client = await socketio.open(transport)
    first = await client.connect("/custom")
    await client.send("41/custom,")
    second = await client.connect("/custom", '{"again":true}')
    assert first != second
    await client.send('42/custom,["message","abc"]')
    assert await client.receive() == '42/custom,["message-back","abc"]'


async def test_leaving_with_a_payload_ends_the_session(
    socketio: Site, transport: Transport
) -> None:
    client = await socketio.join(transport)
    await client.refused("41{}")
