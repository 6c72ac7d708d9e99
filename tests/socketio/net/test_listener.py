"""The TCP listener: what it accepts, and how."""

from __future__ import annotations

import errno
import socket as stdlib
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from gbs_actor.socketio import TcpListener

linux = pytest.mark.skipif(sys.platform != "linux", reason="another system may not do so")


@asynccontextmanager
async def listening() -> AsyncIterator[tuple[TcpListener, str, int]]:
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    host, port = listener.socket.getsockname()
    async with TcpListener(listener) as tcp:
        yield tcp, host, port


async def test_it_waits_for_a_connection_and_says_whose_it_is() -> None:
    async with listening() as (listener, host, port), trio.open_nursery() as nursery:
        accepted = []

        async def accept() -> None:
            accepted.append(await listener.accept_socket())

        nursery.start_soon(accept)
        await wait_all_tasks_blocked()
        client = await trio.open_tcp_stream(host, port, local_address="127.0.0.2")
        with trio.fail_after(5):
            while not accepted:
                await trio.lowlevel.checkpoint()
        ((socket, peer),) = accepted
        assert isinstance(socket, stdlib.socket)
        assert peer == "127.0.0.2"
        assert not socket.getblocking()
        await client.aclose()
        socket.close()


@linux
async def test_an_accepted_socket_has_the_options_that_trio_sets_on_a_stream() -> None:
    async with listening() as (listener, host, port):
        async with await trio.open_tcp_stream(host, port):
            socket, _ = await listener.accept_socket()
            assert isinstance(socket, stdlib.socket)
            with socket:
                found = [
                    socket.getsockopt(stdlib.IPPROTO_TCP, option)
                    for option in (stdlib.TCP_NODELAY, stdlib.TCP_NOTSENT_LOWAT)
                ]
        async with await trio.open_tcp_stream(host, port), await listener.accept() as stream:
            expected = [
                stream.getsockopt(stdlib.IPPROTO_TCP, option)
                for option in (stdlib.TCP_NODELAY, stdlib.TCP_NOTSENT_LOWAT)
            ]
    assert found == expected == [1, 2**14]


async def test_a_burst_lets_other_tasks_run() -> None:
    async with listening() as (listener, host, port), trio.open_nursery() as nursery:
        clients = [await trio.open_tcp_stream(host, port) for _ in range(12)]
        accepted: list[trio.SocketStream] = []
        seen: list[int] = []

        async def watch() -> None:
            while len(accepted) < 12:
                seen.append(len(accepted))
                await trio.lowlevel.checkpoint()

        nursery.start_soon(watch)
        await trio.lowlevel.checkpoint()
        for _ in clients:
            accepted.append(await listener.accept())
        for stream in (*clients, *accepted):
            await stream.aclose()
    assert {4, 8} & set(seen)


async def test_closing_ends_accepting() -> None:
    async with listening() as (listener, _, _), trio.open_nursery() as nursery:

        async def accept() -> None:
            with pytest.raises(trio.ClosedResourceError):
                await listener.accept_socket()

        nursery.start_soon(accept)
        await wait_all_tasks_blocked()
        await listener.aclose()
        await accept()


async def test_a_shortage_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    def short(*_: object) -> None:
        raise OSError(errno.EMFILE, "no descriptors")

    async with listening() as (listener, host, port):
        client = await trio.open_tcp_stream(host, port)
        with monkeypatch.context() as patch:
            patch.setattr(stdlib.socket, "accept", short)
            patch.setattr(listener.socket, "accept", short)
            with pytest.raises(OSError, match="no descriptors"):
                await listener.accept_socket()
        socket, _ = await listener.accept_socket()
        socket.close()
        await client.aclose()


async def test_an_error_of_one_connection_concerns_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    accept = stdlib.socket.accept
    errors = [OSError(errno.ECONNABORTED, "gone")]

    def failing(self: stdlib.socket) -> object:
        if errors:
            raise errors.pop()
        return accept(self)

    async with listening() as (listener, host, port):
        client = await trio.open_tcp_stream(host, port)
        monkeypatch.setattr(stdlib.socket, "accept", failing)
        socket, peer = await listener.accept_socket()
        assert peer == "127.0.0.1"
        socket.close()
        await client.aclose()
