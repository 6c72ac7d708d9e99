"""The line-up page in Chromium: who opens it, signs in, and sees the list."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import trio

from gbs_actor.contract.client_metrics import BOUNDS
from tests.e2e.browser_page import TIMEOUT, BrowserPage, browser_page
from tests.e2e.server_process import RETREAT, ServerProcess, running_server, token

pytestmark = [pytest.mark.node, pytest.mark.browser]

FIRST, SECOND, READER = "김하늘", "이바다", "박구름"


@pytest.fixture(scope="module")
def demo() -> Iterator[ServerProcess]:
    """A server as ``scripts/run`` starts it: with the demo's own secret."""
    with running_server(environment={"GBS_JWT_SECRET": ""}) as running:
        yield running


@pytest.fixture
async def page(pages: int) -> AsyncIterator[BrowserPage]:
    async with browser_page(pages) as page:
        yield page


async def click(page: BrowserPage, name: str) -> None:
    await page.click(f"button:text-is('{name}님으로 들어가기')")


async def signed_in_as(page: BrowserPage, name: str) -> None:
    await page.see(f".page-header span:has-text('{name}')")


async def refused(page: BrowserPage) -> None:
    """Wait for the one error that a page without a session is told, and see no other."""
    found: list[str] = []
    with trio.fail_after(TIMEOUT):
        while not found:
            found = await page.problems()
    assert all("401" in each for each in found), found


async def test_a_newcomer_is_one_click_away_from_the_list(
    demo: ServerProcess, page: BrowserPage
) -> None:
    await page.goto(demo.url)
    await page.see("h1")
    await refused(page)
    await click(page, FIRST)
    await page.click("text=2024 겨울 수련회")
    await page.see(".total.all dd:text-is('80')")
    await page.see(".status:has-text('실시간 연결됨')")
    await page.see(".grid-row:not([hidden])")
    await signed_in_as(page, FIRST)
    assert await page.evaluate("document.title") == "2024 겨울 수련회 · GBS 라인업"
    heads = (
        "[...document.querySelectorAll('.grid-head .column-head')].map((head) => head.textContent)"
    )
    assert (await page.evaluate(heads))[-7:-1] == ["목저", "목숙", "금점", "금저", "금숙", "토점"]
    assert await page.problems() == []


async def test_two_windows_are_two_people(demo: ServerProcess, page: BrowserPage) -> None:
    await page.goto(f"{demo.url}/retreats/{RETREAT}")
    await click(page, FIRST)
    await signed_in_as(page, FIRST)
    await refused(page)
    await click(page, SECOND)
    await signed_in_as(page, SECOND)
    await page.step("reload")
    await signed_in_as(page, SECOND)
    # Another window has the cookies of this one, but no storage of its session.
    await page.evaluate("sessionStorage.clear()")
    await page.step("reload")
    await signed_in_as(page, FIRST)
    await click(page, READER)
    await page.see(".page-header span:has-text('보기 전용')")
    assert await page.problems() == []


async def test_the_policy_lets_the_page_speak_to_its_server_and_to_nobody_else(
    demo: ServerProcess, page: BrowserPage
) -> None:
    await page.goto(demo.url)
    await click(page, FIRST)
    await page.see(".retreats")
    await refused(page)
    joined = await page.evaluate(
        """(async () => {
          const main = document.querySelector("script[type=module]").src;
          const client = "../vendor/socket.io-client/socket.io.esm.min.js";
          const { io } = await import(new URL(client, main));
          const socket = io("/gbs-lineup", { transports: ["websocket"] });
          const ack = await socket.emitWithAck("join-retreat", "RETREAT");
          socket.disconnect();
          return [ack.status, ack.data.length];
        })()""".replace("RETREAT", RETREAT)
    )
    assert joined == ["OK", 80]
    assert await page.problems() == []
    blocked = await page.evaluate(
        "fetch('http://127.0.0.2:1/').then(() => 'sent', (error) => String(error))"
    )
    assert "TypeError" in blocked
    assert any("Content Security Policy" in each for each in await page.problems())


async def test_a_beacon_of_the_page_is_counted(demo: ServerProcess, page: BrowserPage) -> None:
    await page.goto(demo.url)
    await click(page, FIRST)
    await page.see(".retreats")
    histogram = {"bounds": BOUNDS, "counts": [0] * (len(BOUNDS) + 1), "sum": 0}
    report: dict[str, Any] = {"seconds": 60, "attempts": 1, "successes": 1, "reconnects": 0}
    report |= {"answers": histogram, "screens": histogram}
    body = json.dumps(json.dumps(report))
    assert await page.evaluate(f"navigator.sendBeacon('/api/v1/client-metrics', {body})")
    await page.until(
        "performance.getEntriesByType('resource').some((each) => "
        "each.name.endsWith('/client-metrics') && each.responseStatus === 204)"
    )


async def test_outside_the_demo_the_page_says_how_to_sign_in(pages: int) -> None:
    url = "https://page.example/login"
    with running_server(environment={"GBS_SIGN_IN_URL": url}) as server:
        async with browser_page(pages) as page:
            await page.goto(f"{server.url}/retreats/{RETREAT}")
            await page.see(f"a[href='{url}']")
            text = await page.text()
            assert "accessToken" in text
            assert FIRST not in text
            await refused(page)
            # The site there sets the cookie.
            await page.evaluate(f"document.cookie = 'accessToken={token(name='이간사')}; path=/'")
            await page.step("reload")
            await signed_in_as(page, "이간사")
            assert await page.problems() == []


@pytest.mark.parametrize("slug", ["nobody-has-it", "%ff", "%3Cimg%20src=x%3E"])
async def test_an_address_without_a_retreat_says_so(
    demo: ServerProcess, page: BrowserPage, slug: str
) -> None:
    await page.goto(demo.url)
    await click(page, FIRST)
    await page.see(".retreats")
    await refused(page)
    await page.goto(f"{demo.url}/retreats/{slug}")
    await page.see(".banner:has-text('이 주소의 수양회가 없습니다.')")
    await page.see(".back")
    found = await page.problems()
    assert all("404" in each for each in found), found
