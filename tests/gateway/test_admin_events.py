"""/admin/events: pages of operator events, and the stream of them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import h11
import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from gbs_actor.auth import Role
from gbs_actor.gateway.http.admin.event_stream import HEARTBEAT
from gbs_actor.testing import SimStream
from tests.gateway.admin_site import Browser, ask
from tests.gateway.serving import SLUG, World, settings_with, world

ADMIN: dict[str, Any] = {"role": Role.ADMIN_MINISTER}


async def page(here: World, query: str = "") -> Any:
    response = await ask(here, "GET", f"/admin/events{query}", here.bearer(**ADMIN))
    assert response.status == 200
    return response.json()


def publish(here: World, *texts: str, kind: str = "trace.in", **about: Any) -> None:
    for text in texts:
        here.events.publish(kind, text, **about)


def texts(shown: dict[str, Any]) -> list[str]:
    return [event["text"] for event in shown["events"]]


# Pages


async def test_a_reader_asks_for_what_is_new() -> None:
    async with world() as here:
        publish(here, "a", "b", room=SLUG, user_id=7, sid="x")
        first = await page(here)
        assert (first["run"], first["last"]) == (here.events.run_id, 2)
        assert texts(first) == ["a", "b"]
        assert first["events"][0].keys() == {
            *("number", "at", "kind", "severity", "room", "userId", "sid", "text", "details")
        }
        publish(here, "c")
        assert texts(await page(here, "?after=2")) == ["c"]
        assert texts(await page(here, f"?after={first['run']}-2")) == ["c"]
        assert (await page(here, "?after=3"))["events"] == []


async def test_a_reader_of_another_run_gets_everything() -> None:
    async with world() as here:
        publish(here, "a", "b")
        assert texts(await page(here, "?after=anotherrun-1")) == ["a", "b"]


async def test_a_reader_that_comes_too_late_is_told_how_many_it_has_missed() -> None:
    async with world() as here:
        publish(here, *map(str, range(here.events.capacity + 5)))
        assert (await page(here, "?after=2&limit=1"))["missed"] == 3


async def test_events_are_filtered_and_limited() -> None:
    async with world() as here:
        publish(here, "a", kind="room.started", room="winter/2")
        publish(here, "b", kind="room.crashed", room=SLUG)
        publish(here, "c", kind="limit.hit", user_id=2**40)
        assert texts(await page(here, "?kind=room.")) == ["a", "b"]
        assert texts(await page(here, "?kind=room.crashed,limit.")) == ["b", "c"]
        assert texts(await page(here, "?room=winter/2")) == ["a"]
        assert texts(await page(here, f"?user={2**40}")) == ["c"]
        assert texts(await page(here, "?limit=1")) == ["c"]
        limited = await page(here, "?limit=1&after=0")
        assert (texts(limited), limited["last"]) == (["a"], 1)


@pytest.mark.parametrize(
    "query",
    [
        *("after=", "after=-1", "after=x", "after=a-b-1", "after=1&after=2", f"after={'1' * 16}"),
        *("kind=", "kind=ROOM", "kind=a,,b", f"kind={'x' * 51}", "limit=0", "limit=501"),
        *("user=0", "user=x", f"user={2**63}", f"room={'x' * 300}"),
    ],
)
async def test_what_cannot_be_is_refused(query: str) -> None:
    async with world() as here:
        response = await ask(here, "GET", f"/admin/events?{query}", here.bearer(**ADMIN))
        assert response.status == 400
        assert response.json()["code"] == "VALIDATION_FAILED"


# The stream


class Reader:
    """Records what a client gets of a stream."""

    def __init__(self, stream: SimStream) -> None:
        self.stream = stream
        self.status: int | None = None
        self.headers: dict[bytes, bytes] = {}
        self.received = b""
        self.ended = False
        self._state = h11.Connection(h11.CLIENT)

    async def send(self, target: str, headers: dict[str, str]) -> None:
        request = h11.Request(
            method="GET", target=target, headers=[("Host", "lineup.test"), *headers.items()]
        )
        await self.stream.send_all(self._state.send(request) or b"")

    async def run(self) -> None:
        """Read until the end of the response or of the connection."""
        while not self.ended:
            match self._state.next_event():
                case h11.Response(status_code=status, headers=fields):
                    self.status, self.headers = status, dict(fields)
                case h11.Data(data=data):
                    self.received += data
                case h11.EndOfMessage():
                    self.ended = True
                case h11.NEED_DATA:
                    self._state.receive_data(bytes(await self.stream.receive_some()))

    def header(self, name: str) -> str:
        return self.headers[name.encode()].decode()

    @property
    def data(self) -> list[Any]:
        """The data of the events."""
        lines = self.received.decode().splitlines()
        return [json.loads(line.removeprefix("data: ")) for line in lines if line[:5] == "data:"]

    @property
    def texts(self) -> list[str]:
        return [each["text"] for each in self.data if "text" in each]

    @property
    def gaps(self) -> list[Any]:
        return [each["missed"] for each in self.data if "missed" in each]

    @property
    def comments(self) -> int:
        return self.received.decode().splitlines().count(":")


@asynccontextmanager
async def streaming(
    here: World,
    query: str = "",
    headers: dict[str, str] | None = None,
    expires_in: float = 3_600,
    **more: str,
) -> AsyncIterator[Reader]:
    """Read a stream within the block, and go away at its end."""
    reader = Reader(await here.server.open_stream())
    headers = {
        **(here.bearer(**ADMIN, expires_in=expires_in) if headers is None else headers),
        "Accept": "text/event-stream",
        **{name.replace("_", "-"): value for name, value in more.items()},
    }
    await reader.send(f"/admin/events?{query}".rstrip("?"), headers)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(reader.run)
        await here.server.settle()
        yield reader
        nursery.cancel_scope.cancel()
    reader.stream.cut()
    await here.server.settle()


async def test_a_stream_sends_what_happens_from_now_on() -> None:
    async with world() as here:
        publish(here, "before")
        async with streaming(here) as reader:
            assert reader.status == 200
            assert reader.header("content-type") == "text/event-stream"
            assert reader.header("cache-control") == "no-store"
            assert reader.header("x-accel-buffering") == "no"
            publish(here, "a", "b")
            await wait_all_tasks_blocked()
            publish(here, "c", room=SLUG)
            await wait_all_tasks_blocked()
            assert reader.texts == ["a", "b", "c"]
            assert f"id: {here.events.run_id}-4\n".encode() in reader.received
            assert reader.data[-1] == (await page(here))["events"][-1]


async def test_a_stream_goes_on_from_the_last_event_that_the_reader_has() -> None:
    async with world() as here:
        publish(here, "a", "b", "c")
        run = here.events.run_id
        async with streaming(here, Last_Event_ID=f"{run}-2") as reader:
            assert (reader.texts, reader.gaps) == (["c"], [])
        async with streaming(here, "after=1", Last_Event_ID=f"{run}-2") as reader:
            assert reader.texts == ["c"]
        async with streaming(here, "after=1") as reader:
            assert reader.texts == ["b", "c"]


async def test_after_a_restart_of_the_server_a_reader_gets_everything_and_a_gap() -> None:
    async with world() as here:
        publish(here, "a", "b")
        async with streaming(here, Last_Event_ID="former-2") as reader:
            assert (reader.texts, reader.gaps) == (["a", "b"], [None])
            assert reader.received.index(b"event: gap\n") < reader.received.index(b'"a"')


async def test_a_reader_that_has_missed_events_is_told_how_many() -> None:
    async with world() as here:
        publish(here, *map(str, range(here.events.capacity + 5)))
        async with streaming(here, "after=2") as reader:
            assert reader.gaps == [3]
            assert reader.texts[0] == "5"
            assert len(reader.texts) == here.events.capacity


async def test_only_what_is_wanted_is_streamed() -> None:
    async with world() as here, streaming(here, "kind=room.&room=winter") as reader:
        publish(here, "a", kind="room.started", room="winter")
        publish(here, "b", kind="room.started", room="summer")
        publish(here, "c", kind="limit.hit", room="winter")
        await wait_all_tasks_blocked()
        assert reader.texts == ["a"]


async def test_silence_is_broken_by_comments(autojump_clock: MockClock) -> None:
    async with world() as here, streaming(here) as reader:
        await trio.sleep(3.5 * HEARTBEAT)
        assert reader.comments == 3
        assert not reader.ended


async def test_a_stream_ends_with_the_token(autojump_clock: MockClock) -> None:
    async with (
        world() as here,
        streaming(here, headers=here.bearer(**ADMIN, expires_in=40)) as reader,
    ):
        await trio.sleep(39)
        here.server.wall.advance(40)  # as far as the wall clock is concerned
        publish(here, "too late")
        await wait_all_tasks_blocked()
        assert reader.ended
        assert reader.texts == []


async def test_a_stream_ends_at_the_moment_at_which_the_token_does(
    autojump_clock: MockClock,
) -> None:
    async with (
        world() as here,
        streaming(here, headers=here.bearer(**ADMIN, expires_in=4)) as reader,
    ):
        here.server.wall.advance(4)
        await trio.sleep(3.9)
        assert not reader.ended
        await trio.sleep(0.2)
        assert reader.ended


async def test_a_stream_ends_with_the_session(autojump_clock: MockClock) -> None:
    async with world() as here:
        browser = await Browser.log_in(here)
        cookie = {"Cookie": f"adminSession={browser.cookie}"}
        async with streaming(here, headers=cookie) as reader, streaming(here) as other:
            await ask(here, "DELETE", "/admin/session", browser.headers())
            publish(here, "too late")
            await wait_all_tasks_blocked()
            assert (reader.ended, reader.texts) == (True, [])
            assert (other.ended, other.texts) == (False, ["too late"])


async def test_a_silent_stream_ends_soon_after_the_session(autojump_clock: MockClock) -> None:
    async with world() as here:
        browser = await Browser.log_in(here)
        cookie = {"Cookie": f"adminSession={browser.cookie}"}
        async with streaming(here, headers=cookie) as reader:
            await ask(here, "DELETE", "/admin/session", browser.headers())
            await trio.sleep(HEARTBEAT + 1)
            assert reader.ended


async def test_a_stream_ends_when_the_server_shuts_down_and_says_so() -> None:
    async with world() as here, streaming(here) as reader:
        here.server.composition.draining = True
        publish(here, "draining", kind="server.draining")
        await wait_all_tasks_blocked()
        assert (reader.ended, reader.texts) == (True, ["draining"])


async def test_so_many_streams_are_open_and_no_more() -> None:
    async with world(settings_with(event_streams=2)) as here:
        async with streaming(here) as first, streaming(here) as second:
            async with streaming(here) as third:
                assert (first.status, second.status, third.status) == (200, 200, 429)
                assert third.header("retry-after") == "2"
            assert (await page(here))["events"] == []
        async with streaming(here) as fourth:
            assert fourth.status == 200


async def test_who_only_asks_for_the_head_gets_no_stream() -> None:
    async with world() as here:
        headers = {**here.bearer(**ADMIN), "Accept": "text/event-stream"}
        with trio.fail_after(5):
            response = await ask(here, "HEAD", "/admin/events", headers)
        assert response.headers["Content-Type"] == "application/json"


async def test_who_may_not_see_everything_gets_no_stream() -> None:
    async with world() as here:
        for headers, status in (
            (here.bearer(**ADMIN, retreats=(SLUG,)), 403),
            (here.bearer(role=Role.LINEUP_STAFF), 403),
            ({}, 401),
        ):
            async with streaming(here, headers=headers) as reader:
                assert reader.status == status
