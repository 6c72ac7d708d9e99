"""The server and an independent Socket.IO client, python-socketio's, over a real socket."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import socketio
import trio

from tests.gateway.serving import SLUG
from tests.server.running import Running, running, token

NAMESPACE = "/gbs-lineup"
Script = Callable[[socketio.AsyncClient], Awaitable[None]]


async def converse(server: Running, script: Script, **auth: Any) -> None:
    """Run a script in an asyncio loop of its own, in a thread, with a connected client."""

    async def main() -> None:
        client = socketio.AsyncClient(reconnection=False)
        await client.connect(
            server.url, transports=["websocket"], namespaces=[NAMESPACE], auth=auth or None
        )
        try:
            await asyncio.wait_for(script(client), 10)
        finally:
            await client.disconnect()

    await trio.to_thread.run_sync(asyncio.run, main())


async def test_a_stock_client_joins_edits_and_sees_its_edit() -> None:
    seen: list[Any] = []

    async def script(client: socketio.AsyncClient) -> None:
        updated: asyncio.Event = asyncio.Event()

        async def on_update(row: Any) -> None:
            seen.append(row)
            updated.set()

        client.on("lineup-updated", on_update, namespace=NAMESPACE)
        joined = await client.call("join-retreat", SLUG, namespace=NAMESPACE)
        assert len(joined["data"]) == 6
        edit = {"lineupId": 2, "gbsNumber": 3}
        ack = await client.call("update-gbs-number", edit, namespace=NAMESPACE)
        assert (ack["status"], ack["revision"], ack["data"]["gbsNumber"]) == ("OK", 1, 3)
        await updated.wait()

    async with running() as server:
        await converse(server, script, token=token())
    assert [row["id"] for row in seen] == [2]


async def test_a_stock_client_without_a_token_learns_why() -> None:
    errors: list[Any] = []

    async def connect(url: str) -> None:
        client = socketio.AsyncClient(reconnection=False)
        refused: asyncio.Event = asyncio.Event()

        async def on_error(data: Any) -> None:
            errors.append(data)
            refused.set()

        client.on("connect_error", on_error, namespace=NAMESPACE)
        await client.connect(url, transports=["websocket"], namespaces=[NAMESPACE], wait=False)
        await asyncio.wait_for(refused.wait(), 10)
        await client.disconnect()

    async with running() as server:
        await trio.to_thread.run_sync(asyncio.run, connect(server.url))
    assert errors == [{"message": "Authentication required", "data": {"code": "AUTH_REQUIRED"}}]
