"""Operators steer from the dashboard while stock clients edit, and no acknowledged edit is lost.

``tests/operators/test_steering.py`` has the same for the command line, and
``tests/faults/test_actions.py`` for the API.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from uuid import uuid4

import pytest
import trio

from tests.e2e.browser_page import BrowserPage, browser_page
from tests.e2e.dashboard import act, events, facts, log_in, picture, show, table, until_read
from tests.e2e.drivers import Drivers
from tests.e2e.in_room import COMES_BACK, in_room, listed
from tests.e2e.screen import Row
from tests.e2e.server_process import OPERATOR, RETREAT, ServerProcess, token
from tests.e2e.stock_client import StockClient, Unanswered, stock_client
from tests.e2e.test_plain_websocket import plain_client
from tests.faults.database import contents
from tests.operators.operated import CRASHES, mend, operated_server, spoil

pytestmark = [pytest.mark.node, pytest.mark.browser]

EDITS = 30
"""Acknowledged ones between two actions."""
STALLED = 30.0
"""Seconds without an acknowledged edit that nothing excuses."""
GUEST = 70
"""The user who is kicked or traced."""


@pytest.fixture
def server() -> Iterator[ServerProcess]:
    with operated_server(()) as running:
        yield running


@dataclass
class Acknowledged:
    """The edits that the server said yes to."""

    commands: list[str] = field(default_factory=list)
    """Their ids."""
    numbers: dict[int, int] = field(default_factory=dict)
    """The last group number of each person."""
    joins: int = 0
    """How often a client has joined once more."""
    _progress: trio.Event = field(default_factory=trio.Event)

    def add(self, command_id: str, person: int, number: int) -> None:
        """Take an edit."""
        self.commands.append(command_id)
        self.numbers[person] = number
        self._progress.set()
        self._progress = trio.Event()

    async def more(self, *, joins: int = 0) -> None:
        """Wait for further edits, and until there were so many joins in all."""
        target = len(self.commands) + EDITS
        with trio.fail_after(STALLED):
            while len(self.commands) < target or self.joins < joins:
                await self._progress.wait()


@asynccontextmanager
async def editing(server: ServerProcess, drivers: Drivers) -> AsyncIterator[Acknowledged]:
    """Stock clients that edit for the time of a block, each with people of its own.

    Behind it, what they were acknowledged is in the database and in the list.
    """
    acknowledged = Acknowledged()
    options = {**COMES_BACK, "ackTimeout": 5_000}
    done = trio.Event()
    kinds = list(drivers.values())
    rows = [row for row in (await listed(server)).values() if not row["isLeader"]]
    async with (
        in_room(kinds, server.url, options=options) as clients,
        trio.open_nursery() as nursery,
    ):
        for at, client in enumerate(clients):
            editor = _Editor(client, rows[at :: len(clients)], acknowledged)
            nursery.start_soon(editor.edit_until, done)
        await acknowledged.more()
        yield acknowledged
        await acknowledged.more()
        done.set()
    logged = {str(entry.command_id) for entry in (await contents(server)).log}
    assert not set(acknowledged.commands) - logged
    shown = await listed(server)
    assert {person: shown[person]["gbsNumber"] for person in acknowledged.numbers} == (
        acknowledged.numbers
    )


@dataclass
class _Editor:
    """One client that edits."""

    client: StockClient
    people: list[Row]
    acknowledged: Acknowledged
    joined: int = 1
    """On how many of its connections it has joined."""

    async def edit_until(self, done: trio.Event) -> None:
        """Give one edit behind the other."""
        for turn in count():
            if done.is_set():
                return
            person, command_id = self.people[turn % len(self.people)]["id"], str(uuid4())
            number = 1 + turn % 900
            edit = {"lineupId": person, "gbsNumber": number, "commandId": command_id}
            await self._give(edit)
            self.acknowledged.add(command_id, person, number)

    async def _give(self, edit: Row) -> None:
        """Give an edit until it is acknowledged."""
        while True:
            try:
                await self._join_again()
                answer = await self.client.ask("update-gbs-number", edit)
            except Unanswered:
                continue  # the connection was lost
            if answer["status"] == "OK":
                return
            assert answer["retryable"], answer

    async def _join_again(self) -> None:
        """Join on each new connection, as the page does."""
        connections = sum(it.name == "connect" for it in self.client.happened)
        while self.joined < connections:
            answer = await self.client.ask("join-retreat", RETREAT)
            if answer["status"] == "OK":
                self.joined = connections
                self.acknowledged.joins += 1
            else:
                assert answer["retryable"], answer


async def until_state(page: BrowserPage, state: str) -> None:
    await page.until(f"document.querySelector('.view-head .badge')?.innerText.includes('{state}')")


async def problems(page: BrowserPage) -> list[str]:
    """Return what is wrong with a page. It may ask for a room or a session that has ended."""
    return [each for each in await page.problems() if "status of 404" not in each]


async def until_audited(page: BrowserPage, server: ServerProcess, *actions: str) -> None:
    """Wait until the audit has these actions as done, each with its name as the reason.

    Below that is what the response said.
    """
    await show(page, server, "audit")

    async def done() -> list[tuple[str, str, str]]:
        rows = await table(page, "감사 기록")
        acted = [row for row in rows if not row["동작"].startswith("look.")]
        assert {row["운영자"] for row in acted} <= {f"{OPERATOR['name']} {OPERATOR['user_id']}"}
        return [
            (row["동작"], row["결과"].split(maxsplit=1)[1], row["이유"].split()[0])
            for row in reversed(acted)
        ]

    expected = [(each, how, each) for each in actions for how in ("미리 보기", "실행")]
    found = await until_read(done, lambda found: len(found) >= len(expected))
    assert found == expected


async def test_a_room_is_stopped_drained_and_restarted(
    pages: int, server: ServerProcess, node_drivers: Drivers
) -> None:
    async with browser_page(pages) as page:
        await log_in(page, server)
        async with editing(server, node_drivers) as acknowledged:
            for name, label in (("restart", "재시작"), ("stop", "중지"), ("drain", "비우기")):
                returning = 0 if name == "restart" else len(node_drivers)
                joins = acknowledged.joins + returning
                await show(page, server, f"rooms/{RETREAT}")
                assert "실행했습니다" in await act(page, label, f"room.{name}")
                await acknowledged.more(joins=joins)
                assert acknowledged.joins == joins, "who has to come back does so once"
            await until_state(page, "실행 중")
        await until_audited(page, server, "room.restart", "room.stop", "room.drain")
        assert await problems(page) == []


async def test_a_room_that_has_failed_recovers(
    pages: int, server: ServerProcess, node_drivers: Drivers
) -> None:
    async with browser_page(pages) as page:
        await log_in(page, server)
        async with editing(server, node_drivers) as acknowledged:
            await show(page, server, f"rooms/{RETREAT}")
            await page.miss(".actions button:text-is('복구')")
            await spoil(server, RETREAT)
            await act(page, "재시작", "room.restart")
            await until_state(page, "실패")
            await mend(server, RETREAT)
            assert "실행했습니다" in await act(page, "복구", "room.recover")
            await until_state(page, "실행 중")
            await acknowledged.more()
            assert (await facts(page))["상태와 양"]["재시작"] == str(CRASHES)
            assert acknowledged.joins == 0, "nobody has to come back"
        await until_audited(page, server, "room.restart", "room.recover")
        assert await problems(page) == []


async def test_a_session_and_all_of_a_user_are_kicked(
    pages: int, server: ServerProcess, node_drivers: Drivers
) -> None:
    polling, websocket = node_drivers["polling"], node_drivers["websocket"]
    async with browser_page(pages) as page:
        await log_in(page, server)
        async with (
            editing(server, node_drivers) as acknowledged,
            stock_client(polling) as first,
            stock_client(websocket) as second,
            plain_client(server, token(GUEST)) as plain,
        ):
            for client in (first, second):
                await client.connect(server.url, token(GUEST), options=COMES_BACK)
                await client.ask("join-retreat", RETREAT)
            await show(page, server, f"sessions?search={GUEST}&sort=user")
            rows = await until_read(lambda: table(page, "세션"), lambda rows: len(rows) == 3)
            assert {row["연결"] for row in rows} == {
                "Socket.IO polling",
                "Socket.IO ws",
                "WebSocket",
            }
            await show(page, server, f"sessions/{(await first.facts()).id}")
            assert "실행했습니다" in await act(page, "내보내기", "session.kick")
            await until_kicked(first)
            await page.see("main .empty")  # the session has ended
            assert (await second.facts()).connected
            await acknowledged.more()

            await show(page, server, f"sessions/{(await second.facts()).id}")
            assert "실행했습니다" in await act(page, "사용자 내보내기", "user.kick")
            await until_kicked(second)
            assert await plain.end() == (4403, "FORBIDDEN")
        await until_audited(page, server, "session.kick", "user.kick")
        assert await problems(page) == []


async def until_kicked(client: StockClient) -> None:
    """Wait until a client is notified and disconnected, and stays away."""
    await client.event("disconnect", lambda reason: reason == "io server disconnect")
    error = await client.event("error")
    assert (error["code"], error["event"]) == ("FORBIDDEN", None)
    assert not (await client.facts()).connected


async def test_a_user_is_traced_and_every_event_is_shown(
    pages: int, server: ServerProcess, node_drivers: Drivers
) -> None:
    async with browser_page(pages) as page:
        await log_in(page, server)
        async with editing(server, node_drivers), plain_client(server, token(GUEST)) as first:
            await show(page, server, f"sessions?search={GUEST}")
            await page.click("tbody a.name")
            await act(page, "사용자 추적", "trace.start", number="1")
            await page.see(".panel .lines .actions button")  # where it is stopped
            await picture(page, "session-traced")

            # Those of the user that come later are traced as well.
            async with stock_client(node_drivers["websocket"]) as second:
                await second.connect(server.url, token(GUEST))
                await second.ask("join-retreat", RETREAT)
                rows = (await listed(server)).values()
                person = next(row["id"] for row in rows if row["lineupMemoId"] is None)
                edit = {"memo": "비밀", "userRetreatRegistrationId": person}
                assert (await second.ask("create-lineup-memo", edit))["status"] == "OK"
                await show(page, server, "events?kind=trace.in")
                received = await until_read(lambda: events(page), lambda shown: len(shown) == 2)
            names = [each["details"]["name"] for each in received]
            assert names == ["create-lineup-memo", "join-retreat"], received
            memo = received[0]["details"]
            assert json.loads(memo["fields"]) == {"userRetreatRegistrationId": person}
            await show(page, server, "events?kind=trace.")
            shown = await until_read(lambda: events(page), bool)
            assert {each["userId"] for each in shown} == {GUEST}
            assert {"lineup-updated"} <= {each["details"].get("name") for each in shown}
            assert "비밀" not in await page.text("main")
            await picture(page, "events-traced", whole=False)

            await show(page, server, "sessions")
            await act(page, "추적 중지", "trace.stop")
            await page.miss(".panel .lines")
            del first
        await until_audited(page, server, "trace.start", "trace.stop")
        assert await problems(page) == []


async def test_the_server_is_drained_and_has_every_acknowledged_edit(
    pages: int, server: ServerProcess, node_drivers: Drivers
) -> None:
    async with browser_page(pages) as page:
        await log_in(page, server)
        async with editing(server, node_drivers) as acknowledged:
            await show(page, server, "system")
            joins = acknowledged.joins + len(node_drivers)
            assert "실행했습니다" in await act(page, "서버 종료", "server.drain")
            assert await trio.to_thread.run_sync(server.process.wait, 20) == 0
            await page.see(".outage-place .banner")
            await picture(page, "server-drained")
            await trio.to_thread.run_sync(server.start_again)
            await page.miss(".outage-place .banner")
            await acknowledged.more(joins=joins)
        await until_audited(page, server, "server.drain")
