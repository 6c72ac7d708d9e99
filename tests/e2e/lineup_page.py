"""The line-up page as staff use it: what they open, click, type and read."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from tests.e2e.browser_page import BrowserPage, browser_page
from tests.e2e.server_process import RETREAT, ServerProcess, token

SHOTS: Final = os.environ.get("LINEUP_SHOTS")
"""A folder for pictures, if somebody wants to look at them."""
SIZES: Final = {"desk": (1280, 860), "phone": (360, 740)}
SEARCH: Final = "input[type=search]"
LIVE: Final = ".status:has-text('실시간 연결됨')"

_READERS: Final = Path(__file__).with_name("lineup_page.js").read_text()

Row = dict[str, Any]


class LineupPage:
    """A window with the line-up of a retreat. Cells are named by the person's row and a column."""

    def __init__(self, browser: BrowserPage, retreat: str) -> None:
        self.browser = browser
        self.retreat = retreat
        self.see, self.miss = browser.see, browser.miss
        self.click, self.press, self.type = browser.click, browser.press, browser.type

    async def read(self, reader: str, *arguments: object) -> Any:
        return await self.browser.evaluate(f"({_READERS}).{reader}(...{json.dumps(arguments)})")

    async def until_reads(
        self, reader: str, row: Row, key: str, expected: str | list[str] | None
    ) -> None:
        """Wait until a cell is as expected."""
        arguments = json.dumps([row["phoneNumber"], key])
        await self.browser.until(
            f"JSON.stringify(({_READERS}).{reader}(...{arguments})) === "
            f"JSON.stringify({json.dumps(expected)})"
        )

    async def until_text(self, row: Row, key: str, expected: object) -> None:
        await self.until_reads("text", row, key, "" if expected is None else str(expected))

    async def text(self, row: Row, key: str) -> str:
        found: str = await self.read("text", row["phoneNumber"], key)
        return found

    async def select(self, row: Row, key: str) -> None:
        """Click a cell that is in view."""
        box = await self.read("box", row["phoneNumber"], key)
        assert box is not None, f"{row['name']} is not in view"
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        await self.browser.step("mouse", does="move", x=x, y=y)
        await self.browser.step("mouse", does="down")
        await self.browser.step("mouse", does="up")

    async def begin(self, row: Row, key: str, text: str) -> None:
        """Type into a cell, and leave the editor open."""
        await self.select(row, key)
        await self.type(text)
        await self.see(".grid-editor.open")

    async def enter(self, row: Row, key: str, text: str) -> None:
        """Type into a cell, and commit it."""
        await self.begin(row, key, text)
        await self.press("Enter")
        await self.miss(".grid-editor.open")

    async def menu(self, key: str) -> None:
        """Open the menu of a column."""
        await self.click(f".grid-head [data-column='{key}']")
        await self.see(".popup")

    async def choose(self, key: str, entry: str) -> None:
        """Click an entry in the menu of a column."""
        await self.menu(key)
        await self.click(f".popup button:text-is('{entry}')")

    async def search(self, text: str) -> None:
        await self.browser.fill(SEARCH, text)
        await self.drawn()

    async def drawn(self) -> None:
        """Wait until the page has drawn what was asked for."""
        await self.browser.evaluate(
            "new Promise((done) => setTimeout(() => "
            "requestAnimationFrame(() => requestAnimationFrame(done))))"
        )

    async def column(self, key: str) -> list[str]:
        """Return the texts of the cells that are drawn, from above."""
        await self.drawn()
        found: list[str] = await self.read("column", key)
        return found

    async def keys(self) -> list[str]:
        """Return the keys of the columns that are drawn, from the left."""
        await self.drawn()
        found: list[str] = await self.read("keys")
        return found

    async def editor(self) -> str | None:
        """Return the text in the editor; ``None``: it is closed."""
        found: str | None = await self.browser.evaluate(
            "document.querySelector('.grid-editor.open textarea')?.value ?? null"
        )
        return found

    async def picture(self, name: str) -> None:
        """Take a picture, if somebody wants it."""
        if SHOTS is not None:
            await self.drawn()
            await self.browser.screenshot(Path(SHOTS) / f"{name}.png")

    async def accessible(self, state: str) -> None:
        """Look that axe finds nothing wrong, and take a picture."""
        await self.picture(state)
        found = await self.browser.axe()
        assert found == [], f"{state}: {found}"


@asynccontextmanager
async def lineup_page(
    pages: int,
    server: ServerProcess,
    *,
    user_id: int = 7,
    name: str = "김간사",
    role: str = "LINEUP_STAFF",
    retreat: str = RETREAT,
    expected: Iterable[str] = (),
    cookie: str | None = None,
    own_time: bool = False,
    before: Callable[[BrowserPage], Awaitable[None]] | None = None,
    **options: Any,
) -> AsyncIterator[LineupPage]:
    """Open the line-up in a window of its own, live; look behind it that nothing went wrong.

    :param expected: parts of the errors that the page may meet.
    :param cookie: in place of the user's token.
    :param own_time: whether the test moves the page's clock.
    :param before: called before the page is loaded.
    """
    async with browser_page(pages, **options) as browser:
        value = cookie or token(user_id, name, role)
        await browser.step("cookie", name="accessToken", value=value, url=server.url)
        page = LineupPage(browser, retreat)
        if own_time:
            await browser.step("clock")
        if before is not None:
            await before(browser)
        await browser.goto(f"{server.url}/retreats/{retreat}")
        await page.see(LIVE)
        await page.see(".grid-row:not([hidden])")
        yield page
        problems = await browser.problems()
        # The document that only sets the cookie has no icon; its request may end late.
        allowed = (*expected, f"{server.url}/favicon.ico")
        unexpected = [each for each in problems if not any(part in each for part in allowed)]
        assert unexpected == [], unexpected


def in_view(rows: Iterable[Row], *, leaders: bool = False) -> list[Row]:
    """Return rows that the page shows without a scroll, in its order: the first groups."""
    return [row for row in rows if row["isLeader"] == leaders and (row["gbsNumber"] or 99) <= 5]


def rows_of(server: ServerProcess, retreat: str = RETREAT) -> list[Row]:
    """Return the list as the server has it."""
    answer = server.get(f"/api/v1/retreat/{retreat}/line-up/user-lineups", token())
    rows: list[Row] = answer["userRetreatGbsLineups"]
    return rows
