from __future__ import annotations

from typing import Any

import trio

from tests.gateway.serving import LINEUPS, World, world


async def test_all_readers_of_a_list_are_sent_the_same_bytes_until_it_changes() -> None:
    async with world() as here:
        first, second = await sent(here), await sent(here)
        assert first is second
        await here.assign(2, 3)
        assert await sent(here) != first


async def sent(here: World) -> bytes:
    """Return the very object that the ASGI server gets as the list's body."""
    bodies: list[bytes] = []
    scope = scope_of(LINEUPS, here.bearer())
    asked = [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive() -> Any:
        if not asked:
            await trio.sleep_forever()
        return asked.pop()

    async def send(event: Any) -> None:
        if event["type"] == "http.response.body" and event["body"]:
            bodies.append(event["body"])

    await here.server.composition.app(scope, receive, send)
    (body,) = bodies
    return body


def scope_of(path: str, headers: dict[str, str]) -> Any:
    """Return what an ASGI server calls an app with."""
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.1"},
        "http_version": "2",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [
            (b"host", b"here"),
            *((name.lower().encode(), value.encode()) for name, value in headers.items()),
        ],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
        "extensions": {},
        "state": {},
    }
