from __future__ import annotations

from typing import Any

import msgspec
import trio

from gbs_actor.gateway.http.list_bodies import ListBodies
from gbs_actor.rooms.delivery import Snapshot
from tests.gateway.site import LINEUPS, Site, site


def test_a_list_is_encoded_once_and_kept_for_as_long_as_it_lives() -> None:
    bodies = ListBodies()
    snapshot = Snapshot(5, "e1", True, b'[{"id":1}]')
    assert msgspec.json.decode(bodies.of(snapshot))["revision"] == 5
    assert bodies.of(snapshot) is bodies.of(snapshot)
    assert len(bodies) == 1
    del snapshot
    assert len(bodies) == 0


def test_what_one_reader_has_missed_is_not_kept() -> None:
    bodies = ListBodies()
    snapshot = Snapshot(5, "e1", False, b'[{"id":1}]')
    assert msgspec.json.decode(bodies.of(snapshot))["full"] is False
    assert len(bodies) == 0


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
