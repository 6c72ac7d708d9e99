"""Views of the dashboard over answers that are made up, as a server seldom gives them."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from gbs_actor.client import connect
from tests.e2e.browser_page import BrowserPage, browser_page
from tests.e2e.dashboard import log_in, show
from tests.e2e.server_process import OPERATOR, RETREAT, ServerProcess, token
from tests.e2e.test_dashboard import HOSTILE, server

pytestmark = [pytest.mark.node, pytest.mark.browser]

__all__ = ["server"]

SESSION = {
    "sid": "abc-123",
    "protocol": "socket.io",
    "transport": "websocket",
    "userId": 7,
    "userName": HOSTILE,
    "room": HOSTILE,
    "address": HOSTILE,
    "connectedFor": 12.5,
    "queued": 3,
    "queuedBytes": 4_096,
    "behindFor": 0.5,
    "conflated": 1,
    "lag": 2,
    "roundTrip": 0.02,
    "traced": True,
}
CLOSED = {
    "closedAt": 1_700_000_000.0,
    "accepted": False,
    "protocol": "websocket",
    "transport": "websocket",
    "reason": HOSTILE,
    "detail": HOSTILE,
    "address": HOSTILE,
    "sid": None,
    "userId": None,
    "userName": None,
    "room": None,
    "age": None,
}
RECORD = {
    "id": 5,
    "at": "2026-01-02T03:04:05Z",
    "operatorId": 90,
    "operatorName": HOSTILE,
    "action": "room.restart",
    "target": HOSTILE,
    "reason": HOSTILE,
    "address": "127.0.0.1",
    "outcome": "done",
    "details": HOSTILE,
}
FITS = "document.documentElement.scrollWidth <= document.documentElement.clientWidth"


def event(number: int, **fields: object) -> dict[str, Any]:
    return {
        "number": number,
        "at": time.time(),
        "kind": "room.started",
        "severity": "info",
        "room": None,
        "userId": None,
        "sid": None,
        "text": f"event {number}",
        "details": {},
        **fields,
    }


def events(*found: dict[str, Any], run: str = "one", missed: int = 0) -> dict[str, Any]:
    return {"run": run, "last": found[-1]["number"], "missed": missed, "events": found}


@asynccontextmanager
async def opened(
    pages: int, server: ServerProcess, *, width: int = 1280
) -> AsyncIterator[BrowserPage]:
    """A page of an operator; the others have nothing to say."""
    async with browser_page(pages, width=width) as page:
        await log_in(page, server)
        await page.stub("/admin/traces", {"traces": []})
        yield page


@pytest.mark.parametrize("width", [1280, 360])
async def test_hostile_texts_are_texts_in_every_list(
    pages: int, server: ServerProcess, width: int
) -> None:
    async with opened(pages, server, width=width) as page:
        await page.stub("/admin/sessions", {"total": 1, "sessions": [SESSION]})
        counts = {"kept": 1, "closed": {}, "refused": {HOSTILE: 1}}
        await page.stub("/admin/closed", {"total": 1, "closed": [CLOSED], "counts": counts})
        hostile = event(1, text=HOSTILE, room=HOSTILE, sid=HOSTILE, details={HOSTILE: HOSTILE})
        await page.stub("/admin/events", events(hostile))
        await page.stub("/admin/audit", {"records": [RECORD], "next": 4})
        for view in ("sessions", "closed", "events", "audit"):
            await show(page, server, view)
            await page.until("document.querySelector('main').innerText.includes('<img src=x')")
            text = await page.text("main")
            assert not set(text) & {"\u202e", "\u200b"}, view
            assert await page.evaluate("document.querySelectorAll('main img').length") == 0
            assert await page.evaluate(FITS), view
        assert await page.problems() == []


@pytest.mark.parametrize("width", [1280, 360])
async def test_one_session_is_shown_as_a_whole(
    pages: int, server: ServerProcess, width: int
) -> None:
    details = {
        **SESSION,
        "role": "LINEUP_STAFF",
        "userAgent": HOSTILE,
        "tokenExpiresAt": None,
        "sentMessages": 12_345,
        "sentBytes": 1_048_576,
        "receivedEvents": 9,
        "underWay": 1,
        "sentRevision": 77,
    }
    async with opened(pages, server, width=width) as page:
        await page.stub("/admin/sessions/abc-123", details)
        trace = {"userId": 7, "sid": None, "withMemos": True, "endsIn": 61.0, "events": 3}
        other = {**trace, "userId": 8}
        await page.stub("/admin/traces", {"traces": [trace, other]})
        await show(page, server, "sessions/abc-123")
        await page.until("document.querySelector('main').innerText.includes('12,345')")
        text = await page.text("main")
        assert "1 MiB" in text
        assert "만료 없음" in text
        await page.see(".lines .actions button")
        traces = await page.text(".lines")
        assert ("추적 중지" in traces, "사용자 7" in traces, "사용자 8" in traces) == (
            True,
            True,
            False,
        )
        assert await page.evaluate(FITS)


async def test_events_come_in_and_gaps_and_restarts_are_named(
    pages: int, server: ServerProcess
) -> None:
    async with opened(pages, server) as page:
        await page.stub("/admin/events", events(event(1), event(2)))
        await show(page, server, "events")
        await page.until("document.querySelectorAll('.event').length === 2")
        assert "event 2" in await page.text(".events li:first-child")
        await page.stub("/admin/events", events(event(9, severity="error"), missed=6))
        await page.until("document.querySelectorAll('.event').length === 3")
        assert "6개는 더 이상" in await page.text(".gap")
        assert {each["url"].partition("?")[2] for each in await page.stubbed()} >= {
            "limit=200",
            "limit=200&after=2",
        }
        await page.stub("/admin/events", events(event(1, text="of the new one"), run="two"))
        await page.until("document.querySelectorAll('.gap').length === 2")
        assert "다시 시작" in await page.text(".gap")
        assert "of the new one" in await page.text(".events li:first-child")


async def test_details_of_an_event_are_readable(pages: int, server: ServerProcess) -> None:
    details = {"seconds": 0.0080235, "size": 654, "fields": {"status": "OK"}, "detail": None}
    async with opened(pages, server) as page:
        await page.stub("/admin/events", events(event(1, details=details)))
        await show(page, server, "events")
        await page.see(".event")
        shown = (await page.text(".details")).split("\n")
        assert shown == ["seconds=0.00802", "size=654", 'fields={"status":"OK"}']


async def test_events_pause_and_go_on_where_they_were(pages: int, server: ServerProcess) -> None:
    async with opened(pages, server) as page:
        await page.stub("/admin/events", events(event(1)))
        await show(page, server, "events")
        await page.see(".event")
        await page.click("button[aria-pressed=false]")
        await page.see(".banner")
        await page.stubbed()
        await page.stub("/admin/events", events(event(2)))
        await page.click("button[aria-pressed=true]")
        await page.until("document.querySelectorAll('.event').length === 2")
        assert (await page.stubbed())[0]["url"].endswith("after=1")


async def test_rows_keep_their_places_until_the_operator_wants_the_new_order(
    pages: int, server: ServerProcess
) -> None:
    def listed(*sids: str) -> dict[str, Any]:
        named = [{**SESSION, "sid": sid, "userName": sid, "room": None} for sid in sids]
        return {"total": len(sids), "sessions": named}

    names = "[...document.querySelectorAll('tbody th')].map((th) => th.innerText.split(/\\s/)[0])"
    async with opened(pages, server) as page:
        await page.stub("/admin/sessions", listed("one", "two", "three"))
        await show(page, server, "sessions")
        await page.see("tbody tr")
        await page.stub("/admin/sessions", listed("four", "three", "one"))
        await page.see(".settle button")
        assert await page.evaluate(names) == ["one", "three", "four"]
        await page.click(".settle button")
        await page.miss(".settle button")
        assert await page.evaluate(names) == ["four", "three", "one"]


async def test_an_action_asks_why_shows_what_would_happen_and_does_it(
    pages: int, server: ServerProcess
) -> None:
    async with connect(server.url, token(101)) as client, opened(pages, server) as page:
        await client.join(RETREAT)
        path = f"/admin/rooms/{RETREAT}/restart"
        await show(page, server, f"rooms/{RETREAT}")
        answer = {"changed": True, "dryRun": True, "message": f"It starts anew. {HOSTILE}"}
        await page.stub(path, answer)
        await page.click("text=재시작 >> visible=true")
        await page.see("dialog[open]")
        await page.press("Enter")  # without a reason nothing happens
        assert await page.stubbed() == []
        await page.fill("dialog input", "느려서")
        await page.press("Enter")
        await page.until("document.querySelector('dialog').innerText.includes('It starts anew.')")
        (tried,) = await page.stubbed()
        assert tried["url"].endswith(f"{path}?dry_run")
        await page.stub(path, answer | {"dryRun": False})
        await page.press("Enter")
        await page.see(".announcement")
        await page.miss("dialog")
        (done,) = await page.stubbed()
        assert (done["method"], done["url"].endswith(path)) == ("POST", True)
        assert json.loads(done["body"]) == {"reason": "느려서"}
        assert done["headers"]["x-csrf-token"]
        assert await page.evaluate("document.querySelectorAll('.announcement img').length") == 0
        assert await page.problems() == []


async def test_an_action_that_is_refused_says_why_and_stays_open(
    pages: int, server: ServerProcess
) -> None:
    async with connect(server.url, token(101)) as client, opened(pages, server) as page:
        await client.join(RETREAT)
        await show(page, server, f"rooms/{RETREAT}")
        refused = {"code": "CONFLICT", "message": "Not now.", "retryable": False}
        await page.stub(f"/admin/rooms/{RETREAT}/stop", refused, status=409)
        await page.click(".actions .danger:last-child")
        await page.fill("dialog input", "이유")
        await page.press("Enter")
        await page.until("document.querySelector('dialog').innerText.includes('Not now.')")
        await page.press("Escape")
        await page.miss("dialog")
        assert await page.evaluate("document.activeElement.className") == "danger"


async def test_what_is_wrong_is_named_first(pages: int, server: ServerProcess) -> None:
    async with opened(pages, server) as page:
        shown = server.get("/admin/overview", token(**OPERATOR))  # type: ignore[arg-type]
        shown["rooms"]["states"] = {"running": 4, "failed": 2}
        shown["loopLag"] = {"count": 9, "p50": 0.0, "p95": 0.0, "p99": 0.0, "longest": 0.0}
        shown["storeFailure"] = "The database does not answer."
        shown["limits"] = [{"name": "max_connections", "used": 90, "limit": 100}]
        await page.stub("/admin/overview", shown)
        await page.until("document.querySelectorAll('.notices li').length === 3")
        text = await page.text(".notices")
        assert "실패 상태" in text
        assert "90%" in text
        assert "서버가 준비되지 않았습니다" in text
        await page.click(".notices a")
        await page.see("select")
        assert await page.evaluate("location.hash") == "#/rooms?state=failed"
