"""The line-up page in Chromium: search, filters, order, columns, many rows, small screens."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import pytest
import trio

from gbs_actor.client import connect
from tests.e2e.lineup_page import LIVE, SEARCH, LineupPage, in_view, lineup_page, rows_of
from tests.e2e.server_process import (
    RETREAT,
    ServerProcess,
    add_retreat,
    running_server,
    token,
)

pytestmark = [pytest.mark.node, pytest.mark.browser]

LARGE = "2025-summer"
INITIALS = "ㄱㄲㄴㄷㄸㄹㅁㅂㅃㅅㅆㅇㅈㅉㅊㅋㅌㅍㅎ"
PHONE: Final[dict[str, Any]] = {"width": 360, "height": 740, "touch": True}
ZOOMED: Final[dict[str, Any]] = {"width": 640, "height": 430}
"""What a page at 200 % has of a desk's screen."""
FITS = "document.documentElement.scrollWidth <= innerWidth"


@pytest.fixture(scope="module")
def server() -> Iterator[ServerProcess]:
    with running_server() as running:
        yield running


def initials(name: str) -> str:
    """Return the first consonants of a name's syllables."""
    return "".join(INITIALS[(ord(letter) - 0xAC00) // 588] for letter in name)


async def totals(page: LineupPage) -> dict[str, int]:
    """Return the figures of the toolbar by their names."""
    await page.drawn()
    texts = await page.browser.evaluate(
        "[...document.querySelectorAll('.total')]"
        ".map((each) => [...each.children].map((child) => child.textContent))"
    )
    return {name: int(value.replace(",", "")) for name, value in texts}


async def test_people_are_found_by_initial_consonants_memos_and_numbers(
    pages: int, server: ServerProcess
) -> None:
    rows = rows_of(server)
    wanted = rows[5]
    sought = initials(wanted["name"])
    async with lineup_page(pages, server) as page:
        await page.press("/")
        await page.type(sought)
        names = await page.column("name")
        assert wanted["name"] in names
        assert len(names) < 20
        assert (await totals(page))["표시"] == len(names)
        for query in (wanted["name"], wanted["phoneNumber"], wanted["phoneNumber"][-4:]):
            await page.search(query)
            assert wanted["name"] in await page.column("name"), query
        await page.search("이런 사람은 없다")
        assert await page.column("name") == []
        await page.see(".nothing:has-text('조건에 맞는 사람이 없습니다')")
        await page.accessible("nothing-found")


async def test_values_and_schedules_are_filtered_for(pages: int, server: ServerProcess) -> None:
    rows = rows_of(server)
    (schedule, *_) = server.get(f"/api/v1/retreat/{RETREAT}", token())["schedules"]
    women = [row for row in rows if row["gender"] == "FEMALE"]
    absent = [
        row for row in women if schedule["id"] not in row["userRetreatRegistrationScheduleIds"]
    ]
    async with lineup_page(pages, server) as page:
        assert await totals(page) == {"전체": 80, "배정": 72, "미배정": 8}
        await page.menu("gender")
        await page.accessible("menu")
        await page.click(".popup label:has-text('남')")
        await page.press("Escape")
        await page.miss(".popup")
        assert (await totals(page))["표시"] == len(women)
        await page.choose(f"schedule-{schedule['id']}", "불참")
        await page.press("Escape")
        assert (await totals(page))["표시"] == len(absent)
        await page.accessible("filtered")
        await page.click(f".chip:has-text('{schedule['label']}: 불참')")
        await page.click(".chip:has-text('성별')")
        assert await totals(page) == {"전체": 80, "배정": 72, "미배정": 8}


async def test_columns_are_sorted_and_hidden_and_that_is_remembered(
    pages: int, server: ServerProcess
) -> None:
    async with lineup_page(pages, server) as page:
        await page.choose("name", "오름차순 정렬")
        names = await page.column("name")
        assert names == sorted(names)
        await page.see(".grid-head[aria-sort=ascending]")
        await page.click(".chip:has-text('정렬: 이름')")
        assert (await page.column("gbsNumber"))[:3] == ["1", "1", "1"]
        await page.choose("phoneNumber", "이 열 숨기기")
        assert "phoneNumber" not in await page.keys()
        await page.browser.step("reload")
        await page.see(LIVE)
        await page.see(".grid-row:not([hidden])")
        assert "phoneNumber" not in await page.keys()
        await page.click(".toolbar button:has-text('열')")
        await page.accessible("columns")
        await page.click(".popup button:text-is('모두 보이기')")
        assert "phoneNumber" in await page.keys()


async def test_the_menu_of_a_column_is_reached_by_the_keyboard(
    pages: int, server: ServerProcess
) -> None:
    async with lineup_page(pages, server) as page:
        await page.select(in_view(rows_of(server))[0], "gbsNumber")
        await page.press("Alt+ArrowDown")
        await page.see(".popup[aria-label='GBS 번호']")
        await page.press("Tab")
        await page.press("Enter")
        await page.miss(".popup")
        await page.see(".grid-head[aria-sort=descending]")
        # The focus is back where it was.
        assert await page.browser.evaluate("document.activeElement.tagName") == "TEXTAREA"


async def test_a_group_that_is_too_large_is_red(pages: int, server: ServerProcess) -> None:
    leader = in_view(rows_of(server), leaders=True)[0]
    others = [row for row in rows_of(server) if row["gbsNumber"] is None][:2]
    async with (
        lineup_page(pages, server) as page,
        connect(server.url, token(33, "박구름")) as client,
    ):
        await client.join(RETREAT)
        for row in others:
            await client.assign(row["id"], leader["gbsNumber"])
        await page.browser.until("document.querySelectorAll('.leader .too-large').length >= 4")
        classes = await page.read("classes", leader["phoneNumber"], "maleCount")
        assert "too-large" in classes
        await page.see("button:text-is('2건 변경 · 다시 정렬')")
        await page.click(".rearrange")
        await page.miss(".rearrange")
        shown = [row["name"] for row in rows_of(server)][:6]
        assert (await page.column("name"))[:6] == shown


async def test_details_of_a_person_and_the_figures_of_the_window(
    pages: int, server: ServerProcess
) -> None:
    person = in_view(rows_of(server))[3]
    (leader,) = [
        row
        for row in rows_of(server)
        if row["gbsNumber"] == person["gbsNumber"] and row["isLeader"]
    ]
    async with lineup_page(pages, server, scheme="dark") as page:
        await page.enter(person, "lineupMemo", "첫째 줄")
        await page.until_reads("state", person, "lineupMemo", "saved")
        await page.select(person, "name")
        await page.press("Enter")
        await page.see(f".drawer h2:has-text('{person['name']}')")
        assert "첫째 줄" in await page.browser.text(".drawer")
        members = await page.browser.evaluate("document.querySelectorAll('.members li').length")
        assert members == person["totalCount"]
        await page.accessible("drawer-dark")
        # Who is filtered out is shown again.
        await page.search(person["phoneNumber"])
        await page.click(f".members button:has-text('{leader['name']}')")
        await page.see(f".drawer h2:has-text('{leader['name']}')")
        assert leader["name"] in await page.column("name")
        assert await page.browser.evaluate(f"document.querySelector('{SEARCH}').value") == ""
        await page.click(".status")
        await page.see(".figures tr:has-text('저장 응답') td:last-child:text-is('1')")
        await page.see(".figures tr:has-text('화면 반영') td:last-child:text-is('1')")
        fits = "(({scrollWidth, clientWidth}) => scrollWidth <= clientWidth)"
        assert await page.browser.evaluate(f"{fits}(document.querySelector('.drawer'))")
        await page.accessible("figures-dark")
        await page.press("Escape")
        await page.miss(".drawer")


async def test_two_thousand_people_are_searched_and_scrolled_while_others_edit(
    pages: int, server: ServerProcess
) -> None:
    assert server.stop() == 0
    add_retreat(server.data_dir, LARGE, people=2000)
    server.start_again()
    rows = rows_of(server, LARGE)
    assert len(rows) == 2000
    person, *others = in_view(rows)
    async with (
        lineup_page(pages, server, retreat=LARGE) as page,
        connect(server.url, token(34, "최바람")) as client,
    ):
        await client.join(LARGE)
        assert len(await page.column("name")) < 60
        await page.begin(person, "lineupMemo", "여러 사람이")
        async with trio.open_nursery() as nursery:
            for number, row in enumerate(others, 3001):
                nursery.start_soon(client.assign, row["id"], number)
            nursery.start_soon(page.type, " 고치는 동안")
        await page.until_text(others[-1], "gbsNumber", 3000 + len(others))
        assert await page.editor() == "여러 사람이 고치는 동안"
        await page.press("Enter")
        await page.until_reads("state", person, "lineupMemo", "saved")
        await page.see(f"button:text-is('{len(others)}건 변경 · 다시 정렬')")
        await page.select(person, "name")
        await page.press("Control+End")
        await page.drawn()
        assert await page.text(rows[-1], "name") == rows[-1]["name"]
        await page.search(rows[1500]["phoneNumber"])
        assert await page.column("name") == [rows[1500]["name"]]
        await page.accessible("many")


async def test_a_phone_is_enough_to_read_search_write_a_memo_and_assign(
    pages: int, server: ServerProcess
) -> None:
    person = in_view(rows_of(server))[5]
    async with lineup_page(pages, server, **PHONE) as page:
        assert await page.browser.evaluate(FITS)
        await page.accessible("phone")
        await page.search(initials(person["name"]))
        await page.select(person, "name")
        await page.press("Enter")
        await page.see(".drawer")
        await page.accessible("phone-drawer")
        await page.click(".drawer button:text-is('메모 고치기')")
        await page.see(".grid-editor.open")
        await page.type("전화로 적음")
        await page.click(".memo-colour[title=노랑]")
        await page.accessible("phone-memo")
        await page.press("Enter")
        await page.until_text(person, "lineupMemo", "전화로 적음")
        await page.enter(person, "gbsNumber", "70")
        await page.until_reads("state", person, "gbsNumber", "saved")
        assert await page.browser.evaluate(FITS)


async def test_at_twice_the_size_all_is_still_in_reach(pages: int, server: ServerProcess) -> None:
    async with lineup_page(pages, server, **ZOOMED) as page:
        assert await page.browser.evaluate(FITS)
        assert len(await page.column("name")) >= 5
        await page.menu("gradeNumber")
        bottom = "document.querySelector('.popup').getBoundingClientRect().bottom <= innerHeight"
        assert await page.browser.evaluate(bottom)
        await page.accessible("zoomed")


async def test_pictures_in_both_schemes(pages: int, server: ServerProcess) -> None:
    for scheme in ("light", "dark"):
        async with lineup_page(pages, server, scheme=scheme) as page:
            await page.accessible(f"desk-{scheme}")
