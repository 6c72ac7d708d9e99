"""Engine.IO v4, "Handshake": how a session begins, and why it does not."""

from __future__ import annotations

import json

import pytest

from tests.conformance.clients import Site, Transport, received_in_time
from tests.conformance.processes import COOKIE, ORIGIN, PING_INTERVAL, PING_TIMEOUT
from tests.socketio.peer import Peer, Refused
from tests.socketio.polls import POLLING, WEBSOCKET

TRANSPORT_UNKNOWN = {"code": 0, "message": "Transport unknown"}
SESSION_UNKNOWN = {"code": 1, "message": "Session ID unknown"}
BAD_METHOD = {"code": 2, "message": "Bad handshake method"}
BAD_REQUEST = {"code": 3, "message": "Bad request"}
FORBIDDEN = {"code": 4, "message": "Forbidden"}
UNSUPPORTED_VERSION = {"code": 5, "message": "Unsupported protocol version"}


async def refusal(site: Site, query: str, headers: list[tuple[str, str]] | None = None) -> Refused:
    """Return how a WebSocket is refused."""
    received = await received_in_time(await site.dial(query, headers or ()))
    assert isinstance(received, Refused), received
    return received


async def test_a_poll_opens_a_session(site: Site) -> None:
    answer = await site.ask("GET", POLLING)
    assert answer.status == 200
    assert answer.text.startswith("0")
    opened = json.loads(answer.text[1:])
    assert opened.keys() == {"sid", "upgrades", "pingInterval", "pingTimeout", "maxPayload"}
    assert isinstance(opened["sid"], str)
    assert opened["upgrades"] == ["websocket"]
    assert opened["pingInterval"] == 1000 * PING_INTERVAL
    assert opened["pingTimeout"] == 1000 * PING_TIMEOUT
    assert opened["maxPayload"] == 1_000_000


async def test_a_websocket_opens_a_session(site: Site) -> None:
    text = await received_in_time(await site.dial())
    assert isinstance(text, str)
    assert text.startswith("0")
    opened = json.loads(text[1:])
    assert opened.keys() == {"sid", "upgrades", "pingInterval", "pingTimeout", "maxPayload"}
    assert isinstance(opened["sid"], str)
    assert opened["upgrades"] == []
    assert opened["pingInterval"] == 1000 * PING_INTERVAL
    assert opened["pingTimeout"] == 1000 * PING_TIMEOUT
    assert opened["maxPayload"] == 1_000_000


async def test_every_session_has_an_id_of_its_own(site: Site, transport: Transport) -> None:
    ids = {(await site.open(transport)).sid for _ in range(3)}
    assert len(ids) == 3


async def test_a_payload_is_text_that_nobody_may_keep(site: Site) -> None:
    answer = await site.ask("GET", POLLING)
    assert answer.headers["content-type"] == "text/plain; charset=UTF-8"
    assert answer.headers["cache-control"] == "no-store"


async def test_the_order_of_the_query_means_nothing(site: Site) -> None:
    answer = await site.ask("GET", "t=abc&transport=polling&b64=1&EIO=4")
    assert answer.status == 200


@pytest.mark.parametrize("version", ["", "EIO=&", "EIO=3&", "EIO=abc&"])
async def test_a_poll_needs_the_version(site: Site, version: str) -> None:
    answer = await site.ask("GET", f"{version}transport=polling")
    assert (answer.status, answer.json()) == (400, UNSUPPORTED_VERSION)


@pytest.mark.parametrize("offered", [["y", "x"], ["x"], []])
async def test_a_websocket_gets_the_first_subprotocol_that_it_offers(
    site: Site, offered: list[str]
) -> None:
    peer = Peer(await site.stream())
    await peer.upgrade(f"{site.path}?{WEBSOCKET}", subprotocols=offered)
    assert isinstance(await received_in_time(peer), str)
    assert peer.subprotocol == (offered[0] if offered else None)


@pytest.mark.parametrize("version", ["", "EIO=3&", "EIO=abc&"])
async def test_a_websocket_needs_the_version(site: Site, version: str) -> None:
    refused = await refusal(site, f"{version}transport=websocket")
    assert (refused.status, refused.json()) == (400, UNSUPPORTED_VERSION)


@pytest.mark.parametrize("query", ["EIO=4", "EIO=4&transport=abc", "EIO=4&transport=", ""])
async def test_a_poll_needs_its_transport(site: Site, query: str) -> None:
    answer = await site.ask("GET", query)
    assert (answer.status, answer.json()) == (400, TRANSPORT_UNKNOWN)


@pytest.mark.parametrize("query", ["EIO=4", "EIO=4&transport=abc", ""])
async def test_a_websocket_needs_its_transport(site: Site, query: str) -> None:
    refused = await refusal(site, query)
    assert (refused.status, refused.json()) == (400, TRANSPORT_UNKNOWN)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
async def test_a_session_is_opened_by_get_only(site: Site, method: str) -> None:
    answer = await site.ask(method, POLLING)
    assert (answer.status, answer.json()) == (400, BAD_METHOD)


async def test_a_websocket_is_not_opened_by_a_plain_request(site: Site) -> None:
    answer = await site.ask("GET", WEBSOCKET)
    assert (answer.status, answer.json()) == (400, BAD_REQUEST)


async def test_an_upgrade_of_http_is_no_poll(site: Site) -> None:
    refused = await refusal(site, POLLING)
    assert (refused.status, refused.json()) == (400, BAD_REQUEST)


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_poll_needs_a_session_that_there_is(site: Site, method: str) -> None:
    answer = await site.ask(method, f"{POLLING}&sid=abc", "4hello")
    assert (answer.status, answer.json()) == (400, SESSION_UNKNOWN)


async def test_an_upgrade_needs_a_session_that_there_is(site: Site) -> None:
    refused = await refusal(site, f"{WEBSOCKET}&sid=abc")
    assert (refused.status, refused.json()) == (400, SESSION_UNKNOWN)


async def test_a_session_on_a_websocket_is_not_polled(engine: Site) -> None:
    client = await engine.open("websocket")
    for method in ("GET", "POST"):
        answer = await engine.ask(method, f"{POLLING}&sid={client.sid}", "4lost")
        assert (answer.status, answer.json()) == (400, BAD_REQUEST)
    await client.send("4hello")
    assert await client.receive() == "4hello"


async def test_a_session_needs_the_version_and_the_transport_at_every_request(
    engine: Site,
) -> None:
    polls = await engine.polls()
    for query, expected in (
        (f"transport=polling&sid={polls.sid}", UNSUPPORTED_VERSION),
        (f"EIO=3&transport=polling&sid={polls.sid}", UNSUPPORTED_VERSION),
        (f"EIO=4&sid={polls.sid}", TRANSPORT_UNKNOWN),
        (f"EIO=4&transport=abc&sid={polls.sid}", TRANSPORT_UNKNOWN),
        (f"{WEBSOCKET}&sid={polls.sid}", BAD_REQUEST),
    ):
        answer = await engine.ask("POST", query, "4lost")
        assert (answer.status, answer.json()) == (400, expected)
    await polls.send("4hello")
    assert await polls.receive() == "4hello"


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS"])
async def test_a_session_is_polled_by_get_and_post_only(engine: Site, method: str) -> None:
    polls = await engine.polls()
    answer = await engine.ask(method, f"{POLLING}&sid={polls.sid}", "4lost")
    assert (answer.status, answer.json()) == (400, BAD_REQUEST)
    await polls.send("4hello")
    assert await polls.receive() == "4hello"


async def test_a_foreign_page_with_the_users_cookie_is_forbidden(site: Site) -> None:
    headers = [("Cookie", f"{COOKIE}=t"), ("Origin", "https://evil.test")]
    answer = await site.ask("GET", POLLING, headers=headers)
    assert (answer.status, answer.json()) == (403, FORBIDDEN)
    refused = await refusal(site, WEBSOCKET, headers)
    assert (refused.status, refused.json()) == (403, FORBIDDEN)


async def test_an_allowed_page_with_the_users_cookie_is_let_in(site: Site) -> None:
    headers = [("Cookie", f"{COOKIE}=t"), ("Origin", ORIGIN)]
    answer = await site.ask("GET", POLLING, headers=headers)
    assert answer.status == 200
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    assert answer.headers["access-control-allow-credentials"] == "true"
    opened = await received_in_time(await site.dial(WEBSOCKET, headers))
    assert str(opened).startswith("0")
