"""What the HTTP app sees of its clients, behind a proxy and without one."""

from __future__ import annotations

import json
from typing import Any

import pytest
import trio

from gbs_actor.gateway.http import with_remote_endpoint
from gbs_actor.socketio import CorsPolicy, TrustedProxies

PROXY, CLIENT = "10.0.0.1", "198.51.100.20"
FORWARDED = [
    (b"x-forwarded-for", b"1.1.1.1"),
    (b"X-Forwarded-For", CLIENT.encode()),
    (b"x-forwarded-proto", b"https"),
    (b"x-forwarded-host", b"gbs.example:8443"),
]


async def seen(scope: dict[str, Any]) -> dict[str, Any]:
    """Return the scope that the app is called with."""
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope)

    async def never(*_: Any) -> Any:
        await trio.sleep_forever()

    await with_remote_endpoint(app, TrustedProxies(["10.0.0.0/8"]))(scope, never, never)  # type: ignore[arg-type]
    (scope,) = seen
    return scope


def scope_of(
    peer: str | None, headers: list[tuple[bytes, bytes]], kind: str = "http", scheme: str = "http"
) -> dict[str, Any]:
    return {
        "type": kind,
        "scheme": scheme,
        "client": None if peer is None else (peer, 4711),
        "headers": [(b"host", b"inside:8080"), *headers],
        "path": "/",
    }


def host_of(scope: dict[str, Any]) -> list[bytes]:
    return [value for name, value in scope["headers"] if name == b"host"]


async def test_behind_a_trusted_proxy_the_app_sees_the_client() -> None:
    scope = await seen(scope_of(PROXY, FORWARDED))
    assert scope["client"] == (CLIENT, 0)
    assert scope["scheme"] == "https"
    assert host_of(scope) == [b"gbs.example:8443"]


async def test_a_websockets_scheme_is_one_of_websockets() -> None:
    assert (await seen(scope_of(PROXY, FORWARDED, "websocket", "ws")))["scheme"] == "wss"
    assert (await seen(scope_of(PROXY, [], "websocket", "wss")))["scheme"] == "wss"
    insecure = [(b"x-forwarded-proto", b"http")]
    assert (await seen(scope_of(PROXY, insecure, "websocket", "wss")))["scheme"] == "ws"


@pytest.mark.parametrize("peer", ["203.0.113.7", None])
async def test_anybody_else_is_who_they_are(peer: str | None) -> None:
    given = scope_of(peer, FORWARDED)
    assert await seen(given) == given


REQUEST_ID = [(b"X-Request-Id", b"1" * 32)]


async def test_only_a_trusted_proxy_numbers_requests() -> None:
    assert REQUEST_ID[0] in (await seen(scope_of(PROXY, REQUEST_ID + FORWARDED)))["headers"]
    for peer in ("203.0.113.7", None):
        fields = (await seen(scope_of(peer, REQUEST_ID + FORWARDED)))["headers"]
        assert fields == scope_of(peer, FORWARDED)["headers"]


async def test_what_the_server_gave_is_not_changed_in_place() -> None:
    given = scope_of(PROXY, FORWARDED)
    await seen(given)
    assert given == scope_of(PROXY, FORWARDED)


async def test_the_lifespan_is_passed_on() -> None:
    given = {"type": "lifespan", "asgi": {"version": "3.0"}}
    assert await seen(given) == given


@pytest.mark.parametrize("kind", ["http", "websocket"])
@pytest.mark.parametrize(
    "field", [(b"x-forwarded-host", b"a b"), (b"x-forwarded-proto", b"gopher")]
)
async def test_a_malformed_field_of_a_proxy_is_refused_and_pages_can_read_that(
    field: tuple[bytes, bytes], kind: str
) -> None:
    sent: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise AssertionError("called")

    async def connect() -> Any:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [field, (b"origin", b"https://page.example")]
    scope = {
        **scope_of(PROXY, headers, kind, "ws" if kind == "websocket" else "http"),
        "extensions": {"websocket.http.response": {}},
    }
    policy = CorsPolicy.of(["https://page.example"], ["GET"])
    called = with_remote_endpoint(app, TrustedProxies(["10.0.0.0/8"]), policy)
    await called(scope, connect, send)  # type: ignore[arg-type]
    assert sent[0]["status"] == 400
    assert (b"access-control-allow-origin", b"https://page.example") in sent[0]["headers"]
    assert json.loads(sent[1]["body"])["code"] == "VALIDATION_FAILED"
