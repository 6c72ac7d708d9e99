"""``events`` follows a server, whatever becomes of the connection."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from itertools import pairwise
from typing import Any

import httpx
import pytest
import trio
from trio.testing import MockClock

from gbs_actor.auth import Role
from gbs_actor.cli import events as command
from gbs_actor.cli.admin_client import (
    AdminClient,
    AdminRequestFailed,
    StreamedEvent,
    admin_client,
)
from gbs_actor.cli.failures import CommandFailed
from gbs_actor.settings import AdminSettings
from tests.gateway.serving import SLUG
from tests.server.running import running, settings, token

OPERATOR = token(Role.ADMIN_MINISTER)
URL = "http://server.example"


def event(number: int, **changes: Any) -> dict[str, Any]:
    return {
        "number": number,
        "at": 0.0,
        "kind": "room.crashed",
        "severity": "error",
        "room": None,
        "userId": None,
        "sid": None,
        "text": f"event {number}",
        "details": {},
    } | changes


def sent(*numbers: int, run: str = "run") -> bytes:
    return b"".join(
        f"id: {run}-{number}\ndata: {json.dumps(event(number))}\n\n".encode() for number in numbers
    )


class Body(httpx.AsyncByteStream):
    """A stream that ends, or breaks, behind what it has sent."""

    def __init__(self, *chunks: bytes, error: Exception | None = None) -> None:
        self._chunks = chunks
        self._error = error

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self._chunks:
            yield chunk
        if self._error is not None:
            raise self._error


Answer = Callable[[httpx.Request], httpx.Response]


def client(answer: Answer) -> AdminClient:
    http = httpx.AsyncClient(base_url=URL, transport=httpx.MockTransport(answer))
    return AdminClient(http, URL)


class Server:
    """Answers with a page, and then with one stream after the other."""

    def __init__(self, *streams: httpx.Response | Exception) -> None:
        self.streams = list(streams)
        self.asked: list[tuple[float, str]] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if "Last-Event-ID" not in request.headers:
            page = {"run": "run", "last": 2, "missed": 0, "events": [event(1), event(2)]}
            return httpx.Response(200, json=page)
        self.asked.append((trio.current_time(), request.headers["Last-Event-ID"]))
        found = self.streams.pop(0)
        if isinstance(found, Exception):
            raise found
        return found


REFUSED = httpx.Response(401, json={"code": "TOKEN_EXPIRED", "message": "Token expired"})


async def followed(server: Server, last: int = 10) -> list[Any]:
    """Follow until the token has expired; return what was written."""
    written: list[Any] = []
    with pytest.raises(AdminRequestFailed, match="Token expired"):
        await command.follow(client(server), {}, last, written.append)
    return written


async def test_past_events_come_first_and_then_those_that_follow(
    autojump_clock: MockClock,
) -> None:
    server = Server(httpx.Response(200, stream=Body(b":\n\nretry: 2\n\n", sent(3, 4))), REFUSED)
    assert [each["number"] for each in await followed(server)] == [1, 2, 3, 4]
    assert [position for _, position in server.asked] == ["run-2", "run-4"]


async def test_none_of_the_past_is_wanted(autojump_clock: MockClock) -> None:
    server = Server(httpx.Response(200, stream=Body(sent(3))), REFUSED)
    assert [each["number"] for each in await followed(server, last=0)] == [3]


async def test_a_connection_that_breaks_is_made_again_where_it_broke(
    autojump_clock: MockClock,
) -> None:
    half = sent(4)[:-10]
    server = Server(
        httpx.Response(200, stream=Body(sent(3), half, error=httpx.ReadError("broken"))),
        httpx.ConnectError("refused"),
        httpx.ReadTimeout("silent"),
        httpx.Response(503, json={"code": "X", "message": "Not now."}),
        httpx.Response(502, text="<html>"),
        httpx.Response(200, stream=Body(sent(4))),
        REFUSED,
    )
    assert [each["number"] for each in await followed(server)] == [1, 2, 3, 4]
    assert [position for _, position in server.asked] == ["run-2", *["run-3"] * 5, "run-4"]
    times = [at for at, _ in server.asked]
    assert all(0.2 < later - at <= 10 for at, later in pairwise(times))


async def test_a_gap_is_written(autojump_clock: MockClock) -> None:
    gap = b'event: gap\ndata: {"run":"later","missed":null}\n\n'
    server = Server(httpx.Response(200, stream=Body(gap, sent(1, run="later"))), REFUSED)
    written = await followed(server)
    assert written[2] == {"run": "later", "missed": None}
    assert server.asked[-1][1] == "later-1"


async def test_a_server_that_is_asked_through_another_has_no_stream(
    autojump_clock: MockClock,
) -> None:
    def page(run: str, last: int, *numbers: int, missed: int = 0) -> httpx.Response:
        events = [event(number) for number in numbers]
        document = {"run": run, "last": last, "missed": missed, "events": events}
        return httpx.Response(200, json=document)

    gone = httpx.Response(404, json={"message": "There is no server b, or it is gone."})
    answers = [
        page("one", 2, 2),
        page("one", 3, 3),
        gone,
        httpx.Response(503, json={"message": "Server b does not answer; nothing was done."}),
        page("one", 9, 9, missed=5),
        page("two", 1, 1),
        REFUSED,
    ]
    asked: list[str | None] = []

    def answer(request: httpx.Request) -> httpx.Response:
        assert request.url.params["node"] == "b"
        assert request.headers["Accept"] != "text/event-stream"
        asked.append(request.url.params.get("after"))
        return answers.pop(0)

    written: list[Any] = []
    with pytest.raises(AdminRequestFailed, match="Token expired"):
        await command.follow(client(answer), {"node": "b"}, 10, written.append)
    assert [each.get("number", each.get("missed")) for each in written] == [2, 3, 5, 9, None, 1]
    assert asked == [None, "one-2", *["one-3"] * 3, "one-9", "two-1"]


# What is printed


def test_events_are_lines_to_read_and_harm_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    hostile = event(3, text="a\x1b]52;c;x\x07\nb", room="w[bold]\x1b", userId=7, sid="s")
    command._write_text(event(1, details={"limit": "user_rate", "detail": ""}))
    command._write_text({"run": "x", "missed": 4})
    command._write_text(hostile)
    first, gap, last = capsys.readouterr().out.splitlines()
    assert first[8:] == " room.crashed           event 1 limit=user_rate"
    assert gap == "-- events missed: 4 --"
    assert last.endswith(r"a\u001b]52;c;x\u0007\nb room=w[bold]\u001b user=7 sid=s")


# The client


async def failure(answer: Answer) -> str:
    with pytest.raises(AdminRequestFailed) as failed:
        await client(answer).get("/rooms")
    return str(failed.value)


@pytest.mark.parametrize(
    ("response", "sentence"),
    [
        (
            httpx.Response(401, json={"code": "AUTH_REQUIRED", "message": "A token is needed."}),
            "A token is needed. Set GBS_ADMIN_TOKEN to the server's admin_token, or to the token "
            "of an operator.",
        ),
        (
            httpx.Response(403, json={"code": "FORBIDDEN", "message": "Not you."}),
            "Not you. It takes the role ADMIN_MINISTER, and a token that is not restricted to "
            "retreats.",
        ),
        (
            httpx.Response(404, json={"message": "There is nothing at this address."}),
            "There is nothing at this address. Is this the address of /admin? With admin_listen "
            "it has one of its own.",
        ),
        (httpx.Response(404, json={"message": "No such room."}), "No such room."),
        (
            httpx.Response(200, text="<html>"),
            f"{URL} does not answer as a gbs-actor server: HTTP 200.",
        ),
        (
            httpx.Response(500, json=["x"]),
            f"{URL} does not answer as a gbs-actor server: HTTP 500.",
        ),
    ],
)
async def test_an_error_is_a_sentence_with_what_to_do(
    response: httpx.Response, sentence: str
) -> None:
    assert await failure(lambda _: response) == sentence


async def test_a_server_that_cannot_be_reached_is_named() -> None:
    def refuse(_: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    sentence = f"{URL} cannot be reached: refused. Is the server running there?"
    assert await failure(refuse) == sentence


async def test_the_client_talks_to_a_server() -> None:
    async with running() as server, admin_client(settings(), server.url, OPERATOR) as admin:
        assert (await admin.get("/rooms", {"limit": 5}))["total"] == 0
        assert (await admin.post("/session"))["role"] == "ADMIN_MINISTER"
        with pytest.raises(AdminRequestFailed) as failed:
            await admin.get(f"/rooms/{SLUG}")
        assert failed.value.status == 404
        async with admin.stream("/events") as stream:
            async with server.connect() as peer:
                await peer.call("join-retreat", SLUG)
            async for received in stream:
                assert isinstance(received, StreamedEvent)
                assert received.data["kind"] == "room.started"
                break


async def test_token_and_address_are_those_of_the_settings_by_default() -> None:
    async with running() as server:
        base = settings()
        here = base.model_copy(
            update={"server": base.server.model_copy(update={"port": server.address.port})}
        )
        async with admin_client(here, None, None) as admin:
            assert (await admin.get("/session"))["role"] == "ADMIN_MINISTER"
        there = base.model_copy(
            update={"admin": AdminSettings(admin_listen=f"127.0.0.1:{server.address.port}")}
        )
        async with admin_client(there, None, None) as admin:
            assert (await admin.get("/session"))["userId"] == 1


@pytest.mark.parametrize("url", ["localhost:8080", "ws://localhost", "x"])
async def test_what_is_no_url_is_refused(url: str) -> None:
    with pytest.raises(CommandFailed, match="is no URL like"):
        async with admin_client(settings(), url, OPERATOR):
            pass


async def test_the_command_prints_json_until_it_is_interrupted() -> None:
    async with running() as server, server.connect() as peer:
        await peer.call("join-retreat", SLUG)
        process = await trio.lowlevel.open_process(
            [sys.executable, "-m", "gbs_actor.cli", "events", "--url", server.url, "-o", "json"],
            env={**os.environ, "GBS_ADMIN_TOKEN": OPERATOR},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert process.stdout is not None
        assert process.stderr is not None
        printed = b""
        with trio.fail_after(30):
            while not printed.endswith(b"\n"):
                printed += await process.stdout.receive_some()
            process.send_signal(signal.SIGINT)
            assert await process.wait() == 130
            errors = b"".join([chunk async for chunk in process.stderr])
        assert json.loads(printed)["kind"] == "room.started"
        assert errors == b""
