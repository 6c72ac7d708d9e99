"""The dashboard shows what fifty clients have counted: see :mod:`tests.operators.story`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.browser_page import BrowserPage, browser_page
from tests.e2e.dashboard import (
    events,
    facts,
    log_in,
    number,
    picture,
    show,
    table,
    tiles,
    until_read,
)
from tests.e2e.server_process import ServerProcess
from tests.mixed.peers import PlainPeer
from tests.operators.load import ACCEPTED, ACCEPTED_BEFORE
from tests.operators.operated import CRASHES, CRASHING, ROOMS, operated_server
from tests.operators.story import (
    CLIENTS,
    KILLED,
    PUBLISHED,
    SLOW,
    Counted,
    Story,
    begun,
    published,
    subscribers,
)

pytestmark = [pytest.mark.node, pytest.mark.browser]

TRANSPORTS = {"polling": "Socket.IO polling", "websocket": "Socket.IO ws"}


@pytest.fixture
def server() -> Iterator[ServerProcess]:
    with operated_server() as running:
        yield running


class Views:
    """The dashboard in a browser."""

    def __init__(self, page: BrowserPage, server: ServerProcess) -> None:
        self.page = page
        self.server = server

    async def open(self, view: str) -> None:
        await show(self.page, self.server, view)

    async def overview(self, counted: Counted) -> None:
        """Check the figures of the whole server."""
        await self.open("overview")
        accepted = f"시작 후 {counted.all[ACCEPTED]:,}건"
        shown = await until_read(
            lambda: tiles(self.page), lambda it: it["초당 수정"][1] == accepted
        )
        assert shown["초당 수정"][1] == accepted
        here = str(CLIENTS - 1)
        assert shown["연결"] == (here, f"룸 안에 {here}")
        assert shown["룸"] == (str(len(ROOMS)), f"●실행 중 {len(ROOMS)}")
        assert "실패" not in await self.page.text("main")

    async def rooms(self, counted: Counted) -> None:
        """Check the list of rooms, and each of them."""
        await self.open("rooms")
        rows = await until_read(
            lambda: table(self.page, "룸"),
            lambda rows: (
                [number(row["리비전"]) for row in rows]
                == [counted.answers[slug][ACCEPTED] for slug in sorted(ROOMS)]
            ),
        )
        assert [(row["룸"], row["상태"]) for row in rows] == [
            (slug, "● 실행 중") for slug in sorted(ROOMS)
        ]
        for slug, row in zip(sorted(ROOMS), rows, strict=True):
            assert number(row["리비전"]) == counted.answers[slug][ACCEPTED]
            assert number(row["접속"]) == subscribers(slug)
            assert number(row["재시작"]) == (CRASHES if slug == CRASHING else 0)
        await picture(self.page, "story-rooms")
        for slug in ROOMS:
            await self.room(slug, counted)

    async def room(self, slug: str, counted: Counted) -> None:
        """Check one room."""
        answers = counted.answers[slug]
        await self.open(f"rooms/{slug}")
        shown = await facts(self.page)
        assert number(shown["명령"]["수락"]) == answers[ACCEPTED]
        assert number(shown["명령"]["반복"]) == answers[ACCEPTED_BEFORE]
        assert number(shown["명령"]["거절"]) == counted.rejected(slug)
        state = shown["상태와 양"]
        assert number(state["접속"]) == subscribers(slug)
        assert number(state["리비전"]) == answers[ACCEPTED]
        assert number(state["재시작"]) == (CRASHES if slug == CRASHING else 0)
        last, *_ = await table(self.page, "최근 변경")
        assert number(last["리비전"]) == answers[ACCEPTED]
        there = await table(self.page, "접속자")
        assert len(there) == subscribers(slug)
        assert {row["뒤처짐"] for row in there} == {"0"}
        tracebacks = await self.page.evaluate(
            "[...document.querySelectorAll('.crash pre')].map((pre) => pre.textContent)"
        )
        assert len(tracebacks) == (CRASHES if slug == CRASHING else 0)
        assert all("Traceback" in each and "SPOILT" in each for each in tracebacks)
        await picture(self.page, f"story-room-{slug}")

    async def sessions(self, story: Story) -> None:
        """Check who is connected, and how."""
        await self.open("sessions")
        assert await self.page.text("main .view-head .note") == f"{CLIENTS - 1}개"
        rows = await until_read(  # what was slow may have some of its queue left
            lambda: table(self.page, "세션"), lambda rows: {row["대기"] for row in rows} == {"0"}
        )
        shown = {int(row["사용자"].split()[-1]) - 1000: row for row in rows}
        assert sorted(shown) == [each for each in range(CLIENTS) if each != KILLED]
        for at, editor in enumerate(story.editors):
            if at == KILLED:
                continue
            peer: Any = editor.peer
            plain = isinstance(peer, PlainPeer)
            row = shown[at]
            assert row["연결"] == ("WebSocket" if plain else TRANSPORTS[peer.transport])
            assert (row["룸"], row["대기"], row["뒤처짐"]) == (editor.slug, "0", "0")
        await picture(self.page, "story-sessions")

    async def closed(self) -> None:
        """Check who is not connected any more, and who was refused."""
        await self.open("closed")
        killed, *refused = await table(self.page, "종료된 세션")
        assert killed["사용자"] == f"간사{KILLED} {1000 + KILLED}"
        assert (killed["종류"], killed["이유"]) == ("○ 끝난 세션", "transport error")
        assert [(row["종류"], row["이유"].split()[0], row["연결"]) for row in refused] == [
            ("⊘ 거절된 접속", "TOKEN_EXPIRED", "WebSocket"),
            ("⊘ 거절된 접속", "INVALID_TOKEN", "Socket.IO ws"),
        ]
        tallies = await self.page.text(".tallies")
        assert sorted(tallies.split("\n")) == [
            "1 INVALID_TOKEN",
            "1 TOKEN_EXPIRED",
            "1 transport error",
        ]
        await picture(self.page, "story-closed")

    async def events(self) -> None:
        """Check what operators were notified of."""
        await self.open("events")
        shown = await until_read(
            lambda: events(self.page), lambda shown: published(shown) == PUBLISHED
        )
        assert published(shown) == PUBLISHED
        await picture(self.page, "story-events")


async def test_the_dashboard_has_the_figures_that_the_clients_have_counted(
    pages: int, server: ServerProcess
) -> None:
    async with begun(server) as story, browser_page(pages) as page:
        views = Views(page, server)
        await log_in(page, server)
        await story.lose_some()

        # A room that has failed is named first, and leads to why.
        await story.fail()
        await page.until("document.querySelector('.notices')?.innerText.includes('룸 1개가 실패')")
        await picture(page, "story-overview-failed")
        await page.click(".notices a")
        (failed,) = await until_read(lambda: table(page, "룸"), lambda rows: len(rows) == 1)
        assert CRASHING in failed["룸"]
        assert "SPOILT" in failed["룸"]
        assert failed["상태"] == "✕ 실패"
        await page.click("main a.name")
        await page.see(".banner.bad")
        assert "SPOILT" in await page.text(".banner.bad")
        assert await page.evaluate("document.querySelectorAll('.crash').length") == CRASHES
        await picture(page, "story-room-failed")
        await story.recover()
        await page.miss(".banner.bad")

        # Who reads no more has most of what is queued.
        await story.until_lagging()
        await views.open("sessions")
        first, *_ = await table(page, "세션")
        assert first["사용자"] == f"간사{SLOW} {1000 + SLOW}"
        assert first["대기"] != "0"
        await picture(page, "story-sessions-lagging")
        await story.catch_up()

        counted = story.counted
        await views.overview(counted)
        await picture(page, "story-overview")
        await views.rooms(counted)
        await views.sessions(story)
        await views.closed()
        await views.events()
        await views.open("audit")
        actions = [row["동작"] for row in await table(page, "감사 기록")]
        assert [each for each in actions if each.startswith("room.")] == [
            "room.recover",
            "room.restart",
        ]
        await picture(page, "story-audit")
        for view in ("tasks", "system"):
            await views.open(view)
            await picture(page, f"story-{view}")
        assert await page.problems() == []
