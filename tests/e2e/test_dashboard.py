"""The dashboard in a real browser, over a real server with clients that edit."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from gbs_actor.client import Client, connect
from tests.e2e.browser_page import BrowserPage, browser_page
from tests.e2e.dashboard import BETWEEN_LOOKS, SHOTS, TIMEOUT, log_in, show
from tests.e2e.server_process import OPERATOR, RETREAT, ServerProcess, running_server, token

pytestmark = [pytest.mark.node, pytest.mark.browser]

HOSTILE = "<img src=x onerror=alert(1)>\u202e\u200b" + "가" * 400
"""The name of a user who wishes the operator harm."""
VIEWS = (
    "overview",
    "nodes",
    "rooms",
    f"rooms/{RETREAT}",
    "sessions",
    "closed",
    "events",
    "audit",
    "tasks",
    "system",
)
POLLING = 2.0
"""Seconds between two requests of the view of the rooms."""
UNSAFE_SLUG = "<script>alert(1)</script>"
CUT_PLACEHOLDERS = """
[...document.querySelectorAll('main input[placeholder]')].filter((input) => {
  const style = getComputedStyle(input);
  const pen = document.createElement('canvas').getContext('2d');
  pen.font = `${style.fontSize} ${style.fontFamily}`;
  const room = input.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight);
  return pen.measureText(input.placeholder).width > room;
}).map((input) => input.placeholder)
"""
WIDTHS = {"desk": (1280, 860), "phone": (360, 740)}


@pytest.fixture(scope="module")
def server() -> Iterator[ServerProcess]:
    with running_server() as running:
        yield running


@asynccontextmanager
async def editing(server: ServerProcess) -> AsyncIterator[list[Client]]:
    """Three users in the room, one of them with a hostile name, and some edits."""
    async with (
        connect(server.url, token(101, "김하늘")) as one,
        connect(server.url, token(102, "이서준")) as two,
        connect(server.url, token(103, HOSTILE)) as three,
    ):
        clients = [one, two, three]
        for number, client in enumerate(clients):
            rows = await client.join(RETREAT)
            free = [row for row in rows if not row.is_leader]
            for turn in range(3):
                await client.assign(free[number].id, 2000 + 10 * number + turn)
        yield clients


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
async def test_every_view_shows_itself_without_fault_and_fits(
    pages: int, server: ServerProcess, width: str, scheme: str
) -> None:
    wide, high = WIDTHS[width]
    async with (
        editing(server),
        browser_page(pages, width=wide, height=high, scheme=scheme) as page,
    ):
        await log_in(page, server)
        for view in VIEWS:
            await show(page, server, view)
            assert await page.evaluate(
                "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
            ), view
            assert await page.evaluate(CUT_PLACEHOLDERS) == [], view
            if SHOTS:
                name = view.replace("/", "-")
                await page.screenshot(Path(SHOTS) / f"{name}-{width}-{scheme}.png", whole=True)
        assert await page.problems() == []
        assert {each.split("/")[2] for each in await page.requests()} == {
            server.url.removeprefix("http://")
        }


async def test_figures_are_those_of_the_server(pages: int, server: ServerProcess) -> None:
    async with editing(server), browser_page(pages) as page:
        await log_in(page, server)
        await page.until("document.querySelectorAll('canvas').length >= 6")
        overview = server.get("/admin/overview", token(**OPERATOR))  # type: ignore[arg-type]
        accepted = overview["rooms"]["accepted"]
        assert accepted >= 9
        await page.until(f"document.querySelector('.tiles').innerText.includes('{accepted}건')")
        assert "3" in await page.text(".tile:nth-child(3) .tile-value")
        await show(page, server, f"rooms/{RETREAT}")
        assert await page.evaluate("document.querySelectorAll('main canvas').length") == 0
        text = await page.text("main")
        assert "김하늘" in text
        assert "이서준" in text


async def test_hostile_names_and_slugs_are_texts(pages: int, server: ServerProcess) -> None:
    async with editing(server), browser_page(pages) as page:
        await log_in(page, server)
        await show(page, server, f"rooms/{RETREAT}")
        await page.until("document.querySelector('main').innerText.includes('<img src=x')")
        assert await page.evaluate("document.querySelectorAll('main img').length") == 0
        text = await page.text("main")
        assert not set(text) & {"\u202e", "\u200b"}
        assert "가" * 200 not in text
        for slug in (UNSAFE_SLUG, "a" * 9000, "%00", "../../session", "..", "\u202e"):
            quoted = await page.evaluate(f"encodeURIComponent({slug!r})")
            await page.goto(f"{server.url}/admin/#/rooms/{quoted}")
            await page.see("main .empty")
            assert await page.evaluate("document.querySelectorAll('main script').length") == 0
            assert await page.evaluate(
                "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
            )
        problems = [each for each in await page.problems() if "status of 40" not in each]
        assert problems == []


async def test_the_token_is_kept_nowhere(pages: int, server: ServerProcess) -> None:
    async with browser_page(pages) as page:
        await log_in(page, server)
        assert await page.evaluate("document.cookie") == ""
        stored = "JSON.stringify([{...localStorage}, {...sessionStorage}])"
        assert await page.evaluate(stored) == "[{},{}]"
        assert await page.evaluate("document.querySelector('#token')") is None
        await page.step("reload")
        await page.see("nav a[aria-current]")  # the session goes on


async def test_logging_out_ends_the_session(pages: int, server: ServerProcess) -> None:
    async with browser_page(pages) as page:
        await log_in(page, server)
        await page.click("button[aria-label='로그아웃']")
        await page.see("#token")
        await page.step("reload")
        await page.see("#token")


async def test_a_session_that_has_ended_asks_for_a_token(pages: int, server: ServerProcess) -> None:
    async with browser_page(pages) as page:
        await log_in(page, server)
        # Another tab logs out.
        await page.evaluate(
            "fetch('session').then((r) => r.json()).then((s) => fetch('session', "
            "{method: 'DELETE', headers: {'X-CSRF-Token': s.csrfToken}})).then(() => null)"
        )
        await page.see("#token")
        assert "세션이 끝났습니다" in await page.text()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (token(), "운영자 권한이 없습니다"),
        ("nonsense", "이 토큰으로는"),
        ("한글", "쓸 수 없는 글자"),
        (token(**OPERATOR, exp=1_000_000_000), "만료"),  # type: ignore[arg-type]
    ],
    ids=["no operator", "wrong", "no token", "expired"],
)
async def test_a_token_that_does_not_do_is_refused_with_the_reason(
    pages: int, server: ServerProcess, given: str, said: str
) -> None:
    async with browser_page(pages) as page:
        await page.goto(f"{server.url}/admin/")
        await page.see("#token")
        await page.fill("#token", given)
        await page.press("Enter")
        await page.until(f"document.querySelector('[role=alert]').innerText.includes('{said}')")
        assert await page.evaluate("document.querySelector('nav')") is None


async def test_a_restricted_operator_sees_their_rooms_and_no_more(
    pages: int, server: ServerProcess
) -> None:
    async with editing(server), browser_page(pages) as page:
        await log_in(page, server, retreats=[RETREAT])
        entries = await page.evaluate("[...document.querySelectorAll('nav a')].map((a) => a.hash)")
        assert entries == ["#/rooms", "#/sessions", "#/closed"]
        await page.until(f"document.querySelector('main').innerText.includes('{RETREAT}')")
        for view in ("overview", "system", "tasks", "events", "audit"):
            await page.goto(f"{server.url}/admin/#/{view}")
            await page.see("main .empty")
        sent = " ".join(await page.requests())
        assert not [each for each in ("overview", "system", "task-tree") if f"/{each}?" in sent]
        assert await page.problems() == []


async def test_a_server_that_does_not_answer_is_named_and_found_again(
    pages: int, server: ServerProcess
) -> None:
    async with browser_page(pages) as page:
        await log_in(page, server)
        await page.see(".tiles")
        await page.step("offline", offline=True)
        await page.see(".outage-place .banner")
        assert "응답하지 않습니다" in await page.text(".outage-place")
        await page.see(".tiles")  # what was there last is still to be read
        await page.step("offline", offline=False)
        await page.miss(".outage-place .banner")


async def until_sent(page: BrowserPage, number: int) -> int:
    """Wait until the view of the rooms has asked for them so often; return how often it has."""
    sent: list[str] = []
    with trio.fail_after(TIMEOUT):
        while len(sent) < number:
            await trio.sleep(BETWEEN_LOOKS)
            sent += await page.requests()
    assert all("/admin/rooms?" in each for each in sent)
    return len(sent)


async def test_one_request_at_a_time_and_none_while_nobody_looks(
    pages: int, server: ServerProcess
) -> None:
    async with browser_page(pages) as page:
        await log_in(page, server)
        await show(page, server, "rooms")
        began = trio.current_time()
        await page.requests()
        sent = await until_sent(page, 3)
        # The first one may have been due; each other one is two seconds behind the one before.
        assert trio.current_time() - began > POLLING * (sent - 1) - 0.5
        # A hidden tab, as far as a page can tell.
        await page.evaluate(
            "Object.defineProperty(document, 'hidden', {get: () => true, configurable: true}),"
            " document.dispatchEvent(new Event('visibilitychange')), null"
        )
        await page.requests()
        await trio.sleep(5)
        assert len(await page.requests()) == 0
        began = trio.current_time()
        await page.evaluate(
            "delete document.hidden, document.dispatchEvent(new Event('visibilitychange')), null"
        )
        sent = await until_sent(page, 2)
        assert trio.current_time() - began > POLLING * (sent - 1) - 0.5


async def test_tables_sort_by_keyboard_and_say_so(pages: int, server: ServerProcess) -> None:
    async with editing(server), browser_page(pages) as page:
        await log_in(page, server)
        await show(page, server, "rooms")
        await page.see("th[aria-sort=ascending]")
        await page.evaluate("document.querySelectorAll('th .sort')[3].focus(), null")
        await page.press("Enter")
        await page.see("th:nth-child(4)[aria-sort=descending]")
        await page.press("Enter")
        await page.see("th:nth-child(4)[aria-sort=ascending]")
        assert "sort=commandsPerSecond" in await page.evaluate("location.hash")
        await page.press("/")
        assert await page.evaluate("document.activeElement.type") == "search"


async def test_colours_can_be_switched_and_stay_so(pages: int, server: ServerProcess) -> None:
    ground = "getComputedStyle(document.body).backgroundColor"
    async with browser_page(pages, scheme="light") as page:
        await log_in(page, server)
        light = await page.evaluate(ground)
        await page.click("button[aria-label='어두운 화면으로']")
        dark = await page.evaluate(ground)
        assert dark != light
        await page.step("reload")
        await page.see("nav a[aria-current]")
        assert await page.evaluate(ground) == dark
        await page.click("button[aria-label='밝은 화면으로']")
        assert await page.evaluate(ground) == light
        assert await page.evaluate("localStorage.length") == 0  # the system's choice is not kept
