"""Staff edit the line-up in Chromium, alone and at the same time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from gbs_actor.client import connect
from tests.e2e.lineup_page import LineupPage, Row, in_view, lineup_page, rows_of
from tests.e2e.server_process import RETREAT, ServerProcess, running_server, token

pytestmark = [pytest.mark.node, pytest.mark.browser]

HOSTILE = "<img src=x onerror=alert(1)>\u202e\u200b" + "가" * 300


@pytest.fixture(scope="module")
def server() -> Iterator[ServerProcess]:
    with running_server() as running:
        yield running


@pytest.fixture(scope="module")
def _people(server: ServerProcess) -> Iterator[Row]:
    return iter(in_view(rows_of(server)))


@pytest.fixture
def person(_people: Iterator[Row]) -> Row:
    """A row that no other test works on, with nothing in its memo."""
    return next(row for row in _people if not row["lineupMemo"])


@asynccontextmanager
async def two_windows(
    pages: int, server: ServerProcess
) -> AsyncIterator[tuple[LineupPage, LineupPage]]:
    async with (
        lineup_page(pages, server, user_id=21, name="김하늘") as one,
        lineup_page(pages, server, user_id=22, name="이바다") as other,
    ):
        yield one, other


async def test_an_edit_is_on_the_other_screen_with_the_name_of_its_author(
    pages: int, server: ServerProcess, person: Row
) -> None:
    async with two_windows(pages, server) as (one, other):
        await other.see(".people:has-text('김하늘')")
        await one.begin(person, "gbsNumber", "41")
        await other.until_reads("person", person, "gbsNumber", "김하늘 편집 중")
        await one.press("Enter")
        await one.until_text(person, "gbsNumber", 41)
        await other.until_text(person, "gbsNumber", 41)
        await other.until_reads("person", person, "gbsNumber", "김하늘 변경")
        await one.until_reads("state", person, "gbsNumber", "saved")
        await one.until_reads("state", person, "gbsNumber", None)
        # Nothing moves under the pointer of either before they want it.
        for page in (one, other):
            await page.see("button:text-is('1건 변경 · 다시 정렬')")
        await other.click(".rearrange")
        await other.miss(".rearrange")


async def test_of_two_numbers_at_once_the_later_author_chooses(
    pages: int, server: ServerProcess, person: Row
) -> None:
    async with two_windows(pages, server) as (one, other):
        await one.begin(person, "gbsNumber", "42")
        await other.enter(person, "gbsNumber", "43")
        await one.until_reads("person", person, "gbsNumber", "이바다 변경")
        await one.press("Enter")
        await one.see(".conflict:has-text('이바다님이')")
        values = (await one.browser.text(".conflict dl")).split("\n")
        assert values == ["상대 값", "43", "내 값", "42"]
        await one.until_text(person, "gbsNumber", 43)
        await one.accessible("conflict")
        await one.click(".conflict button:text-is('내 값으로 덮어쓰기')")
        await one.miss(".conflict")
        for page in (one, other):
            await page.until_text(person, "gbsNumber", 42)
        # And the other way round, by the list of what was not saved.
        await other.begin(person, "gbsNumber", "44")
        await one.enter(person, "gbsNumber", "45")
        await other.until_text(person, "gbsNumber", 45)
        await other.press("Enter")
        await other.see(".problems li:has-text('44')")
        await other.click(".problems button:text-is('상대 값 사용')")
        await other.miss(".conflict")
        await other.miss(".problems")
        for page in (one, other):
            await page.until_text(person, "gbsNumber", 45)


async def test_two_memos_at_once_are_compared_word_by_word(
    pages: int, server: ServerProcess, person: Row
) -> None:
    async with two_windows(pages, server) as (one, other):
        await one.begin(person, "lineupMemo", "둘째 날 찬양팀 합류")
        await other.begin(person, "lineupMemo", "둘째 날 방송팀 합류")
        await other.press("Alt+5")
        await other.see(".memo-colour[aria-pressed=true][title=초록]")
        await other.press("Enter")
        await one.until_text(person, "lineupMemo", "둘째 날 방송팀 합류")
        assert await one.editor() == "둘째 날 찬양팀 합류"
        await one.press("Enter")
        await one.see(".conflict")
        parts = "[...document.querySelectorAll('.difference %s bdi')].map((e) => e.textContent)"
        assert await one.browser.evaluate(parts % "del") == ["방송팀"]
        assert await one.browser.evaluate(parts % "ins") == ["찬양팀"]
        await one.accessible("conflict-memo")
        await one.click(".conflict button:text-is('상대 값 사용')")
        await one.miss(".conflict")
        assert await one.text(person, "lineupMemo") == "둘째 날 방송팀 합류"
        green = "rgb(187, 247, 208)"
        assert await one.read("background", person["phoneNumber"], "lineupMemo") == green
        # Nobody else has written since: no conflict this time.
        await one.enter(person, "lineupMemo", "통학")
        await other.until_text(person, "lineupMemo", "통학")
        await one.select(person, "lineupMemo")
        await one.press("Delete")
        await other.until_text(person, "lineupMemo", "")


async def test_a_syllable_is_composed_while_the_same_row_changes(
    pages: int, server: ServerProcess, person: Row
) -> None:
    async with lineup_page(pages, server) as page, connect(server.url, token(30)) as client:
        await client.join(RETREAT)
        await page.select(person, "lineupMemo")
        for number, syllable in enumerate(["ㅎ", "하", "한"], 50):
            await page.browser.compose(syllable)
            await client.assign(person["id"], number)
            await page.until_text(person, "gbsNumber", number)
        await page.browser.insert("한")
        for syllable in ("ㄱ", "그", "글"):
            await page.browser.compose(syllable)
        await client.create_memo(person["id"], "다른 사람의 메모")
        await page.until_text(person, "lineupMemo", "다른 사람의 메모")
        assert await page.editor() == "한글"
        await page.press("Enter")  # it ends the composition, and commits
        await page.see(".conflict")
        await page.click(".conflict button:text-is('내 값으로 덮어쓰기')")
        await page.until_text(person, "lineupMemo", "한글")


async def test_what_cannot_be_a_number_is_said_in_the_editor(
    pages: int, server: ServerProcess, person: Row
) -> None:
    async with lineup_page(pages, server) as page:
        await page.begin(person, "gbsNumber", "조1")
        await page.press("Enter")
        await page.see(".grid-problem:has-text('1부터 9999까지')")
        await page.press("Escape")
        await page.miss(".grid-editor.open")
        assert await page.text(person, "gbsNumber") == str(person["gbsNumber"])
        await page.select(person, "gbsNumber")
        await page.press("Delete")
        await page.until_text(person, "gbsNumber", None)
        await page.see(".total.unassigned dd:text-is('9')")


async def test_the_number_of_a_leader_has_no_editor(pages: int, server: ServerProcess) -> None:
    leader = in_view(rows_of(server), leaders=True)[1]
    async with lineup_page(pages, server) as page:
        await page.select(leader, "gbsNumber")
        await page.type("9")
        assert await page.editor() is None
        assert await page.text(leader, "gbsNumber") == str(leader["gbsNumber"])


async def test_a_slip_cannot_empty_the_list_and_that_is_said(
    pages: int, server: ServerProcess, person: Row
) -> None:
    async with lineup_page(pages, server) as page:
        await page.select(person, "gbsNumber")
        await page.press("Control+a")
        await page.press("Delete")
        await page.see(".strip:has-text('한 번에 20줄까지만 지울 수 있습니다.')")
        await page.accessible("too-many")  # which scrolls
        await page.press("Control+Home")
        await page.miss(".strip")
        assert await page.text(person, "gbsNumber") == str(person["gbsNumber"])


async def test_who_only_reads_sees_no_editor(
    pages: int, server: ServerProcess, person: Row
) -> None:
    async with lineup_page(pages, server, role="DORMITORY_STAFF") as page:
        await page.see(".page-header .tag:text-is('보기 전용')")
        await page.select(person, "lineupMemo")
        await page.type("메모")
        await page.press("F2")
        await page.press("Delete")
        assert await page.browser.evaluate("document.querySelectorAll('textarea').length") == 0
        await page.press("Enter")  # opens the details
        await page.see(f".drawer h2:has-text('{person['name']}')")
        await page.miss(".drawer-actions")
        await page.accessible("read-only")


async def test_hostile_names_and_memos_are_texts(
    pages: int, server: ServerProcess, person: Row
) -> None:
    async with (
        lineup_page(pages, server) as page,
        connect(server.url, token(31, HOSTILE)) as client,
    ):
        await client.join(RETREAT)
        await page.see(".people:has-text('<img')")
        row = await client.create_memo(person["id"], HOSTILE)
        assert row.lineup_memo_id is not None
        await page.browser.until(
            "[...document.querySelectorAll('.memo .grid-text')]"
            ".some((cell) => cell.textContent.startsWith('<img src=x onerror=alert(1)>··가'))"
        )
        await page.begin(person, "lineupMemo", "나의 메모")
        await client.update_memo(row.lineup_memo_id, HOSTILE + "!")
        await page.press("Enter")
        await page.see(".conflict:has-text('<img')")
        await page.accessible("hostile")
        await page.click(".conflict button:text-is('상대 값 사용')")
        await page.press("Control+Enter")
        await page.see(".drawer .memo-text:has-text('<img')")
        await page.accessible("hostile-drawer")
        assert await page.browser.evaluate("document.querySelectorAll('img').length") == 0
        fits = "document.documentElement.scrollWidth <= innerWidth"
        assert await page.browser.evaluate(fits)
        await page.click(".drawer-close")
