from __future__ import annotations

from typing import Any

import trio

from tests.gateway.site import LINEUPS, Site, site


async def test_all_readers_of_a_list_are_sent_the_same_bytes_until_it_changes() -> None:
    async with site() as here:
        first, second = await sent(here), await sent(here)
        assert first is second
        await here.assign(2, 3)
        assert await sent(here) != first


async def sent(here: Site) -> bytes:
    """Return the very object that the ASGI server gets as the list's body."""
    bodies: list[bytes] = []
    scope = _scope(here)
    asked = [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive() -> Any:
        if not asked:
            await trio.sleep_forever()
        return asked.pop()

    async def send(event: Any) -> None:
        if event["type"] == "http.response.body" and event["body"]:
            bodies.append(event["body"])

    await here.app(scope, receive, send)
    (body,) = bodies
    return body


def _scope(here: Site) -> Any:
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.1"},
        "http_version": "2",
        "method": "GET",
        "scheme": "http",
        "path": LINEUPS,
        "raw_path": LINEUPS.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [
            (b"host", b"here"),
            *((name.lower().encode(), value.encode()) for name, value in here.bearer().items()),
        ],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
        "extensions": {},
        "state": {},
    }
