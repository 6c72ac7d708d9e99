"""The plain WebSocket, and what no client may send there."""

from __future__ import annotations

import json
import struct
from typing import Any

import pytest
import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.bad_input.wire import BINARY, CLOSE, CONTINUATION, PING, TEXT, Wire, frame, wire_to
from tests.bad_input.wire import upgrade_request as request
from tests.e2e.server_process import RETREAT, ServerProcess, token

PATH = f"/ws/retreats/{RETREAT}"


async def enter(wire: Wire, bearer: str) -> list[dict[str, Any]]:
    """Connect; return the rows."""
    await wire.send(request(PATH, extra=f"Authorization: Bearer {bearer}\r\n"))
    assert await wire.status() == 101
    return list((await event(wire, "initial-data"))["data"])


async def frame_where(wire: Wire, member: str, value: object) -> dict[str, Any]:
    """Read until a frame with this member."""
    while True:
        got: dict[str, Any] = json.loads(await wire.packet())
        if got.get(member, ...) == value:
            return got


async def event(wire: Wire, name: str) -> dict[str, Any]:
    return await frame_where(wire, "event", name)


async def still_served(wire: Wire) -> None:
    """Check that the connection lives."""
    await wire.text('{"id":"alive?","event":"leave-retreat","data":"another"}')
    assert (await frame_where(wire, "id", "alive?"))["status"] == "OK"


@pytest.mark.parametrize(
    ("data", "code"),
    [
        pytest.param(frame(TEXT, b"{}", masked=False), 1002, id="unmasked"),
        pytest.param(frame(0x3, b"{}"), 1002, id="reserved opcode"),
        pytest.param(frame(TEXT, b"{}", reserved=4), 1002, id="reserved bit"),
        pytest.param(frame(PING, b"x" * 126), 1002, id="long ping"),
        pytest.param(frame(CONTINUATION, b"{}"), 1002, id="continuation of nothing"),
        pytest.param(frame(TEXT, b'{"a":"\xff"}'), 1007, id="bad UTF-8"),
        pytest.param(frame(TEXT, b'"\xed\xa0\x80"'), 1007, id="a surrogate in UTF-8"),
        pytest.param(frame(BINARY, b"{}"), 1003, id="binary"),
        pytest.param(
            frame(BINARY, b"{", fin=False) + frame(CONTINUATION, b"}"), 1003, id="binary in pieces"
        ),
        pytest.param(frame(TEXT, b" " * 1_000_001), 1009, id="oversized"),
        pytest.param(frame(CLOSE, struct.pack("!H", 999)), 1002, id="wrong close code"),
    ],
)
async def test_a_broken_frame_closes_with_the_right_code(
    server: ServerProcess, good_token: str, data: bytes, code: int
) -> None:
    async with wire_to(server) as wire:
        await enter(wire, good_token)
        await wire.send(data)
        assert await wire.close_code() == code


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "x", "{", "}", "[]", "[{}]", "null", "true", "5", '""', "{}", '{"event":null}',
        '{"event":{}}', '{"event":["join-retreat"]}', '{"event":"x"', '{"event":"x"}}',
        "{'event':'x'}", '{"event":"\\ud800"}', '{"event":"x","data":"\\udfff"}',
        '{"event":"x","data":' + "9" * 5_000 + "}", '{"event":"' + "x" * 900_000 + '"}',
        "[" * 500_000, '{"event":"x","data":' + '{"a":' * 100_000 + "1" + "}" * 100_001,
        "2probe", "40/gbs-lineup,", '42/gbs-lineup,["join-retreat","2024-winter"]',
    ],
)  # fmt: skip
async def test_a_frame_that_is_no_event_is_answered_with_an_error_and_the_connection_lives(
    server: ServerProcess, good_token: str, text: str
) -> None:
    async with wire_to(server) as wire:
        await enter(wire, good_token)
        await wire.text(text)
        error = (await event(wire, "error"))["data"]
        assert error["code"] == "VALIDATION_FAILED"
        assert len(json.dumps(error)) < 1_000
        await still_served(wire)


@pytest.mark.parametrize(
    "extra",
    [
        "",
        "Authorization: Bearer\r\n",
        "Authorization: Bearer x\r\n",
        "Authorization: Basic eDp4\r\n",
        "Cookie: accessToken=\r\n",
        "Cookie: accessToken=x\r\n",
        "Sec-WebSocket-Protocol: bearer.x\r\n",
        "Sec-WebSocket-Protocol: bearer.x, gbs.v1\r\n",
        "Sec-WebSocket-Protocol: bearer., gbs.v1\r\n",
        "Sec-WebSocket-Protocol: " + "a" * 9_000 + "\r\n",
    ],
)
async def test_a_token_that_is_none_closes_with_a_code_of_its_own(
    server: ServerProcess, extra: str
) -> None:
    async with wire_to(server) as wire:
        await wire.send(request(PATH, extra=extra))
        assert await wire.status() == 101
        assert await wire.close_code() == 4401


@pytest.mark.parametrize("slug", ["", "none", "%01", "%ff", "..", "x" * 3_000, "a/b"])
async def test_a_retreat_that_is_none_closes_with_a_code_of_its_own(
    server: ServerProcess, good_token: str, slug: str
) -> None:
    async with wire_to(server) as wire:
        bearer = f"Authorization: Bearer {good_token}\r\n"
        await wire.send(request(f"/ws/retreats/{slug}", extra=bearer))
        assert await wire.status() == 101
        assert await wire.close_code() == 4404


@pytest.mark.parametrize("slug", ["%", "%zz", "%00", "#"])
async def test_a_target_that_is_none_is_refused(
    server: ServerProcess, good_token: str, slug: str
) -> None:
    async with wire_to(server) as wire:
        bearer = f"Authorization: Bearer {good_token}\r\n"
        await wire.send(request(f"/ws/retreats/{slug}", extra=bearer))
        assert await wire.status() == 400


@pytest.mark.parametrize(
    ("wrong", "status"),
    [
        ({"key": "short"}, 400),
        ({"version": "12"}, 426),
        ({"extra": "Sec-WebSocket-Protocol: a b\r\n"}, 400),
    ],
)
async def test_a_handshake_that_is_none_is_refused(
    server: ServerProcess, wrong: dict[str, str], status: int
) -> None:
    async with wire_to(server) as wire:
        await wire.send(request(PATH, **wrong))
        assert await wire.status() == status


async def test_without_an_upgrade_there_is_nothing(server: ServerProcess) -> None:
    async with wire_to(server) as wire:
        await wire.send(f"GET {PATH} HTTP/1.1\r\nHost: test\r\n\r\n".encode())
        assert await wire.status() == 404


async def test_another_servers_cookie_from_a_foreign_page_is_refused(
    server: ServerProcess, good_token: str
) -> None:
    async with wire_to(server) as wire:
        extra = f"Origin: https://elsewhere.example\r\nCookie: accessToken={good_token}\r\n"
        await wire.send(request(PATH, extra=extra))
        assert await wire.status() == 403


async def test_who_goes_away_in_the_middle_of_joining_harms_nobody(
    server: ServerProcess, good_token: str
) -> None:
    for _ in range(50):
        async with wire_to(server) as wire:
            extra = f"Authorization: Bearer {good_token}\r\n"
            await wire.send(request(PATH, extra=extra) + frame(TEXT, b'{"id":1,"event":"x"}'))
            wire.reset()


async def test_a_flood_from_somebody_who_reads_nothing_is_not_held_in_memory(
    server: ServerProcess, good_token: str
) -> None:
    before = server.memory()
    async with wire_to(server, receive_buffer=4_096) as wire:
        await enter(wire, good_token)
        junk = frame(TEXT, json.dumps({"id": "x" * 10_000, "event": "none"}).encode())
        with trio.move_on_after(3) as patience:
            for _ in range(50):
                await wire.stream.send_all(junk * 100)
        assert patience.cancelled_caught, "it was read on, whatever waits to be sent"
        assert server.memory() - before < 40_000_000


_MEMBERS = st.dictionaries(
    st.sampled_from(["id", "event", "data", "x"]),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
        | st.sampled_from(["join-retreat", "leave-retreat", "user-editing", "authenticate"]),
        lambda inner: st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=5), inner, max_size=3),
        max_leaves=5,
    ),
)  # fmt: skip


@settings(
    max_examples=300,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(frames=st.lists(st.one_of(_MEMBERS.map(json.dumps), st.text(max_size=50)), max_size=10))
async def test_nothing_that_is_said_ends_the_connection(
    server: ServerProcess, frames: list[str]
) -> None:
    async with wire_to(server) as wire:
        await enter(wire, token(iss="https://page.example.org"))
        for text in frames:
            await wire.send(frame(TEXT, text.encode("utf-8", "replace")))
        await still_served(wire)
