"""python-socketio's own client, on asyncio in another thread, against the echo server."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import socketio
import trio
from socketio.exceptions import ConnectionError as NotConnected

from gbs_actor.socketio import ConnectError, MemoryRecovery, Socket, SocketServer
from tests.apps.command import serve
from tests.apps.echo_socketio import echo_server

pytestmark = pytest.mark.parametrize(
    "transports",
    [["websocket"], ["polling"], ["polling", "websocket"]],
    ids=["websocket", "polling", "upgrade"],
)

Talk = Callable[[Any, str], Awaitable[Any]]


async def talked(server: SocketServer, talk: Talk) -> Any:
    """Serve on TCP, let ``talk`` use a client in a thread, and return what it returns."""
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    url = f"http://127.0.0.1:{listeners[0].socket.getsockname()[1]}"

    async def within_limit() -> Any:
        client = socketio.AsyncClient(reconnection=False)
        try:
            return await asyncio.wait_for(talk(client, url), 10)
        finally:
            await client.disconnect()

    async with trio.open_nursery() as nursery:
        await nursery.start(serve, server, listeners)
        result = await trio.to_thread.run_sync(lambda: asyncio.run(within_limit()))
        await server.shutdown()
        nursery.cancel_scope.cancel()
    return result


async def test_it_talks_in_two_namespaces_with_text_and_bytes(transports: list[str]) -> None:
    async def talk(client: Any, url: str) -> list[Any]:
        got: list[Any] = []
        everything = asyncio.Event()

        def note(name: str) -> Callable[..., None]:
            def handler(*args: Any) -> None:
                got.append((name, *args))
                if len(got) == 4:
                    everything.set()

            return handler

        for space in ("/", "/custom"):
            client.on("auth", note(f"{space} auth"), namespace=space)
            client.on("message-back", note(f"{space} back"), namespace=space)
        await client.connect(
            url, transports=transports, namespaces=["/", "/custom"], auth={"token": "x"}
        )
        await client.emit("message", (1, b"\x00\x01", {"deep": [b"bytes", "한글"]}))
        await client.emit("message", "in the other", namespace="/custom")
        await everything.wait()
        return sorted(got, key=repr)

    assert await talked(echo_server(), talk) == [
        ("/ auth", {"token": "x"}),
        ("/ back", 1, b"\x00\x01", {"deep": [b"bytes", "한글"]}),
        ("/custom auth", {"token": "x"}),
        ("/custom back", "in the other"),
    ]


async def test_its_calls_are_answered(transports: list[str]) -> None:
    async def talk(client: Any, url: str) -> list[Any]:
        await client.connect(url, transports=transports)
        return [await client.call("message-with-ack", value) for value in (7, [1, 2], b"bytes")]

    assert await talked(echo_server(), talk) == [7, [1, 2], b"bytes"]


async def test_it_lives_through_many_heartbeats(transports: list[str]) -> None:
    server = echo_server(ping_interval=0.05, ping_timeout=3)

    @server.namespace("/").on("wait for heartbeats")
    async def wait(socket: Socket) -> str:
        before = server.statistics().received_messages
        # A pong is nothing that anybody is told of.
        while server.statistics().received_messages < before + 10:  # noqa: ASYNC110
            await trio.sleep(0.02)
        return "still there"

    async def talk(client: Any, url: str) -> Any:
        await client.connect(url, transports=transports)
        return await client.call("wait for heartbeats")

    assert await talked(server, talk) == "still there"


async def test_it_is_told_why_it_is_refused(transports: list[str]) -> None:
    server = SocketServer()

    @server.namespace("/").on_connect
    def refuse(socket: Socket, auth: Any) -> None:
        raise ConnectError("Authentication required", {"code": "AUTH_REQUIRED"})

    async def talk(client: Any, url: str) -> Any:
        errors: list[Any] = []
        client.on("connect_error", errors.append)
        with pytest.raises(NotConnected):
            await client.connect(url, transports=transports)
        return errors

    assert await talked(server, talk) == [
        {"message": "Authentication required", "data": {"code": "AUTH_REQUIRED"}}
    ]


async def test_it_answers_what_the_server_asks(transports: list[str]) -> None:
    server = echo_server()

    @server.namespace("/").on("ask me")
    async def ask(socket: Socket, question: str) -> Any:
        async with trio.open_nursery() as nursery:
            # The answer comes on the same connection, so it must not wait for this handler.
            answers: list[Any] = []

            async def call() -> None:
                answers.append(await socket.call("question", question, timeout=5))

            nursery.start_soon(call)
        return answers

    async def talk(client: Any, url: str) -> Any:
        client.on("question", lambda question: f"{question}? yes")
        await client.connect(url, transports=transports)
        return await client.call("ask me", "ready")

    assert await talked(server, talk) == ["ready? yes"]


async def test_where_sessions_can_be_come_back_to_it_works_without_knowing(
    transports: list[str],
) -> None:
    server = echo_server()
    server.namespace("/").recovery = MemoryRecovery()

    async def talk(client: Any, url: str) -> Any:
        got: asyncio.Queue[tuple[Any, ...]] = asyncio.Queue()

        async def note(*args: Any) -> None:
            await got.put(args)

        client.on("message-back", note)
        await client.connect(url, transports=transports)
        await client.emit("message", (1, b"\x00"))
        return await got.get()

    *echoed, offset = await talked(server, talk)
    assert echoed == [1, b"\x00"]
    assert isinstance(offset, str)
