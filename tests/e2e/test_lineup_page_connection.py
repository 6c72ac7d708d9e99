"""What the line-up page says and does when its connection or its rights end, in Chromium."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import httpx
import pytest
import trio

from gbs_actor.auth.user import LEEWAY
from gbs_actor.client import Client, connect
from tests.e2e.in_room import BETWEEN_LOOKS
from tests.e2e.lineup_page import LIVE, LineupPage, Row, in_view, lineup_page, rows_of
from tests.e2e.server_process import RETREAT, ServerProcess, running_server, token
from tests.e2e.test_grants import GRANT_TTL, grant

pytestmark = [pytest.mark.node, pytest.mark.browser]

NO_NETWORK = ("ERR_INTERNET_DISCONNECTED", "ERR_NETWORK_CHANGED", "WebSocket connection to")
NO_SERVER = ("ERR_CONNECTION_REFUSED", "ERR_EMPTY_RESPONSE", "WebSocket connection to", "503")
HIDDEN_PHONE, HIDDEN_DESKTOP = 30_000, 600_000
"""Milliseconds for which a page keeps its connection while it is hidden."""


@pytest.fixture(scope="module")
def server() -> Iterator[ServerProcess]:
    with running_server(environment={"GBS_GRANT_TTL": str(GRANT_TTL)}) as running:
        yield running


@pytest.fixture(scope="module")
def _people(server: ServerProcess) -> Iterator[Row]:
    return iter(in_view(rows_of(server)))


@pytest.fixture
def person(_people: Iterator[Row]) -> Row:
    """A row that no other test works on."""
    return next(_people)


@pytest.fixture
def other_person(_people: Iterator[Row]) -> Row:
    return next(_people)


@pytest.fixture
async def colleague(server: ServerProcess) -> AsyncIterator[Client]:
    """Somebody else in the room."""
    async with connect(server.url, token(32, "이바다")) as client:
        await client.join(RETREAT)
        yield client


async def go_offline(page: LineupPage, *, offline: bool) -> None:
    await page.browser.step("offline", offline=offline)


async def test_edits_made_offline_wait_and_are_saved_once_it_is_back(
    pages: int, server: ServerProcess, person: Row, other_person: Row, colleague: Client
) -> None:
    async with lineup_page(pages, server, expected=NO_NETWORK) as page:
        await go_offline(page, offline=True)
        await page.see(".status:has-text('오프라인')")
        await page.see(".strip:has-text('이후 바뀐 내용은 아직 보이지 않습니다')")
        await colleague.assign(other_person["id"], 60)
        await page.enter(person, "gbsNumber", "61")
        await page.enter(person, "lineupMemo", "오프라인 메모")
        await page.see(".status:has-text('저장 대기 2건')")
        await page.until_reads("state", person, "gbsNumber", "waiting")
        assert await page.text(other_person, "gbsNumber") == str(other_person["gbsNumber"])
        await page.accessible("offline")
        await go_offline(page, offline=False)
        await page.see(LIVE)
        await page.miss(".strip")
        await page.until_text(other_person, "gbsNumber", 60)
        await page.see(".status:not(:has-text('건'))")
    (row,) = [row for row in rows_of(server) if row["id"] == person["id"]]
    assert (row["gbsNumber"], row["lineupMemo"]) == (61, "오프라인 메모")


async def asks_before_it_ends(page: LineupPage) -> bool:
    """Return whether the window would ask its user before it is closed."""
    asks: bool = await page.browser.evaluate(
        "!window.dispatchEvent(new Event('beforeunload', { cancelable: true }))"
    )
    return asks


async def test_what_waits_survives_a_reload(pages: int, server: ServerProcess, person: Row) -> None:
    async with lineup_page(pages, server, expected=NO_NETWORK) as page:
        await go_offline(page, offline=True)
        await page.see(".status:has-text('오프라인')")
        await page.enter(person, "lineupMemo", "다시 불러오기")
        await page.see(".status:has-text('저장 대기 1건')")
        assert await asks_before_it_ends(page)
        await go_offline(page, offline=False)
        await page.browser.step("reload")
        await page.see(LIVE)
        await page.until_text(person, "lineupMemo", "다시 불러오기")
        await page.see(".status:not(:has-text('건'))")
        assert not await asks_before_it_ends(page)
    (row,) = [row for row in rows_of(server) if row["id"] == person["id"]]
    assert row["lineupMemo"] == "다시 불러오기"


async def test_what_is_typed_but_not_committed_survives_a_reload_too(
    pages: int, server: ServerProcess, person: Row
) -> None:
    async with lineup_page(pages, server) as page:
        await page.begin(person, "gbsNumber", "12345")
        assert await asks_before_it_ends(page)  # it cannot be taken
        await page.press("Escape")
        await page.begin(person, "lineupMemo", "쓰다가 새로 고침")
        await page.browser.step("reload")
        await page.see(LIVE)
        await page.until_text(person, "lineupMemo", "쓰다가 새로 고침")
        await page.see(".status:not(:has-text('건'))")
    (row,) = [row for row in rows_of(server) if row["id"] == person["id"]]
    assert row["lineupMemo"] == "쓰다가 새로 고침"


async def test_what_is_typed_survives_that_a_phone_is_turned(
    pages: int, server: ServerProcess, person: Row
) -> None:
    async with lineup_page(pages, server) as page:
        await page.begin(person, "lineupMemo", "세로로")
        await page.browser.step("resize", width=640, height=360)
        await page.until_text(person, "lineupMemo", "세로로")


async def test_an_edit_outlives_the_kill_of_the_server(pages: int, person: Row) -> None:
    with running_server(on_disk=True) as server:
        async with lineup_page(pages, server, expected=NO_SERVER) as page:
            await page.enter(person, "gbsNumber", "63")
            await page.until_reads("state", person, "gbsNumber", "saved")
            await trio.to_thread.run_sync(server.kill)
            await page.see(".status:has-text('재연결 중')")
            await page.enter(person, "lineupMemo", "서버가 없는 동안")
            await page.see(".status:has-text('저장 대기 1건')")
            await page.accessible("killed")
            await trio.to_thread.run_sync(server.start_again)
            await page.see(LIVE)
            await page.until_text(person, "lineupMemo", "서버가 없는 동안")
            await page.see(".status:not(:has-text('건'))")
        (row,) = [row for row in rows_of(server) if row["id"] == person["id"]]
        assert (row["gbsNumber"], row["lineupMemo"]) == (63, "서버가 없는 동안")


async def test_with_an_expired_cookie_an_edit_waits_for_the_next_sign_in(
    pages: int, server: ServerProcess, person: Row
) -> None:
    cookie = token(exp=time.time() - LEEWAY + 10)  # it has to count until the page is live
    async with lineup_page(pages, server, cookie=cookie, expected=("401",)) as page:
        await until_answered(server, cookie, lambda response: response.status_code == 401)
        await page.enter(person, "gbsNumber", "64")
        await page.see(".status:has-text('로그인 만료 · 저장 대기 1건')")
        await page.see(".strip:has-text('다시 로그인하면 저장됩니다')")
        await page.accessible("signed-out")
        await page.browser.evaluate(f"document.cookie = 'accessToken={token()}; path=/'")
        await page.click(".strip button:text-is('지금 다시 연결')")
        await page.see(LIVE)
        await page.see(".status:not(:has-text('건'))")
        await page.until_text(person, "gbsNumber", 64)


async def test_who_may_no_longer_edit_reads_on_and_whose_grant_is_gone_is_told(
    pages: int, server: ServerProcess, person: Row, colleague: Client
) -> None:
    user_id = 700
    async with lineup_page(pages, server, user_id=user_id, expected=("403",)) as page:
        try:
            await grant(server, user_id, "LEADER_STAFF")
            await until_answered(
                server, token(user_id), lambda response: not response.json()["canEdit"]
            )
            await page.enter(person, "gbsNumber", "65")
            await page.see(".problems li:has-text('편집 권한이 없습니다')")
            await page.until_text(person, "gbsNumber", person["gbsNumber"])
            await page.see(".page-header .tag:text-is('보기 전용')")
            await page.miss("textarea")
            await page.accessible("read-only-now")
            await page.click(".problems button:text-is('변경 버리기')")
            await page.miss(".problems")
            await colleague.assign(person["id"], 66)
            await page.until_text(person, "gbsNumber", 66)
            await grant(server, user_id, "NOBODY")
            await page.see(".status:has-text('권한 없음')")
            await page.see(".strip.bad")
            await page.until_text(person, "gbsNumber", 66)  # it stays visible, and is marked
            await page.see(".host.stale")
            await page.accessible("forbidden")
        finally:
            await grant(server, user_id, None)


async def test_what_is_being_typed_when_the_right_to_edit_ends_is_not_lost(
    pages: int, server: ServerProcess, person: Row
) -> None:
    user_id = 701
    async with lineup_page(pages, server, user_id=user_id, expected=("403",)) as page:
        try:
            await page.begin(person, "lineupMemo", "쓰던 글")
            await grant(server, user_id, "NOBODY")
            await page.see(".status:has-text('권한 없음')")
            await page.until_text(person, "lineupMemo", "쓰던 글")
        finally:
            await grant(server, user_id, None)


async def until_answered(
    server: ServerProcess, bearer: str, expected: Callable[[httpx.Response], bool]
) -> None:
    """Wait until the server answers so what a page asks first."""
    async with httpx.AsyncClient(
        base_url=server.url, headers={"Authorization": f"Bearer {bearer}"}
    ) as http:
        with trio.fail_after(30):
            # It is the answer itself that is waited for.
            while not expected(await http.get(f"/api/v1/retreat/{RETREAT}")):  # noqa: ASYNC110
                await trio.sleep(BETWEEN_LOOKS)


async def until_subscribers(
    server: ServerProcess, expected: Callable[[list[dict[str, Any]]], bool]
) -> None:
    """Wait until the room has such subscribers."""
    with trio.fail_after(30):
        # The server notifies nobody of it.
        while not expected((await trio.to_thread.run_sync(server.room))["subscribers"]):  # noqa: ASYNC110
            await trio.sleep(BETWEEN_LOOKS)


def over_websockets(subscribers: list[dict[str, Any]]) -> bool:
    return all(each["sink"]["transport"] == "websocket" for each in subscribers)


def alone(subscribers: list[dict[str, Any]]) -> bool:
    return len(subscribers) == 1


async def test_a_page_hidden_for_a_minute_misses_nothing(
    pages: int, server: ServerProcess, person: Row, other_person: Row, colleague: Client
) -> None:
    async with lineup_page(pages, server, own_time=True) as page:
        coarse = await page.browser.evaluate("matchMedia('(pointer: coarse)').matches")
        # The jump of the clock is a ping that never came. The end of a WebSocket is seen by the
        # server; of polls that end amid their upgrade it hears nothing before its own timeout.
        await until_subscribers(server, over_websockets)
        await page.read("hide", True)
        await page.browser.step("clock", forward=HIDDEN_PHONE if coarse else HIDDEN_DESKTOP)
        await page.see(".status:has-text('오프라인')")
        await until_subscribers(server, alone)
        await colleague.assign(person["id"], 67)
        await page.read("hide", False)
        await page.see(LIVE)
        await page.until_text(person, "gbsNumber", 67)
        # A short while is no reason.
        await page.read("hide", True)
        await page.browser.step("clock", forward=5_000)
        await colleague.assign(other_person["id"], 68)
        await page.until_text(other_person, "gbsNumber", 68)
        await page.see(LIVE)
