"""The simulated listener."""

from __future__ import annotations

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from gbs_actor.socketio import peer_address, peer_address_with_port
from gbs_actor.testing.network import Address, Descriptors, SimListener, SimStream

CLIENT = Address("192.0.2.7", 40_000)


async def test_what_a_client_sends_before_it_is_accepted_arrives() -> None:
    listener = SimListener()
    client = listener.connect(CLIENT)
    await client.send_all(b"x")
    server = await listener.accept()
    assert await server.receive_some() == b"x"
    assert peer_address(server) == "192.0.2.7"
    assert peer_address_with_port(server) == "192.0.2.7:40000"
    assert server.socket.getsockname() == listener.address == client.socket.getpeername()


async def test_accepting_waits_for_a_connection() -> None:
    listener = SimListener()
    accepted: list[SimStream] = []

    async def accept() -> None:
        accepted.append(await listener.accept())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(accept)
        await wait_all_tasks_blocked()
        listener.connect(CLIENT)
    assert len(accepted) == 1


async def test_an_accepted_socket_gets_its_number_then() -> None:
    descriptors = Descriptors()
    listener = SimListener(descriptors)
    listener.connect(CLIENT)
    assert len(descriptors) == 0
    accepted = await listener.accept_socket()
    assert accepted.peer == "192.0.2.7"
    assert descriptors.socket(accepted.socket.fileno()) is accepted.socket
    await accepted.stream().aclose()
    assert len(descriptors) == 0


async def test_a_full_backlog_refuses() -> None:
    listener = SimListener(backlog=2)
    for _ in range(2):
        listener.connect(CLIENT)
    with pytest.raises(ConnectionRefusedError):
        listener.connect(CLIENT)
    await listener.accept()
    listener.connect(CLIENT)


async def test_a_closed_listener_refuses_and_resets_what_was_not_accepted() -> None:
    listener = SimListener()
    client = listener.connect(CLIENT)
    await listener.aclose()
    with pytest.raises(ConnectionRefusedError):
        listener.connect(CLIENT)
    with pytest.raises(trio.BrokenResourceError):
        await client.receive_some()
    with pytest.raises(trio.ClosedResourceError):
        await listener.accept()


async def test_closing_ends_accepting() -> None:
    listener = SimListener()
    with pytest.RaisesGroup(trio.ClosedResourceError):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(listener.accept)
            await wait_all_tasks_blocked()
            await listener.aclose()
